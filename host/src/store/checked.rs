//! What `verify` has checked, in a small SQLite file of its own, so that it can be cut off and go on.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::{EntityRow, Row};
use crate::journal::EntryHash;

/// Version of the file's tables. A file of another version is refused.
const VERSION: i64 = 1;

/// How long one of several processes waits for another's transaction.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// Up to where an entity's chain has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedHead {
    /// The last entry that was checked.
    pub row: Row,
    /// Its hash.
    pub hash: EntryHash,
    /// What was pending after it, as whoever checked it says.
    pub left: String,
}

/// A file of what was checked of one workflow's journal.
pub struct CheckedHeads {
    connection: Connection,
}

impl CheckedHeads {
    /// Opens the file at `path`, made where it is missing, for the journal and the workflow of these names.
    ///
    /// # Errors
    /// Why the file cannot be used: it cannot be written, or is of another journal, workflow or version.
    pub fn open(path: &Path, journal: (u64, u64), workflow: &str) -> Result<Self, String> {
        let failed = |error: rusqlite::Error| error.to_string();
        let connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        let about = format!("{} {workflow}", purefold_wit::uuid::format(journal.0, journal.1));
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
        if version == 0 {
            let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
            if tables > 0 {
                return Err("it is a database of something else".into());
            }
            // What is lost with the machine is checked again.
            let make = format!(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; BEGIN; CREATE TABLE about (text TEXT NOT NULL) STRICT; \
                 CREATE TABLE checked (key TEXT PRIMARY KEY, row INTEGER NOT NULL, hash BLOB NOT NULL, pending TEXT NOT NULL) \
                 STRICT, WITHOUT ROWID; PRAGMA user_version = {VERSION}; COMMIT"
            );
            connection.execute_batch(&make).map_err(failed)?;
            connection.execute("INSERT INTO about VALUES (?)", [&about]).map_err(failed)?;
        } else if version != VERSION {
            return Err(format!("it is of version {version}, and this one knows version {VERSION} only"));
        }
        let of: String = connection.query_row("SELECT text FROM about", [], |row| row.get(0)).map_err(failed)?;
        if of != about {
            return Err(format!("it is of journal and workflow {of}, not of {about}"));
        }
        Ok(CheckedHeads { connection })
    }

    /// Up to where the entity of that key was checked.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn of(&self, key: &str) -> Result<Option<CheckedHead>, String> {
        let mut query =
            self.connection.prepare_cached("SELECT row, hash, pending FROM checked WHERE key = ?").map_err(|e| e.to_string())?;
        let found = query.query_row([key], |row| Ok(CheckedHead { row: row.get(0)?, hash: row.get(1)?, left: row.get(2)? }));
        found.optional().map_err(|error| error.to_string())
    }

    /// Keeps that these entities were checked up to their heads, with what is left pending after them.
    ///
    /// # Errors
    /// Where the file cannot be written; nothing is kept then.
    pub fn keep(&mut self, entities: &[(EntityRow, String)]) -> Result<(), String> {
        let failed = |error: rusqlite::Error| error.to_string();
        let transaction = self.connection.transaction().map_err(failed)?;
        {
            let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO checked VALUES (?, ?, ?, ?)").map_err(failed)?;
            for (entity, left) in entities {
                put.execute(params![&*entity.key, entity.head_row, entity.head, left]).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)
    }
}
