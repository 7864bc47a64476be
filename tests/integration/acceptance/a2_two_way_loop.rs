//! A2: the registry asks, nodes answer, and their answers carry the request's correlation id; nodes answer independently.

use serde_json::Value;

use super::decisions;
use crate::place::Place;
use crate::wire::{Node, request};

const ASKED: &str = "bbbbbbbb-0000-4000-8000-000000000002";

/// Lets every node hear what the registry has published since, and adds what they answer to the stream.
fn nodes_hear(place: &Place, nodes: &[Node], heard: usize, seconds: f64) -> usize {
    let published = place.published("events.jsonl");
    let new = &published[heard..];
    place.append(nodes.iter().flat_map(|node| new.iter().filter_map(|event| node.answer(event, seconds)).collect::<Vec<_>>()));
    published.len()
}

#[test]
fn three_nodes_answer_a_request_and_go_through_the_loop_independently() {
    let place = Place::registration();
    let nodes = [Node::new(1, "effect"), Node::new(2, "compute"), Node::new(3, "orchestrator")];
    let asked: Value = serde_json::from_str(&request(0.0, ASKED)).unwrap();

    // The registry asks; two nodes answer at once, the third one late.
    place.stream(nodes[..2].iter().map(|node| node.answer(&asked, 1.0).unwrap()));
    place.run_as_far_as_the_stream();
    let heard = nodes_hear(&place, &nodes, 0, 2.0);
    place.append([nodes[2].answer(&asked, 3.0).unwrap()]);
    place.run_as_far_as_the_stream();

    let phases = |place: &Place| {
        nodes.iter().map(|node| place.state("registration.db", &node.id)["phase"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(phases(&place), ["active", "active", "awaiting_ack"]);

    // Only the third has not acknowledged yet.
    nodes_hear(&place, &nodes[2..], heard, 4.0);
    place.run_as_far_as_the_stream();
    assert_eq!(phases(&place), ["active", "active", "active"]);

    for node in &nodes {
        let of_node: Vec<Value> = place.published("events.jsonl").into_iter().filter(|event| event["subject"] == *node.id).collect();
        let topics: Vec<&str> =
            of_node.iter().map(|event| event["type"].as_str().unwrap().trim_start_matches("onex.evt.platform.node-")).collect();
        assert_eq!(
            topics,
            [
                "registration-initiated.v1",
                "registration-accepted.v1",
                "registration-result.v1",
                "registration-ack-received.v1",
                "became-active.v1"
            ]
        );
        assert!(of_node.iter().all(|event| event["correlationid"] == ASKED && event["data"]["correlation_id"] == ASKED), "{of_node:?}");
        assert_eq!(
            decisions(&place, &node.id),
            [
                "introspected: accepted: initiated accepted upsert_record register_service timer",
                "record_stored: accepted",
                "service_registered: accepted: registration_result",
                "acked: accepted: ack_received became_active set_active timer_cancel timer",
            ]
        );
    }
    let correlations = "SELECT DISTINCT correlation_id FROM entries WHERE kind <> 'released'";
    assert_eq!(place.rows("registration.db", correlations), [ASKED]);
    place.verifies();
}

#[test]
fn an_acknowledged_node_is_kept_alive_by_its_heartbeats_and_expires_without() {
    let place = Place::registration();
    let node = Node::new(1, "effect");
    place.stream([node.introspection(0.0, ASKED), node.ack(1.0, ASKED), node.heartbeat(30.0), node.heartbeat(60.0)]);
    place.run_as_far_as_the_stream();
    assert_eq!(place.state("registration.db", &node.id)["phase"], "active");
    assert_eq!(place.state("registration.db", &node.id)["liveness_deadline"], "2026-02-13T12:02:30.000000Z");

    // Five minutes of silence.
    place.run().well();
    assert_eq!(place.state("registration.db", &node.id)["phase"], "liveness_expired");
    assert_eq!(place.value("records.db", "SELECT current_state FROM registration_projections"), "liveness_expired");
    assert_eq!(place.value("services.db", "SELECT count(*) FROM services"), "0", "a dead node leaves the catalogue");
    assert_eq!(decisions(&place, &node.id).last().unwrap(), "timer: accepted: liveness_expired set_phase deregister_service");
}
