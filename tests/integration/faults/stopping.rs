//! SIGTERM in the middle of a stream: what is in flight is finished, the exit code is 0, and the next run goes on without loss.

use crate::place::{Place, Running};
use crate::program::signal;
use crate::repository::root;
use crate::tables::number;
use crate::traces::Traces;

const ENTRIES: &str = "SELECT max(row) FROM journal";

#[test]
fn a_stopped_host_ends_well_and_the_next_run_goes_on() {
    let whole = Place::registration();
    whole.stream_from(&root().join("demo/events.jsonl"));
    whole.run().well();
    let all = number(&whole.path("registration.db"), ENTRIES);

    let place = Place::registration();
    place.stream_from(&root().join("demo/events.jsonl"));
    let journal = place.path("registration.db");
    let mut stopped_early = 0;
    for part in 1..4 {
        let before = number(&journal, ENTRIES);
        let mut running = Running::start(place.running_to_the_end());
        running.until_or_ended("some entries", || number(&journal, ENTRIES) > before.max(all * part / 5));
        signal(running.child(), "TERM");
        running.end().well();
        stopped_early += u32::from(number(&journal, ENTRIES) < all);
        place.verifies();
    }
    assert!(stopped_early > 0, "every run was over before it could be stopped");
    place.run().well();
    Traces::of_registration(&place).assert_same(&Traces::of_registration(&whole), "stopped and run on");
}

#[test]
fn a_host_that_ends_leaves_every_database_in_one_file() {
    let place = Place::registration();
    place.stream([crate::wire::Node::new(1, "effect").introspection(0.0, "eeeeeeee-0000-4000-8000-00000000000b")]);
    let databases = |place: &Place| place.files().into_iter().filter(|name| name.contains(".db")).collect::<Vec<_>>();
    let whole = ["records.db", "registration.db", "registration.db.lock", "services.db"];
    place.run_as_far_as_the_stream();
    assert_eq!(databases(&place), whole, "at the end of the input");

    let mut running = Running::start(place.running(&["--clock", "event", "--follow"]));
    running.until("its lock", || databases(&place).iter().any(|name| name.ends_with("-wal")));
    signal(running.child(), "TERM");
    running.end().well();
    assert_eq!(databases(&place), whole, "after a stop");
}

#[test]
fn a_host_that_waits_for_events_ends_at_once() {
    let place = Place::registration();
    place.stream([crate::wire::Node::new(1, "effect").introspection(0.0, "eeeeeeee-0000-4000-8000-00000000000b")]);
    let journal = place.path("registration.db");
    let mut running = Running::start(place.running(&["--clock", "event"]));
    running.until("the registration", || {
        number(&journal, "SELECT count(*) FROM states WHERE json_extract(state, '$.dual') = 'complete'") == 1
    });
    signal(running.child(), "TERM");
    running.end().well();
}
