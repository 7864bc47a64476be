//! Workflows rehearsed in memory: the engine's own decisions, with the test in the place of everything around them.

use std::path::Path;

use purefold::engine::{Conclusion, EntityName, FailureKind};
use purefold::journal::{Kind, Verdict};
use purefold::rehearsal::{Asked, Rehearsal, Standing, Step};
use purefold::sandbox::Sandbox;
use purefold::workflow::{Surroundings, load_in};
use serde_json::{Value, json};

use crate::program::target_folder;
use crate::repository::root;

/// 2026-02-13T12:00:00Z
const START: u64 = 1_770_984_000_000_000;
const SECOND: u64 = 1_000_000;
const NODE: &str = "22dd9b63-a548-452f-90eb-f862e67ca50e";

/// A workflow of this repository, at `START`.
fn rehearsal(manifest: &str) -> Rehearsal {
    let surroundings = Surroundings {
        environment: &|name| (name == "PAYMENT_PORT").then(|| "9".to_owned()),
        current: target_folder().parent().expect("target lies in the repository").to_path_buf(),
        open: &purefold_effects::open,
        topics: &|_, _| Vec::new(),
    };
    let workflow = load_in(Path::new(&root().join(manifest)), &surroundings).unwrap_or_else(|findings| panic!("{findings:?}"));
    let mut rehearsal = Rehearsal::new(vec![workflow], &Sandbox::new().unwrap()).unwrap();
    rehearsal.set_now(START);
    rehearsal
}

fn event(id: &str, ty: &str, data: &Value) -> Vec<u8> {
    json!({ "specversion": "1.0", "id": id, "source": "/test", "type": ty, "data": data }).to_string().into_bytes()
}

fn announcement(id: &str) -> Vec<u8> {
    let data = json!({ "node_id": NODE, "node_type": "effect", "correlation_id": NODE, "timestamp": "2026-02-13T12:00:00Z" });
    event(id, "onex.evt.platform.node-introspection.v1", &data)
}

fn node() -> EntityName {
    EntityName { workflow: 0, key: NODE.into() }
}

fn verdicts(step: &Step) -> Vec<Verdict> {
    step.entries.iter().filter_map(|happened| happened.entry.verdict).collect()
}

fn field(rehearsal: &Rehearsal, name: &EntityName, field: &str) -> Value {
    serde_json::from_str::<Value>(&rehearsal.state_json(name).expect("it has a state")).unwrap()[field].clone()
}

fn case(rehearsal: &Rehearsal, asked: &Asked) -> String {
    rehearsal.plans()[asked.name.workflow].workflow.contract.intent.cases[asked.case as usize].name.kebab().to_owned()
}

/// The intent of a case that can be concluded now.
fn ready(rehearsal: &Rehearsal, name: &str) -> Asked {
    let found = rehearsal.asked().into_iter().find(|asked| asked.standing == Standing::Ready && case(rehearsal, asked) == name);
    found.unwrap_or_else(|| panic!("{name} is not ready: {:?}", rehearsal.asked()))
}

fn conclude(rehearsal: &mut Rehearsal, name: &str, conclusion: Conclusion) -> Step {
    let asked = ready(rehearsal, name);
    rehearsal.conclude(&asked, conclusion).unwrap()
}

#[test]
fn outcomes_come_when_they_are_said_to() {
    let mut rehearsal = rehearsal("reducers/registration/registration.toml");
    let step = rehearsal.event(&announcement("1")).unwrap();
    assert_eq!(verdicts(&step), [Verdict::Accepted]);
    assert_eq!(field(&rehearsal, &node(), "phase"), "awaiting_ack");

    let mut late = rehearsal.clone();
    conclude(&mut rehearsal, "upsert-record", Ok(None));
    assert_eq!(field(&rehearsal, &node(), "dual"), "partial");
    conclude(&mut rehearsal, "register-service", Ok(None));
    assert_eq!(field(&rehearsal, &node(), "dual"), "complete");

    // What was decided on a copy did not touch the other one.
    assert_eq!(field(&late, &node(), "dual"), "pending");
    conclude(&mut late, "register-service", Err((FailureKind::Refused, "full".into())));
    assert_eq!(field(&late, &node(), "dual"), "failed");
}

#[test]
fn an_event_is_taken_once_and_what_cannot_be_taken_is_told() {
    let mut rehearsal = rehearsal("reducers/registration/registration.toml");
    rehearsal.event(&announcement("1")).unwrap();
    let again = rehearsal.event(&announcement("1")).unwrap();
    assert_eq!((again.duplicates, again.entries.len()), (1, 0));
    let another = rehearsal.event(&announcement("2")).unwrap();
    assert_eq!(verdicts(&another), [Verdict::Rejected]);
    let wrong = rehearsal.event(&event("3", "onex.evt.platform.node-heartbeat.v1", &json!({ "node_id": 7 }))).unwrap();
    assert_eq!(wrong.dead_letters[0].path, "data.node_id");
}

#[test]
fn timers_fire_in_order_and_late_ones_meet_what_came_before() {
    let mut rehearsal = rehearsal("reducers/registration/registration.toml");
    rehearsal.event(&announcement("1")).unwrap();
    let timers = rehearsal.timers();
    assert_eq!(timers.len(), 1);
    assert_eq!((&*timers[0].timer, timers[0].due), ("ack", START + 30 * SECOND + 1));

    let mut late = rehearsal.clone();
    let settle = |_: &mut Rehearsal, step| Ok::<_, purefold::rehearsal::RehearsalError>(step);
    let nothing = rehearsal.advance(START + 30 * SECOND, settle).unwrap();
    assert!(nothing.entries.is_empty());
    rehearsal.advance(START + 31 * SECOND, settle).unwrap();
    assert_eq!(field(&rehearsal, &node(), "phase"), "ack_timed_out");

    late.set_now(START + 40 * SECOND);
    let data = json!({ "command_id": NODE, "node_id": NODE, "correlation_id": NODE, "timestamp": "2026-02-13T12:00:40Z" });
    late.event(&event("2", "onex.cmd.platform.node-registration-acked.v1", &data)).unwrap();
    assert_eq!(field(&late, &node(), "phase"), "active");
    // The acknowledgement took it back: whoever fires it now fires nothing.
    assert!(late.fire(&timers[0]).unwrap().entries.is_empty());
}

#[test]
fn a_state_can_be_given() {
    let mut rehearsal = rehearsal("reducers/registration/registration.toml");
    rehearsal.event(&announcement("1")).unwrap();
    let state = rehearsal.state_json(&node()).unwrap().replace("awaiting_ack", "rejected");
    let other = EntityName { workflow: 0, key: "another".into() };
    rehearsal.put(other.clone(), state.as_bytes(), &[("liveness", START + SECOND)]).unwrap();
    assert_eq!(field(&rehearsal, &other, "phase"), "rejected");
    assert_eq!(rehearsal.timers()[0].name, other);
    assert!(rehearsal.put(other, br#"{"phase":"active"}"#, &[]).is_err());
}

/// An article of which five are there, and an order of two of them, as far as it is charged.
fn ordered() -> Rehearsal {
    let mut rehearsal = rehearsal("reducers/orders/orders.toml");
    let arrived = json!({ "id": "cup", "quantity": 5, "shelf": ["A", 3], "unit_weight_kg": 0.25 });
    rehearsal.event(&event("1", "shop.stock.arrived.v1", &arrived)).unwrap();
    let placed = json!({ "id": "o-1", "customer": "ann", "lines": [{ "stock_id": "cup", "quantity": 2, "unit_price": 950 }],
        "currency": "eur", "handling": [], "payment_method": "card", "placed_at": "2026-02-13T12:00:00Z" });
    rehearsal.event(&event("2", "shop.order.placed.v1", &placed)).unwrap();
    rehearsal
}

#[test]
fn deliveries_wait_to_be_handed_over() {
    let mut rehearsal = ordered();
    assert_eq!(rehearsal.deliveries().map(|delivery| delivery.input.as_str()).collect::<Vec<_>>(), ["reserve"]);
    rehearsal.deliver(0).unwrap();
    assert_eq!(rehearsal.deliveries().map(|delivery| &*delivery.key).collect::<Vec<_>>(), ["o-1"]);
    rehearsal.deliver(0).unwrap();
    let order = EntityName { workflow: 0, key: "o-1".into() };
    assert_eq!(field(&rehearsal, &order, "phase"), "charging");
}

#[test]
fn lanes_keep_their_order_and_a_reply_is_typed() {
    let mut rehearsal = ordered();
    rehearsal.deliver(0).unwrap();
    rehearsal.deliver(0).unwrap();
    let standings: Vec<_> =
        rehearsal.asked().iter().filter(|asked| &*asked.name.key == "o-1").map(|asked| (case(&rehearsal, asked), asked.standing)).collect();
    let waiting = standings.iter().find(|(case, standing)| case == "record-order" && *standing == Standing::Waiting);
    assert!(waiting.is_some(), "the second row waits for the first: {standings:?}");

    let charge = ready(&rehearsal, "charge");
    let untyped = rehearsal.conclusion(&charge, br#""ok""#).unwrap_err();
    assert!(untyped.to_string().contains("record charge-receipt"), "{untyped}");
    let short = rehearsal.conclusion(&charge, br#"{"ok":{"charge_id":"c-1"}}"#).unwrap_err();
    assert!(short.to_string().contains("ok.amount"), "{short}");
    let paid = rehearsal.conclusion(&charge, br#"{"ok":{"charge_id":"c-1","amount":1900}}"#).unwrap();
    rehearsal.conclude(&charge, paid).unwrap();
    let order = EntityName { workflow: 0, key: "o-1".into() };
    assert_eq!(field(&rehearsal, &order, "phase"), "shipping");
    assert!(rehearsal.conclude(&charge, Ok(None)).is_err(), "an intent is concluded once");
}

#[test]
fn what_is_held_waits_for_an_operator() {
    let mut rehearsal = ordered();
    rehearsal.deliver(0).unwrap();
    rehearsal.deliver(0).unwrap();
    // The order is cancelled, and what may have been charged is given back.
    conclude(&mut rehearsal, "charge", Err((FailureKind::Unknown, "no answer".into())));
    let held = conclude(&mut rehearsal, "refund", Err((FailureKind::Exhausted, "no answer".into())));
    assert!(held.entries.is_empty(), "{held:?}");
    let refund = rehearsal.asked().into_iter().find(|asked| case(&rehearsal, asked) == "refund").expect("it is not concluded");
    assert_eq!(refund.standing, Standing::Held);
    assert!(rehearsal.conclude(&refund, Ok(None)).is_err());
    let redriven = rehearsal.redrive(&refund).unwrap();
    assert_eq!(redriven.entries[0].entry.kind, Kind::Redriven);
    conclude(&mut rehearsal, "refund", Ok(None));
    assert!(!rehearsal.asked().iter().any(|asked| case(&rehearsal, asked) == "refund"));
}
