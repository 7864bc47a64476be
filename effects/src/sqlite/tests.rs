#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;
use proptest::prelude::*;
use rusqlite::Connection;
use rusqlite::ffi;
use rusqlite::types::Value;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

use super::failure::{classify, classify_commit};
use super::lane::{Lane, Owner};
use super::worker::Job;
use super::*;
use crate::sql::quote;
use crate::trial::{call, refused};
use crate::{Call, EffectError};

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

async fn ready(path: &Path, definition: &str) -> Arc<Database> {
    let database = Database::at(path);
    database.start(vec![definition.to_owned()], Vec::new()).await.unwrap();
    database
}

fn change(sql: &str, values: &[&str]) -> Change {
    Change { sql: sql.into(), values: values.iter().map(|value| Value::Text((*value).to_owned())).collect(), on_no_row: OnNoRow::Success }
}

fn at(entity: &str, sequence: u64, index: u32) -> Call {
    call(entity, sequence, index, &[])
}

fn column(path: &Path, sql: &str) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS t (x TEXT PRIMARY KEY CHECK (x <> 'bad')) STRICT";
const INSERT: &str = "INSERT INTO t VALUES (?1)";

#[tokio::test]
async fn a_failing_call_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.db");
    let database = ready(&path, TABLE).await;
    let calls = (0..50).map(|number| {
        let database = Arc::clone(&database);
        async move {
            let text = if number % 10 == 3 { "bad".to_owned() } else { number.to_string() };
            database.change("e".into(), &at(&format!("n{number}"), 1, 0), change(INSERT, &[&text])).await
        }
    });
    for (number, result) in join_all(calls).await.into_iter().enumerate() {
        if number % 10 == 3 {
            assert!(refused(result).contains("CHECK constraint failed"));
        } else {
            assert_eq!(result, Ok(None), "{number}");
        }
    }
    assert_eq!(column(&path, "SELECT x FROM t").len(), 45);
    assert_eq!(column(&path, "SELECT entity FROM purefold_lanes").len(), 45, "a refused call leaves no mark");
}

/// Failures that end the transaction of the whole batch, or come only with the commit.
#[tokio::test]
async fn a_failure_of_the_whole_transaction_is_pinned_to_its_call() {
    for definition in [
        "CREATE TABLE t (x TEXT PRIMARY KEY) STRICT;
         CREATE TRIGGER r BEFORE INSERT ON t WHEN NEW.x = 'bad' BEGIN SELECT RAISE(ROLLBACK, 'not this one'); END;",
        "CREATE TABLE good (x TEXT PRIMARY KEY) STRICT;
         CREATE TABLE t (x TEXT PRIMARY KEY REFERENCES good (x) DEFERRABLE INITIALLY DEFERRED) STRICT;
         INSERT INTO good VALUES ('0'), ('1'), ('2'), ('4'), ('5'), ('6'), ('7');",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.db");
        let database = ready(&path, definition).await;
        let calls = (0..8).map(|number| {
            let database = Arc::clone(&database);
            async move {
                let text = if number == 3 { "bad".to_owned() } else { number.to_string() };
                database.change("e".into(), &at(&format!("n{number}"), 1, 0), change(INSERT, &[&text])).await
            }
        });
        for (number, result) in join_all(calls).await.into_iter().enumerate() {
            if number == 3 {
                refused(result);
            } else {
                assert_eq!(result, Ok(None), "{number} with {definition}");
            }
        }
        assert_eq!(column(&path, "SELECT x FROM t ORDER BY x"), ["0", "1", "2", "4", "5", "6", "7"]);
        assert_eq!(column(&path, "SELECT entity FROM purefold_lanes").len(), 7);
    }
}

#[tokio::test]
async fn repeats_and_stragglers_change_nothing_and_succeed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.db");
    let database = ready(&path, TABLE).await;
    for (effect, sequence, index, text) in [
        ("e", 5, 1, "first"),
        ("e", 5, 1, "repeat"),
        ("e", 5, 0, "overtaken in its decision"),
        ("e", 4, 9, "overtaken"),
        ("other", 4, 9, "another effect's lane"),
        ("e", 5, 2, "next"),
        ("e", 6, 0, "later"),
    ] {
        assert_eq!(database.change(effect.into(), &at("n", sequence, index), change(INSERT, &[text])).await, Ok(None));
    }
    assert_eq!(column(&path, "SELECT x FROM t ORDER BY rowid"), ["first", "another effect's lane", "next", "later"]);
    let marks = column(&path, "SELECT concat_ws(' ', workflow, effect, entity, sequence, idx) FROM purefold_marks ORDER BY effect");
    assert_eq!(marks, ["w e n 6 0", "w other n 4 9"]);
}

#[tokio::test]
async fn marks_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep").join("er").join("f.db");
    let database = ready(&path, TABLE).await;
    assert_eq!(database.change("e".into(), &at("n", 1, 0), change(INSERT, &["once"])).await, Ok(None));
    drop(database);
    let log = path.with_extension("db-wal");
    assert!(!log.exists(), "the last handle waits until the file is closed");
    let database = ready(&path, TABLE).await;
    assert_eq!(database.change("e".into(), &at("n", 1, 0), change(INSERT, &["twice"])).await, Ok(None));
    assert_eq!(column(&path, "SELECT x FROM t"), ["once"]);
}

#[tokio::test]
async fn effects_of_one_file_share_its_thread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.db");
    let first = ready(&path, TABLE).await;
    assert!(Arc::ptr_eq(&first, &Database::at(&folder.path().join(".").join("f.db"))));
}

#[tokio::test]
async fn others_read_at_all_times_and_a_writer_in_the_way_is_waited_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.db");
    let database = ready(&path, TABLE).await;
    assert_eq!(database.change("e".into(), &at("n", 1, 0), change(INSERT, &["a"])).await, Ok(None));
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM t;").unwrap();
    assert_eq!(database.change("e".into(), &at("n", 2, 0), change(INSERT, &["b"])).await, Ok(None), "a reader is not in the way");
    other.execute_batch("COMMIT; BEGIN IMMEDIATE").unwrap();
    let result = database.change("e".into(), &at("n", 3, 0), change(INSERT, &["c"])).await;
    assert!(matches!(&result, Err(EffectError::NotDone { reason, .. }) if reason.contains("locked")), "{result:?}");
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(database.change("e".into(), &at("n", 3, 0), change(INSERT, &["c"])).await, Ok(None));
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_told_and_may_be_mended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.db");
    std::fs::create_dir(&path).unwrap();
    let database = Database::at(&path);
    let result = database.start(Vec::new(), Vec::new()).await;
    assert!(matches!(&result, Err(EffectError::NotDone { reason, .. }) if reason.contains("cannot open")), "{result:?}");
    let result = database.change("e".into(), &at("n", 1, 0), change(INSERT, &["a"])).await;
    assert!(matches!(result, Err(EffectError::NotDone { .. })), "{result:?}");
    std::fs::remove_dir(&path).unwrap();
    assert_eq!(database.start(vec![TABLE.to_owned()], vec![INSERT.into()]).await, Ok(()));
    assert_eq!(database.change("e".into(), &at("n", 1, 0), change(INSERT, &["a"])).await, Ok(None));
}

#[tokio::test]
async fn a_table_that_changed_after_its_check_is_found_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.db");
    drop(ready(&path, "CREATE TABLE t (y TEXT) STRICT").await);
    let result = Database::at(&path).start(vec![TABLE.to_owned()], vec!["UPDATE t SET x = ?1".into()]).await;
    assert!(matches!(&result, Err(EffectError::Refused(reason)) if reason.contains("no such column: x")), "{result:?}");
}

#[tokio::test]
async fn an_abandoned_attempt_that_has_not_begun_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.db");
    drop(ready(&path, TABLE).await);
    let (queue, jobs) = mpsc::channel(2);
    let job = |entity: &str, text: &str| {
        let (reply, answer) = oneshot::channel();
        let lane = Lane {
            owner: Owner { journal: "j".into(), workflow: "w".into(), effect: "e".into() },
            entity: entity.into(),
            sequence: 1,
            index: 0,
        };
        queue.try_send(Job::Change { lane, change: change(INSERT, &[text]), reply }).unwrap();
        answer
    };
    drop(job("n", "abandoned"));
    let waited_for = job("m", "waited for");
    let thread = worker::spawn(path.clone(), jobs).unwrap();
    assert_eq!(waited_for.await.unwrap(), Ok(()));
    drop(queue);
    thread.join().unwrap();
    assert_eq!(column(&path, "SELECT x FROM t"), ["waited for"]);
}

#[test]
fn errors_of_sqlite_have_their_kinds() {
    let kind = |error: EffectError| match error {
        EffectError::Refused(_) => "refused",
        EffectError::NotDone { .. } => "not done",
        EffectError::Unknown(_) => "unknown",
        EffectError::UnreadableReply(_) => "unreadable",
    };
    for (code, statement, commit) in [
        (ffi::SQLITE_CONSTRAINT, "refused", "refused"),
        (ffi::SQLITE_CONSTRAINT_DATATYPE, "refused", "refused"),
        (ffi::SQLITE_MISMATCH, "refused", "refused"),
        (ffi::SQLITE_TOOBIG, "refused", "refused"),
        (ffi::SQLITE_BUSY, "not done", "not done"),
        (ffi::SQLITE_FULL, "not done", "not done"),
        (ffi::SQLITE_IOERR, "not done", "unknown"),
        (ffi::SQLITE_IOERR_FSYNC, "not done", "unknown"),
        (ffi::SQLITE_READONLY, "not done", "not done"),
        (ffi::SQLITE_CORRUPT, "not done", "not done"),
        (ffi::SQLITE_ERROR, "not done", "not done"),
    ] {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        assert_eq!(kind(classify(&error, "x")), statement, "{code}");
        assert_eq!(kind(classify_commit(&error, "x")), commit, "{code}");
    }
}

#[test]
fn identifiers_are_quoted_whatever_they_hold() {
    let connection = Connection::open_in_memory().unwrap();
    for name in ["plain", "with space", "semi;colon", "quo\"te", "select", "ünï", "'single'"] {
        connection.execute_batch(&format!("CREATE TABLE {} (x)", quote(name))).unwrap();
        let found: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema WHERE name = ?1", [name], |row| row.get(0)).unwrap();
        assert_eq!(found, 1, "{name}");
    }
}

#[test]
fn a_catalogue_is_read_without_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd name%41?#.db");
    assert!(Catalog::read(&path).unwrap().table("t").unwrap().is_none());
    assert!(!path.exists());
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = wal;
             CREATE TABLE T (id INTEGER PRIMARY KEY, a TEXT NOT NULL DEFAULT 'x', b AS (a || 'y'), c, UNIQUE (a, c));
             CREATE UNIQUE INDEX part ON T (c) WHERE c > 1; CREATE UNIQUE INDEX expression ON T (lower(a)); CREATE VIEW v AS SELECT 1",
        )
        .unwrap();
    let while_open = Catalog::read(&path).unwrap().table("t").unwrap().unwrap();
    drop(connection);
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files(), 1);
    let table = Catalog::read(&path).unwrap().table("t").unwrap().unwrap();
    assert_eq!(files(), 1);
    assert_eq!(format!("{table:?}"), format!("{while_open:?}"));
    assert_eq!((table.kind, table.strict, table.name.as_str()), (TableKind::Table, false, "T"));
    assert_eq!(table.unique, [vec!["a".to_owned(), "c".to_owned()], vec!["id".to_owned()]]);
    let id = table.column("ID").unwrap();
    assert!(id.rowid && !id.generated);
    let a = table.column("a").unwrap();
    assert!(a.not_null && a.has_default && a.declared == "TEXT");
    assert!(table.column("b").unwrap().generated);
    assert_eq!(Catalog::read(&path).unwrap().table("v").unwrap().unwrap().kind, TableKind::Other);
    std::fs::write(&path, "no database at all, whatever its length may say").unwrap();
    assert!(Catalog::read(&path).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However calls are repeated, delayed and mixed, each lane ends as if its calls had come once, in their order,
    /// without those that a later one overtook.
    #[test]
    fn any_delivery_leaves_what_the_marks_allow(calls in prop::collection::vec((0_u8..4, 1_u64..6, 0_u32..3), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.db");
        runtime().block_on(async {
            let database = ready(&path, "CREATE TABLE seen (entity TEXT, sequence TEXT, idx TEXT) STRICT").await;
            let sent = calls.iter().map(|(entity, sequence, index)| {
                let (call, database) = (at(&entity.to_string(), *sequence, *index), Arc::clone(&database));
                let change = change("INSERT INTO seen VALUES (?1, ?2, ?3)", &[&entity.to_string(), &sequence.to_string(), &index.to_string()]);
                async move { database.change("e".into(), &call, change).await }
            });
            for result in join_all(sent).await {
                assert_eq!(result, Ok(None));
            }
        });
        let mut marks = BTreeMap::new();
        let mut expected = Vec::new();
        for (entity, sequence, index) in calls {
            if marks.get(&entity).is_none_or(|mark| *mark < (sequence, index)) {
                marks.insert(entity, (sequence, index));
                expected.push(format!("{entity} {sequence} {index}"));
            }
        }
        prop_assert_eq!(column(&path, "SELECT entity || ' ' || sequence || ' ' || idx FROM seen ORDER BY rowid"), expected);
    }
}
