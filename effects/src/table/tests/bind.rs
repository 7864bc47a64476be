use std::path::Path;

use rusqlite::Connection;

use super::*;
use crate::trial::{bind, found, open};

const FILL: &str = "operation = 'upsert'\ntable = 't'\nkey = ['id']";
const CHANGE: &str = "operation = 'update'\ntable = 't'\nkey = ['id']";

fn row() -> Arc<Record> {
    record("row", &[("id", Type::Uuid), ("name", Type::String), ("size", option(Type::U32))])
}

fn effect(folder: &Path) -> Arc<dyn crate::Effect> {
    open("capability = 'table'\nsqlite = 'f.db'", folder).unwrap()
}

/// What is found about one route on a database with these tables.
fn check(existing: &str, record: &Arc<Record>, settings: &str) -> Vec<(&'static str, String)> {
    let folder = tempfile::tempdir().unwrap();
    if !existing.is_empty() {
        Connection::open(folder.path().join("f.db")).unwrap().execute_batch(existing).unwrap();
    }
    found(&*effect(folder.path()), &[trial("c", record, settings)])
}

#[test]
fn settings_of_a_route() {
    for (settings, expected) in [
        (FILL, &[][..]),
        ("operation = 'insert'\ntable = 't'", &[]),
        ("", &[("setting-missing", "operation"), ("setting-missing", "table"), ("setting-missing", "key")]),
        ("operation = 'upsrt'\ntable = 't'\nkey = ['id']", &[("setting-range", "operation")]),
        ("operation = 'upsert'\ntable = 't'\nkey = []", &[("setting-range", "key")]),
        ("operation = 'upsert'\ntable = 't'\nkey = ['di']", &[("key-field-missing", "key")]),
        ("operation = 'upsert'\ntable = 't'\nkey = ['id', 'id']", &[("setting-range", "key")]),
        ("operation = 'upsert'\ntable = 't'\nkey = ['size']", &[("key-field-type", "key")]),
        ("operation = 'upsert'\ntable = 'purefold_lanes'\nkey = ['id']", &[("setting-range", "table")]),
        ("operation = 'upsert'\ntable = 'SQLITE_x'\nkey = ['id']", &[("setting-range", "table")]),
        ("operation = 'upsert'\ntable = 't'\nkey = ['id']\ncolumns = { nmae = 'x' }", &[("field-unknown", "columns.nmae")]),
        ("operation = 'upsert'\ntable = 't'\nkey = ['id']\ncolumns = { name = 'ID' }", &[("column-twice", "columns")]),
        ("operation = 'upsert'\ntable = 't'\nkey = ['id']\ncolumns = { name = 1 }", &[("setting-type", "columns.name")]),
        ("operation = 'upsert'\ntable = 't'\nkey = ['id']\ncolum = 1", &[("setting-unknown", "colum")]),
        ("operation = 'update'\ntable = 't'\nkey = ['id']", &[("table-unknown", "table")]),
        ("operation = 'delete'\ntable = 't'\nkey = ['id']", &[("table-unknown", "table")]),
    ] {
        let expected: Vec<_> = expected.iter().map(|(code, name)| (*code, format!("intents.c.{name}"))).collect();
        assert_eq!(check("", &row(), settings), expected, "{settings}");
    }
}

#[test]
fn an_existing_table_must_take_the_record() {
    for (columns, expected) in [
        ("id TEXT PRIMARY KEY, name TEXT, size INT", &[][..]),
        ("id TEXT PRIMARY KEY, name TEXT", &[("field-without-column", "columns.size")]),
        ("id TEXT PRIMARY KEY, name INTEGER, size INT", &[("column-type", "columns.name")]),
        ("id TEXT PRIMARY KEY, name NUMERIC, size INT", &[("column-type", "columns.name")]),
        ("id BLOB PRIMARY KEY, name TEXT, size REAL", &[("column-type", "columns.id"), ("column-type", "columns.size")]),
        ("id TEXT PRIMARY KEY, name TEXT, size INT NOT NULL", &[("column-type", "columns.size")]),
        ("id TEXT PRIMARY KEY, name TEXT, size INT AS (1)", &[("column-type", "columns.size")]),
        ("id TEXT, name TEXT, size INT", &[("key-not-unique", "key")]),
        ("id TEXT, name TEXT, size INT, PRIMARY KEY (id, name)", &[("key-not-unique", "key")]),
        ("id TEXT PRIMARY KEY, name TEXT, size INT, more TEXT NOT NULL", &[("column-without-field", "columns")]),
        ("id TEXT PRIMARY KEY, name TEXT, size INT, more TEXT NOT NULL DEFAULT ''", &[]),
    ] {
        let expected: Vec<_> = expected.iter().map(|(code, name)| (*code, format!("intents.c.{name}"))).collect();
        assert_eq!(check(&format!("CREATE TABLE T ({columns})"), &row(), FILL), expected, "{columns}");
    }
    assert_eq!(check("CREATE VIEW t AS SELECT 1 AS id", &row(), FILL), [("table-unknown", "intents.c.table".to_owned())]);
    // An update brings no new rows: it needs neither a unique key nor every column.
    assert_eq!(check("CREATE TABLE t (id TEXT, name TEXT, size INT, more TEXT NOT NULL)", &row(), CHANGE), []);
}

#[test]
fn a_file_that_is_no_database_is_found() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f.db"), "something else that is long enough to be looked at").unwrap();
    assert_eq!(found(&*effect(folder.path()), &[trial("c", &row(), FILL)]), [("database-unreadable", "effects.e.sqlite".to_owned())]);
}

#[tokio::test]
async fn an_enum_may_not_outgrow_the_check_of_its_column() {
    let folder = tempfile::tempdir().unwrap();
    let of = |cases: &[&str]| [trial("c", &record("r", &[("id", Type::Uuid), ("phase", choice("phase", cases))]), FILL)];
    let effect = effect(folder.path());
    bind(&*effect, &of(&["a", "b-c"])).unwrap();
    effect.start().await.unwrap();
    assert_eq!(found(&*effect, &of(&["b-c"])), []);
    assert_eq!(found(&*effect, &of(&["a", "b-c", "d"])), [("column-type", "intents.c.columns.phase".to_owned())]);
}

#[test]
fn routes_of_one_table_must_agree() {
    let folder = tempfile::tempdir().unwrap();
    let effect = effect(folder.path());
    let set = |fields: &[(&str, Type)]| trial("set", &record("set", fields), CHANGE);
    let fill = || trial("fill", &row(), FILL);
    let id = || ("id", Type::Uuid);
    assert_eq!(found(&*effect, &[set(&[id(), ("name", Type::String)]), fill()]), []);
    assert_eq!(found(&*effect, &[fill(), set(&[id(), ("size", Type::U8)])]), []);
    for (field, code) in [
        (("name", Type::Bool), "column-type"),
        (("name", option(Type::String)), "column-type"),
        (("nmae", Type::String), "field-without-column"),
    ] {
        let place = format!("intents.set.columns.{}", field.0);
        assert_eq!(found(&*effect, &[fill(), set(&[id(), field])]), [(code, place)]);
    }
    let other = trial("other", &row(), "operation = 'insert'\ntable = 'T'\nkey = ['name']");
    assert_eq!(found(&*effect, &[fill(), other]), [("table-definitions-differ", "intents.other.key".to_owned())]);
    let only_key = record("k", &[id()]);
    assert_eq!(found(&*effect, &[fill(), trial("k", &only_key, CHANGE)]), [("nothing-to-set", "intents.k".to_owned())]);
}

#[test]
fn a_reply_cannot_be_filled_and_every_route_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut asks = trial("asks", &row(), FILL);
    asks.reply = Some(Type::U32);
    let bare = trial("bare", &row(), "table = 't'\nkey = ['id']");
    let expected = [("reply-unfillable", "intents.asks.outcome".to_owned()), ("setting-missing", "intents.bare.operation".to_owned())];
    assert_eq!(found(&*effect(folder.path()), &[asks, bare]), expected);
}

#[test]
fn one_broken_route_hides_no_fault_of_another_and_makes_none_up() {
    let folder = tempfile::tempdir().unwrap();
    let id = ("id", Type::Uuid);
    let broken = || trial("fill", &row(), "operation = 'upsert'\ntable = 't'\nkey = ['di']");
    let follows = || trial("set", &record("set", &[id.clone(), ("name", Type::String)]), CHANGE);
    let lost = || trial("lost", &row(), "operation = 'update'\ntable = 'nowhere'\nkey = ['id']");
    let expected = [("key-field-missing", "intents.fill.key".to_owned()), ("table-unknown", "intents.lost.table".to_owned())];
    assert_eq!(found(&*effect(folder.path()), &[broken(), follows(), lost()]), expected);
}

#[test]
fn an_effect_is_opened_from_what_it_says() {
    for (settings, code, place) in [
        ("", "setting-missing", "effects.e.capability"),
        ("capability = 'tabel'\nsqlite = 'f'", "capability-unknown", "effects.e.capability"),
        ("capability = 'table'", "backend-unknown", "effects.e.capability"),
        ("capability = 'table'\npostgres = 'x'", "setting-range", "effects.e.postgres"),
        ("capability = 'table'\nsqlite = 'f'\npostgres = 'x'", "backend-twice", "effects.e.postgres"),
        ("capability = 'service-registry'\nconsul = 'x'", "setting-range", "effects.e.consul"),
        ("capability = 'publish'\nkafka = 'x'", "setting-range", "effects.e.kafka"),
        ("capability = 'table'\nsqlite = 3", "setting-type", "effects.e.sqlite"),
        ("capability = 'table'\nsqlite = 'f'\nsynchronous = 'off'", "setting-unknown", "effects.e.synchronous"),
        ("capability = 'http'\ntimeout = '1s'", "setting-missing", "effects.e.hosts"),
        ("capability = 'http'\nhosts = []", "setting-range", "effects.e.hosts"),
        ("capability = 'http'\nhosts = ['https://a']", "setting-range", "effects.e.hosts[0]"),
        ("capability = 'http'\nhosts = ['a']\ntimeout = '1d'", "setting-range", "effects.e.timeout"),
        ("capability = 'service-registry'\nsqlite = 'f'\nttl = '1ms'", "setting-range", "effects.e.ttl"),
    ] {
        let findings = open(settings, Path::new(".")).err().unwrap_or_else(|| panic!("{settings} opens"));
        assert_eq!((findings[0].code, findings[0].place.as_str(), findings.len()), (code, place, 1), "{settings}");
    }
}
