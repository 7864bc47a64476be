//! `reduce` over a reducer that breaks off whatever it is given.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::super::test_reducer as reducer;
use super::*;

const CONTEXT: &str = r#"{"now":"2026-02-13T12:00:00Z","entity":"p1","sequence":1,"event_id":"e1","correlation_id":"c1","seed":[1,2]}"#;

/// The answers of a reducer that breaks off whatever it is given.
fn answers(lines: &str) -> Vec<serde_json::Value> {
    let session = Session::open(&reducer::component(reducer::PARCELS)).unwrap().unwrap_or_else(|findings| panic!("{findings:?}"));
    let mut output = Vec::new();
    session.serve(&mut lines.as_bytes(), &mut output).unwrap();
    String::from_utf8(output).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn request(state: &str, input: &str) -> String {
    format!(r#"{{"case":"x","context":{CONTEXT},"state":{state},"input":{input},"expect":1}}"#)
}

#[test]
fn what_does_not_fit_the_contract_is_undecodable_at_its_path() {
    let input = r#"{"packed":{"parcel":"p1","weight":1}}"#;
    for (line, expected) in [
        (request("null", r#"{"packed":{"parcel":"p1"}}"#), "input.packed.weight: "),
        (request("null", r#"{"lost":{}}"#), "input: "),
        (request(r#"{"parcel":"p1","phase":"packed"}"#, input), "state.weight: "),
        (request(r#"{"parcel":"p1","phase":"packed","weight":1,"more":1}"#, input), "state.more: "),
        (request("null", input).replace("12:00:00Z", "noon"), "context.now: "),
        (format!(r#"{{"input":{input}}}"#), "line: missing field `context`"),
        ("{".to_owned(), "line: "),
        (String::new(), "line: "),
    ] {
        let answers = answers(&format!("{line}\n"));
        assert_eq!(answers.len(), 1, "{line}");
        let told = answers[0]["undecodable"].as_str().unwrap_or_else(|| panic!("{line}: {}", answers[0]));
        assert!(told.starts_with(expected), "{line}: {told}");
    }
}

#[test]
fn one_line_comes_for_each_line_and_fields_of_no_meaning_are_ignored() {
    let input = r#"{"packed":{"parcel":"p1","weight":1,"new_field":true}}"#;
    let known = r#"{"parcel":"p1","phase":"packed","weight":1}"#;
    let lines = [request("null", input), "no JSON".to_owned(), request(known, input)].join("\n");
    // The last line has no line feed.
    let answers = answers(&lines);
    let kinds: Vec<&str> = answers.iter().map(|answer| answer.as_object().unwrap().keys().next().unwrap().as_str()).collect();
    assert_eq!(kinds, ["faulted", "undecodable", "faulted"]);
    assert_eq!(answers[0]["faulted"]["code"], "trap");
}

#[test]
fn what_is_no_reducer_is_told_before_anything_is_read() {
    let findings = Session::open(b"no component").unwrap().err().unwrap();
    assert_eq!(findings[0].code, "not-a-component");
    let findings = Session::open(&wat::parse_str("(component (import \"f\" (func)))").unwrap()).unwrap().err().unwrap();
    assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["function-import", "reduce-missing"]);
}

#[test]
fn the_rest_of_a_line_that_is_too_long_is_passed_over() {
    let mut input: &[u8] = b"long long\nnext";
    skip_line(&mut input).unwrap();
    assert_eq!(input, b"next");
    skip_line(&mut input).unwrap();
    assert_eq!(input, b"");
}
