//! `purefold explain`, and `purefold state` at a time.

use serde_json::{Value, json};

use super::{SILENT, STORE, alter, copy, demo};

fn explain(rest: &[&str]) -> Vec<Value> {
    let arguments: Vec<&str> = [SILENT, "--json"].iter().chain(rest).copied().collect();
    demo().ask("explain", &arguments).well().json()
}

#[test]
fn each_field_names_the_decision_that_last_changed_it() {
    let lines = explain(&[]);
    let field = |name: &str| lines.iter().find(|line| line["field"] == name).unwrap_or_else(|| panic!("no {name}"));
    let told = |name: &str| (field(name)["sequence"].clone(), field(name)["input"].clone(), field(name)["before"].clone());
    assert_eq!(told("node_id"), (json!(1), json!("introspected"), Value::Null));
    assert_eq!(told("record"), (json!(2), json!("record_stored"), json!("asked")));
    assert_eq!(told("phase"), (json!(6), json!("timer"), json!("active")));
    assert_eq!(field("node_version.major")["release"], 1);
    // What is told is the state.
    let state = demo().state(STORE, SILENT);
    assert_eq!(field("phase")["value"], state["phase"]);
    assert_eq!(field("node_version.minor")["value"], state["node_version"]["minor"]);
    assert_eq!(lines.last().unwrap(), &json!({"decisions": 6, "mismatches": 0, "not_executed": 0}));
}

#[test]
fn one_field_is_told_with_what_is_below_it() {
    let fields: Vec<Value> = explain(&["--field", "node-version"]).into_iter().map(|line| line["field"].clone()).collect();
    assert_eq!(fields.len(), 6, "five fields and the counts: {fields:?}");
    let nothing = demo().ask("explain", &[SILENT, "--field", "node"]).exits(1);
    assert!(nothing.err.contains("did you mean `node_id`?"), "{}", nothing.err);
    demo().ask("explain", &["nobody"]).exits(1);
}

#[test]
fn a_decision_that_is_not_what_the_reducer_decides_is_told() {
    let place = copy();
    alter(
        &place,
        STORE,
        &format!(
            "UPDATE journal SET state = replace(state, '\"major\":2', '\"major\":3') WHERE sequence = 4 AND kind = 'decided' \
         AND entity = (SELECT id FROM entities WHERE key = '{SILENT}')"
        ),
    );
    let done = place.ask("explain", &[SILENT]).exits(1);
    assert!(done.out.contains("decision 4: state.node_version.major"), "{}", done.out);
}

#[test]
fn a_state_is_told_as_of_a_time() {
    let at = |time: &str| demo().ask("state", &[SILENT, "--at", time, "--json"]);
    let sequence = |time: &str| at(time).well().json()[0]["sequence"].clone();
    assert_eq!(sequence("2026-02-13T12:02:00Z"), 4);
    assert_eq!(sequence("2026-02-13T13:02:16.047303+01:00"), 5, "the very moment counts");
    assert_eq!(sequence("2030-01-01T00:00:00Z"), 6);
    at("2026-02-13T12:00:00Z").exits(1);
    at("yesterday").exits(2);
    assert_eq!(sequence("4"), 4);
}
