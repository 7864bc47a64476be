//! Dead letters: what was done about them stands in the workflow's own chain.

use super::{acts, answers, on_each_store};
use crate::faults::poke;
use crate::place::Place;
use crate::program::Done;

const STORE: &str = "misbehaving.db";

/// Two lines that are no JSON, and two events that found a full inbox.
fn buried(place: Place) -> Place {
    place.mend("[store]", "[limits]\ninbox = 1\n\n[store]");
    place.stream(["one", &poke("a", 1, "panic"), &poke("a", 2, "none"), "two", &poke("a", 3, "none")]);
    place.run_as_far_as_the_stream();
    place
}

fn codes(place: &Place) -> Vec<String> {
    place.rows(STORE, "SELECT line, code, key FROM dead_letters ORDER BY id")
}

#[test]
fn they_are_chosen_by_code_and_by_entity() {
    for place in on_each_store(Place::misbehaving).map(buried) {
        assert_eq!(codes(&place), ["1 | not-json | ", "4 | not-json | ", "3 | inbox-full | a", "5 | inbox-full | a"]);
        let of_a = place.ask("dead-letters", &["list", "--entity", "a", "--json"]).well().json();
        assert_eq!(of_a.iter().map(|letter| letter["position"].as_u64().unwrap()).collect::<Vec<_>>(), [3, 5]);
        assert_eq!(of_a[0]["since"], "2026-02-13T12:00:03.000000Z", "on the workflow's clock");
        let dropped =
            place.ask("dead-letters", &["drop", "--code", "not-json", "--reason", "noise", "--by", "ann", "--json"]).well().json();
        assert_eq!(answers(&dropped), ["dropped", "dropped"]);
        assert_eq!(codes(&place), ["3 | inbox-full | a", "5 | inbox-full | a"]);
        assert_eq!(acts(&place, STORE, ""), ["dropped | ann | noise", "dropped | ann | noise"]);
        let about = place.value(STORE, "SELECT input FROM entries WHERE kind = 'dropped' LIMIT 1");
        assert_eq!(about, r#"{"code":"not-json","dead_letter":1,"position":1,"source":"stream.jsonl"}"#);
        place.verifies();
    }
}

#[test]
fn all_are_redriven_in_order_and_their_number_does_not_matter() {
    for place in on_each_store(Place::misbehaving) {
        place.mend("\"fixture.poke.v1\" = \"poke\"", "\"fixture.none.v1\" = \"poke\"");
        // More than are asked about together.
        place.stream((1..=600).map(|n| poke(&format!("e{}", n % 7), n, "none")));
        let arrival = || -> Done { place.running(&["--until-idle"]).output().expect("purefold can be started").into() };
        arrival().well();
        assert_eq!(place.value(STORE, "SELECT count(*) FROM dead_letters"), "600");
        place.mend("\"fixture.none.v1\" = \"poke\"", "\"fixture.poke.v1\" = \"poke\"");
        place.ask("dead-letters", &["redrive", "--all", "--by", "ann"]).well();
        assert_eq!(place.value(STORE, "SELECT count(*) FROM dead_letters"), "0");
        for entity in 0..7 {
            let order = place
                .rows(STORE, &format!("SELECT event_id FROM entries WHERE entity = 'e{entity}' AND kind = 'decided' ORDER BY sequence"));
            let numbers: Vec<u32> = order.iter().map(|id| id.split('-').nth(1).unwrap().parse().unwrap()).collect();
            assert!(numbers.len() >= 85 && numbers.is_sorted(), "{order:?}");
        }
        assert_eq!(acts(&place, STORE, "").len(), 600);
        arrival().well();
        place.verifies();
    }
}

#[test]
fn what_a_sender_wrote_cannot_steer_the_terminal() {
    let place = Place::misbehaving();
    place.stream(["no JSON \u{1b}[2J\u{9b}31m \r\u{202e}".to_owned()]);
    place.run_as_far_as_the_stream();
    let shown = place.ask("dead-letters", &["show", "1"]).well().out;
    assert!(shown.contains("no JSON \\u{1b}[2J"), "{shown:?}");
    assert!(shown.chars().all(|c| c == '\n' || (!c.is_control() && c != '\u{202e}')), "{shown:?}");
    let json = place.ask("dead-letters", &["show", "1", "--json"]).well().json();
    assert_eq!(json[0]["bytes"], "no JSON \u{1b}[2J\u{9b}31m \r\u{202e}", "as it was sent");
    assert_eq!(json[0]["since"], serde_json::Value::Null, "the virtual clock had not begun");
}

#[test]
fn what_is_dropped_stays_dropped_when_its_line_is_read_again() {
    let place = Place::misbehaving();
    place.mend("[intents.note]\n", "[intents.note]\nretry = { attempts = 1, first = \"1ms\", most = \"1ms\", deadline = \"5s\" }\n");
    place.stream([poke("a", 1, "none")]);
    place.run_as_far_as_the_stream();
    // `b` is under way, so that the position stays before its line, and the letter lies behind it.
    place.append([poke("b", 2, "none"), poke("b", 3, "none"), "no JSON".to_owned()]);
    let locked = crate::tables::Locked::take(&place.path("notes.db"));
    let mut host = crate::place::Running::start(place.running(&["--clock", "event"]));
    let store = place.path(STORE);
    host.until("the letter", || crate::tables::number(&store, "SELECT count(*) FROM dead_letters") == 1);
    let id = place.value(STORE, "SELECT id FROM dead_letters");
    place.ask("dead-letters", &["drop", &id, "--reason", "noise"]).well();
    host.kill();
    locked.release();
    place.run_as_far_as_the_stream();
    assert_eq!(place.value(STORE, "SELECT count(*) FROM dead_letters"), "0");
    assert_eq!(place.value(STORE, "SELECT next_line FROM sources"), "4");
    place.verifies();
}
