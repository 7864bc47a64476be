use rusqlite::Connection;

use super::*;
use crate::EffectError;
use crate::trial::{NONE, NOW, call, refused, some, started, text};
use purefold_wit::Value;

const SETTINGS: &str = "capability = 'table'\nsqlite = 'f.db'";

fn values(id: u64, site: &str, phase: u32) -> Vec<Value> {
    vec![
        Value::Uuid(0, id),
        text(site),
        Value::Enum(phase),
        Value::U64(7),
        some(Value::S8(-1)),
        Value::Bool(true),
        Value::F64(0.1),
        some(Value::Char('ß')),
        some(Value::Instant(NOW)),
        Value::List(vec![Value::Record([Value::U32(3), some(text("a\"b"))].into())]),
        Value::Map(vec![("z".into(), text("1")), ("a".into(), text("2"))]),
    ]
}

fn rows(connection: &Connection) -> Vec<String> {
    let sql = "SELECT concat_ws('|', id, site, phase, \"how many\", ifnull(delta, 'none'), live, load, grade, ifnull(seen_at, 'none'), parts, notes)
               FROM items ORDER BY id";
    connection.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn phases(connection: &Connection) -> Vec<(String, String)> {
    let mut statement = connection.prepare("SELECT site, phase FROM items ORDER BY site").unwrap();
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn the_routes_define_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let _operations = started(SETTINGS, folder.path(), &routes()).await;
    let connection = Connection::open(folder.path().join("f.db")).unwrap();
    let definition: String = connection.query_row("SELECT sql FROM sqlite_schema WHERE name = 'items'", [], |row| row.get(0)).unwrap();
    assert_eq!(
        definition,
        r#"CREATE TABLE "items" (
    "id" TEXT NOT NULL,
    "site" TEXT NOT NULL,
    "phase" TEXT NOT NULL CHECK ("phase" IN ('new', 'in_use', 'gone')),
    "how many" INTEGER NOT NULL,
    "delta" INTEGER,
    "live" INTEGER NOT NULL,
    "load" REAL NOT NULL,
    "grade" TEXT,
    "seen_at" TEXT,
    "parts" TEXT NOT NULL,
    "notes" TEXT NOT NULL,
    PRIMARY KEY ("site", "id")
) STRICT"#
    );
}

#[tokio::test]
async fn every_type_has_its_column_and_every_operation_its_change() {
    let folder = tempfile::tempdir().unwrap();
    let operations = started(SETTINGS, folder.path(), &routes()).await;
    let [upsert, insert, update, delete] = operations.as_slice() else { panic!("four routes") };
    let connection = Connection::open(folder.path().join("f.db")).unwrap();

    assert_eq!(upsert.perform(call("a", 1, 0, &values(1, "s", 1))).await, Ok(None));
    let whole = r#"00000000-0000-0000-0000-000000000001|s|in_use|7|-1|1|0.1|ß|2026-02-13T12:00:00.000000Z|[{"weight_g":3,"label":"a\"b"}]|{"z":"1","a":"2"}"#;
    assert_eq!(rows(&connection), [whole]);

    let mut changed = values(1, "s", 0);
    (changed[3], changed[4], changed[8]) = (Value::U64(8), NONE, NONE);
    assert_eq!(upsert.perform(call("a", 2, 0, &changed)).await, Ok(None));
    let expected = whole.replace("in_use|7|-1", "new|8|none").replace("2026-02-13T12:00:00.000000Z", "none");
    assert_eq!(rows(&connection), [expected]);

    let reason = refused(insert.perform(call("a", 3, 0, &values(1, "s", 0))).await);
    assert!(reason.contains("UNIQUE constraint failed: items.site, items.id"), "{reason}");
    assert_eq!(insert.perform(call("a", 3, 1, &values(2, "t", 0))).await, Ok(None));

    let set = |id, site| [Value::Uuid(0, id), text(site), Value::Enum(2)];
    assert_eq!(update.perform(call("a", 4, 0, &set(2, "t"))).await, Ok(None));
    assert_eq!(update.perform(call("a", 4, 1, &set(9, "nowhere"))).await, Ok(None), "an update of no row is a success");
    assert_eq!(phases(&connection), [("s".into(), "new".into()), ("t".into(), "gone".into())]);

    let gone = [text("s"), Value::Uuid(0, 1), text("no column for this")];
    assert_eq!(delete.perform(call("a", 5, 0, &gone)).await, Ok(None));
    assert_eq!(delete.perform(call("a", 6, 0, &gone)).await, Ok(None), "a delete of no row is a success");
    assert_eq!(phases(&connection), [("t".into(), "gone".into())]);
}

#[tokio::test]
async fn a_repeated_insert_is_no_conflict_with_itself_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let operations = started(SETTINGS, folder.path(), &routes()).await;
    let first = call("a", 1, 0, &values(1, "s", 0));
    assert_eq!(operations[1].perform(first.clone()).await, Ok(None));
    assert_eq!(operations[1].perform(first.clone()).await, Ok(None));
    drop(operations);
    let operations = started(SETTINGS, folder.path(), &routes()).await;
    assert_eq!(operations[1].perform(first).await, Ok(None));
    refused(operations[1].perform(call("another entity", 1, 0, &values(1, "s", 0))).await);
}

#[tokio::test]
async fn a_straggler_does_not_undo_what_came_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let operations = started(SETTINGS, folder.path(), &routes()).await;
    assert_eq!(operations[0].perform(call("a", 2, 0, &values(1, "s", 1))).await, Ok(None));
    assert_eq!(operations[0].perform(call("a", 1, 3, &values(1, "s", 0))).await, Ok(None));
    let connection = Connection::open(folder.path().join("f.db")).unwrap();
    assert_eq!(phases(&connection), [("s".into(), "in_use".into())]);
}

#[tokio::test]
async fn what_sqlite_cannot_hold_is_refused_by_the_fields_name() {
    let folder = tempfile::tempdir().unwrap();
    let operations = started(SETTINGS, folder.path(), &routes()).await;
    for (index, value, expected) in [
        (3, Value::U64(u64::MAX), "`count`: a number is past 9223372036854775807"),
        (6, Value::F64(f64::NAN), "`load`: NaN"),
        (8, some(Value::Instant(u64::MAX)), "`seen-at`: the instant is past the year 9999"),
        (1, Value::Bool(true), "`site`: the value is not of the field's type"),
    ] {
        let mut values = values(1, "s", 0);
        values[index] = value;
        let reason = refused(operations[0].perform(call("a", 1, 0, &values)).await);
        assert!(reason.contains(expected), "{reason}");
    }
    let mut extreme = values(1, "s", 0);
    (extreme[3], extreme[6]) = (Value::U64(i64::MAX as u64), Value::F64(f64::NEG_INFINITY));
    assert_eq!(operations[0].perform(call("a", 1, 0, &extreme)).await, Ok(None));
}

#[tokio::test]
async fn a_call_before_the_start_is_not_done() {
    let folder = tempfile::tempdir().unwrap();
    let effect = crate::trial::open(SETTINGS, folder.path()).unwrap();
    let operations = crate::trial::bind(&*effect, &routes()).unwrap();
    let result = operations[0].perform(call("a", 1, 0, &values(1, "s", 0))).await;
    assert!(matches!(result, Err(EffectError::NotDone { .. })), "{result:?}");
    assert!(!folder.path().join("f.db").exists(), "binding creates nothing");
}

#[tokio::test]
async fn an_existing_table_is_served_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let connection = Connection::open(folder.path().join("f.db")).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE items (number INTEGER PRIMARY KEY, ID uuid, site VARCHAR(20) NOT NULL, phase TEXT DEFAULT 'new',
             \"how many\" BIGINT, delta, live BOOLEAN, load DOUBLE PRECISION, grade CHAR(1), seen_at TIMESTAMP, parts JSONB, notes JSON,
             origin TEXT NOT NULL DEFAULT 'here', UNIQUE (id, site))",
        )
        .unwrap();
    let operations = started(SETTINGS, folder.path(), &routes()).await;
    for sequence in [1, 2] {
        assert_eq!(operations[0].perform(call("a", sequence, 0, &values(1, "007", 1))).await, Ok(None));
    }
    assert_eq!(rows(&connection).len(), 1);
    assert_eq!(phases(&connection), [("007".into(), "in_use".into())]);
}
