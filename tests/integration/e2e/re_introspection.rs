//! A registry that starts asks every node to announce itself anew, and nodes answer under its correlation id.

use purefold_nodes::event::{INTROSPECTION, REQUEST};
use purefold_nodes::{Behaviour, Fleet, Pace, Plan, Received};
use serde_json::json;
use std::time::Duration;

use super::world::{World, now};

/// The requests so far.
fn requests(world: &World) -> Vec<Received> {
    world.heard(REQUEST, "")
}

#[test]
fn a_registry_that_starts_asks_every_node() {
    let world = World::shared();
    let request = world.hears(REQUEST, "");
    let correlation = request.correlation().expect("a correlation id");
    assert_eq!((request.headers["ce_source"].as_str(), &request.data["correlation_id"]), ("registry", &json!(correlation)));
    let started = world.journal_of("registry", "registry").remove(0);
    assert_eq!(
        (&started["input"]["started"]["start_id"], &started["input"]["started"]["host"]),
        (&json!(correlation), &json!("registry-1"))
    );
    assert_eq!(request.data["registry_id"], world.state_of("registry", "registry")["node_id"]);
}

#[test]
fn nodes_answer_afresh_those_that_are_known_and_those_that_are_not() {
    let world = World::new();
    let pace = Pace { starts_within: Duration::ZERO, ack_after: Duration::ZERO, ..Pace::default() };
    let mut fleet = Fleet::new(&Plan { behaviours: vec![Behaviour::Steady; 3], seed: world.seed(), pace }, now());
    let nodes: Vec<_> = fleet.nodes().cloned().collect();
    world.live(&mut fleet, "that all are active", |_| nodes.iter().all(|node| world.phase(node).as_deref() == Some("active")));
    let announced = fleet.summary().announcements;
    let before = requests(&world).len();
    world.stop();
    // The registry has forgotten nothing; a row that was lost is another matter.
    world.start();
    world.live(&mut fleet, "the answers", |fleet| fleet.summary().announcements >= announced + 3);
    let asked = requests(&world).remove(before).correlation().unwrap();
    for node in &nodes {
        let of_node = || world.heard(INTROSPECTION, &node.id).into_iter().filter(|event| event.correlation().as_deref() == Some(&*asked));
        world.until("the answer", || of_node().count() == 1);
        let blocked = format!("introspected: {}", json!({"rejected": {"blocked": "active"}}));
        world.until("that it was decided", || world.decisions(&node.id).contains(&blocked));
        assert_eq!(world.phase(node).as_deref(), Some("active"));
    }
    world.verifies();
}

#[test]
fn what_follows_from_an_answer_carries_the_requests_correlation_id() {
    let world = World::shared();
    let asked = world.hears(REQUEST, "").correlation().unwrap();
    // A node that the registry has not heard of yet.
    let mut node = world.node("effect");
    world.send(&node.announce(now(), Some(&asked)).unwrap());
    for kind in ["initiated", "accepted", "result"] {
        let told = world.hears(&format!("onex.evt.platform.node-registration-{kind}.v1"), &node.id);
        assert_eq!((told.correlation(), &told.data["correlation_id"]), (Some(asked.clone()), &json!(asked)), "{kind}");
    }
    assert_eq!(world.row(&node).unwrap()["correlation_id"], *asked);
    assert!(world.journal(&node.id).iter().all(|entry| entry["correlation_id"] == *asked));
}
