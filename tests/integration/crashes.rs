//! `kill -9` in the middle of the demo's stream, then the same command again: it must end with journal, states, dead letters
//! and the effects' tables as if nothing had happened, and with the same published events.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::{Duration, Instant};

use crate::chance::Chance;
use crate::place::{Place, Running};
use crate::repository::root;
use crate::tables::number;
use crate::traces::Traces;

/// Moments at which the process is killed.
const MOMENTS: u64 = 20;

/// Another seed is another set of moments.
const SEED_VARIABLE: &str = "PUREFOLD_CRASH_SEED";
const SEED: u64 = 1;

const ENTRIES: &str = "SELECT max(row) FROM journal";

fn demo() -> Place {
    let place = Place::registration();
    place.stream_from(&root().join("demo/events.jsonl"));
    place
}

struct Undisturbed {
    traces: Traces,
    entries: u64,
    time: Duration,
}

fn undisturbed() -> Undisturbed {
    let place = demo();
    let begun = Instant::now();
    place.run().well();
    let time = begun.elapsed();
    place.verifies();
    Undisturbed { traces: Traces::of_registration(&place), entries: number(&place.path("registration.db"), ENTRIES), time }
}

#[test]
fn twenty_kills_at_random_moments_change_nothing() {
    let seed = std::env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    eprintln!("{SEED_VARIABLE}={seed}");
    let mut chance = Chance::new(seed);
    let whole = undisturbed();
    let (mut in_the_middle, mut entries_at_kills) = (0, Vec::new());
    for moment in 0..MOMENTS {
        let place = demo();
        let journal = place.path("registration.db");
        // Every other moment is a time, for what happens before the first and after the last commit; the rest are places
        // in the journal. Some runs are killed twice.
        for _ in 0..=(moment % 3 / 2) {
            let mut running = Running::start(place.running_to_the_end());
            if moment % 2 == 0 {
                std::thread::sleep(Duration::from_micros(chance.below(whole.time.as_micros().try_into().expect("a short time"))));
            } else {
                let size = number(&journal, ENTRIES) + 1 + chance.below(whole.entries);
                running.until_or_ended("the journal's growth", || number(&journal, ENTRIES) >= size);
            }
            running.kill();
            let entries = number(&journal, ENTRIES);
            entries_at_kills.push(entries);
            in_the_middle += u32::from((2..whole.entries).contains(&entries));
        }
        place.run().well();
        place.verifies();
        let what = format!("killed at {entries_at_kills:?} of {} entries, seed {seed}, moment {moment}", whole.entries);
        Traces::of_registration(&place).assert_same(&whole.traces, &what);
    }
    eprintln!("killed at {entries_at_kills:?} of {} entries", whole.entries);
    assert!(in_the_middle >= 5, "too few kills fell into the run to say anything: {entries_at_kills:?} of {}", whole.entries);
}

#[test]
fn a_torn_write_at_the_end_of_the_store_and_of_the_published_events_is_cut_off() {
    let whole = undisturbed();
    let place = demo();
    let journal = place.path("registration.db");
    let mut running = Running::start(place.running_to_the_end());
    running.until("half of the journal", || number(&journal, ENTRIES) >= whole.entries / 2);
    running.kill();
    let append = |file: &str, bytes: &[u8]| {
        let mut file = OpenOptions::new().append(true).open(place.path(file)).unwrap();
        file.write_all(bytes).unwrap();
    };
    append("registration.db-wal", &[0x5a; 3000]);
    append("records.db-wal", &[0x5a; 100]);
    append("events.jsonl", br#"{"specversion":"1.0","id":"torn"#);
    place.run().well();
    place.verifies();
    Traces::of_registration(&place).assert_same(&whole.traces, "after torn writes");
}

#[test]
#[cfg(unix)]
fn a_disk_that_is_full_stops_the_run_and_loses_nothing() {
    let whole = undisturbed();
    let place = demo();
    // A limit on the size of files is a full disk for whoever writes past it; the signal is ignored so that writes fail.
    let full = place.running_to_the_end();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 4000; exec \"$@\"", "sh"]).arg(full.get_program()).args(full.get_args());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let journal = place.path("registration.db");
    let mut running = Running::start(command);
    let mut last = (0, Instant::now());
    running.until_or_ended("a halt", || {
        let entries = number(&journal, ENTRIES);
        if entries != last.0 {
            last = (entries, Instant::now());
        }
        entries > 1 && last.1.elapsed() > Duration::from_secs(1)
    });
    running.kill();
    let entries = number(&journal, ENTRIES);
    assert!((2..whole.entries).contains(&entries), "the disk was full at {entries} of {} entries", whole.entries);

    place.run().well();
    place.verifies();
    Traces::of_registration(&place).assert_same(&whole.traces, "after a full disk");
}

#[test]
fn a_kill_repeats_nothing_even_where_duplicates_are_not_looked_for() {
    // Without a window every repeated event is decided again, but a line of the stream is decided once all the same.
    let demo = || {
        let place = demo();
        place.mend("[store]", "[source]\ndedupe = 0\n\n[store]");
        place
    };
    let whole = demo();
    whole.run().well();
    let traces = Traces::of_registration(&whole);
    let entries = number(&whole.path("registration.db"), ENTRIES);
    for part in 1..6 {
        let place = demo();
        let journal = place.path("registration.db");
        let mut running = Running::start(place.running_to_the_end());
        running.until_or_ended("the journal's growth", || number(&journal, ENTRIES) >= entries * part / 6);
        running.kill();
        place.run().well();
        traces.assert_same(&Traces::of_registration(&place), &format!("killed after {part} of 6 parts"));
    }
}
