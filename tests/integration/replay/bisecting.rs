//! `purefold bisect`: when a property came to hold.

use serde_json::{Value, json};

use super::{SILENT, demo};
use crate::program::Done;

fn bisect(condition: &str, rest: &[&str]) -> Done {
    let arguments: Vec<&str> = ["--json", "--where", condition].iter().chain(rest).copied().collect();
    demo().ask("bisect", &arguments)
}

#[test]
fn the_first_event_and_release_are_found() {
    let found = bisect("phase == \"active\"", &["--entity", SILENT]).well().json();
    assert_eq!((&found[0]["sequence"], &found[0]["input"], &found[0]["release"]), (&json!(4), &json!("acked"), &json!(1)));
    let all = bisect("phase == \"active\"", &[]).well().json();
    let counts = all.last().unwrap();
    let sql = "SELECT count(DISTINCT entity) FROM journal WHERE state LIKE '%\"phase\":\"active\"%'";
    assert_eq!(counts["ever"].to_string(), demo().value("registration.db", sql));
    assert!(counts["still"].as_u64() < counts["ever"].as_u64());
    let first = counts["first"]["now"].as_u64().unwrap();
    assert!(first < found[0]["now"].as_u64().unwrap());
}

#[test]
fn conditions_mean_what_they_say() {
    let cases = [
        ("phase != \"active\"", Some(1)),
        ("state.phase == \"liveness-expired\"", Some(6)),
        ("last_heartbeat_at != null", Some(5)),
        ("last-heartbeat-at >= \"2026-02-13T13:02:16.047303+01:00\"", Some(5)),
        ("liveness_deadline < \"2026-02-13T12:02:28Z\"", Some(4)),
        ("node_version.major >= 2 and not (record == \"asked\" or service == \"asked\")", Some(3)),
        ("capabilities.postgres && phase == \"active\"", Some(4)),
        ("!capabilities.postgres || node_version.minor <= 3", None),
        ("node_version.major == 2.0", Some(1)),
        ("node_id == \"9CE05A5A-11B3-4A89-962F-19103DC5FAE4\"", Some(1)),
        ("registered_at == updated_at and record == \"done\"", Some(2)),
        ("node_version.prerelease[0] == \"beta\"", None),
        ("capabilities.mcp == null", Some(1)),
        ("state == null", None),
    ];
    for (condition, sequence) in cases {
        let done = bisect(condition, &["--entity", SILENT]);
        let found = done.json().last().unwrap_or_else(|| panic!("{condition}: {}", done.err))["first"]["sequence"].as_u64();
        assert_eq!(found, sequence, "{condition}");
    }
}

#[test]
fn a_condition_that_does_not_fit_the_state_is_refused_where_it_is_wrong() {
    let cases = [
        ("phse == 1", 1, "did you mean `phase`?"),
        ("phase == \"activ\"", 10, "did you mean \"active\"?"),
        ("phase < \"active\"", 9, "cannot be compared so"),
        ("node_version.major == \"2\"", 23, "cannot be compared so"),
        ("registered_at > \"noon\"", 17, "RFC 3339"),
        ("node_id == \"9ce0\"", 12, "a UUID"),
        ("phase.x == 1", 7, "has no fields"),
        ("phase", 6, "a comparison"),
        ("(phase == \"active\"", 19, "expected `)`"),
        ("phase == \"active\" phase", 19, "expected `and`, `or` or the end"),
        ("1 == 1", 1, "must be a field"),
        ("", 1, "expected a field"),
    ];
    for (condition, column, reason) in cases {
        let done = bisect(condition, &[]).exits(2);
        assert!(done.err.contains(&format!("at character {column} of")) && done.err.contains(reason), "{condition}: {}", done.err);
    }
}

#[test]
fn it_says_so_where_it_never_held() {
    let done = bisect("node_version.major == 99", &[]).exits(1);
    assert_eq!(done.json().last().unwrap()["first"], Value::Null);
}
