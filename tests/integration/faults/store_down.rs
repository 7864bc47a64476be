//! The store is down: the host keeps nothing that it cannot commit, goes on trying, and goes on where it was when the store is back.

use std::time::{Duration, Instant};

use crate::place::{Place, Running};
use crate::repository::root;
use crate::tables::{Locked, number};
use crate::traces::Traces;

const ENTRIES: &str = "SELECT max(row) FROM journal";

#[test]
fn a_store_that_takes_no_commit_for_a_while_loses_nothing() {
    let whole = Place::registration();
    whole.stream_from(&root().join("demo/events.jsonl"));
    whole.run().well();

    let place = Place::registration();
    place.stream_from(&root().join("demo/events.jsonl"));
    let journal = place.path("registration.db");
    let mut running = Running::start(place.running_to_the_end());
    running.until("the first entries", || number(&journal, ENTRIES) > 50);
    let lock = Locked::take(&journal);
    let (entries, begun) = (number(&journal, ENTRIES), Instant::now());
    let written = place.published("events.jsonl").len();
    assert!(running.until_or_ended("some time", || begun.elapsed() > Duration::from_secs(7)), "the host waits for its store");
    assert_eq!(number(&journal, ENTRIES), entries);
    // At most what had been committed before is performed meanwhile: one intent, one event.
    let asked = number(&journal, "SELECT count(*) FROM outbox") as usize;
    assert!(place.published("events.jsonl").len() <= written + asked);
    lock.release();
    running.end().well();
    place.verifies();
    Traces::of_registration(&place).assert_same(&Traces::of_registration(&whole), "with a store that was down");
}

#[test]
fn a_second_host_on_the_same_store_is_refused() {
    let place = Place::registration();
    place.stream([crate::wire::Node::new(1, "effect").introspection(0.0, "eeeeeeee-0000-4000-8000-00000000000c")]);
    let journal = place.path("registration.db");
    let mut running = Running::start(place.running(&["--clock", "event"]));
    running.until("the registration", || number(&journal, ENTRIES) > 2);
    let second = place.run();
    assert!(matches!(second.code, Some(2 | 3)), "{second:?}");
    assert!(second.err.contains("registration.db"), "{}", second.err);
    running.kill();
    place.run().well();
}
