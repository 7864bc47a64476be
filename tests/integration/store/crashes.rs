//! `kill -9` in the middle of a stream whose journal is in PostgreSQL, then the same command again.

use super::{database, demo_in};
use crate::chance::Chance;
use crate::place::Running;
use crate::traces::Traces;

const ENTRIES: &str = "SELECT max(row) FROM journal";

/// Kills: each run costs a database of its own.
const KILLS: usize = 8;

#[test]
fn kills_at_random_moments_change_nothing() {
    let whole = demo_in(database());
    whole.run().well();
    let traces = Traces::of_registration(&whole);
    let entries = whole.journal().number(ENTRIES);
    let (mut chance, mut killed_at) = (Chance::new(1), Vec::new());
    while killed_at.len() < KILLS {
        let place = demo_in(database());
        // Some runs are killed twice.
        for _ in 0..=(killed_at.len() % 3 / 2) {
            let mut running = Running::start(place.running_to_the_end());
            let size = place.journal().number(ENTRIES) + 1 + chance.below(entries);
            running.until_or_ended("the journal's growth", || place.journal().number(ENTRIES) >= size);
            running.kill();
            killed_at.push(place.journal().number(ENTRIES));
        }
        place.run().well();
        place.verifies();
        Traces::of_registration(&place).assert_same(&traces, &format!("killed at {killed_at:?} of {entries} entries"));
    }
    assert!(killed_at.iter().any(|at| (2..entries).contains(at)), "no kill fell into a run: {killed_at:?} of {entries}");
}
