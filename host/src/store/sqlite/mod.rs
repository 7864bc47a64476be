//! The journal in a SQLite file, as far as SQLite differs.
//!
//! One host at a time has it, held by a lock file beside it. What SQLite alone knows stands in this folder: its settings for
//! the file, the log beside it, statements done row by row.

mod transaction;

use std::borrow::Cow;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, params_from_iter};

use super::StoreError;
use super::value::{Columns, Value};

pub(super) use transaction::{Transaction, after_erasing, begin_to_erase};

/// Version of the tables. A store of another version is refused.
const SCHEMA_VERSION: i64 = 6;

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

/// Opens the file at `path` for the one host that has it, with a new journal of that id where there is none. Gives the path
/// under which every host knows it, the lock, and a connection.
pub(super) fn open(path: &Path, id: (u64, u64)) -> Result<(PathBuf, File, Connection), StoreError> {
    let path = without_links(path);
    let lock = lock(&path)?;
    let failed = |error: rusqlite::Error| StoreError::open(&path, &error);
    let mut connection = Connection::open(&path).map_err(failed)?;
    configure(&connection).map_err(failed)?;
    if version(&connection).map_err(failed)? == 0 {
        create(&mut connection, id).map_err(failed)?;
    }
    check_version(&connection, &path)?;
    Ok((path, lock, connection))
}

/// As [`open`], without the lock.
#[cfg(test)]
pub(super) fn open_shared(path: &Path, id: (u64, u64)) -> Result<Connection, StoreError> {
    let failed = |error: rusqlite::Error| StoreError::open(path, &error);
    let mut connection = Connection::open(path).map_err(failed)?;
    configure(&connection).map_err(failed)?;
    if version(&connection).map_err(failed)? == 0 {
        create(&mut connection, id).map_err(failed)?;
    }
    Ok(connection)
}

/// A connection to write through.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path).map_err(|error| StoreError::open(path, &error))?;
    configure(&connection).map_err(|error| StoreError::open(path, &error))?;
    check_version(&connection, path)?;
    Ok(connection)
}

/// A connection to read through, beside a running host or not.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    if !path.exists() {
        return Err(StoreError::Missing { store: path.display().to_string() });
    }
    let connection = connect_to_read_somehow(path)?;
    check_version(&connection, path)?;
    Ok(connection)
}

/// The rows that `query` finds.
pub(super) fn rows<T>(
    connection: &Connection,
    query: &str,
    values: &[Value<'_>],
    mut map: impl FnMut(&Columns<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(map(&Columns::Sqlite(row))?);
    }
    Ok(found)
}

/// See [`super::connection::Connection::chained`]: a look by number costs less than the database's own recursion, which looks twice.
pub(super) fn chained<T>(
    connection: &Connection,
    one: &str,
    (first, limit): (i64, usize),
    mut map: impl FnMut(&Columns<'_>) -> Result<(i64, T), StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(one)?;
    let mut found = Vec::new();
    let mut number = first;
    while found.len() < limit {
        let mut rows = statement.query([number])?;
        let Some(row) = rows.next()? else { break };
        let (next, mapped) = map(&Columns::Sqlite(row))?;
        found.push(mapped);
        if next <= 0 || next >= number {
            break;
        }
        number = next;
    }
    Ok(found)
}

/// The first row that `query` finds.
pub(super) fn row<T>(
    connection: &Connection,
    query: &str,
    values: &[Value<'_>],
    map: impl FnOnce(&Columns<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query(params_from_iter(values))?;
    rows.next()?.map(|row| map(&Columns::Sqlite(row))).transpose()
}

/// Does one statement. Gives how many rows it was done to.
pub(super) fn execute(connection: &Connection, statement: &str, values: &[Value<'_>]) -> Result<usize, StoreError> {
    Ok(connection.prepare_cached(statement)?.execute(params_from_iter(values))?)
}

/// Begins a view of one moment that lasts.
pub(super) fn stay(connection: &Connection) -> Result<(), StoreError> {
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    Ok(connection.execute_batch("BEGIN")?)
}

/// A column's value.
pub(super) fn value<'r>(row: &'r rusqlite::Row<'_>, index: usize) -> Result<Value<'r>, StoreError> {
    Ok(match row.get_ref(index)? {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Text(bytes) => Value::Text(Cow::Borrowed(bytes)),
        ValueRef::Blob(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
        ValueRef::Real(number) => return Err(StoreError::Corrupt(format!("column {index} of a row holds the fraction {number}"))),
    })
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(number) => ValueRef::Integer(*number),
            Value::Text(bytes) => ValueRef::Text(bytes),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
            Value::Fingerprint(bytes) => ValueRef::Blob(bytes),
            Value::List(_) => return Err(rusqlite::Error::ToSqlConversionFailure("SQLite takes no lists".into())),
        }))
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
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Taken { store: path.display().to_string() }),
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

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn check_version(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    match version(connection).map_err(|error| StoreError::open(path, &error))? {
        SCHEMA_VERSION => Ok(()),
        found => Err(StoreError::OtherVersion { store: path.display().to_string(), found, known: SCHEMA_VERSION }),
    }
}

fn connect_to_read_somehow(path: &Path) -> Result<Connection, StoreError> {
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
    use crate::store::{Reader, Store};

    /// A store that a host left in order, where what SQLite would make beside it leads nowhere.
    fn left_alone(folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        let store = Store::open(&path.clone().into(), None, (1, 2)).unwrap();
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
            let reader = Reader::open(&path.clone().into()).unwrap();
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
        let error = Reader::open(&path.clone().into()).err().unwrap();
        assert!(matches!(error, StoreError::Unfolded { .. }), "{error}");
        assert!(error.to_string().contains("test.db-wal") && error.to_string().contains("copy both files"), "{error}");
    }
}
