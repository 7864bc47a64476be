//! What operators do about a workflow, and what the journal says of it afterwards.

mod dead_letters;
mod erasure;
mod intents;
mod parked;
mod pauses;
mod retention;

use serde_json::Value;

use crate::place::Place;
use crate::store::database;
use crate::tables;

/// The same workflow twice: with its journal in a file and in PostgreSQL.
pub(crate) fn on_each_store(place: impl Fn() -> Place) -> [Place; 2] {
    let mut other = place();
    other.keep_journal_in(database());
    [place(), other]
}

/// Has the table of notes take no rows.
fn close(place: &Place, database: &str, table: &str) {
    for (name, what) in [("no_insert", "INSERT"), ("no_update", "UPDATE")] {
        let body = "BEGIN SELECT RAISE(ABORT, 'the table is closed'); END";
        tables::change(&place.path(database), &format!("CREATE TRIGGER {name} BEFORE {what} ON {table} {body}"));
    }
}

/// Has it take rows again.
fn open(place: &Place, database: &str) {
    for name in ["no_insert", "no_update"] {
        tables::change(&place.path(database), &format!("DROP TRIGGER {name}"));
    }
}

/// The one number of a query, on whichever store.
fn number(place: &Place, database: &str, sql: &str) -> u64 {
    place.value(database, sql).parse().expect("a number")
}

/// Changes something by hand, on whichever store. A blob of zeroes is written as each of them writes it.
fn change(place: &Place, database: &str, sql: &str) {
    if place.files().iter().any(|name| name == database) {
        tables::change(&place.path(database), sql);
    } else {
        place.journal().execute(&sql.replace("zeroblob(32)", "decode(repeat('00', 32), 'hex')"));
    }
}

/// The acts in a chain: kind, who, why. The workflow's own chain has the empty key.
fn acts(place: &Place, database: &str, entity: &str) -> Vec<String> {
    let sql = format!(
        "SELECT kind, json_extract(output, '$.by'), json_extract(output, '$.reason') FROM entries \
         WHERE entity = '{entity}' AND kind IN ('redriven', 'abandoned', 'dropped', 'resumed', 'paused', 'erased') ORDER BY sequence, ordinal"
    );
    place.rows(database, &sql)
}

/// The answers of a command, each by its name.
fn answers(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["answer"].as_str().expect("an answer")).collect()
}
