//! What the backends on SQLite answer, one after the other in the same troubles; the guide's table of answers has a row
//! for each. What a file of events and an HTTP server answer is tested beside them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;

use purefold_wit::Type;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::trial::{Trial, call, record, refused, started, text, trial};
use crate::{Call, EffectError, Operation, Reply};

/// A backend, a route that changes one row, and the table that the row stands in.
struct Subject {
    settings: &'static str,
    route: Trial,
    table: &'static str,
    /// The rows, as text.
    rows: &'static str,
}

fn subjects() -> [Subject; 3] {
    let note = record("note", &[("id", Type::String), ("body", Type::String)]);
    let service = record("service", &[("service-id", Type::String), ("service-name", Type::String)]);
    [
        Subject {
            settings: "capability = 'table'\nsqlite = 'f.db'",
            route: trial("note", &note, "operation = 'upsert'\ntable = 'notes'\nkey = ['id']"),
            table: "notes",
            rows: "SELECT id || ' ' || body FROM notes",
        },
        Subject {
            settings: "capability = 'service-registry'\nsqlite = 'f.db'",
            route: trial("service", &service, "operation = 'register'"),
            table: "services",
            rows: "SELECT service_id || ' ' || service_name FROM services",
        },
        Subject {
            settings: "capability = 'key-value'\nsqlite = 'f.db'",
            route: trial("note", &note, "operation = 'put'\nkey = '{id}'\nvalue = 'body'"),
            table: "entries",
            rows: "SELECT key || ' ' || json_extract(value, '$') FROM entries",
        },
    ]
}

impl Subject {
    async fn operation(&self, folder: &Path) -> Arc<dyn Operation> {
        started(self.settings, folder, std::slice::from_ref(&self.route)).await.remove(0)
    }

    fn rows(&self, folder: &Path) -> Vec<String> {
        let connection = Connection::open(folder.join("f.db")).unwrap();
        let mut statement = connection.prepare(self.rows).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}

fn put(sequence: u64, body: &str) -> Call {
    call("n", sequence, 0, &[text("k"), text(body)])
}

fn not_done(result: Result<Reply, EffectError>) -> String {
    match result {
        Err(EffectError::NotDone { reason, retry_after: None }) => reason,
        other => panic!("expected that it is not done, found {other:?}"),
    }
}

#[tokio::test]
async fn a_constraint_that_is_violated_is_a_refusal() {
    for subject in subjects() {
        let folder = tempfile::tempdir().unwrap();
        let operation = subject.operation(folder.path()).await;
        let connection = Connection::open(folder.path().join("f.db")).unwrap();
        let trigger = format!("CREATE TRIGGER no BEFORE INSERT ON {} BEGIN SELECT RAISE(ABORT, 'not today'); END", subject.table);
        connection.execute_batch(&trigger).unwrap();
        let reason = refused(operation.perform(put(1, "a")).await);
        assert!(reason.contains("not today"), "{reason}");
        connection.execute_batch("DROP TRIGGER no").unwrap();
        assert_eq!(operation.perform(put(1, "a")).await, Ok(None), "{}: a refusal leaves no mark", subject.table);
    }
}

#[tokio::test]
async fn a_file_that_another_program_is_writing_to_is_not_done() {
    for subject in subjects() {
        let folder = tempfile::tempdir().unwrap();
        let operation = subject.operation(folder.path()).await;
        let other = Connection::open(folder.path().join("f.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let reason = not_done(operation.perform(put(1, "a")).await);
        assert!(reason.contains("locked"), "{reason}");
        other.execute_batch("COMMIT").unwrap();
        assert_eq!(operation.perform(put(1, "a")).await, Ok(None));
        assert_eq!(subject.rows(folder.path()), ["k a"]);
    }
}

#[tokio::test]
async fn a_table_that_is_gone_is_not_done() {
    for subject in subjects() {
        let folder = tempfile::tempdir().unwrap();
        let operation = subject.operation(folder.path()).await;
        let connection = Connection::open(folder.path().join("f.db")).unwrap();
        connection.execute_batch(&format!("ALTER TABLE {} RENAME TO away", subject.table)).unwrap();
        let reason = not_done(operation.perform(put(1, "a")).await);
        assert!(reason.contains("no such table"), "{reason}");
        connection.execute_batch(&format!("ALTER TABLE away RENAME TO {}", subject.table)).unwrap();
        assert_eq!(operation.perform(put(1, "a")).await, Ok(None));
    }
}

#[tokio::test]
async fn a_file_that_is_read_only_is_not_done() {
    for subject in subjects() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.db");
        drop(subject.operation(folder.path()).await);
        // A write version that this SQLite does not know makes a file read-only, whoever asks: file format, offset 18.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[18] = 3;
        std::fs::write(&path, bytes).unwrap();
        let effect = crate::trial::open(subject.settings, folder.path()).unwrap();
        let operation = crate::trial::bind(&*effect, std::slice::from_ref(&subject.route)).unwrap().remove(0);
        // Where the start meets it first, it is the start that says so.
        let reason = match effect.start().await {
            Err(error) => not_done(Err(error)),
            Ok(()) => not_done(operation.perform(put(1, "a")).await),
        };
        assert!(reason.contains("readonly"), "{reason}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_not_done() {
    for subject in subjects() {
        let folder = tempfile::tempdir().unwrap();
        let effect = crate::trial::open(subject.settings, folder.path()).unwrap();
        let operation = crate::trial::bind(&*effect, std::slice::from_ref(&subject.route)).unwrap().remove(0);
        std::fs::create_dir(folder.path().join("f.db")).unwrap();
        let reason = not_done(effect.start().await.map(|()| None));
        assert!(reason.contains("cannot open"), "{reason}");
        not_done(operation.perform(put(1, "a")).await);
    }
}

/// An attempt that was cut off and goes on later: its intent was repeated meanwhile, and another came after it.
#[tokio::test]
async fn a_straggler_of_an_older_attempt_changes_nothing() {
    for subject in subjects() {
        let folder = tempfile::tempdir().unwrap();
        let operation = subject.operation(folder.path()).await;
        let (release, released) = oneshot::channel::<()>();
        let straggler = tokio::spawn({
            let operation = Arc::clone(&operation);
            async move {
                released.await.unwrap();
                operation.perform(put(1, "first")).await
            }
        });
        assert_eq!(operation.perform(put(1, "first")).await, Ok(None), "the repeat");
        assert_eq!(operation.perform(put(2, "second")).await, Ok(None), "what comes after it");
        let marks = "SELECT sequence || '/' || idx FROM purefold_marks";
        let connection = Connection::open(folder.path().join("f.db")).unwrap();
        let mark = || connection.query_row(marks, [], |row| row.get::<_, String>(0)).unwrap();
        assert_eq!(mark(), "2/0");
        release.send(()).unwrap();
        assert_eq!(straggler.await.unwrap(), Ok(None), "it has been done, so it is no failure");
        assert_eq!((subject.rows(folder.path()), mark()), (vec!["k second".to_owned()], "2/0".to_owned()));
    }
}
