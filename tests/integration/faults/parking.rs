//! A parked entity: the faulting input heads its inbox, later ones wait behind it in order, and an operator has it go on.

use super::limits::poke;
use crate::place::{Place, Running};
use crate::program::{Done, signal};
use crate::tables::{Locked, number};
use crate::wire::Node;

fn inbox(place: &Place) -> Vec<String> {
    place.rows("misbehaving.db", "SELECT origin, event_id FROM inbox ORDER BY id")
}

fn decided(place: &Place) -> Vec<String> {
    place.rows("misbehaving.db", "SELECT sequence, ordinal, kind, event_id, coalesce(verdict, '') FROM entries WHERE entity = 'a' AND kind <> 'concluded' ORDER BY sequence, ordinal")
}

fn operator(place: &Place, order: &str) -> Done {
    place.ask("parked", &[order, "a", "--reason", "tested"])
}

/// An entity that faults at its second input, and has two more waiting.
fn parked() -> Place {
    let place = Place::misbehaving();
    place.stream([poke("a", 1, "none"), poke("a", 2, "panic"), poke("b", 3, "none"), poke("a", 4, "none"), poke("a", 5, "none")]);
    let summary = place.run_as_far_as_the_stream();
    assert_eq!((&summary["parked"], &summary["accepted"], &summary["faulted"]), (&1.into(), &2.into(), &1.into()), "{summary}");
    place
}

#[test]
fn inputs_of_a_parked_entity_wait_in_order_and_others_go_on() {
    let place = parked();
    assert_eq!(inbox(&place), ["event | a-2", "event | a-4", "event | a-5"]);
    assert_eq!(place.rows("notes.db", "SELECT id FROM notes ORDER BY id"), ["a", "b"]);
    let listed = place.ask("parked", &["list", "--json"]).well().json();
    assert_eq!((&listed[0]["entity"], &listed[0]["code"], &listed[0]["waiting"]), (&"a".into(), &"trap".into(), &3.into()), "{listed:?}");
    // A restart changes nothing in that.
    place.append([poke("a", 6, "none")]);
    place.run_as_far_as_the_stream();
    assert_eq!(inbox(&place), ["event | a-2", "event | a-4", "event | a-5", "event | a-6"]);
    place.verifies();
}

#[test]
fn a_redrive_decides_the_head_under_the_next_sequence_and_parks_again_where_it_faults_again() {
    let place = parked();
    operator(&place, "redrive").exits(1);
    assert_eq!(
        decided(&place),
        [
            "1 | 0 | decided | a-1 | accepted",
            "2 | 0 | decided | a-2 | faulted",
            "2 | 1 | parked | a-2 | ",
            "2 | 2 | resumed | a-2 | ",
            "3 | 0 | decided | a-2 | faulted",
            "3 | 1 | parked | a-2 | ",
        ]
    );
    assert_eq!(inbox(&place), ["event | a-2", "event | a-4", "event | a-5"]);
    place.verifies();
}

#[test]
fn a_drop_drops_only_the_head_and_the_rest_is_decided_in_order() {
    let place = parked();
    operator(&place, "drop").well();
    let summary = place.run_as_far_as_the_stream();
    assert_eq!(summary["parked"], 0, "{summary}");
    let inputs = place.rows(
        "misbehaving.db",
        "SELECT event_id, coalesce(verdict, kind) FROM entries WHERE entity = 'a' AND kind <> 'concluded' ORDER BY sequence, ordinal",
    );
    assert_eq!(inputs, ["a-1 | accepted", "a-2 | faulted", "a-2 | parked", "a-2 | dropped", "a-4 | accepted", "a-5 | accepted"]);
    assert_eq!(place.state("misbehaving.db", "a")["count"], 3);
    assert!(inbox(&place).is_empty());
    place.verifies();
}

#[test]
fn a_running_host_takes_the_operators_word() {
    let place = parked();
    place.append([poke("b", 6, "none")]);
    let mut running = Running::start(place.running(&["--clock", "event"]));
    let journal = place.path("misbehaving.db");
    // Only then the store is its own.
    running.until("a decision", || number(&journal, "SELECT count(*) FROM entries WHERE event_id = 'b-6'") > 0);
    operator(&place, "drop").well();
    let last = "SELECT count(*) FROM entries WHERE event_id = 'a-5' AND verdict = 'accepted'";
    running.until("the rest decided", || number(&journal, last) == 1);
    signal(running.child(), "TERM");
    running.end().well();
    assert!(inbox(&place).is_empty());
    place.verifies();
}

#[test]
fn a_redrive_with_a_mended_component_goes_on() {
    let place = Place::misbehaving();
    // What the limit ends today, a higher one lets pass: the limit is part of the release.
    place.mend("[store]", "[limits]\nintents = 10\n\n[store]");
    place.stream([poke("a", 1, "none"), poke("a", 2, "too_many_intents"), poke("a", 3, "none")]);
    assert_eq!(place.run_as_far_as_the_stream()["parked"], 1);
    place.mend("intents = 10", "intents = 2000");
    operator(&place, "redrive").well();
    let summary = place.run_as_far_as_the_stream();
    assert_eq!(summary["parked"], 0, "{summary}");
    assert_eq!(place.state("misbehaving.db", "a")["count"], 3);
    place.verifies();
}

#[test]
fn when_the_inbox_is_full_further_events_are_dead_letters_and_can_be_redriven() {
    let place = Place::misbehaving();
    place.mend("[store]", "[limits]\ninbox = 2\n\n[store]");
    place.stream([poke("a", 1, "panic"), poke("a", 2, "none"), poke("a", 3, "none"), poke("a", 4, "none"), poke("b", 5, "none")]);
    let summary = place.run_as_far_as_the_stream();
    assert_eq!(place.rows("notes.db", "SELECT id FROM notes"), ["b"], "others go on");
    let dead = place.rows("misbehaving.db", "SELECT line, code, event_id FROM dead_letters ORDER BY line");
    let waiting = inbox(&place);
    assert_eq!(waiting.len() + dead.len(), 4, "nothing is lost: {waiting:?} {dead:?}");
    assert_eq!(summary["dead_letters"], dead.len());
    assert!(!dead.is_empty() && dead.iter().all(|letter| letter.contains("inbox-full")), "{dead:?}");
    assert_eq!(dead.last().unwrap(), "4 | inbox-full | a-4");

    operator(&place, "drop").well();
    place.run_as_far_as_the_stream();
    let ids = place.rows("misbehaving.db", "SELECT id FROM dead_letters ORDER BY line");
    for id in &ids {
        place.ask("dead-letters", &["redrive", id]).well();
        // Its intents are performed: without an outcome the next one could not be decided.
        place.run_as_far_as_the_stream();
    }
    assert_eq!(place.value("misbehaving.db", "SELECT count(*) FROM dead_letters"), "0");
    assert_eq!(place.state("misbehaving.db", "a")["count"], 3, "2, 3 and 4 were decided after all");
    place.verifies();
}

#[test]
fn outcomes_and_timers_of_a_parked_entity_always_fit() {
    let place = Place::registration();
    place.mend("\"awaiting-ack\" = [\"active\", \"ack-timed-out\", \"rejected\"]", "\"awaiting-ack\" = [\"ack-timed-out\", \"rejected\"]");
    place.mend("[store]", "[limits]\ninbox = 1\n\n[store]");
    let node = Node::new(1, "effect");
    let correlation = "eeeeeeee-0000-4000-8000-000000000008";
    place.stream([node.introspection(0.0, correlation), node.ack(1.0, correlation), node.heartbeat(2.0)]);
    // Its timer falls due while it is parked.
    place.run().well();
    let waiting = place.rows("registration.db", "SELECT origin FROM inbox ORDER BY id");
    assert_eq!(waiting, ["event", "timer"]);
    assert_eq!(place.rows("registration.db", "SELECT code FROM dead_letters"), ["inbox-full"]);
    place.verifies();
}

#[test]
fn outcomes_that_come_while_an_entity_is_parked_are_kept_for_it_even_by_a_kill() {
    let place = Place::registration();
    place.mend("\"awaiting-ack\" = [\"active\", \"ack-timed-out\", \"rejected\"]", "\"awaiting-ack\" = [\"ack-timed-out\", \"rejected\"]");
    let (node, other) = (Node::new(1, "effect"), Node::new(2, "effect"));
    let correlation = "eeeeeeee-0000-4000-8000-00000000000d";
    // Another node first, so that the backends have their files.
    place.stream([other.introspection(0.0, correlation)]);
    place.running(&["--until-idle"]).output().unwrap();
    place.append([node.introspection(1.0, correlation), node.ack(2.0, correlation)]);

    let record = Locked::take(&place.path("records.db"));
    let mut running = Running::start(place.running(&[]));
    let journal = place.path("registration.db");
    running.until("the fault", || number(&journal, "SELECT count(*) FROM entities WHERE parked") == 1);
    record.release();
    running.until("the outcomes", || number(&journal, "SELECT count(*) FROM inbox WHERE origin = 'outcome'") == 2);
    running.kill();
    assert_eq!(place.value("registration.db", "SELECT count(*) FROM outbox"), "0", "concluded once and for all");
    assert_eq!(place.state("registration.db", &node.id)["dual"], "pending");

    place.ask("parked", &["drop", &node.id, "--reason", "tested"]).well();
    place.running(&["--until-idle"]).output().unwrap();
    assert_eq!(place.state("registration.db", &node.id)["dual"], "complete");
    assert_eq!(place.value("records.db", "SELECT count(*) FROM registration_projections"), "2");
    place.verifies();
}

#[test]
fn what_found_the_inbox_full_is_no_duplicate_to_the_host_that_buried_it() {
    let place = Place::misbehaving();
    place.mend("[store]", "[limits]\ninbox = 1\n\n[store]");
    place.stream([poke("a", 1, "panic"), poke("a", 2, "none")]);
    let journal = place.path("misbehaving.db");
    let mut running = Running::start(place.running(&["--clock", "event"]));
    running.until("the dead letter", || number(&journal, "SELECT count(*) FROM dead_letters") == 1);
    operator(&place, "drop").well();
    let id = place.value("misbehaving.db", "SELECT id FROM dead_letters");
    place.ask("dead-letters", &["redrive", &id]).well();
    running.until("its decision", || number(&journal, "SELECT count(*) FROM entries WHERE event_id = 'a-2' AND verdict = 'accepted'") == 1);
    signal(running.child(), "TERM");
    running.end().well();
    assert_eq!(place.value("misbehaving.db", "SELECT count(*) FROM dead_letters"), "0");
    place.verifies();
}
