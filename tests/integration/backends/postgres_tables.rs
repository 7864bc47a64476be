//! `table` on a real PostgreSQL: what it stores, what it finds at load, and what its answers mean.

use std::path::Path;
use std::sync::Arc;

use purefold_effects::trial::{NONE, NOW, Trial, bind, call, choice, list, open, option, record, refused, some, started, text, trial};
use purefold_effects::{EffectError, Operation, Reply};
use purefold_wit::{Finding, Record, Type, Value};
use tokio::task::JoinHandle;

use super::database::Database;
use super::{not_done, unique};

fn phase() -> Type {
    choice("phase", &["new", "in-use", "gone"])
}

/// A record with a field of every kind.
fn item() -> Arc<Record> {
    let part = Type::Record(record("part", &[("weight-g", Type::U32), ("label", option(Type::String))]));
    record(
        "put-item",
        &[
            ("id", Type::Uuid),
            ("site", Type::String),
            ("phase", phase()),
            ("count", Type::U64),
            ("delta", option(Type::S8)),
            ("live", Type::Bool),
            ("load", Type::F64),
            ("grade", option(Type::Char)),
            ("seen-at", option(Type::Instant)),
            ("parts", list(part)),
            ("notes", Type::Map(Arc::new(Type::String))),
            ("names", list(Type::String)),
            ("levels", list(option(Type::S32))),
        ],
    )
}

fn values(id: u64, phase: u32) -> Vec<Value> {
    vec![
        Value::Uuid(0, id),
        text("s"),
        Value::Enum(phase),
        Value::U64(u64::MAX),
        some(Value::S8(-1)),
        Value::Bool(true),
        Value::F64(0.1),
        some(Value::Char('ß')),
        some(Value::Instant(NOW)),
        Value::List(vec![Value::Record([Value::U32(3), some(text("a\"b"))].into())]),
        Value::Map(vec![("z".into(), text("1"))]),
        Value::List(vec![text("a,b"), text("\"q\\\""), text(""), text("NULL")]),
        Value::List(vec![some(Value::S32(-7)), NONE]),
    ]
}

fn routes() -> Vec<Trial> {
    let change = record("set-phase", &[("id", Type::Uuid), ("site", Type::String), ("phase", phase())]);
    let remove = record("drop-item", &[("site", Type::String), ("id", Type::Uuid), ("reason", Type::String)]);
    let key = "table = 'items'\nkey = ['site', 'id']\ncolumns = { count = 'how many' }";
    let short = "table = 'items'\nkey = ['id', 'site']";
    vec![
        trial("put-item", &item(), &format!("operation = 'upsert'\n{key}")),
        trial("add-item", &item(), &format!("operation = 'insert'\n{key}")),
        trial("set-phase", &change, &format!("operation = 'update'\n{short}")),
        trial("drop-item", &remove, &format!("operation = 'delete'\n{short}")),
    ]
}

fn settings(url: &str) -> String {
    format!("capability = 'table'\npostgres = '{url}'")
}

/// What is found when these routes are bound.
fn found(url: &str, routes: &[Trial]) -> Vec<Finding> {
    bind(&*open(&settings(url), Path::new(".")).unwrap(), routes).err().unwrap_or_default()
}

/// The statements that a manifest with the routes of [`routes`] prints, all on one table.
async fn make_tables(database: &Database, routes: &[Trial]) {
    let effect = open(&settings(&database.url), Path::new(".")).unwrap();
    let routes: Vec<_> = routes.iter().map(Trial::route).collect();
    for _ in 0..2 {
        // What is there already stays.
        database.execute(&effect.schema(&routes).unwrap().join(";\n")).await;
    }
}

async fn operations(database: &Database) -> Vec<Arc<dyn Operation>> {
    make_tables(database, &routes()).await;
    started(&settings(&database.url), Path::new("."), &routes()).await
}

fn numbered(lane: u64) -> String {
    format!("e-{lane}")
}

/// Begins an attempt in each of so many lanes, by their names, all at once.
fn all(
    operation: &Arc<dyn Operation>,
    sequence: u64,
    lanes: u64,
    name: impl Fn(u64) -> String,
    values: impl Fn(u64) -> Vec<Value>,
) -> Vec<JoinHandle<Result<Reply, EffectError>>> {
    let begin = |lane| {
        let (operation, call) = (Arc::clone(operation), call(&name(lane), sequence, 0, &values(lane)));
        tokio::spawn(async move { operation.perform(call).await })
    };
    (0..lanes).map(begin).collect()
}

#[tokio::test]
async fn every_type_has_its_column_and_every_operation_its_change() {
    let database = Database::new().await;
    let operations = operations(&database).await;
    let [upsert, insert, update, delete] = operations.as_slice() else { panic!("four routes") };
    let columns = "SELECT a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
        FROM pg_attribute a WHERE a.attrelid = 'items'::regclass AND a.attnum > 0 ORDER BY a.attnum";
    assert_eq!(
        database.texts(columns).await,
        [
            "id uuid NOT NULL",
            "site text NOT NULL",
            "phase text NOT NULL",
            "how many numeric(20,0) NOT NULL",
            "delta smallint",
            "live boolean NOT NULL",
            "load double precision NOT NULL",
            "grade text",
            "seen_at timestamp with time zone",
            "parts jsonb NOT NULL",
            "notes jsonb NOT NULL",
            "names text[] NOT NULL",
            "levels integer[] NOT NULL",
        ]
    );
    let rows = async || {
        let row = "SELECT concat_ws('|', id, site, phase, \"how many\", delta, live, load, grade, seen_at AT TIME ZONE 'UTC', parts, notes, names::text, levels::text)
            FROM items ORDER BY id";
        database.texts(row).await
    };
    assert_eq!(upsert.perform(call("a", 1, 0, &values(1, 1))).await, Ok(None));
    let whole = r#"00000000-0000-0000-0000-000000000001|s|in_use|18446744073709551615|-1|t|0.1|ß|2026-02-13 12:00:00|[{"label": "a\"b", "weight_g": 3}]|{"z": "1"}|{"a,b","\"q\\\"","","NULL"}|{-7,NULL}"#;
    assert_eq!(rows().await, [whole]);
    let mut changed = values(1, 0);
    (changed[4], changed[8]) = (NONE, NONE);
    assert_eq!(upsert.perform(call("a", 2, 0, &changed)).await, Ok(None));
    assert_eq!(rows().await, [whole.replace("in_use", "new").replace("|-1|", "|").replace("|2026-02-13 12:00:00|", "|")]);

    let reason = refused(insert.perform(call("a", 3, 0, &values(1, 0))).await);
    assert!(reason.contains("items_pkey") && reason.contains("23505") && !reason.contains("00000000-"), "{reason}");
    assert_eq!(insert.perform(call("a", 3, 1, &values(2, 0))).await, Ok(None));
    let phases = async || database.texts("SELECT phase FROM items ORDER BY id").await;
    let set = |id| [Value::Uuid(0, id), text("s"), Value::Enum(2)];
    assert_eq!(update.perform(call("a", 4, 0, &set(2))).await, Ok(None));
    assert_eq!(update.perform(call("a", 4, 1, &set(9))).await, Ok(None), "an update of no row is a success");
    assert_eq!(phases().await, ["new", "gone"]);
    let gone = [text("s"), Value::Uuid(0, 1), text("no column for this")];
    assert_eq!(delete.perform(call("a", 5, 0, &gone)).await, Ok(None));
    assert_eq!(delete.perform(call("a", 6, 0, &gone)).await, Ok(None), "a delete of no row is a success");
    assert_eq!(phases().await, ["gone"]);
}

#[tokio::test]
async fn repeats_and_stragglers_change_nothing_also_after_a_restart() {
    let database = Database::new().await;
    let first = operations(&database).await;
    let phases = async || database.texts("SELECT phase FROM items ORDER BY id").await;
    let insert = call("a", 1, 0, &values(1, 0));
    assert_eq!(first[1].perform(insert.clone()).await, Ok(None));
    assert_eq!(first[1].perform(insert.clone()).await, Ok(None), "a repeat is no conflict with itself");
    drop(first);
    let again = operations(&database).await;
    assert_eq!(again[1].perform(insert).await, Ok(None));
    assert_eq!(again[0].perform(call("a", 3, 0, &values(1, 2))).await, Ok(None));
    assert_eq!(again[0].perform(call("a", 2, 7, &values(1, 1))).await, Ok(None), "a straggler");
    assert_eq!(phases().await, ["gone"]);
    refused(again[1].perform(call("b", 1, 0, &values(1, 0))).await);
    let marks = "SELECT concat_ws(' ', workflow, effect, entity, sequence, idx) FROM purefold_marks ORDER BY 1";
    assert_eq!(database.texts(marks).await, ["w e a 3 0"], "what is refused leaves no mark");
}

/// An attempt that was given up is still under way in the server, and holds its lane's mark, when the next intent comes. It
/// commits then; the next one sees what it did, though it began before that.
#[tokio::test]
async fn what_follows_a_straggler_that_is_under_way_in_the_server_sees_what_it_did() {
    let database = Database::new().await;
    let operations = operations(&database).await;
    database
        .execute(
            "CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NEW; END';
             CREATE TRIGGER pause BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION pause()",
        )
        .await;
    // How many statements wait, once that are more than `before` and no more come.
    let waiting = async |before: usize| {
        let sql = "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let mut last = 0;
        for _ in 0..100 {
            let now = database.texts(sql).await.len();
            if now > before && now == last {
                return now;
            }
            last = now;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("more than {before} statements should wait by now");
    };
    // Alone, and in a batch of one statement for many lanes.
    for lanes in [1_u64, 40] {
        database.execute("SELECT pg_advisory_lock(4711)").await;
        let name = |lane| format!("{lanes}-{lane}");
        let stragglers = all(&operations[1], 1, lanes, name, |lane| values(lane, 0));
        let before = waiting(0).await;
        let deletes = all(&operations[3], 2, lanes, name, |lane| vec![text("s"), Value::Uuid(0, lane), text("no column for this")]);
        waiting(before).await;
        database.execute("SELECT pg_advisory_unlock(4711)").await;
        for done in stragglers.into_iter().chain(deletes) {
            assert_eq!(done.await.unwrap(), Ok(None));
        }
        assert_eq!(database.texts("SELECT count(*)::text FROM items").await, ["0"], "{lanes} lanes: nothing that was deleted is left");
    }
}

#[tokio::test]
async fn one_calls_fault_does_not_touch_the_others_of_its_batch() {
    let database = Database::new().await;
    let operations = operations(&database).await;
    assert_eq!(operations[1].perform(call("first", 1, 0, &values(0, 0))).await, Ok(None));
    // Every hundredth inserts what is there already.
    let calls = all(&operations[1], 1, 2_000, numbered, |number| values(if number % 100 == 0 { 0 } else { number }, 0));
    let mut count = 0;
    for (number, running) in calls.into_iter().enumerate() {
        let result = running.await.unwrap();
        if number % 100 == 0 {
            refused(result);
            count += 1;
        } else {
            assert_eq!(result, Ok(None));
        }
    }
    assert_eq!(count, 20);
    assert_eq!(database.texts("SELECT count(*)::text FROM items").await, ["1981"]);
}

/// Calls that come together are one statement, and do what each would have done alone.
#[tokio::test]
async fn many_lanes_together_are_changed_as_each_alone() {
    const LANES: u64 = 300;
    let database = Database::new().await;
    let operations = operations(&database).await;
    let [upsert, insert, update, delete] = operations.as_slice() else { panic!("four routes") };
    let all = async |operation: &Arc<dyn Operation>, sequence: u64, values: &dyn Fn(u64) -> Vec<Value>| {
        for done in all(operation, sequence, LANES, numbered, values) {
            assert_eq!(done.await.unwrap(), Ok(None));
        }
    };
    let counts =
        async |of: &str| database.texts(&format!("SELECT concat_ws(' ', {of}, count(*)) FROM items GROUP BY {of} ORDER BY 1")).await;
    // Another lane's row, written alone, is what the others are compared with.
    assert_eq!(insert.perform(call("alone", 1, 0, &values(LANES, 0))).await, Ok(None));
    let written = "concat_ws('|', phase, \"how many\", delta, live, load, grade, seen_at, parts, notes, names::text, levels::text)";
    all(insert, 1, &|lane| values(lane, 0)).await;
    assert_eq!(counts(&format!("md5({written})")).await.len(), 1);
    let optional = |lane: u64| {
        let mut values = values(lane, 0);
        (values[4], values[7], values[8]) = (NONE, NONE, NONE);
        values
    };
    all(upsert, 2, &optional).await;
    assert_eq!(counts("coalesce(delta::text, grade, 'none')").await, ["-1 1", "none 300"]);
    let set = |phase: u32| move |lane: u64| vec![Value::Uuid(0, lane), text("s"), Value::Enum(phase)];
    all(update, 4, &set(1)).await;
    all(update, 3, &set(2)).await;
    assert_eq!(counts("phase").await, ["in_use 300", "new 1"], "what comes late changes nothing");
    all(update, 4, &set(2)).await;
    assert_eq!(counts("phase").await, ["in_use 300", "new 1"], "nor does a repeat");
    // Half of the lanes have been here: only the others go on.
    for lane in 0..LANES / 2 {
        assert_eq!(update.perform(call(&format!("e-{lane}"), 6, 0, &set(1)(lane))).await, Ok(None));
    }
    all(delete, 5, &|lane| vec![text("s"), Value::Uuid(0, lane), text("")]).await;
    assert_eq!(counts("phase").await, ["in_use 150", "new 1"]);
}

#[tokio::test]
async fn existing_tables_are_served_as_they_are() {
    let database = Database::new().await;
    make_tables(&database, &routes()).await;
    database
        .execute(
            "DROP TABLE items; CREATE SCHEMA shop; CREATE TYPE phase AS ENUM ('gone', 'in_use', 'new', 'more'); CREATE DOMAIN site AS varchar(3);
             CREATE TABLE shop.items (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text, site site NOT NULL, phase phase DEFAULT 'new',
             \"how many\" bigint, delta int, live boolean, load float8, grade char(1), seen_at text, parts json, notes text, names varchar(9)[],
             levels bigint[], origin text NOT NULL DEFAULT 'here', UNIQUE (id, site))",
        )
        .await;
    let key = "operation = 'upsert'\ntable = 'shop.items'\nkey = ['site', 'id']\ncolumns = { count = 'how many' }";
    let operations = started(&settings(&database.url), Path::new("."), &[trial("put-item", &item(), key)]).await;
    let mut fitting = values(1, 1);
    fitting[3] = Value::U64(7);
    for sequence in [1, 2] {
        assert_eq!(operations[0].perform(call("a", sequence, 0, &fitting)).await, Ok(None));
    }
    let row = "SELECT concat_ws('|', id, site, phase, \"how many\", delta, seen_at, names::text) FROM shop.items";
    let expected = r#"00000000-0000-0000-0000-000000000001|s|in_use|7|-1|2026-02-13T12:00:00.000000Z|{"a,b","\"q\\\"","","NULL"}"#;
    assert_eq!(database.texts(row).await, [expected]);
    for (index, value, part) in [
        (3, Value::U64(u64::MAX), "out of range for type bigint"),
        (1, text("long"), "too long for type character varying(3)"),
        (1, text("a\0b"), "invalid byte sequence"),
        (5, Value::U8(1), "the field `live`"),
    ] {
        let mut values = fitting.clone();
        values[index] = value;
        let reason = refused(operations[0].perform(call("a", 3, 0, &values)).await);
        assert!(reason.contains(part), "{reason}");
    }
}

/// The statement in a finding's help mends what it found.
#[tokio::test]
async fn what_does_not_fit_is_found_with_the_sql_that_mends_it() {
    let row = record("row", &[("id", Type::Uuid), ("name", Type::String), ("size", option(Type::U32)), ("phase", phase())]);
    let fill = "operation = 'upsert'\ntable = 'things'\nkey = ['id']";
    let whole = "id uuid PRIMARY KEY, name text, size bigint, phase text";
    for (columns, expected) in [
        (whole, &[][..]),
        ("", &[("table-missing", "table", "CREATE TABLE")]),
        ("id uuid PRIMARY KEY, name text, phase text", &[("field-without-column", "columns.size", "ALTER TABLE")]),
        ("id uuid PRIMARY KEY, name int, size bigint, phase text", &[("column-type", "columns.name", "ALTER TABLE")]),
        ("id uuid PRIMARY KEY, name text, size int, phase text", &[("column-type", "columns.size", "ALTER TABLE")]),
        ("id uuid PRIMARY KEY, name text, size bigint NOT NULL, phase text", &[("column-type", "columns.size", "ALTER TABLE")]),
        ("id uuid PRIMARY KEY, name text, size bigint GENERATED ALWAYS AS (1) STORED, phase text", &[("column-type", "columns.size", "")]),
        ("id uuid PRIMARY KEY, name text, size bigint, phase short", &[("column-type", "columns.phase", "ALTER TYPE")]),
        (
            "id uuid PRIMARY KEY, name text, size bigint, phase text CHECK (phase IN ('new', 'in_use'))",
            &[("column-type", "columns.phase", "ALTER TABLE")],
        ),
        ("id uuid, name text, size bigint, phase text", &[("key-not-unique", "key", "")]),
        ("id uuid PRIMARY KEY, name text, size bigint, phase text, more text NOT NULL", &[("column-without-field", "columns", "")]),
    ] {
        let database = Database::new().await;
        make_tables(&database, &routes()).await;
        database.execute("CREATE TYPE short AS ENUM ('new')").await;
        if !columns.is_empty() {
            database.execute(&format!("CREATE TABLE things ({columns})")).await;
        }
        let routes = [trial("c", &row, fill)];
        let findings = found(&database.url, &routes);
        let told: Vec<(&str, &str)> = findings.iter().map(|found| (found.code, found.place.trim_start_matches("intents.c."))).collect();
        assert_eq!(told, expected.iter().map(|(code, place, _)| (*code, *place)).collect::<Vec<_>>(), "{columns}");
        if let [(_, _, begins)] = expected
            && !begins.is_empty()
        {
            let help = &findings[0].help;
            let sql = &help[help.find(begins).unwrap_or_else(|| panic!("no {begins} in {help}"))..];
            for statement in sql.split("; ") {
                database.execute(statement).await;
            }
            assert_eq!(found(&database.url, &routes), [], "{columns} after {sql}");
        }
    }
}

#[tokio::test]
async fn a_role_without_rights_is_told_what_it_lacks_at_load_and_waits_while_it_runs() {
    let database = Database::new().await;
    make_tables(&database, &routes()).await;
    let role = unique("role").replace('-', "_");
    database.execute(&format!("CREATE ROLE {role} LOGIN PASSWORD '{role}'")).await;
    let url = database.url_of(&role);
    let findings = found(&url, &routes());
    assert_eq!(findings.len(), 5, "the marks and four routes: {findings:?}");
    assert!(findings.iter().all(|finding| finding.code == "right-missing"), "{findings:?}");
    for finding in &findings {
        database.execute(finding.help.split_once(": ").unwrap().1).await;
    }
    assert_eq!(found(&url, &routes()), []);
    let operations = started(&settings(&url), Path::new("."), &routes()).await;
    assert_eq!(operations[0].perform(call("a", 1, 0, &values(1, 0))).await, Ok(None));
    database.execute(&format!("REVOKE UPDATE ON items FROM {role}")).await;
    let reason = not_done(operations[0].perform(call("a", 2, 0, &values(1, 1))).await);
    assert!(reason.contains("permission denied") && reason.contains("42501"), "{reason}");
    database.execute(&format!("GRANT UPDATE ON items TO {role}")).await;
    assert_eq!(operations[0].perform(call("a", 2, 0, &values(1, 1))).await, Ok(None));
}

#[tokio::test]
async fn a_table_that_is_lost_is_waited_for_and_does_not_hold_the_others() {
    let database = Database::new().await;
    let other = record("other", &[("id", Type::Uuid)]);
    let mut routes = routes();
    routes.push(trial("other", &other, "operation = 'insert'\ntable = 'others'"));
    make_tables(&database, &routes).await;
    let operations = started(&settings(&database.url), Path::new("."), &routes).await;
    assert_eq!(operations[0].perform(call("a", 1, 0, &values(1, 0))).await, Ok(None));
    database.execute("ALTER TABLE items RENAME TO gone").await;
    let calls = (0..50_u64).map(|number| {
        let lost = operations[0].perform(call(&format!("l-{number}"), 2, 0, &values(1, 0)));
        let other = operations[4].perform(call(&format!("o-{number}"), 2, 0, &[Value::Uuid(0, number)]));
        async move { tokio::join!(lost, other) }
    });
    let mut running = tokio::task::JoinSet::new();
    calls.for_each(|call| drop(running.spawn(call)));
    while let Some(done) = running.join_next().await {
        let (lost, other) = done.unwrap();
        let reason = not_done(lost);
        assert!(reason.contains("42P01"), "{reason}");
        assert_eq!(other, Ok(None));
    }
    database.execute("ALTER TABLE gone RENAME TO items").await;
    assert_eq!(operations[0].perform(call("a", 2, 0, &values(1, 0))).await, Ok(None));
}

#[tokio::test]
async fn who_cannot_connect_is_told_at_load_without_the_password() {
    let database = Database::new().await;
    let secret = "s3cret-s3cret";
    let (scheme, place) = database.url.split_once("postgres:purefold-test@").unwrap_or((&database.url, ""));
    let wrong_password = format!("{scheme}postgres:{secret}@{place}");
    let nobody = format!("postgres://postgres:{secret}@127.0.0.1:1/postgres");
    let tls = format!("{}?sslmode=require", database.url);
    for (url, part) in [(wrong_password, "28P01"), (nobody, "refused"), (tls, "TLS")] {
        let findings = found(&url, &routes());
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!((findings[0].code, findings[0].place.as_str()), ("database-unreachable", "effects.e.postgres"));
        let told = findings[0].to_string();
        assert!(told.contains(part) && !told.contains(secret), "{told}");
    }
    for text in ["", "no connection string s3cret-s3cret", "postgres://h:port/x"] {
        let findings = open(&settings(text), Path::new(".")).err().unwrap();
        assert_eq!((findings[0].code, findings[0].place.as_str()), ("setting-range", "effects.e.postgres"), "{text}");
        assert!(!findings[0].to_string().contains(secret));
    }
    let idle = format!("{}\nca = 'ca.pem'", settings(&database.url));
    let findings = open(&idle, Path::new(".")).err().unwrap();
    assert_eq!((findings[0].code, findings[0].place.as_str()), ("setting-range", "effects.e.ca"));
    let unreadable = format!("{}\nca = 'nowhere.pem'", settings(&format!("{}?sslmode=require", database.url)));
    let findings = bind(&*open(&unreadable, Path::new("/")).unwrap(), &routes()).err().unwrap();
    assert!(findings[0].code == "database-unreachable" && findings[0].cause.contains("nowhere.pem"), "{findings:?}");
}
