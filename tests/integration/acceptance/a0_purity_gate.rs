//! A0: the reducer imports nothing and calls nobody. A decision yields typed intents and no I/O; only effects do I/O, after it.

use std::fs;

use purefold_wit::Contract;
use serde_json::json;

use super::run_by_library;
use crate::place::Place;
use crate::program::{purefold, reducer, with_input};
use crate::wire::Node;

#[test]
fn the_component_imports_no_function() {
    let mut check = purefold(["check", "--format", "json"]);
    check.arg(reducer("registration"));
    let summary = with_input(check, Vec::new()).well().json().pop().unwrap();
    assert_eq!(summary["findings"], 0);
    assert_eq!(summary["well"][0]["function_imports"], 0, "{summary}");
}

#[test]
fn every_intent_is_a_typed_record() {
    let contract = Contract::read(&fs::read(reducer("registration")).unwrap()).expect("the contract holds");
    let intents = &contract.intent.cases;
    assert_eq!(intents.len(), 16);
    for case in intents {
        let payload = case.payload.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(payload.starts_with("record "), "{}: {payload}", case.name.kebab());
    }
}

#[test]
fn a_decision_touches_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let line = json!({
        "context": {"now": "2026-02-13T12:00:00Z", "entity": "e", "sequence": 1, "event_id": "i", "correlation_id": "c", "seed": [1, 2]},
        "state": null,
        "input": {"introspected": {
            "node_id": "11111111-1111-4111-8111-111111111111", "node_type": "effect", "endpoints": {"health": "http://10.0.0.7:8080/health"},
            "correlation_id": "22222222-2222-4222-8222-222222222222", "timestamp": "2026-02-13T12:00:00Z",
        }},
    });
    let mut command = purefold(["reduce"]);
    command.arg(reducer("registration")).current_dir(folder.path());
    let answer = with_input(command, format!("{line}\n").into_bytes()).well().json().remove(0);
    let intents = answer["accepted"]["intents"].as_array().unwrap().clone();
    let names: Vec<&str> = intents.iter().map(|intent| intent.as_object().unwrap().keys().next().unwrap().as_str()).collect();
    assert_eq!(names, ["initiated", "accepted", "upsert_record", "register_service", "timer"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn only_effects_write_and_only_after_the_decision() {
    let place = Place::registration();
    place.stream([Node::new(1, "effect").introspection(0.0, "11111111-0000-4000-8000-000000000001")]);

    run_by_library(&place, false, 2);
    assert_eq!(place.value("registration.db", "SELECT count(*) FROM outbox"), "4");
    for table in [("records.db", "registration_projections"), ("services.db", "services")] {
        let (database, table) = table;
        let there = place.files().iter().any(|file| file == database);
        assert!(!there || place.value(database, &format!("SELECT count(*) FROM {table}")) == "0", "{database} was written");
    }
    assert_eq!(place.published("events.jsonl").len(), 0);

    run_by_library(&place, true, 2);
    assert_eq!(place.value("registration.db", "SELECT count(*) FROM outbox"), "0");
    assert_eq!(place.value("records.db", "SELECT count(*) FROM registration_projections"), "1");
    assert_eq!(place.value("services.db", "SELECT count(*) FROM services"), "1");
    assert!(place.published("events.jsonl").len() >= 2);
}
