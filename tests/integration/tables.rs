//! Reading SQLite files, while a host writes them or after.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

/// Rows of a query as text: columns stand apart by ` | `, NULL is empty, a blob is in hex.
#[track_caller]
pub(crate) fn rows(database: &Path, sql: &str) -> Vec<String> {
    try_rows(database, sql).unwrap_or_else(|error| panic!("{sql} on {}: {error}", database.display()))
}

/// The rows, if there is such a file with such tables yet.
pub(crate) fn try_rows(database: &Path, sql: &str) -> rusqlite::Result<Vec<String>> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_count();
    let rows =
        statement.query_map([], |row| (0..columns).map(|column| row.get_ref(column).map(text)).collect::<rusqlite::Result<Vec<_>>>())?;
    rows.map(|row| row.map(|columns| columns.join(" | "))).collect()
}

/// A number, if it can be had yet; 0 where it cannot.
pub(crate) fn number(database: &Path, sql: &str) -> u64 {
    let rows = try_rows(database, sql).unwrap_or_default();
    rows.first().and_then(|row| row.parse().ok()).unwrap_or(0)
}

/// Every row of every table of a file that somebody declared, each table's in an order of its own.
pub(crate) fn everything(database: &Path) -> Vec<String> {
    let tables = rows(database, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name");
    let mut all = Vec::new();
    for table in tables {
        let mut lines = rows(database, &format!("SELECT * FROM \"{table}\""));
        lines.sort();
        all.extend(lines.into_iter().map(|line| format!("{table}: {line}")));
    }
    all
}

/// Changes a file.
#[track_caller]
pub(crate) fn change(database: &Path, sql: &str) -> usize {
    let connection = Connection::open(database).expect("the database opens");
    connection.busy_timeout(std::time::Duration::from_secs(10)).expect("a timeout can be set");
    connection.execute(sql, []).unwrap_or_else(|error| panic!("{sql} on {}: {error}", database.display()))
}

/// Moves what is in the file beside a database into the database itself, so that it can be copied.
pub(crate) fn in_one_file(database: &Path) {
    let connection = Connection::open(database).expect("the database opens");
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).expect("a checkpoint can be made");
    assert_eq!(busy, 0, "nobody else uses {}", database.display());
}

/// Holds the write lock of a file until it is dropped.
pub(crate) struct Locked(Connection);

impl Locked {
    /// Takes the lock.
    pub(crate) fn take(database: &Path) -> Locked {
        let connection = Connection::open(database).expect("the database opens");
        connection.busy_timeout(std::time::Duration::from_secs(10)).expect("a timeout can be set");
        connection.execute_batch("BEGIN IMMEDIATE").expect("the lock can be had");
        Locked(connection)
    }

    /// Gives it back.
    pub(crate) fn release(self) {
        self.0.execute_batch("ROLLBACK").expect("the lock is held");
    }
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}
