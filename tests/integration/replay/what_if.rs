//! `purefold what-if`: an entity's history with inputs changed, left out or put in.

use serde_json::{Value, json};

use super::{SILENT, demo};
use crate::program::Done;

fn what_if(edits: &[&str]) -> Done {
    let arguments: Vec<&str> = [SILENT, "--json"].iter().chain(edits).copied().collect();
    demo().ask("what-if", &arguments)
}

fn difference<'l>(lines: &'l [Value], sequence: u64, path: &str) -> Option<&'l Value> {
    let of = lines.iter().filter(|line| line["sequence"] == sequence);
    of.flat_map(|line| line["differences"].as_array().into_iter().flatten()).find(|difference| difference["path"] == path)
}

#[test]
fn another_outcome_leads_elsewhere() {
    let lines = what_if(&["--change", r#"3={"result":{"err":{"refused":"no room"}}}"#]).well().json();
    let phase = difference(&lines, 3, "state.phase").expect("the phase is another one");
    assert_eq!((&phase["history"], &phase["instead"]), (&json!("\"awaiting_ack\""), &json!("\"rejected\"")));
    assert!(difference(&lines, 4, "verdict").is_some(), "{lines:?}");
    let end = lines.last().unwrap();
    assert_eq!((&end["decisions"], &end["altered"]), (&json!(6), &json!(4)));
    assert!(end["state"].as_array().unwrap().iter().any(|difference| difference["path"] == "state.phase"));
}

#[test]
fn without_the_acknowledgement_the_timer_that_it_took_back_fires() {
    let lines = what_if(&["--drop", "4"]).well().json();
    let fired = difference(&lines, 5, "decision").expect("a decision that history has not");
    assert_eq!(fired["history"], "nothing");
    assert_eq!(difference(&lines, 5, "state.phase").expect("a later state")["instead"], "\"ack_timed_out\"");
    assert_eq!(difference(&lines, 6, "decision").expect("a timer that nobody set")["instead"], "no such timer is set");
}

#[test]
fn an_input_is_put_in_before_another_or_at_the_end() {
    let heartbeat = r#"heartbeat:{"node_id":"9ce05a5a-11b3-4a89-962f-19103dc5fae4","node_type":"effect","uptime_seconds":1,"timestamp":"2026-02-13T12:03:00Z"}"#;
    let lines = what_if(&["--insert", &format!("6={heartbeat}")]).well().json();
    assert!(difference(&lines, 6, "decision").is_some(), "{lines:?}");
    let lines = what_if(&["--insert", &format!("7={heartbeat}")]).well().json();
    assert!(difference(&lines, 7, "decision").is_some(), "{lines:?}");
}

#[test]
fn what_history_has_no_answer_to_is_told() {
    let lines = what_if(&["--change", r#"1={"node_type":"compute"}"#]).well().json();
    let unanswered: Vec<&str> = lines.iter().filter(|line| line["unanswered"] == 1).filter_map(|line| line["reason"].as_str()).collect();
    assert!(unanswered.iter().any(|reason| reason.contains("register_service")), "{lines:?}");
}

#[test]
fn edits_that_do_not_fit_are_refused() {
    let done = what_if(&["--change", r#"1={"node_type":"nothing"}"#]).exits(2);
    assert!(done.err.contains("input.introspected.node_type"), "{}", done.err);
    assert!(what_if(&["--drop", "99"]).exits(1).err.contains("no decision 99"));
    what_if(&[]).exits(2);
    what_if(&["--drop", "0"]).exits(2);
}
