//! A host in surroundings that lack something, or are not what they seem.

use std::time::Duration;

use crate::place::{Place, Running};
use crate::repository::root;

#[test]
fn without_a_folder_for_compiled_code_everything_works_and_is_told() {
    let place = Place::registration();
    place.stream_from(&root().join("demo/events.jsonl"));
    let mut command = place.running_to_the_end();
    command.env("PUREFOLD_CACHE", "/proc/nowhere");
    let done = Running::start(command).end().well();
    assert!(done.err.contains("compiled components are not kept") && done.err.contains("PUREFOLD_CACHE"), "{}", done.err);
    place.verifies();
}

#[test]
#[cfg(unix)]
fn a_link_to_a_store_is_no_second_store() {
    let place = Place::registration();
    place.stream([""; 0]);
    let mut first = Running::start(place.running(&[]));
    first.until("the store", || place.path("registration.db-wal").exists());
    // The lock is taken before the tables are made.
    std::thread::sleep(Duration::from_millis(50));
    let second = Place::registration();
    second.stream([""; 0]);
    std::os::unix::fs::symlink(place.path("registration.db"), second.path("registration.db")).expect("a link can be made");
    let refused = Running::start(second.running(&["--until-idle"])).end().exits(3);
    assert!(refused.err.contains("is in use by another host"), "{}", refused.err);
    first.kill();
}

#[test]
fn a_host_does_not_read_what_it_publishes() {
    let place = Place::registration();
    std::fs::copy(root().join("demo/events.jsonl"), place.path("events.jsonl")).expect("the demo's stream can be copied");
    let before = std::fs::read(place.path("events.jsonl")).expect("it is there");
    let mut command = place.command("run", &["--clock", "event", "--until-idle", "--events"]);
    command.arg(place.path("events.jsonl"));
    let refused = Running::start(command).end().exits(2);
    assert!(refused.err.contains("effect events of registration writes"), "{}", refused.err);
    assert_eq!(std::fs::read(place.path("events.jsonl")).expect("it is there"), before);
}
