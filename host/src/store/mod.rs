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
mod write;

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

pub use batch::{
    AcceptedRow, Batch, DeadLetterRow, DeliveryRow, EntityId, EntityRow, EntryRow, ErasedRow, ErasingRow, InboxRow, IntentKey,
    OutboxChange, OutboxRow, OutboxStatus, PauseRow, Row, Scope, SourceRow, TimerRow, Truncation,
};
pub use erase::Erased;
pub use error::StoreError;
pub use inspect::{Chain, Ended, Link, OutboxLine, Snapshot, Standing, WaitingInput};
pub use operate::{CommandRow, Question};
pub use read::{DeadLetter, DueTimer, OutstandingRow, Reader, StoredEntry};
pub use release::{NewRelease, Release};
pub use retain::{Aged, Checkpoint, Protection};
pub(crate) use status::NO_SOURCE;
pub use status::Standings;
pub use write::Writer;

/// Version of the tables. A store of another version is refused.
const SCHEMA_VERSION: i64 = 2;

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
        .map_err(|source| StoreError::Lock { path: PathBuf::from(&name), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Taken { path: path.into() }),
        Err(std::fs::TryLockError::Error(source)) => Err(StoreError::Lock { path: PathBuf::from(name), source }),
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
    let text: String = connection
        .query_row("SELECT value FROM meta WHERE name = 'journal'", [], |row| row.get(0))
        .map_err(|error| StoreError::open(path, &error))?;
    purefold_wit::uuid::parse(&text).ok_or_else(|| StoreError::Corrupt(format!("the journal's id is {text:?}")))
}

fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| StoreError::open(path, &error))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(|error| StoreError::open(path, &error))?;
    connection.pragma_update(None, "cache_size", -READ_CACHE_KIB).map_err(|error| StoreError::open(path, &error))?;
    prepare_once(&connection).map_err(|error| StoreError::open(path, &error))?;
    Ok(connection)
}
