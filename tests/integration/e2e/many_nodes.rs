//! Many nodes at once: each is registered once, whatever the others do, and all are seen.

use std::collections::BTreeSet;
use std::time::Duration;

use purefold_nodes::{Behaviour, Fleet, Form, Outgoing, Pace, Plan};
use serde_json::json;

use super::world::{World, now};

/// Everything at once.
const AT_ONCE: Pace = Pace {
    starts_within: Duration::ZERO,
    ack_after: Duration::ZERO,
    ack_late_after: Duration::from_secs(2),
    beat_every: Duration::from_millis(500),
    dead_for: Duration::from_secs(1),
};

#[test]
fn many_nodes_register_and_become_active_at_once() {
    let world = World::shared();
    let mut fleet = Fleet::new(&Plan { behaviours: vec![Behaviour::Steady; 25], seed: world.seed(), pace: AT_ONCE }, now());
    let nodes: Vec<_> = fleet.nodes().cloned().collect();
    world.live(&mut fleet, "that all are active", |_| nodes.iter().all(|node| world.phase(node).as_deref() == Some("active")));
    let summary = fleet.summary();
    // Those that hear the registry ask as it starts answer that too.
    let unasked = summary.announcements - summary.answered;
    assert_eq!((unasked, summary.accepted, summary.acks), (25, 25, 25), "{summary:?}");
    for node in &nodes {
        assert!(world.service(node).is_some(), "{}", node.id);
    }
}

#[test]
fn a_node_that_announces_itself_many_times_at_once_is_registered_once() {
    const TIMES: usize = 10;
    let world = World::shared();
    let mut node = world.node("effect");
    let all: Vec<Outgoing> = (0..TIMES)
        .map(|time| {
            let form = if time % 2 == 0 { Form::Structured } else { Form::Binary };
            Outgoing::Event(node.announce(now(), None).unwrap(), form)
        })
        .collect();
    world.send_all(all);
    let decided = || world.decisions(&node.id).into_iter().filter(|decision| decision.starts_with("introspected: "));
    world.until("all decisions", || decided().count() == TIMES);
    let blocked = format!("introspected: {}", json!({"rejected": {"blocked": "awaiting_ack"}}));
    assert!(decided().next().unwrap().starts_with("introspected: accepted: initiated"));
    assert!(decided().skip(1).all(|decision| decision == blocked));
    world.until("row and service", || world.row(&node).is_some() && world.service(&node).is_some());
    assert_eq!(world.heard("onex.evt.platform.node-registration-initiated.v1", &node.id).len(), 1);
}

#[test]
fn all_nodes_are_in_both_backends_and_agree() {
    let world = World::shared();
    let mut nodes: Vec<_> = purefold_nodes::event::NODE_TYPES.iter().cycle().take(8).map(|kind| world.node(kind)).collect();
    for node in &mut nodes {
        world.send(&node.announce(now(), None).unwrap());
    }
    for node in &nodes {
        world.until("row and service", || world.row(node).is_some() && world.service(node).is_some());
    }
    let rows: BTreeSet<String> =
        world.texts("SELECT 'onex-' || node_type || '-' || entity_id FROM registration_projections").into_iter().collect();
    let listed = world.catalogue("/v1/agent/services");
    for node in &nodes {
        assert!(rows.contains(&node.service_id()) && listed.get(node.service_id()).is_some(), "{}", node.service_id());
        let (row, service) = (world.row(node).unwrap(), world.service(node).unwrap());
        assert_eq!(service["Service"], format!("onex-{}", row["node_type"].as_str().unwrap()));
        assert!(service["Tags"].as_array().unwrap().contains(&json!(format!("node-type:{}", node.kind))));
    }
}

#[test]
fn misbehaving_nodes_harm_nobody() {
    let world = World::new();
    let behaviours: Vec<Behaviour> = Behaviour::ALL.into_iter().chain([Behaviour::Steady; 10]).collect();
    let mut fleet = Fleet::new(&Plan { behaviours, seed: world.seed(), pace: AT_ONCE }, now());
    let nodes: Vec<_> = fleet.nodes().cloned().collect();
    world.live(&mut fleet, "every accident", |fleet| {
        let summary = fleet.summary();
        let accidents = [summary.duplicates, summary.reordered, summary.garbage, summary.died, summary.returned];
        accidents.iter().all(|count| *count > 0) && summary.heartbeats > 60
    });
    let summary = fleet.summary();
    world.until("the dead letters", || world.dead_letters().len() as u64 == summary.garbage);
    // All but the one that never acknowledges.
    let active = "SELECT count(*)::text FROM registration_projections WHERE current_state = 'active' AND correlation_id IS NOT NULL";
    world.until("that all others are active", || world.texts(active)[0].parse::<usize>().unwrap() >= nodes.len() - 1);
    for node in &nodes {
        assert!(world.row(node).is_some() && world.service(node).is_some(), "{}", node.id);
    }
    let duplicates = world.figure("purefold_events_not_decided_total{kind=\"duplicate\"}").unwrap();
    assert!(duplicates >= 1.0, "{duplicates}");
    let parked = world.ask("parked", &["list", "--json"]).well().json();
    assert!(parked.is_empty(), "nobody is parked: {parked:?}");
    world.verifies();
}
