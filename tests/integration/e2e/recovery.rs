//! A registry that ends, in good order or not, goes on where it was: nothing is lost, nothing is done twice.

use std::time::Duration;

use purefold_nodes::event::instant;
use purefold_nodes::{Form, Node, Outgoing};
use serde_json::json;

use super::world::{World, now, seconds};

/// What a host may take to end that has nothing to do.
const END_MAX: Duration = Duration::from_secs(20);

#[test]
fn what_is_registered_outlives_a_restart() {
    let world = World::new();
    let mut node = world.node("effect");
    world.activate(&mut node);
    let (state, row) = (world.state(&node.id), world.row(&node));
    world.stop();
    assert_eq!(world.state(&node.id), state, "without a host");
    world.start();
    assert_eq!((world.state(&node.id), world.row(&node)), (state, row));
    let at = now();
    world.send(&node.heartbeat(at).unwrap());
    world.until("that it goes on", || world.row(&node).unwrap()["last_heartbeat_at"] != serde_json::Value::Null);
    assert_eq!(world.decisions(&node.id).last().unwrap(), "heartbeat: accepted: set_heartbeat timer");
    world.verifies();
}

#[test]
fn a_node_that_registers_again_after_a_restart_is_one_node() {
    let world = World::new();
    let mut node = world.node("effect");
    world.activate(&mut node);
    world.stop();
    // It announces itself while nobody listens.
    world.send(&node.announce(now(), None).unwrap());
    world.start();
    let blocked = format!("introspected: {}", json!({"rejected": {"blocked": "active"}}));
    world.until("the decision", || world.decisions(&node.id).contains(&blocked));
    assert_eq!(world.phase(&node).as_deref(), Some("active"));
    let count = "SELECT count(*)::text FROM registration_projections";
    // It, and the registry itself.
    world.until("the registry's own row", || world.texts(count) == ["2"]);
    assert_eq!(world.heard("onex.evt.platform.node-registration-initiated.v1", &node.id).len(), 1);
}

#[test]
fn what_was_sent_while_no_host_ran_is_taken_when_one_does() {
    let world = World::new();
    world.stop();
    let mut nodes: Vec<Node> = (0..10).map(|_| world.node("effect")).collect();
    for node in &mut nodes {
        world.send(&node.announce(now(), None).unwrap());
    }
    world.start();
    for node in &nodes {
        world.until("the registration", || world.row(node).is_some() && world.service(node).is_some());
    }
}

#[test]
fn a_node_whose_heartbeats_waited_while_no_host_ran_does_not_expire() {
    let world = World::new();
    let mut nodes: Vec<Node> = (0..3).map(|_| world.node("effect")).collect();
    let beats: Vec<u64> = nodes
        .iter_mut()
        .map(|node| {
            world.activate(node);
            // It is alive until 90 seconds after what its clock says: for three more.
            let at = now() - seconds(87);
            world.send(&node.heartbeat(at).unwrap());
            world.until("the deadline", || world.state(&node.id)["liveness_deadline"] == instant(at + seconds(90)));
            at
        })
        .collect();
    world.stop();
    // Much is read before what the first two sent while nobody listened; the third is silent.
    let mut others: Vec<Node> = (0..200).map(|_| world.node("compute")).collect();
    world.send_all(others.iter_mut().map(|node| Outgoing::Event(node.announce(now(), None).unwrap(), Form::Structured)));
    let signs: Vec<u64> = nodes
        .iter_mut()
        .take(2)
        .map(|node| {
            let at = now();
            world.send(&node.heartbeat(at).unwrap());
            at
        })
        .collect();
    while now() < beats[2] + seconds(91) {
        std::thread::sleep(Duration::from_millis(100));
    }
    world.start();
    world.until("that the silent one expires", || world.phase(&nodes[2]).as_deref() == Some("liveness_expired"));
    for (node, at) in nodes.iter().zip(signs) {
        world.until("the sign of life", || world.state(&node.id)["liveness_deadline"] == instant(at + seconds(90)));
        assert_eq!(world.phase(node).as_deref(), Some("active"));
        let fired: Vec<String> = world.decisions(&node.id).into_iter().filter(|decision| decision.starts_with("timer")).collect();
        assert_eq!(fired, [""; 0], "no deadline of its own passed");
    }
    world.verifies();
}

#[test]
fn registering_anew_changes_the_one_row() {
    let world = World::shared();
    let mut node = world.node("orchestrator");
    world.activate(&mut node);
    world.send(&node.heartbeat(now() - seconds(89)).unwrap());
    world.until("that its life ends", || world.phase(&node).as_deref() == Some("liveness_expired") && world.service(&node).is_none());
    // It comes back elsewhere, and can do more.
    let data = json!({
        "node_id": node.id, "node_type": node.kind, "node_version": {"major": 9, "minor": 0, "patch": 1},
        "declared_capabilities": {"routing": true, "batch_size": 64, "supported_types": ["parcel", "letter"]},
        "endpoints": {"health": "http://10.9.9.9:9999/health"}, "correlation_id": world.uuid(),
        "timestamp": purefold_nodes::event::instant(now()),
    });
    let message = node.event(purefold_nodes::event::INTROSPECTION, now(), None, &data).unwrap();
    world.send(&message);
    world.until("the new version", || world.row(&node).is_some_and(|row| row["node_version"] == "9.0.1"));
    let row = world.row(&node).expect("one row");
    assert_eq!((&row["entity_id"], &row["current_state"]), (&json!(node.id), &json!("awaiting_ack")));
    assert_eq!((&row["capabilities"]["batch_size"], &row["capabilities"]["supported_types"]), (&json!(64), &json!(["parcel", "letter"])));
    world.until("the new address", || {
        world.service(&node).is_some_and(|service| service["Address"] == "10.9.9.9" && service["Port"] == 9999)
    });
}

#[test]
fn a_host_that_is_killed_loses_and_repeats_nothing() {
    const NODES: usize = 40;
    let world = World::new();
    let mut nodes: Vec<Node> = (0..NODES).map(|_| world.node("effect")).collect();
    let announced: Vec<Outgoing> =
        nodes.iter_mut().map(|node| Outgoing::Event(node.announce(now(), None).unwrap(), Form::Structured)).collect();
    let count = "SELECT count(*)::text FROM registration_projections WHERE node_type = 'effect'";
    for half in announced.chunks(NODES / 2) {
        let before: usize = world.texts(count)[0].parse().unwrap();
        world.send_all(half.to_vec());
        world.until("some of them", || world.texts(count)[0].parse::<usize>().unwrap() > before);
        world.kill();
        world.start();
    }
    for node in &nodes {
        world.until("the registration", || world.row(node).is_some() && world.service(node).is_some());
        world.until("its completion", || world.state(&node.id)["dual"] == "complete");
        // Until the group has noticed that its member is gone, the time to acknowledge may be over.
        let decided: Vec<String> = world.decisions(&node.id).into_iter().filter(|decision| !decision.starts_with("timer")).collect();
        assert_eq!(decided.len(), 3, "one announcement, two outcomes: {decided:?}");
        let results = world.heard("onex.evt.platform.node-registration-initiated.v1", &node.id);
        let ids: std::collections::BTreeSet<&String> = results.iter().map(|result| &result.headers["ce_id"]).collect();
        assert_eq!(ids.len(), 1, "published once, or again under the same id");
    }
    world.verifies();
}

#[test]
fn a_host_that_is_stopped_ends_in_good_order() {
    let world = World::new();
    let mut node = world.node("effect");
    world.register(&mut node);
    let begun = std::time::Instant::now();
    let done = world.stop().well();
    assert!(begun.elapsed() < END_MAX, "{:?}", begun.elapsed());
    assert!(done.out.contains("intents concluded, 0 held, 0 entities parked"), "{}", done.out);
    // Its place in the group is free at once.
    let begun = std::time::Instant::now();
    world.start();
    let mut next = world.node("effect");
    world.register(&mut next);
    assert!(begun.elapsed() < END_MAX, "{:?}", begun.elapsed());
}
