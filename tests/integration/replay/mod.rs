//! Replay: history executed again, by those that decided it and by others.

mod bisecting;
mod explaining;
mod minimising;
mod page;
mod resuming;
mod shadows;
mod what_if;

use rusqlite::Connection;
use serde_json::Value;

use crate::place::Place;
use crate::program::{Done, fixture};
use crate::verification::{copy_of, demo};

const STORE: &str = "registration.db";

/// A node that registers, sends one sign of life and falls silent: six decisions.
const SILENT: &str = "9ce05a5a-11b3-4a89-962f-19103dc5fae4";

/// A copy of it that can be altered.
fn copy() -> Place {
    copy_of(demo())
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
