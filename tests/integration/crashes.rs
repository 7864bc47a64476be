//! `kill -9` in the middle of the demo's stream, then the same command again: it must end with journal, states, dead letters
//! and the effects' tables as if nothing had happened, and with the same published events.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write;
use std::time::{Duration, Instant};

use crate::chance::{Chance, number_of};
use crate::payments::Payments;
use crate::place::{Place, Running};
use crate::repository::root;
use crate::shop::{arrived, placed, withdrawn};
use crate::tables::number;
use crate::traces::Traces;

/// Kills, where the variable does not say; `cargo xtask crashes` sets it.
const KILLS_VARIABLE: &str = "PUREFOLD_CRASH_KILLS";
const KILLS: u64 = 24;

/// Kills for each one that counts, at most: those before the first commit and after the end do not.
const MOST_TRIES: u64 = 8;

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
fn kills_at_random_moments_change_nothing() {
    let (seed, kills) = (number_of(SEED_VARIABLE, SEED), number_of(KILLS_VARIABLE, KILLS));
    let mut chance = Chance::new(seed);
    let whole = undisturbed();
    // Only a kill counts that hit a living process between its first commit and its last.
    let (mut in_the_middle, mut tried) = (Vec::<u64>::new(), 0);
    let mut moment = 0;
    while (in_the_middle.len() as u64) < kills {
        moment += 1;
        assert!(tried <= MOST_TRIES * kills, "too few of {tried} kills fell into the run to say anything: {in_the_middle:?}, seed {seed}");
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
            let lives = running.child().try_wait().expect("its state can be asked").is_none();
            running.kill();
            tried += 1;
            let entries = number(&journal, ENTRIES);
            if lives && (2..whole.entries).contains(&entries) {
                in_the_middle.push(entries);
            }
        }
        place.run().well();
        place.verifies();
        let what = format!("killed at {in_the_middle:?} of {} entries, seed {seed}, moment {moment}", whole.entries);
        Traces::of_registration(&place).assert_same(&whole.traces, &what);
    }
    eprintln!(
        "{tried} kills, {} of them of a living host between the first and the last of {} entries: {in_the_middle:?}",
        in_the_middle.len(),
        whole.entries
    );
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

/// A service that records every request: each intent of the crashed runs reaches it under the key that it has in an
/// undisturbed run, whatever number of times, and never with another body.
#[test]
fn kills_repeat_a_request_only_under_its_own_key() {
    let (seed, kills) = (number_of(SEED_VARIABLE, SEED), number_of(KILLS_VARIABLE, KILLS) / 2);
    let mut chance = Chance::new(seed);
    let orders = |payments: &Payments| {
        let place = Place::orders(payments.port);
        let lines = (0..60).flat_map(|order: u32| {
            let at = f64::from(order);
            let name = format!("order-{order}");
            let withdrawn = (order % 7 == 3).then(|| withdrawn(&name, at + 0.5));
            [Some(placed(&name, &[("tea", 1 + order % 3)], at)), withdrawn].into_iter().flatten()
        });
        place.stream(std::iter::once(arrived("tea", 90, 0.0)).chain(lines));
        place
    };
    // What of one intent reached the service: its key, with all that was ever sent under it.
    let recorded = |payments: &Payments| {
        let mut by_key: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for request in payments.requests() {
            assert!(!request.idempotency_key.is_empty(), "{request:?} carries no key");
            by_key.entry(request.idempotency_key).or_default().insert(format!("{} {}", request.what, request.body));
        }
        by_key
    };
    let traces = |place: &Place| Traces::of(place, "orders.db", &["shop.db", "levels.db"], "order-events.jsonl");
    let payments = Payments::willing();
    let whole = orders(&payments);
    whole.run().well();
    let (expected, keys) = (traces(&whole), recorded(&payments));
    assert!(keys.len() > 40, "{} requests are too few to say anything", keys.len());
    let entries = number(&whole.path("orders.db"), ENTRIES);

    let (mut killed, mut tried, mut repeated) = (0, 0, 0);
    while killed < kills {
        // A port of its own would be another url, and another manifest.
        let place = orders(&payments);
        let before = payments.requests().len();
        for _ in 0..4 {
            let mut running = Running::start(place.running_to_the_end());
            let size = number(&place.path("orders.db"), ENTRIES) + 1 + chance.below(entries / 3);
            let there = running.until_or_ended("the journal's growth", || number(&place.path("orders.db"), ENTRIES) >= size);
            let lives = there && running.child().try_wait().expect("its state can be asked").is_none();
            running.kill();
            tried += 1;
            killed += u64::from(lives);
        }
        place.run().well();
        place.verifies();
        traces(&place).assert_same(&expected, &format!("after kills, seed {seed}"));
        assert_eq!(recorded(&payments), keys, "what reached the service, seed {seed}");
        repeated += payments.requests().len() - before - keys.len();
    }
    eprintln!("{tried} kills, {killed} of them of a living host; {repeated} requests were repeated, each under its key");
}

/// A limit on the size of files is a full disk for whoever writes past it; the signal is ignored so that writes fail.
#[test]
#[cfg(unix)]
fn a_full_disk_is_waited_for_and_told_once() {
    let whole = undisturbed();
    let place = demo();
    let full = place.running_to_the_end();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -S -f 4000; exec \"$@\"", "sh"]).arg(full.get_program()).args(full.get_args());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let journal = place.path("registration.db");
    let mut running = Running::start(command);
    let mut last = (0, Instant::now());
    running.until("a halt", || {
        let entries = number(&journal, ENTRIES);
        if entries != last.0 {
            last = (entries, Instant::now());
        }
        entries > 1 && last.1.elapsed() > Duration::from_secs(1)
    });
    let entries = number(&journal, ENTRIES);
    assert!((2..whole.entries).contains(&entries), "the disk was full at {entries} of {} entries", whole.entries);

    // Room again: it goes on by itself.
    let process = running.child().id().to_string();
    let lifted = std::process::Command::new("prlimit").args(["--pid", &process, "--fsize=unlimited"]).status();
    assert!(lifted.expect("prlimit of util-linux is there").success(), "the limit can be lifted");
    let done = running.end().well();
    for told in ["the store does not take the commit", "WARN purefold::observe: the store works again"] {
        assert_eq!(done.err.matches(told).count(), 1, "{told:?} once: {}", done.err);
    }
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
