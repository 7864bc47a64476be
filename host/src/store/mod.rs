//! The journal's home on one machine: a SQLite file.
//!
//! One host at a time writes it, held by a lock file beside it; everybody may read it meanwhile. [`Writer::commit`]
//! takes one [`Batch`] in one transaction and returns when it is on disk.

mod batch;
mod erase;
mod error;
pub(crate) mod faults;
mod inspect;
mod operate;
mod read;
mod release;
mod retain;
mod status;
mod tally;
mod timers;
mod write;

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

pub use batch::{
    AcceptedRow, Batch, DeadLetterRow, DeliveryRow, EntityId, EntityRow, EntryRow, ErasedRow, ErasingRow, InboxRow, IntentKey,
    OutboxChange, OutboxRow, OutboxStatus, PauseRow, Row, Scope, SourceRow, TimerRow, Truncation,
};
pub use erase::Erased;
pub use error::StoreError;
pub use inspect::{Chain, Ended, Link, Orphan, OutboxLine, Snapshot, Standing, WaitingInput};
pub use operate::{CommandRow, Question};
pub use read::{DeadLetter, OutstandingRow, Reader, StoredEntry};
pub use release::{NewRelease, Release};
pub use retain::{Aged, Checkpoint, Protection};
pub(crate) use status::NO_SOURCE;
pub use status::Standings;
pub use tally::Tally;
pub use timers::DueTimer;
pub use write::Writer;

/// Version of the tables. A store of another version is refused.
const SCHEMA_VERSION: i64 = 3;

/// How long a reader or the writer waits for another process's transaction.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// Page cache of the connection that writes.
const CACHE_KIB: i64 = 16 << 10;

/// Page cache of each connection that reads: there is one for every worker, and the system's own cache stands behind it.
const READ_CACHE_KIB: i64 = 2 << 10;

/// A decision's row is 1 to 3 KiB: pages of 4 KiB would hold one each and waste the rest.
const PAGE_BYTES: i64 = 8192;

/// Pages of write-ahead log after which a commit also writes back into the main file.
const CHECKPOINT_PAGES: i64 = 4096;

/// A store that this process has to itself for writing.
pub struct Store {
    path: PathBuf,
    journal: (u64, u64),
    // Held, not read: the lock goes with it.
    _lock: File,
}

impl Store {
    /// Opens the store at `path`, made where it is missing, and locks it.
    ///
    /// `id` is the journal's id, where the manifest sets it; `random` is taken where a new store is to choose its own.
    ///
    /// # Errors
    /// Where another host has it, it is of another version, its id is another one, or the file cannot be used.
    pub fn open(path: &Path, id: Option<(u64, u64)>, random: (u64, u64)) -> Result<Self, StoreError> {
        let path = &without_links(path);
        let lock = lock(path)?;
        let mut connection = Connection::open(path).map_err(|error| StoreError::open(path, &error))?;
        configure(&connection).map_err(|error| StoreError::open(path, &error))?;
        let version: i64 =
            connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|error| StoreError::open(path, &error))?;
        if version == 0 {
            create(&mut connection, id.unwrap_or(random)).map_err(|error| StoreError::open(path, &error))?;
        }
        let journal = journal_id(&connection, path)?;
        if let Some(expected) = id.filter(|id| *id != journal) {
            return Err(StoreError::OtherJournal {
                path: path.into(),
                expected: purefold_wit::uuid::format(expected.0, expected.1),
                found: purefold_wit::uuid::format(journal.0, journal.1),
            });
        }
        Ok(Store { path: path.into(), journal, _lock: lock })
    }

    /// The journal's id.
    #[must_use]
    pub fn journal(&self) -> (u64, u64) {
        self.journal
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A connection to commit through.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn writer(&self) -> Result<Writer, StoreError> {
        let connection = Connection::open(&self.path).map_err(|error| StoreError::open(&self.path, &error))?;
        configure(&connection).map_err(|error| StoreError::open(&self.path, &error))?;
        Ok(Writer::new(connection))
    }

    /// A connection to read through.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        Reader::open(&self.path)
    }
}

/// The path under which every host knows the file: a link is no second store.
fn without_links(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    // Not there yet: its folder may be, and what is wrong with that is told when the file is opened.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_path_buf(),
    }
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .map_err(|cause| StoreError::Lock { path: PathBuf::from(&name), cause })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Taken { path: path.into() }),
        Err(std::fs::TryLockError::Error(cause)) => Err(StoreError::Lock { path: PathBuf::from(name), cause }),
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Holds for a new file only, and before it becomes one with a log.
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    prepare_once(connection)
}

/// Statements stay prepared. Otherwise SQLite makes a new plan wherever a parameter of a join has another value.
fn prepare_once(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(64);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn create(connection: &mut Connection, id: (u64, u64)) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(include_str!("schema.sql"))?;
    transaction.execute("INSERT INTO meta VALUES ('journal', ?)", [purefold_wit::uuid::format(id.0, id.1)])?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

fn journal_id(connection: &Connection, path: &Path) -> Result<(u64, u64), StoreError> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|error| StoreError::open(path, &error))?;
    if version != SCHEMA_VERSION {
        return Err(StoreError::OtherVersion { path: path.into(), found: version, known: SCHEMA_VERSION });
    }
    let text: Option<String> = connection
        .query_row("SELECT value FROM meta WHERE name = 'journal'", [], |row| row.get(0))
        .optional()
        .map_err(|error| StoreError::open(path, &error))?;
    let text = text.ok_or_else(|| StoreError::Corrupt("the journal's id is gone from the table meta".into()))?;
    purefold_wit::uuid::parse(&text).ok_or_else(|| StoreError::Corrupt(format!("the journal's id is {text:?}")))
}

fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let opened = match connect_to_read(path, false) {
        Err(error) if matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)) => {
            if has_log(path) {
                return Err(StoreError::Unfolded { path: path.into(), reason: error.to_string() });
            }
            // Everything is in the file, and whoever cannot write beside it shares it with no host.
            connect_to_read(path, true)
        }
        opened => opened,
    };
    opened.map_err(|error| StoreError::open(path, &error))
}

/// Whether changes lie beside the file that are not in it yet.
fn has_log(path: &Path) -> bool {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    std::fs::metadata(name).is_ok_and(|log| log.len() > 0)
}

/// Opens the file and looks into it: with the first look SQLite opens the log, or makes an empty one where there is none.
/// `immutable` is for a file that nobody changes meanwhile, which is read without log and locks.
fn connect_to_read(path: &Path, immutable: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if immutable {
        Connection::open_with_flags(immutable_uri(path), flags | OpenFlags::SQLITE_OPEN_URI)
    } else {
        Connection::open_with_flags(path, flags)
    }?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "cache_size", -READ_CACHE_KIB)?;
    prepare_once(&connection)?;
    connection.query_row("PRAGMA user_version", [], |_| Ok(()))?;
    Ok(connection)
}

/// As SQLite writes names with settings (sqlite.org/uri.html).
fn immutable_uri(path: &Path) -> OsString {
    let mut uri = b"file:".to_vec();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'%' => uri.extend_from_slice(b"%25"),
            b'?' => uri.extend_from_slice(b"%3f"),
            b'#' => uri.extend_from_slice(b"%23"),
            byte => uri.push(*byte),
        }
    }
    uri.extend_from_slice(b"?immutable=1");
    OsString::from_vec(uri)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A store that a host left in order, where what SQLite would make beside it leads nowhere.
    fn left_alone(folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        let store = Store::open(&path, None, (1, 2)).unwrap();
        store.writer().unwrap().workflow("w").unwrap();
        drop(store);
        std::os::unix::fs::symlink("/nowhere/at/all", folder.join(format!("{name}-shm"))).unwrap();
        path
    }

    #[test]
    fn a_store_is_read_where_nothing_can_be_written_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["plain.db", "which?100%#1.db"] {
            let path = left_alone(folder.path(), name);
            let reader = Reader::open(&path).unwrap();
            assert_eq!(reader.journal().unwrap(), (1, 2));
            assert!(reader.workflow("w").unwrap().is_some());
            assert!(!has_log(&path));
        }
    }

    #[test]
    fn a_log_that_cannot_be_read_is_told_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = left_alone(folder.path(), "test.db");
        std::fs::write(folder.path().join("test.db-wal"), [7; 64]).unwrap();
        let error = Reader::open(&path).err().unwrap();
        assert!(matches!(error, StoreError::Unfolded { .. }), "{error}");
        assert!(error.to_string().contains("test.db-wal") && error.to_string().contains("copy both files"), "{error}");
    }
}
