use std::path::Path;
use std::sync::Arc;

use super::super::entity::Entity;
use super::super::fold::{Folded, Ids, Moment, fold};
use super::super::input::{Order, OrderKind, Pending};
use super::super::plan::Plan;
use crate::journal::{Kind, Warrant};
use crate::sandbox::Sandbox;
use crate::store::TimerRow;
use crate::workflow::load_release_closed;

const DUE: u64 = 1_767_225_600_000_000;

/// A workflow that knows no timers.
fn plan() -> Plan {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let manifest = root.join("reducers/fixtures/manifests/misbehaving.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let component: Arc<[u8]> = std::fs::read(root.join("target/fixtures/misbehaving.wasm")).unwrap().into();
    let workflow = load_release_closed(&manifest, &text, &component).unwrap();
    Plan::new(workflow, &Sandbox::new().unwrap(), 1, (1, 2)).unwrap()
}

fn folded(plan: &Plan, entity: Entity, pending: Pending) -> Folded {
    fold(plan, &Ids::default(), Box::new(entity), pending, Moment::Arrival { now: DUE + 1 }).unwrap()
}

fn asked(what: OrderKind) -> Pending {
    let order = Order { command: 1, what, warrant: Warrant { by: "ann".into(), reason: None } };
    Pending { orders: vec![order], ..Pending::default() }
}

/// A timer that the release in force cannot take waits for one that can, however often it is tried, and leaves by an operator's word.
#[test]
fn a_timer_that_nothing_takes_any_more_is_not_lost() {
    let plan = plan();
    let mut entity = Entity::unknown(&plan, "a".into());
    entity.timers.push(TimerRow {
        entity: 0,
        name: "alarm".into(),
        due: DUE,
        sequence: 3,
        index: 1,
        correlation_id: "c".into(),
        waits: false,
        workflow: 1,
    });
    let fired = Pending { timers: vec![("alarm".into(), 3, 1)], ..Pending::default() };
    let first = folded(&plan, entity, fired);
    let is_kept = |folded: &Folded| {
        let Entity { row, timers, inbox, .. } = &*folded.entity;
        assert!(row.parked && timers.len() == 1 && timers[0].waits, "{timers:?}");
        assert_eq!((inbox.len(), inbox[0].origin, inbox[0].sequence, inbox[0].index), (1, "timer", 3, 1));
        let text = String::from_utf8(inbox[0].input.to_vec()).unwrap();
        assert_eq!(text, r#"{"timer":{"due":"2026-01-01T00:00:00.000000Z","name":"alarm"}}"#);
    };
    is_kept(&first);
    assert_eq!(first.entries.iter().map(|folded| folded.entry.kind).collect::<Vec<_>>(), [Kind::Parked]);
    assert!(String::from_utf8_lossy(&first.entries[0].entry.output).contains("input-unfit"));
    let mut last = first;
    for _ in 0..2 {
        last = folded(&plan, *last.entity, asked(OrderKind::RedriveHead));
        is_kept(&last);
    }
    let dropped = folded(&plan, *last.entity, asked(OrderKind::DropHead));
    assert!(!dropped.entity.row.parked && dropped.entity.timers.is_empty() && dropped.entity.inbox.is_empty());
    assert_eq!(dropped.entries.iter().map(|folded| folded.entry.kind).collect::<Vec<_>>(), [Kind::Dropped]);
}
