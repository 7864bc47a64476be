//! The real program on a disk that fails for a while: it says so once, loses nothing, and goes on by itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::place::{Place, Running};
use crate::repository::root;
use crate::tables::number;
use crate::traces::Traces;

/// Writes of the store's files that succeed before the disk fails: the start is over by then, the stream is not.
const WRITES_BEFORE: u32 = 500;

const ENTRIES: &str = "SELECT coalesce(max(row), 0) FROM journal";

fn demo() -> Place {
    let place = Place::registration();
    place.stream_from(&root().join("demo/events.jsonl"));
    place
}

/// Builds the layer that stands between the program and the C library.
fn layer(folder: &Path) -> PathBuf {
    let (source, library) = (root().join("tests/integration/failing_disk.c"), folder.join("failing_disk.so"));
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let mut build = Command::new(&compiler);
    build.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&library).arg(&source).arg("-ldl");
    let built = build.output().unwrap_or_else(|error| panic!("a C compiler ({compiler}, from Debian's gcc) is needed: {error}"));
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    library
}

/// Lets the disk fail with `error`, in the middle of a run, until the host has waited for a while.
fn failing_with(error: &str, told: &[&str]) {
    let whole = demo();
    whole.run().well();
    let traces = Traces::of_registration(&whole);
    let entries = number(&whole.path("registration.db"), ENTRIES);

    let place = demo();
    let (journal, mended) = (place.path("registration.db"), place.path("mended"));
    let mut command = place.running_to_the_end();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("LD_PRELOAD", layer(whole.path("registration.db").parent().expect("a folder")));
    command.env("FAILING_STORE", &journal).env("FAILING_ERROR", error).env("FAILING_UNTIL", &mended);
    command.env("FAILING_AFTER", WRITES_BEFORE.to_string());
    let mut running = Running::start(command);
    let mut last = (0, Instant::now());
    running.until("a halt", || {
        let entries = if journal.exists() { number(&journal, ENTRIES) } else { 0 };
        if entries != last.0 {
            last = (entries, Instant::now());
        }
        entries > 1 && last.1.elapsed() > Duration::from_secs(1)
    });
    assert!((2..entries).contains(&last.0), "the disk failed at {} of {entries} entries", last.0);

    std::fs::write(&mended, "").expect("the folder can be written");
    let done = running.end().well();
    for told in told {
        assert_eq!(done.err.matches(told).count(), 1, "{told:?} once: {}", done.err);
    }
    place.verifies();
    Traces::of_registration(&place).assert_same(&traces, &format!("after error {error} of the disk"));
}

const COMMITS: [&str; 2] = ["the store does not take the commit", "WARN purefold::observe: the store works again"];

#[test]
fn an_error_of_reading_and_writing_is_waited_for() {
    failing_with("5", &COMMITS);
}

#[test]
fn a_disk_without_room_is_waited_for() {
    failing_with("28", &COMMITS);
}

#[test]
fn a_disk_that_becomes_read_only_is_waited_for() {
    failing_with("30", &COMMITS);
}
