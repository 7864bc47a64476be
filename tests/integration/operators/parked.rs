//! Parked entities: all at once, and with who and why in their chains.

use super::{acts, answers, on_each_store};
use crate::faults::poke;
use crate::place::Place;

const STORE: &str = "misbehaving.db";

/// Two entities that are parked, and one that is not.
fn parked(place: Place) -> Place {
    place.stream([poke("a", 1, "panic"), poke("b", 2, "panic"), poke("c", 3, "none")]);
    place.run_as_far_as_the_stream();
    place
}

#[test]
fn all_go_on_at_once_and_the_journal_says_by_whom() {
    for place in on_each_store(Place::misbehaving).map(parked) {
        let redriven = place.ask("parked", &["redrive", "--all", "--by", "ann", "--json"]).exits(1).json();
        assert_eq!(answers(&redriven), ["resumed", "resumed"]);
        let dropped = place.ask("parked", &["drop", "--all", "--reason", "it will never work", "--by", "bob", "--json"]).well().json();
        assert_eq!(dropped.iter().map(|line| line["entity"].as_str().unwrap()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(acts(&place, STORE, "a"), ["resumed | ann | ", "dropped | bob | it will never work"]);
        let shown = place.ask("journal", &["a"]).well().out;
        assert!(shown.contains("by bob: it will never work"), "{shown}");
        let json = place.ask("journal", &["a", "--json"]).well().json();
        assert_eq!(json.last().unwrap()["act"], serde_json::json!({"by": "bob", "reason": "it will never work"}));
        place.verifies();
    }
}

#[test]
fn whoever_names_another_one_hears_which_there_are() {
    for place in on_each_store(Place::misbehaving).map(parked) {
        let refused = place.ask("parked", &["redrive", "c"]).exits(1);
        assert!(refused.out.contains("refused: the entity is not parked"), "{}", refused.out);
        assert!(refused.err.contains("parked are \"a\", \"b\""), "{}", refused.err);
        place.ask("parked", &["drop", "--all", "--reason", "x"]).well();
        assert!(place.ask("parked", &["redrive", "a"]).exits(1).err.contains("no entity is parked"));
    }
}
