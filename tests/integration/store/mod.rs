//! The journal in PostgreSQL: the program does there what it does on SQLite, whatever happens to either of them.

mod crashes;
mod database;
mod outages;
mod replaying;
mod rights;
mod same;
mod secure;

pub(crate) use database::Database;

use purefold_services::Kind;

use crate::place::Place;
use crate::program::target_folder;
use crate::repository::root;

/// A database on the server that tests share.
pub(crate) fn database() -> Database {
    let cache = purefold_services::Cache::new(target_folder().join("services"));
    Database::at(&purefold_services::shared(Kind::Postgres, &cache).unwrap_or_else(|error| panic!("{error:#}")))
}

/// The demo's stream on the reference workflow.
fn demo() -> Place {
    let place = Place::registration();
    place.stream_from(&root().join("demo/events.jsonl"));
    place
}

/// The same with its journal in PostgreSQL.
fn demo_in(database: Database) -> Place {
    let mut place = demo();
    place.keep_journal_in(database);
    place
}
