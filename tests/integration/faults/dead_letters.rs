//! An undecodable or unroutable event is a dead letter with the path and the reason; the position moves on; nothing else stops.

use serde_json::json;

use crate::place::Place;
use crate::wire::{ACK, HEARTBEAT, INTROSPECTION, Node, at, event};

const CORRELATION: &str = "eeeeeeee-0000-4000-8000-000000000005";

/// A line, and code, path and a part of the reason of the dead letter that it becomes.
fn misfits() -> Vec<(String, &'static str, &'static str, &'static str)> {
    let node = "00000009-0000-4000-8000-00000000abcd";
    let beat = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut data = json!({"node_id": node, "node_type": "effect", "uptime_seconds": 1.5, "timestamp": at(1.0)});
        change(&mut data);
        data
    };
    let of = |id: &str, kind: &str, data: serde_json::Value| event(kind, id, "/nodes/x", 1.0, None, &data);
    let without = |attribute: &str| {
        let mut whole: serde_json::Value = serde_json::from_str(&of("x", HEARTBEAT, beat(&|_| {}))).unwrap();
        whole.as_object_mut().unwrap().remove(attribute);
        whole.to_string()
    };
    vec![
        ("not an event".into(), "not-json", "", "expected"),
        (r#"["an array"]"#.into(), "not-cloudevent", "", "found an array"),
        // The fields of an event, one after the other, are none either.
        (json!(["1.0", "i", "/nodes/x", HEARTBEAT, at(1.0), "c", beat(&|_| {})]).to_string(), "not-cloudevent", "", "found an array"),
        (r#""a text""#.into(), "not-cloudevent", "", "string"),
        (without("specversion"), "not-cloudevent", "specversion", "missing"),
        (without("id"), "not-cloudevent", "id", "missing"),
        (without("time"), "time-missing", "time", "its time"),
        (of("u", "onex.evt.platform.node-teleported.v1", json!({})), "type-unroutable", "type", "node-teleported"),
        (
            of("t", HEARTBEAT, beat(&|data| data["uptime_seconds"] = "long".into())),
            "data-undecodable",
            "data.uptime_seconds",
            "expected f64",
        ),
        (of("m", HEARTBEAT, beat(&|data| data["timestamp"] = json!(null))), "data-undecodable", "data.timestamp", ""),
        (
            of("k", ACK, json!({"command_id": node, "node_id": "node-17", "correlation_id": node, "timestamp": at(1.0)})),
            "data-undecodable",
            "data.node_id",
            "uuid",
        ),
        (
            of("n", INTROSPECTION, json!({"node_id": node, "node_type": "runtime_host", "correlation_id": node, "timestamp": at(1.0)})),
            "data-undecodable",
            "data.node_type",
            "runtime_host",
        ),
        (
            of(
                "d",
                INTROSPECTION,
                json!({
                    "node_id": node, "node_type": "orchestrator", "correlation_id": node, "timestamp": at(1.0),
                    "declared_capabilities": {"mcp": {"timeout_seconds": -3}},
                }),
            ),
            "data-undecodable",
            "data.declared_capabilities.mcp.timeout_seconds",
            "u32",
        ),
        (event(HEARTBEAT, "ahead", "/nodes/x", 3.0 * 86_400.0, None, &beat(&|_| {})), "time-ahead", "time", "max-skew"),
    ]
}

#[test]
fn each_misfit_is_told_with_its_path_and_reason_and_stops_nothing() {
    let misfits = misfits();
    let nodes = Node::of_each_type();
    let place = Place::registration();
    let mut lines = vec![nodes[0].introspection(0.0, CORRELATION)];
    lines.extend(misfits.iter().map(|(line, ..)| line.clone()));
    lines.extend(nodes[1..].iter().map(|node| node.introspection(2.0, CORRELATION)));
    place.stream(&lines);
    let summary = place.run_as_far_as_the_stream();
    assert_eq!(summary["dead_letters"], misfits.len(), "{summary}");

    let found = place.rows(
        "registration.db",
        "SELECT code || '|' || path || '|' || reason || '|' || CAST(bytes AS TEXT) FROM dead_letters ORDER BY line",
    );
    assert_eq!(found.len(), misfits.len());
    for (found, (line, code, path, reason)) in found.iter().zip(&misfits) {
        let parts: Vec<&str> = found.splitn(4, '|').collect();
        assert_eq!((parts[0], parts[1]), (*code, *path), "{found}");
        assert!(!parts[2].is_empty() && parts[2].contains(reason), "{reason:?} is not in {found}");
        assert_eq!(parts[3], line, "the original bytes are kept");
    }
    for node in &nodes {
        assert_eq!(place.state("registration.db", &node.id)["dual"], "complete", "{} goes on", node.node_type);
    }
    assert_eq!(place.value("registration.db", "SELECT next_line FROM sources"), lines.len().to_string(), "the position moves on");
    let again = place.run_as_far_as_the_stream();
    assert_eq!((&again["events"], &again["dead_letters"]), (&0.into(), &0.into()), "{again}");
}

#[test]
fn an_event_too_large_is_a_dead_letter_that_keeps_its_beginning() {
    let place = Place::registration();
    let node = Node::new(1, "effect");
    place.stream(["x".repeat(3 << 20), node.introspection(0.0, CORRELATION)]);
    let summary = place.run_as_far_as_the_stream();
    assert_eq!((&summary["dead_letters"], &summary["accepted"]), (&1.into(), &3.into()), "{summary}");
    let kept = place.value("registration.db", "SELECT code || ' ' || (length(bytes) BETWEEN 1 AND 1048576) FROM dead_letters");
    assert_eq!(kept, "event-too-large 1");
}

#[test]
fn a_duplicate_is_counted_and_not_decided_even_after_a_restart() {
    let place = Place::registration();
    let node = Node::new(1, "effect");
    let event = node.introspection(0.0, CORRELATION);
    place.stream([&event, &event]);
    assert_eq!(place.run_as_far_as_the_stream()["duplicates"], 1);
    place.append([&event]);
    assert_eq!(place.run_as_far_as_the_stream()["duplicates"], 1);
    assert_eq!(place.value("registration.db", "SELECT duplicates FROM sources"), "2");
    assert_eq!(
        place.value("registration.db", "SELECT count(*) FROM entries WHERE kind = 'decided' AND input LIKE '{\"introspected%'"),
        "1"
    );
    assert_eq!(place.value("registration.db", "SELECT count(*) FROM dead_letters"), "0");
}
