//! `purefold replay`: history through another component.

use serde_json::{Value, json};

use super::{SILENT, copy, counts, demo, replay};
use crate::faults::poke;
use crate::place::Place;
use crate::program::{fixture, reducer};

fn kind<'l>(lines: &'l [Value], kind: &str) -> &'l Value {
    lines.iter().find(|line| line["kind"] == kind).unwrap_or_else(|| panic!("no {kind} in {lines:?}"))
}

#[test]
fn the_component_that_decided_decides_the_same() {
    let component = reducer("registration");
    let done = demo().ask("replay", &["--json", "--with", component.to_str().unwrap()]).well();
    let counts = counts(&done);
    let decisions = demo().value("registration.db", "SELECT count(*) FROM journal WHERE kind = 'decided'");
    assert_eq!(counts["decisions"].to_string(), decisions);
    assert_eq!((&counts["different"], &counts["expected"], &counts["diverged"]), (&json!(0), &json!(0), &json!(0)), "{}", done.out);
}

#[test]
fn a_wanted_difference_is_counted_and_what_follows_is_compared() {
    let done = replay(demo(), "registration-tagged", &["--expect", "intents.register-service.tags"]).well();
    let lines = done.json();
    let tags = kind(&lines, "intents.register_service.tags");
    assert_eq!((&tags["count"], &tags["expected"]), (&json!(67), &json!(true)));
    assert_eq!(tags["first"]["replayed"], "\"zone-eu\"");
    assert_eq!((&counts(&done)["different"], &counts(&done)["diverged"]), (&json!(0), &json!(0)));
    // As much below a place that is wanted.
    replay(demo(), "registration-tagged", &["--expect", "intents"]).well();
    replay(demo(), "registration-tagged", &["--expect", "intents.register"]).exits(1);
}

#[test]
fn an_entity_is_followed_up_to_where_history_has_no_answer() {
    let done = replay(demo(), "registration-renamed", &[]).exits(1);
    let lines = done.json();
    let diverged: Vec<&Value> = lines.iter().filter(|line| line.get("diverged").is_some_and(Value::is_string)).collect();
    assert_eq!(diverged.len(), 17);
    assert!(diverged.iter().all(|line| line["reason"].as_str().is_some_and(|reason| reason.contains("register_service"))), "{diverged:?}");
    assert_eq!(kind(&lines, "intents.register_service.service_name")["count"], 17);
    let counts = counts(&done);
    assert_eq!(counts["diverged"], 17);
    let unfollowed: u64 = diverged.iter().filter_map(|line| line["unfollowed"].as_u64()).sum();
    assert_eq!(counts["unfollowed"], unfollowed, "they count against what is allowed");
    replay(demo(), "registration-renamed", &["--allow", "2.9%"]).exits(1);
    replay(demo(), "registration-renamed", &["--allow", "30%"]).well();
}

#[test]
fn a_sample_takes_as_many_entities_as_asked_for() {
    let entities = |rest: &[&str]| counts(&replay(demo(), "registration-tagged", rest))["entities"].as_u64().unwrap();
    assert_eq!(entities(&["--sample", "10"]), 10);
    assert_eq!(entities(&["--sample", "50%"]), 34);
    assert_eq!(entities(&["--sample", "1000000"]), 68);
    assert_eq!(entities(&["--entity", SILENT]), 1);
    replay(demo(), "registration-tagged", &["--entity", "nobody"]).exits(1);
}

#[test]
fn what_is_erased_is_left_out_and_the_rest_goes_on() {
    let place = copy();
    let silent = place.ask("erase", &[SILENT, "--keep-state", "--reason", "asked for"]);
    silent.well();
    let component = reducer("registration");
    let done = place.ask("replay", &["--json", "--with", component.to_str().unwrap()]).well();
    assert_eq!((&counts(&done)["not_executed"], &counts(&done)["different"]), (&json!(6), &json!(0)), "{}", done.out);
}

#[test]
fn faults_and_what_operators_did_about_them_are_replayed() {
    let place = Place::misbehaving();
    place.stream([poke("a", 1, "none"), poke("a", 2, "panic"), poke("a", 3, "none"), poke("b", 4, "endless-loop"), poke("b", 5, "none")]);
    place.run_as_far_as_the_stream();
    place.ask("parked", &["redrive", "a", "--reason", "tested"]);
    place.ask("parked", &["drop", "b", "--reason", "tested"]);
    place.run_as_far_as_the_stream();
    let component = fixture("misbehaving");
    let done = place.ask("replay", &["--json", "--with", component.to_str().unwrap()]).well();
    let counts = counts(&done);
    assert_eq!((&counts["different"], &counts["diverged"]), (&json!(0), &json!(0)), "{}", done.out);
    assert_eq!(counts["decisions"].to_string(), place.value("misbehaving.db", "SELECT count(*) FROM journal WHERE kind = 'decided'"));
}

#[test]
fn the_blast_radius_names_whose_next_step_is_another_one() {
    let done = replay(demo(), "registration-tagged", &["--radius"]).exits(1);
    let lines = done.json();
    let counts = counts(&done);
    let mut affected: Vec<&str> = lines.iter().filter_map(|line| line["entity"].as_str()).collect();
    affected.dedup();
    // A node that is announced again is registered anew where it is not active: those that fell silent or never acknowledged.
    let sql = "SELECT key FROM entities JOIN journal ON journal.row = state_row WHERE state LIKE '%\"phase\":\"liveness_expired\"%' \
               OR state LIKE '%\"phase\":\"ack_timed_out\"%' ORDER BY key";
    let silent = demo().rows("registration.db", sql);
    assert_eq!(affected, silent.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(counts["affected"].as_u64().unwrap(), silent.len() as u64);
    assert!(counts["probes"].as_u64().unwrap() > 68, "{counts}");
    replay(demo(), "registration-tagged", &["--radius", "--expect", "intents.register-service.tags"]).well();
    let same = reducer("registration");
    demo().ask("replay", &["--radius", "--with", same.to_str().unwrap()]).well();
}

#[test]
fn a_component_that_does_not_fit_the_manifest_is_refused() {
    let done = replay(demo(), "misbehaving", &[]).exits(2);
    assert!(done.err.contains("intent-unknown"), "{}", done.err);
}
