//! Replay: history executed again, by those that decided it and by others.

mod bisecting;
mod explaining;
mod minimising;
mod page;
mod resuming;
mod shadows;
mod what_if;

use std::fs;
use std::sync::OnceLock;

use rusqlite::Connection;
use serde_json::Value;

use crate::place::Place;
use crate::program::{Done, fixture};
use crate::repository::root;
use crate::tables;

const STORE: &str = "registration.db";

/// A node that registers, sends one sign of life and falls silent: six decisions.
const SILENT: &str = "9ce05a5a-11b3-4a89-962f-19103dc5fae4";

/// The reference workflow after its demo, in one file.
fn demo() -> &'static Place {
    static DEMO: OnceLock<Place> = OnceLock::new();
    DEMO.get_or_init(|| {
        let place = Place::registration();
        place.stream_from(&root().join("demo/events.jsonl"));
        place.run_as_far_as_the_stream();
        tables::in_one_file(&place.path(STORE));
        place
    })
}

/// A copy of it that can be altered.
fn copy() -> Place {
    let place = Place::registration();
    fs::copy(demo().path(STORE), place.path(STORE)).expect("the store can be copied");
    place
}

/// `purefold replay` with a fixture in the place of the reducer.
fn replay(place: &Place, with: &str, rest: &[&str]) -> Done {
    let component = fixture(with);
    let mut arguments = vec!["--with", component.to_str().expect("a path of text"), "--json"];
    arguments.extend(rest);
    place.ask("replay", &arguments)
}

/// The last line, which counts.
#[track_caller]
fn counts(done: &Done) -> Value {
    done.json().pop().expect("counts")
}

/// Alters a file of the place.
#[track_caller]
fn alter(place: &Place, file: &str, sql: &str) {
    let connection = Connection::open(place.path(file)).expect("the file can be opened");
    assert!(connection.execute(sql, []).unwrap_or_else(|error| panic!("{sql}: {error}")) > 0, "{sql} changes nothing");
}
