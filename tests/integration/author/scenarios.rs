//! `purefold test`: the scenarios of this repository, and what is told of those that fail.

use serde_json::Value;

use super::Desk;
use crate::program::{Done, purefold, target_folder};
use crate::repository::root;

fn test(desk: &Desk, arguments: &[&str]) -> Done {
    desk.purefold(["test", "registration.toml"].into_iter().chain(arguments.iter().copied())).output().expect("it can be started").into()
}

fn failures(done: &Done) -> Vec<Value> {
    done.json().into_iter().flat_map(|line| line["failures"].as_array().cloned().unwrap_or_default()).collect()
}

const ANNOUNCEMENT: &str = "event: onex.evt.platform.node-introspection.v1
    data: {node_id: 22dd9b63-a548-452f-90eb-f862e67ca50e, node_type: effect, correlation_id: 7103d92d-e9fe-4c7a-8481-46cc0983d59d, timestamp: \"2026-02-13T12:00:00Z\"}";

/// A scenario of one announcement, of which this is expected.
fn expecting(then: &str) -> Desk {
    let desk = Desk::new();
    desk.write("one.yaml", &format!("scenario: one\nstart: 2026-02-13T12:00:00Z\nwhen:\n  - {ANNOUNCEMENT}\n    then: {then}\n"));
    desk
}

#[test]
fn the_scenarios_of_both_domains_hold_and_leave_little_out() {
    for (workflow, least) in [("registration", "88%"), ("orders", "100%")] {
        let manifest = root().join(format!("reducers/{workflow}/{workflow}.toml"));
        let mut command = purefold(["test", manifest.to_str().expect("a path of text"), "--require-coverage", least]);
        command.env("PUREFOLD_REDUCERS", target_folder().join("reducers")).env("PAYMENT_PORT", "9");
        let done: Done = command.output().expect("it can be started").into();
        done.well();
    }
}

#[test]
fn what_is_not_as_expected_is_told_with_its_line_and_both_values() {
    let cases = [
        ("{verdict: rejected}", "verdict", "rejected", "accepted"),
        ("{state: {phase: active}}", "state.phase", "\"active\"", "\"awaiting_ack\""),
        ("{state: {node_version.major: 2}}", "state.node_version.major", "2", "1"),
        ("{state: {phases: active}}", "state", "`phases`", "the record state has no field `phases`; did you mean `phase`?"),
        ("{intents: [initiated]}", "intents", "[initiated]", "[initiated, accepted, upsert_record, register_service, timer]"),
        ("{timers: [ack, liveness]}", "timers", "[ack, liveness]", "[ack at 2026-02-13T12:00:30.000001Z]"),
        ("{timers: {ack: 31s}}", "timers.ack", "\"31s\"", "2026-02-13T12:00:30.000001Z"),
        ("{phase: active}", "phase", "active", "awaiting-ack"),
        ("{outstanding: []}", "outstanding", "[]", "[register_service, upsert_record]"),
        ("{rejection: unknown_node}", "rejection", "\"unknown_node\"", "accepted"),
        ("{parked: true}", "parked", "true", "false"),
    ];
    for (then, path, expected, found) in cases {
        let done = test(&expecting(then), &["one.yaml", "--json"]).exits(1);
        let failures = failures(&done);
        assert_eq!(failures.len(), 1, "{then}: {failures:?}");
        let told = |name: &str| failures[0][name].as_str().unwrap_or_default().to_owned();
        assert_eq!((told("path"), told("expected"), told("found")), (path.into(), expected.into(), found.into()), "{then}");
        assert_eq!(failures[0]["line"], 6, "{then}");
    }
}

#[test]
fn what_is_not_written_rightly_is_refused_with_its_line() {
    let cases = [
        ("{verdict: acepted}", "one.yaml:6: `verdict` is one of"),
        ("{verdct: accepted}", "one.yaml:6: `then` knows no key `verdct`; did you mean `verdict`?"),
        ("{intents: initiated}", "one.yaml:6: `intents` is a list"),
        ("[", "one.yaml:7: "),
    ];
    for (then, told) in cases {
        let done = test(&expecting(then), &["one.yaml"]).exits(2);
        assert!(done.err.contains(told), "{then}: {}", done.err);
    }
    let desk = expecting("{}");
    let done = test(&desk, &["nowhere"]).exits(2);
    assert!(done.err.contains("cannot read nowhere"), "{}", done.err);
}

#[test]
fn faults_and_dead_letters_fail_where_they_are_not_expected() {
    let desk = Desk::new();
    desk.write("one.yaml", "scenario: one\nwhen:\n  - event: nobody.knows\n    data: {}\n");
    let done = test(&desk, &["one.yaml", "--json"]).exits(1);
    assert!(failures(&done)[0]["found"].as_str().is_some_and(|found| found.starts_with("type-unroutable")), "{}", done.out);

    // A node that is active already may not begin to wait: the machine forbids what the manifest no longer allows.
    let manifest = desk.read("registration.toml").replace("\"awaiting-ack\" = [\"active\", ", "\"awaiting-ack\" = [");
    desk.write("registration.toml", &manifest);
    let done = test(&desk, &["scenarios/acknowledging.yaml", "--json"]).exits(1);
    let found = failures(&done);
    assert!(found.iter().any(|failure| failure["found"].as_str().is_some_and(|found| found.contains("machine: "))), "{found:?}");
}

#[test]
fn traces_are_written_compared_and_shown_where_they_differ() {
    let desk = expecting("{verdict: accepted}");
    test(&desk, &["one.yaml", "--update"]).well();
    let trace = desk.read("one.trace");
    assert!(trace.contains("#1 at 2026-02-13T12:00:00.000000Z: accepted"), "{trace}");
    test(&desk, &["one.yaml"]).well();
    desk.write("one.trace", &trace.replace("phase: \"awaiting_ack\"", "phase: \"active\""));
    let done = test(&desk, &["one.yaml"]).exits(1);
    assert!(done.out.contains("-    phase: \"active\"") && done.out.contains("+    phase: \"awaiting_ack\""), "{}", done.out);
    test(&desk, &["one.yaml", "--update"]).well();
    assert_eq!(desk.read("one.trace"), trace);
}

#[test]
fn too_little_coverage_fails_and_says_what_is_missing() {
    let desk = expecting("{}");
    let done = test(&desk, &["one.yaml", "--require-coverage", "50%"]).exits(1);
    assert!(done.out.contains("never exercised:") && done.out.contains("  outcome record-stored unknown"), "{}", done.out);
    test(&desk, &["one.yaml", "--require-coverage", "10"]).well();
}
