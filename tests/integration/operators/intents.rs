//! Intents that wait for an operator: tried again or given up, in order, and never against a conclusion.

use serde_json::Value;

use super::{acts, answers, close, number, on_each_store, open};
use crate::faults::poke;
use crate::place::{Place, Running};
use crate::program::signal;
use crate::service::closed_port;
use crate::shop::{arrived, placed};

const STORE: &str = "misbehaving.db";

/// Three entities whose notes the closed table refused: each has a held intent, `a` another one behind it.
fn held() -> [Place; 2] {
    on_each_store(Place::misbehaving).map(|place| {
        place.mend("[intents.note]\n", "[intents.note]\nretry = { attempts = 1, first = \"1ms\", most = \"1ms\", deadline = \"5s\" }\n");
        place.stream([poke("x", 1, "none")]);
        place.run_as_far_as_the_stream();
        close(&place, "notes.db", "notes");
        place.append([poke("a", 2, "none"), poke("b", 3, "none"), poke("c", 4, "none"), poke("a", 5, "none")]);
        let summary = place.run_as_far_as_the_stream();
        assert_eq!(summary["held"], 4, "{summary}");
        place
    })
}

fn listed(place: &Place, options: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["list", "--json"];
    arguments.extend(options);
    place.ask("intents", &arguments).well().json()
}

fn id_of(place: &Place, entity: &str) -> String {
    listed(place, &["--entity", entity])[0]["id"].as_str().unwrap().to_owned()
}

fn notes(place: &Place) -> Vec<String> {
    place.rows("notes.db", "SELECT id FROM notes ORDER BY id")
}

#[test]
fn they_are_listed_by_effect_and_entity_and_shown_in_full() {
    for place in held() {
        assert_eq!(listed(&place, &[]).len(), 4);
        assert_eq!(listed(&place, &["--effect", "notes"]).len(), 4);
        assert_eq!(listed(&place, &["--effect", "mail"]).len(), 0);
        let of_a = listed(&place, &["--entity", "a"]);
        assert_eq!(of_a.iter().map(|intent| intent["status"].as_str().unwrap()).collect::<Vec<_>>(), ["held", "pending"]);
        let id = id_of(&place, "b");
        let shown = place.ask("intents", &["show", &id, "--json"]).well().json();
        assert_eq!((&shown[0]["entity"], &shown[0]["status"]), (&"b".into(), &"held".into()));
        let text = place.ask("intents", &["show", &id]).well().out;
        assert!(text.contains("the table is closed") && text.contains("asked for by: decision 1, index 0"), "{text}");
        let unknown = place.ask("intents", &["show", "00000000-0000-8000-8000-000000000000"]).exits(1);
        assert!(unknown.err.contains("has no intent"), "{}", unknown.err);
    }
}

#[test]
fn a_running_host_tries_held_intents_again_in_order() {
    for place in held() {
        place.append([poke("d", 6, "none")]);
        let mut host = Running::start(place.running(&["--clock", "event"]));
        host.until("all are held again", || number(&place, STORE, "SELECT count(*) FROM outbox WHERE status = 'held'") == 4);
        // Nothing is open yet: the same answer again, and the journal says who tried.
        let b = id_of(&place, "b");
        let once = place.ask("intents", &["redrive", &b, "--by", "ann", "--reason", "is it open?", "--json"]).well().json();
        assert_eq!(answers(&once), ["redriven: it is tried again with all its attempts"]);
        host.until("it is held once more", || number(&place, STORE, "SELECT count(*) FROM outbox WHERE status = 'held'") == 4);
        open(&place, "notes.db");
        let all = place.ask("intents", &["redrive", "--effect", "notes", "--by", "bob", "--json"]).well().json();
        assert_eq!(all.len(), 4, "the one behind a held one is not held: {all:?}");
        host.until("all are done", || number(&place, STORE, "SELECT count(*) FROM outbox") == 0);
        signal(host.child(), "TERM");
        host.end().well();
        assert_eq!(notes(&place), ["a", "b", "c", "d", "x"]);
        assert_eq!(acts(&place, STORE, "b"), ["redriven | ann | is it open?", "redriven | bob | "]);
        assert_eq!(acts(&place, STORE, "a"), ["redriven | bob | "]);
        place.verifies();
    }
}

#[test]
fn without_a_host_the_next_run_tries_them() {
    for place in held() {
        open(&place, "notes.db");
        let done = place.ask("intents", &["redrive", "--all", "--json"]).well();
        assert_eq!(done.json().len(), 3);
        assert!(done.err.contains("the attempts begin with the next `purefold run`"), "{}", done.err);
        assert_eq!(listed(&place, &[]).iter().filter(|intent| intent["status"] == "pending").count(), 4);
        place.run_as_far_as_the_stream();
        assert_eq!(notes(&place), ["a", "b", "c", "x"]);
        let user = place.value(STORE, "SELECT json_extract(output, '$.by') FROM entries WHERE kind = 'redriven' AND entity = 'c'");
        assert!(!user.is_empty(), "the user that the system knows");
        place.verifies();
    }
}

#[test]
fn what_is_given_up_is_concluded_in_the_journal_and_never_performed() {
    for place in held() {
        place.append([poke("d", 6, "none")]);
        let mut host = Running::start(place.running(&["--clock", "event"]));
        host.until("all are held again", || number(&place, STORE, "SELECT count(*) FROM outbox WHERE status = 'held'") == 4);
        let given_up =
            place.ask("intents", &["give-up", "--entity", "a", "--reason", "nobody reads it", "--by", "ann", "--json"]).well().json();
        let told = answers(&given_up);
        assert_eq!(told[0], "given up: concluded as refused: given up by ann: nobody reads it");
        // It was tried, or not, when the one before it had left.
        assert!(told[1].starts_with("given up: concluded as ") && told[1].ends_with(": given up by ann: nobody reads it"), "{told:?}");
        assert_eq!(number(&place, STORE, "SELECT count(*) FROM outbox"), 3);
        signal(host.child(), "TERM");
        host.end().well();
        open(&place, "notes.db");
        place.run_as_far_as_the_stream();
        assert_eq!(notes(&place), ["b", "c", "d", "x"], "what was given up was not performed");
        let of_a = place.rows(STORE, "SELECT kind FROM entries WHERE entity = 'a' AND kind <> 'decided' ORDER BY sequence, ordinal");
        let count = |kind: &str| of_a.iter().filter(|row| row.starts_with(kind)).count();
        assert_eq!((count("abandoned"), count("concluded"), of_a.len()), (2, 2, 4), "{of_a:?}");
        place.verifies();
    }
}

#[test]
fn a_concluded_intent_is_refused_with_its_outcome_and_the_way_out() {
    for place in held() {
        let (b, x) = (id_of(&place, "b"), place.ask("intents", &["--all", "--json"]).well().json());
        place.ask("intents", &["give-up", &b, "--reason", "gone"]).well();
        let again = place.ask("intents", &["redrive", &b]).exits(1).out;
        assert!(
            again.contains("refused: it is concluded as failed: refused: given up by") && again.contains("send a new event"),
            "{again}"
        );
        let x = x.iter().find(|intent| intent["entity"] == "x").unwrap()["id"].as_str().unwrap();
        let done = place.ask("intents", &["redrive", x]).exits(1).out;
        assert!(done.contains("refused: it is concluded as done (entity \"x\""), "{done}");
        assert!(place.ask("intents", &["give-up", x, "--reason", "x"]).exits(1).out.contains("nothing left to give up"));
        assert!(place.ask("intents", &["redrive", "nonsense"]).exits(1).out.contains("has no intent nonsense"));
        assert!(place.ask("intents", &["give-up", x]).exits(2).err.contains("--reason"));
        assert!(place.ask("intents", &["redrive"]).exits(2).err.contains("<ID>"));
        assert_eq!(acts(&place, STORE, "x"), [""; 0], "what was refused is no act");
        place.verifies();
    }
}

#[test]
fn the_reducer_is_told_of_what_is_given_up_where_its_outcome_is_routed() {
    for place in on_each_store(|| Place::orders(closed_port())) {
        place.mend(
            "on-exhausted = \"outcome\"\nretry = { attempts = 5, first = \"200ms\"",
            "on-exhausted = \"hold\"\nretry = { attempts = 2, first = \"10ms\"",
        );
        place.stream([arrived("tea", 20, 0.0), placed("one", &[("tea", 2)], 1.0)]);
        let summary = place.run_as_far_as_the_stream();
        assert_eq!(summary["held"], 1, "{summary}");
        let done = place.ask("intents", &["give-up", "--effect", "payments", "--reason", "they closed", "--by", "ann"]).well().out;
        assert!(done.contains("given up: concluded as exhausted: given up by ann: they closed"), "{done}");
        place.run_as_far_as_the_stream();
        let outcome = place.value("orders.db", "SELECT input FROM entries WHERE entity = 'one' AND input LIKE '{\"charged\"%'");
        let outcome: Value = serde_json::from_str(&outcome).unwrap();
        assert_eq!(outcome["charged"]["result"]["err"]["exhausted"], "given up by ann: they closed");
        assert_eq!(place.value("shop.db", "SELECT phase FROM orders"), "cancelled");
        assert_eq!(acts(&place, "orders.db", "one"), ["abandoned | ann | they closed"]);
        place.verifies();
    }
}
