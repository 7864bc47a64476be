//! Golden histories: journals that releases of purefold wrote, which every later one must verify.
//!
//! `tests/golden/<version>/<history>/` holds a manifest and its store as one file; components are in the store. `cargo xtask golden`
//! has the histories of this version made anew. Those of earlier versions are never touched.

use std::path::{Path, PathBuf};
use std::{env, fs};

use rusqlite::Connection;

use crate::faults::poke;
use crate::place::Place;
use crate::program::fixture;
use crate::releases::{add, first_release};
use crate::repository::root;
use crate::tables;

/// Names the folder into which this version's histories are written.
const TARGET_VARIABLE: &str = "PUREFOLD_GOLDEN";

/// Events of the demo that the reference workflow's history is made of.
const EVENTS: usize = 160;

/// A history of this version: its name, its store, and what must be in it, each a query that finds something.
struct History {
    name: &'static str,
    store: &'static str,
    place: Place,
    holds: &'static [&'static str],
}

/// Nodes that register, live, fall silent and never acknowledge; timers that wait, a rejection, and one node erased.
fn registration() -> History {
    let place = Place::registration();
    let events = fs::read_to_string(root().join("demo/events.jsonl")).unwrap();
    place.stream(events.lines().take(EVENTS));
    place.run_as_far_as_the_stream();
    // What waits for something cannot be erased.
    let sql = "SELECT key FROM entities WHERE key <> '' AND sequence > 3 AND id NOT IN (SELECT entity FROM timers) ORDER BY key";
    let first = place.rows("registration.db", sql).remove(0);
    place.ask("erase", &[&first, "--keep-state", "--reason", "asked for"]).well();
    let holds = &[
        "SELECT 1 FROM journal WHERE kind = 'erased'",
        "SELECT 1 FROM journal WHERE verdict = 'rejected'",
        "SELECT 1 FROM journal WHERE input LIKE '{\"timer\"%'",
        "SELECT 1 FROM journal WHERE kind = 'concluded'",
        "SELECT 1 FROM timers",
        "SELECT 1 FROM events",
    ][..];
    History { name: "registration", store: "registration.db", place, holds }
}

/// Faults that an operator redrove and dropped, and one that still waits with what came after it.
fn faults() -> History {
    let place = Place::misbehaving();
    let of = |entity: &'static str, misdeeds: &'static [&'static str]| {
        (1..).zip(misdeeds).map(move |(number, misdeed)| poke(entity, number, misdeed))
    };
    place.stream(of("a", &["none", "panic", "none"]).chain(of("b", &["endless_loop", "none"])).chain(of("c", &["panic", "none"])));
    place.run_as_far_as_the_stream();
    place.ask("parked", &["redrive", "a", "--reason", "tried again"]).exits(1);
    place.ask("parked", &["drop", "b", "--reason", "of no use"]).well();
    let holds = &[
        "SELECT 1 FROM journal WHERE output LIKE '%\"trap\"%'",
        "SELECT 1 FROM journal WHERE output LIKE '%\"fuel\"%'",
        "SELECT 1 FROM journal WHERE kind = 'parked'",
        "SELECT 1 FROM journal WHERE kind = 'resumed'",
        "SELECT 1 FROM journal WHERE kind = 'dropped'",
        "SELECT 1 FROM inbox",
    ][..];
    History { name: "faults", store: "misbehaving.db", place, holds }
}

/// Three releases, with states taken over from one to the next.
fn migrations() -> History {
    let place = first_release();
    for (release, number) in [("migrate-v2", 3), ("migrate-v3", 4)] {
        place.install(&fixture(release));
        place.append([add("a", number, 1)]);
        place.run_as_far_as_the_stream();
    }
    place.append([add("b", 5, 2)]);
    place.run_as_far_as_the_stream();
    let holds = &["SELECT 1 FROM journal WHERE kind = 'migrated'", "SELECT 1 FROM releases WHERE generation = 3"][..];
    History { name: "migrations", store: "adding.db", place, holds }
}

/// All that of a kept history is needed, in a place of its own; the component is taken out of the store.
fn kept(folder: &Path) -> Place {
    let manifest = fs::read_to_string(folder.join("workflow.toml")).unwrap();
    let table: toml::Table = manifest.parse().unwrap();
    let file = table["store"]["sqlite"].as_str().unwrap();
    let store = Connection::open(folder.join(file)).unwrap();
    let sql = "SELECT bytes FROM components JOIN releases ON component = digest ORDER BY generation DESC LIMIT 1";
    let component: Vec<u8> = store.query_row(sql, [], |row| row.get(0)).unwrap();
    drop(store);
    let beside = tempfile::NamedTempFile::new().unwrap();
    fs::write(beside.path(), component).unwrap();
    let place = Place::new(&manifest, beside.path());
    fs::copy(folder.join(file), place.path(file)).unwrap();
    place
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(of).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// A history that this version does not make any more is kept for the others.
#[test]
fn every_history_that_was_ever_kept_verifies() {
    let versions = folders(&root().join("tests/golden"));
    assert!(
        versions.iter().any(|version| version.ends_with(env!("CARGO_PKG_VERSION"))),
        "`cargo xtask golden` makes those of this version"
    );
    for version in versions {
        let histories = folders(&version);
        assert!(!histories.is_empty(), "{} is empty", version.display());
        for history in histories {
            let place = kept(&history);
            let done = place.ask("verify", &["--json"]);
            let last = done.json().pop().unwrap_or_else(|| panic!("{}: {}", history.display(), done.err));
            assert_eq!(last["mismatches"], 0, "{}: {}", history.display(), done.out);
            assert!(last["decisions"].as_u64().is_some_and(|decisions| decisions > 3), "{}: {}", history.display(), done.out);
        }
    }
}

#[test]
fn the_histories_of_this_version_hold_what_they_are_for_and_verify() {
    for History { name, store, place, holds } in [registration(), faults(), migrations()] {
        for sql in holds {
            assert!(!place.rows(store, sql).is_empty(), "{name}: {sql}");
        }
        place.verifies();
        let Some(target) = env::var_os(TARGET_VARIABLE) else { continue };
        let folder = PathBuf::from(target).join(env!("CARGO_PKG_VERSION")).join(name);
        fs::create_dir_all(&folder).unwrap();
        tables::in_one_file(&place.path(store));
        fs::copy(place.path(store), folder.join(store)).unwrap();
        fs::copy(place.manifest(), folder.join("workflow.toml")).unwrap();
    }
}
