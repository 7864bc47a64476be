//! A3: the intents exist before any I/O; then exactly one call for each backend; the status becomes complete; for all types.

use serde_json::{Value, json};

use super::{decisions, run_by_library};
use crate::place::Place;
use crate::wire::Node;

const CORRELATION: &str = "cccccccc-0000-4000-8000-000000000003";

#[test]
fn the_intents_are_committed_before_any_backend_is_called() {
    let place = Place::registration();
    let nodes = Node::of_each_type();
    place.stream(nodes.iter().map(|node| node.introspection(0.0, CORRELATION)));
    run_by_library(&place, false, 2);
    let asked = "SELECT key, position, status, json_extract(journal.output, '$[' || position || '].register_service.service_id')
        FROM outbox JOIN entities ON entities.id = outbox.entity JOIN journal ON journal.row = outbox.row WHERE position = 3 ORDER BY key";
    let expected: Vec<String> = nodes.iter().map(|node| format!("{} | 3 | pending | {}", node.id, node.service_id())).collect();
    assert_eq!(place.rows("registration.db", asked), expected);
    for node in &nodes {
        assert_eq!(decisions(&place, &node.id), ["introspected: accepted: initiated accepted upsert_record register_service timer"]);
        assert_eq!(place.state("registration.db", &node.id)["dual"], "pending");
    }
}

#[test]
fn each_backend_is_called_once_and_the_registration_is_complete() {
    let place = Place::registration();
    let nodes = Node::of_each_type();
    place.stream(nodes.iter().map(|node| node.introspection(0.0, CORRELATION)));
    place.run_as_far_as_the_stream();
    for node in &nodes {
        assert_eq!(
            decisions(&place, &node.id),
            [
                "introspected: accepted: initiated accepted upsert_record register_service timer",
                "record_stored: accepted",
                "service_registered: accepted: registration_result",
            ]
        );
        let state = place.state("registration.db", &node.id);
        assert_eq!((&state["dual"], &state["record"], &state["service"]), (&json!("complete"), &json!("done"), &json!("done")));

        let row = format!(
            "SELECT domain, current_state, node_type, last_applied_event_id, correlation_id FROM registration_projections WHERE entity_id = '{}'",
            node.id
        );
        let attempt = state["attempt_id"].as_str().unwrap();
        assert_eq!(
            place.rows("records.db", &row),
            [format!("registration | awaiting_ack | {} | {attempt} | {CORRELATION}", node.node_type)]
        );
        let service = format!("SELECT service_name, tags, address, port FROM services WHERE service_id = '{}'", node.service_id());
        let (kind, host) = (node.node_type, node.node_type.len());
        assert_eq!(place.rows("services.db", &service), [format!("onex-{kind} | [\"onex\",\"node-type:{kind}\"] | 10.0.0.{host} | 8080")]);

        let results: Vec<Value> = place
            .published("events.jsonl")
            .into_iter()
            .filter(|event| event["subject"] == *node.id && event["type"].as_str().unwrap().contains("result"))
            .collect();
        assert_eq!(results.len(), 1);
        assert_eq!(results[0]["data"]["status"], "complete");
    }
    // A lane's mark is the place of its last call: one call, of the first decision, for each node and backend.
    for (database, position) in [("records.db", "2"), ("services.db", "3")] {
        let marks = place.rows(database, "SELECT sequence, idx, count(*) FROM purefold_lanes GROUP BY sequence, idx");
        assert_eq!(marks, [format!("1 | {position} | 4")], "{database}");
    }
}
