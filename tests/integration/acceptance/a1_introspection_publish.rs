//! A1: an introspection event carries node id, type and correlation id, for all four types; the node's id is stable.

use serde_json::Value;

use super::decisions;
use crate::place::Place;
use crate::wire::{INTROSPECTION, Node, REQUEST, request};

const CORRELATION: &str = "aaaaaaaa-0000-4000-8000-000000000001";

#[test]
fn an_introspection_names_the_node_its_type_and_the_correlation() {
    for node in Node::of_each_type() {
        let event: Value = serde_json::from_str(&node.introspection(0.0, CORRELATION)).unwrap();
        assert_eq!((&event["specversion"], &event["type"]), (&"1.0".into(), &INTROSPECTION.into()));
        assert_eq!(event["data"]["node_id"], *node.id);
        assert_eq!(event["data"]["node_type"], node.node_type);
        assert_eq!((&event["correlationid"], &event["data"]["correlation_id"]), (&CORRELATION.into(), &CORRELATION.into()));
    }
}

#[test]
fn a_node_of_each_type_is_taken_as_it_announces_itself() {
    let place = Place::registration();
    let nodes = Node::of_each_type();
    place.stream(nodes.iter().map(|node| node.introspection(1.0, CORRELATION)));
    let summary = place.run_as_far_as_the_stream();
    assert_eq!((&summary["events"], &summary["dead_letters"], &summary["rejected"]), (&4.into(), &0.into(), &0.into()), "{summary}");
    for node in &nodes {
        let state = place.state("registration.db", &node.id);
        assert_eq!((&state["node_id"], &state["node_type"]), (&node.id.as_str().into(), &node.node_type.into()));
        let of_node: Vec<Value> =
            place.published("events.jsonl").into_iter().filter(|event| event["data"]["node_id"] == *node.id).collect();
        assert_eq!(of_node.len(), 3, "initiated, accepted, result: {of_node:?}");
        for event in of_node {
            assert_eq!((&event["subject"], &event["correlationid"]), (&node.id.as_str().into(), &CORRELATION.into()));
        }
    }
}

#[test]
fn a_node_that_announces_itself_again_is_the_same_node() {
    let place = Place::registration();
    let node = Node::new(1, "compute");
    let heard: Value = serde_json::from_str(&request(5.0, CORRELATION)).unwrap();
    assert_eq!(heard["type"], REQUEST);
    let again = node.answer(&heard, 6.0).expect("a node answers a request");
    place.stream([node.introspection(1.0, CORRELATION), again]);
    place.run_as_far_as_the_stream();
    assert_eq!(place.rows("registration.db", "SELECT key FROM entities WHERE key <> ''"), [node.id.as_str()]);
    let decided = decisions(&place, &node.id);
    assert_eq!(decided.last().unwrap(), r#"introspected: rejected: {"blocked":"awaiting_ack"}"#);
}
