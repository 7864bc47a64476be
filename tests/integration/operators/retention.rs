//! Retention: what is forgotten when its time has come, and what never is.

use super::{change, close, number, on_each_store};
use crate::faults::poke;
use crate::payments::Payments;
use crate::place::Place;
use crate::shop::{arrived, placed};
use crate::wire::Node;

const STORE: &str = "misbehaving.db";

/// From now on the workflow has this retention.
fn retain(place: &Place, retention: &str) {
    place.mend("[store]", &format!("[retention]\n{retention}\n\n[store]"));
}

fn entries(place: &Place, entity: &str) -> Vec<String> {
    place.rows(STORE, &format!("SELECT sequence, kind FROM entries WHERE entity = '{entity}' ORDER BY sequence, ordinal"))
}

fn truncate(place: &Place) -> String {
    place.ask("truncate", &[]).well().out
}

/// Ten decisions of `a` in the first seconds, one of `b` long after; then this retention.
fn aged(retention: &str) -> [Place; 2] {
    on_each_store(Place::misbehaving).map(|place| {
        place.stream((1..=10).map(|n| poke("a", n, "none")));
        place.append(["not JSON".to_owned(), poke("b", 4000, "none"), "not JSON either".to_owned(), poke("b", 4002, "none")]);
        place.run_as_far_as_the_stream();
        retain(&place, retention);
        place
    })
}

#[test]
fn old_entries_go_but_for_the_one_that_holds_the_state_and_the_chain_holds() {
    for place in aged("journal = \"5m\"") {
        let state = place.state(STORE, "a");
        let said = truncate(&place);
        assert!(said.starts_with("forgot 18 entries"), "{said}");
        assert_eq!(entries(&place, "a"), ["10 | decided", "10 | concluded"]);
        assert_eq!(entries(&place, "b").len(), 4);
        assert_eq!(place.state(STORE, "a"), state);
        place.verifies();
        let counts = place.ask("verify", &["--json"]).well().json().pop().unwrap();
        assert_eq!((&counts["truncated"], &counts["not_executed"]), (&1.into(), &1.into()), "{counts}");
        assert!(place.ask("verify", &[]).well().out.contains("1 entities are truncated"));
        let gone = place.ask("state", &["a", "--at", "3"]).exits(1).err;
        assert!(gone.contains("its first entries are truncated"), "{gone}");
        assert_eq!(place.ask("journal", &["a", "--json"]).well().json().len(), 2);

        // It goes on as if nothing had happened, and what it does is executed again.
        place.append([poke("a", 4003, "none")]);
        place.run_as_far_as_the_stream();
        assert_eq!(place.state(STORE, "a")["count"], 11);
        place.verifies();
        assert_eq!(truncate(&place), "forgot 1 entries, the bytes of 0 events and 0 dead letters\n", "its state is elsewhere now");
        assert_eq!(entries(&place, "a"), ["10 | concluded", "11 | decided", "11 | concluded"]);
        place.verifies();
        // The store's tables beside are as strict as before.
        change(&place, STORE, "UPDATE checkpoints SET hash = zeroblob(32)");
        assert!(place.ask("verify", &["--json"]).exits(1).out.contains("\"what\":\"hash\""));
    }
}

#[test]
fn by_number_the_entries_of_the_last_decisions_stay() {
    for place in aged("journal = 3") {
        truncate(&place);
        let first = entries(&place, "a").remove(0);
        assert!(first.starts_with("7 | "), "{first}");
        place.verifies();
    }
}

#[test]
fn a_first_entry_that_is_cut_off_by_hand_is_missed() {
    for place in aged("journal = 3") {
        change(&place, STORE, "DELETE FROM journal WHERE row = (SELECT min(row) FROM journal WHERE kind = 'decided')");
        place.ask("verify", &[]).exits(1);
    }
}

#[test]
fn bytes_of_events_and_dead_letters_have_lifetimes_of_their_own() {
    for place in aged("events = \"10m\"\ndead-letters = \"1h\"") {
        let said = truncate(&place);
        assert_eq!(said, "forgot 0 entries, the bytes of 10 events and 1 dead letters\n");
        assert_eq!(place.value(STORE, "SELECT count(*) FROM events"), "2");
        assert_eq!(place.rows(STORE, "SELECT line FROM dead_letters"), ["13"]);
        assert_eq!(entries(&place, "a").len(), 20);
        place.verifies();
        place.run_as_far_as_the_stream();
        assert_eq!(place.rows(STORE, "SELECT line FROM dead_letters"), ["13"], "what was forgotten is not read again");
    }
}

#[test]
fn what_waits_or_is_asked_for_is_kept_however_old() {
    for place in on_each_store(Place::misbehaving) {
        retain(&place, "journal = \"1m\"");
        place.mend("[intents.note]\n", "[intents.note]\nretry = { attempts = 1, first = \"1ms\", most = \"1ms\", deadline = \"5s\" }\n");
        place.stream([poke("held", 1, "none"), poke("parked", 2, "none"), poke("free", 3, "none"), poke("free", 4, "none")]);
        place.run_as_far_as_the_stream();
        close(&place, "notes.db", "notes");
        place.append([poke("held", 5, "none"), poke("held", 6, "none"), poke("parked", 7, "panic")]);
        place.run_as_far_as_the_stream();
        place.append([poke("late", 4000, "none")]);
        place.run_as_far_as_the_stream();
        let parked = entries(&place, "parked");
        truncate(&place);
        assert_eq!(entries(&place, "parked"), parked);
        assert_eq!(entries(&place, "held")[0], "2 | decided", "the decision that asked, and not what followed it");
        assert_eq!(entries(&place, "free")[0], "2 | decided");
        place.verifies();
        super::open(&place, "notes.db");
        place.run_as_far_as_the_stream();
        assert_eq!(place.value(STORE, "SELECT count(*) FROM outbox"), "0", "its payload was still there");
        place.ask("parked", &["drop", "parked", "--reason", "x"]).well();
        truncate(&place);
        assert_eq!(entries(&place, "parked")[0], "1 | decided", "the entry that holds its state");
        place.verifies();
    }
}

#[test]
fn a_decision_that_set_a_pending_timer_is_kept() {
    for place in on_each_store(Place::registration) {
        place.mend("[store]", "[retention]\njournal = \"1s\"\n\n[store]");
        let (node, other) = (Node::new(1, "effect"), Node::new(2, "effect"));
        let correlation = "c0000000-0000-4000-8000-000000000001";
        place.stream([node.introspection(0.0, correlation), other.introspection(20.0, correlation)]);
        place.run_as_far_as_the_stream();
        place.ask("truncate", &[]).well();
        let first = "SELECT min(journal.sequence) FROM journal JOIN entities ON entities.id = entity WHERE key <> '' AND key = '";
        assert_eq!(place.value("registration.db", &format!("{first}{}'", node.id)), "1");
        place.verifies();
        place.run().well();
        assert_eq!(place.state("registration.db", &node.id)["phase"], "ack_timed_out", "the timer fired");
        place.verifies();
    }
}

#[test]
fn an_ended_entity_leaves_a_tombstone_and_counts_on() {
    let payments = Payments::willing();
    let place = Place::orders(payments.port);
    place.mend("[store]", "[retention]\nended = \"1d\"\n\n[store]");
    place.stream([arrived("tea", 20, 0.0), placed("one", &[("tea", 2)], 1.0)]);
    let month = place.running(&["--clock", "event", "--until-idle", "--advance", "744h"]).output().unwrap();
    assert!(month.status.success(), "{month:?}");
    // An entity's end lies a month ahead of the clock, until events catch up.
    assert!(place.ask("truncate", &[]).well().out.starts_with("forgot 0 entries"));
    for day in 1..=33 {
        place.append([arrived("tea", 1, f64::from(day) * 86_000.0)]);
    }
    place.run_as_far_as_the_stream();
    place.ask("truncate", &[]).well();
    assert_eq!(place.rows("orders.db", "SELECT sequence, ordinal, kind FROM entries WHERE entity = 'one'"), ["5 | 1 | ended"]);
    assert!(number(&place, "orders.db", "SELECT count(*) FROM entries WHERE entity = 'tea'") > 30, "the living keep theirs");
    place.verifies();
    let again = placed("one", &[("tea", 1)], 33.0 * 86_000.0 + 1.0).replace("placed-one", "placed-again");
    place.append([again]);
    place.run_as_far_as_the_stream();
    let sequence = place.value("orders.db", "SELECT min(sequence) FROM entries WHERE entity = 'one' AND kind = 'decided'");
    assert_eq!(sequence, "6");
    place.verifies();
}

#[test]
fn a_running_host_forgets_by_itself() {
    for place in aged("journal = 2") {
        place.append([poke("b", 4003, "none")]);
        let mut host = crate::place::Running::start(place.running(&["--clock", "event"]));
        host.until("it forgets", || number(&place, STORE, "SELECT count(*) FROM entries WHERE entity = 'a'") < 8);
        crate::program::signal(host.child(), "TERM");
        host.end().well();
        place.verifies();
        let wrong = place.ask("check", &[]);
        assert_eq!(wrong.code, Some(0));
        place.mend("journal = 2", "journal = 0\nsnapshots = 1");
        let wrong = place.ask("check", &[]).exits(2).out;
        assert!(wrong.contains("setting-range") && wrong.contains("setting-unknown"), "{wrong}");
    }
}

#[test]
fn a_host_that_keeps_everything_says_so() {
    for place in aged("journal = \"keep\"") {
        assert!(place.ask("truncate", &[]).exits(1).err.contains("forgets nothing"));
        assert_eq!(entries(&place, "a").len(), 20);
        // A host that was started before the manifest was mended still keeps everything, and says so.
        let mut host = crate::place::Running::start(place.running(&["--clock", "event", "--admin", "127.0.0.1:0"]));
        let (_, _told) = host.listens("metrics, health and readiness on http://");
        place.mend("journal = \"keep\"", "journal = 2");
        assert!(place.ask("truncate", &[]).exits(1).out.contains("refused: the manifest that the host runs with forgets nothing"));
        host.kill();
    }
}
