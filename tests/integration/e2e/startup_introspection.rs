//! A node that starts announces itself, completely and at once, and the host takes what is announced and nothing else.

use std::time::{Duration, Instant};

use purefold_nodes::event::{ACCEPTED, INTROSPECTION, NODE_TYPES, instant};
use purefold_nodes::{Behaviour, Fleet, Form, Outgoing, Pace, Plan};
use serde_json::json;

use super::world::{World, at_this_moment, median, now};

/// What an announcement may take from being made to being with the brokers.
const BROADCAST_MAX: Duration = Duration::from_millis(50);

#[test]
fn a_node_that_starts_publishes_its_introspection() {
    let world = World::shared();
    let pace = Pace { starts_within: Duration::ZERO, ..Pace::default() };
    let mut fleet = Fleet::new(&Plan { behaviours: vec![Behaviour::Steady], seed: world.seed(), pace }, now());
    let node = fleet.nodes().next().expect("a node").clone();
    world.live(&mut fleet, "the announcement", |_| !world.heard(INTROSPECTION, &node.id).is_empty());
    let announced = world.hears(INTROSPECTION, &node.id);
    assert_eq!(announced.data["node_type"], node.kind);
    assert_eq!(fleet.summary().announcements, 1);
}

#[test]
fn an_introspection_is_complete() {
    let world = World::shared();
    let mut node = world.node("orchestrator");
    let at = now();
    world.send(&node.announce(at, None).unwrap());
    let announced = world.hears(INTROSPECTION, &node.id);
    let data = &announced.data;
    assert_eq!((&data["node_id"], &data["node_type"]), (&json!(node.id), &json!("orchestrator")));
    assert_eq!(data["node_version"], json!({"major": 1, "minor": 3, "patch": 3}));
    assert_eq!(data["declared_capabilities"]["routing"], true);
    assert_eq!((&data["endpoints"]["health"], &data["timestamp"]), (&json!(node.endpoints[0].1), &json!(instant(at))));
    assert_eq!(data["correlation_id"].as_str().map(str::len), Some(36));
    assert_eq!(announced.correlation().as_deref(), data["correlation_id"].as_str());
}

#[test]
fn endpoints_of_a_nodes_own_are_published_and_found_in_the_catalogue() {
    let world = World::shared();
    let mut node = world.node("compute");
    node.endpoints =
        vec![("metrics", "http://metrics.example:9100/metrics".to_owned()), ("api", "https://Node-7.Example.com:8443/v1".to_owned())];
    world.register(&mut node);
    let announced = world.hears(INTROSPECTION, &node.id);
    let expected = json!({"metrics": "http://metrics.example:9100/metrics", "api": "https://Node-7.Example.com:8443/v1"});
    assert_eq!(announced.data["endpoints"], expected);
    let service = world.service(&node).unwrap();
    assert_eq!((&service["Address"], &service["Port"]), (&json!("node-7.example.com"), &json!(8443)), "the API, where there is no health");
}

#[test]
fn an_announcement_is_with_the_brokers_within_fifty_milliseconds() {
    let world = World::shared();
    let mut node = world.node("effect");
    let took = (0..15).map(|_| {
        let begun = Instant::now();
        let message = node.announce(now(), None).unwrap();
        world.send_all([Outgoing::Event(message, Form::Structured)]);
        begun.elapsed()
    });
    let took = median(took.collect());
    let most = at_this_moment(BROADCAST_MAX);
    assert!(took < most, "{took:?}, and {most:?} at most");
}

#[test]
fn nodes_of_all_four_types_announce_themselves_and_are_accepted() {
    let world = World::shared();
    let mut nodes = NODE_TYPES.map(|kind| world.node(kind));
    for node in &mut nodes {
        world.send(&node.announce(now(), None).unwrap());
    }
    for node in &nodes {
        assert_eq!(world.hears(INTROSPECTION, &node.id).data["node_type"], node.kind);
        world.hears(ACCEPTED, &node.id);
        world.until("the row", || world.row(node).is_some_and(|row| row["node_type"] == node.kind));
    }
}

#[test]
fn the_host_takes_what_is_published_under_the_id_that_it_has() {
    let world = World::shared();
    let mut node = world.node("reducer");
    let announced = node.announce(now(), None).unwrap();
    world.send(&announced);
    world.hears(ACCEPTED, &node.id);
    let first = world.journal(&node.id).remove(0);
    assert_eq!((&first["kind"], &first["event_id"]), (&json!("decided"), &json!(announced.id)));
    assert_eq!(first["correlation_id"].as_str(), announced.correlation.as_deref());
}

#[test]
fn what_cannot_be_read_becomes_a_dead_letter_and_stops_nothing() {
    let world = World::new();
    let garbage = ["no event at all", "{\"specversion\":\"1.0\",\"id\":\"cut", "[1, 2]", ""];
    world.send_all(garbage.map(|bytes| Outgoing::Garbage(INTROSPECTION, bytes)));
    let mut node = world.node("effect");
    world.register(&mut node);
    world.until("the dead letters", || world.dead_letters().len() == garbage.len());
    let readiness = world.readiness();
    assert_eq!((&readiness["alive"], &readiness["ready"]), (&json!(true), &json!(true)), "{readiness}");
    world.verifies();
}

#[test]
fn an_event_that_lacks_a_field_is_a_dead_letter_that_names_it() {
    let world = World::new();
    let mut node = world.node("effect");
    let timestamp = instant(now());
    let without_type = json!({"node_id": node.id, "correlation_id": world.uuid(), "timestamp": timestamp});
    let without_id = json!({"node_type": "effect", "correlation_id": world.uuid(), "timestamp": timestamp});
    let host = json!({"node_id": node.id, "node_type": "runtime_host", "correlation_id": world.uuid(), "timestamp": timestamp});
    for data in [&without_type, &without_id, &host] {
        let message = node.event(INTROSPECTION, now(), None, data).unwrap();
        world.send(&message);
    }
    world.until("the dead letters", || world.dead_letters().len() == 3);
    let mut letters: Vec<(String, String)> = world
        .dead_letters()
        .iter()
        .map(|letter| (letter["code"].as_str().unwrap().to_owned(), letter["path"].as_str().unwrap().to_owned()))
        .collect();
    letters.sort();
    let undecodable = |path: &str| ("data-undecodable".to_owned(), path.to_owned());
    assert_eq!(letters, [undecodable("data.node_id"), undecodable("data.node_type"), undecodable("data.node_type")]);
    assert!(world.row(&node).is_none());
    world.register(&mut node);
}

#[test]
fn a_host_that_runs_says_that_it_is_well() {
    let world = World::shared();
    assert_eq!(world.admin("/healthz").status, 200);
    world.until("that it is ready", || world.admin("/readyz").status == 200);
    let mut node = world.node("effect");
    world.register(&mut node);
    let accepted = world.figure("purefold_decisions_total{workflow=\"registration\",verdict=\"accepted\"}");
    assert!(accepted.is_some_and(|accepted| accepted >= 1.0), "{accepted:?}");
}
