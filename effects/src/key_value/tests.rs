#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use purefold_wit::{Record, Value};
use rusqlite::Connection;

use super::*;
use crate::trial::{NONE, Trial, call, found, open, option, record, refused, some, started, text, trial};

const SETTINGS: &str = "capability = 'key-value'\nsqlite = 'kv.db'";

fn stock() -> Arc<Record> {
    let level = Type::Record(record("level", &[("left", Type::U32)]));
    record("stock", &[("item", Type::String), ("level", level.clone()), ("before", option(level))])
}

fn routes() -> Vec<Trial> {
    vec![
        trial("put", &stock(), "operation = 'put'\nkey = 'stock/{item}'\nvalue = 'level'"),
        trial("whole", &stock(), "operation = 'put'\nkey = 'whole/{item}'"),
        trial("delete", &stock(), "operation = 'delete'\nkey = 'stock/{item}'"),
        trial("cas", &stock(), "operation = 'cas'\nkey = 'stock/{item}'\nvalue = 'level'\nexpect = 'before'"),
    ]
}

fn entries(folder: &Path) -> Vec<String> {
    let connection = Connection::open(folder.join("kv.db")).unwrap();
    let mut statement = connection.prepare("SELECT concat_ws(' ', key, value, updated_at) FROM entries ORDER BY key").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn level(left: u32) -> Value {
    Value::Record([Value::U32(left)].into())
}

#[tokio::test]
async fn entries_are_put_swapped_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let operations = started(SETTINGS, folder.path(), &routes()).await;
    let [put, whole, delete, cas] = operations.as_slice() else { panic!("four routes") };
    let values = |left, before| [text("nut"), level(left), before];
    let entry = |left: u32| format!(r#"stock/nut {{"left":{left}}} 2026-02-13T12:00:00.000000Z"#);

    assert_eq!(cas.perform(call("a", 1, 0, &values(1, NONE))).await, Ok(None));
    assert_eq!(cas.perform(call("a", 1, 0, &values(1, NONE))).await, Ok(None), "a repeat is no conflict with itself");
    assert_eq!(refused(cas.perform(call("a", 1, 1, &values(2, NONE))).await), "the key is there already");
    assert_eq!(refused(cas.perform(call("a", 1, 2, &values(2, some(level(9))))).await), "the key does not hold the expected value");
    assert_eq!(entries(folder.path()), [entry(1)]);
    assert_eq!(cas.perform(call("a", 2, 0, &values(2, some(level(1))))).await, Ok(None));
    assert_eq!(entries(folder.path()), [entry(2)]);
    assert_eq!(put.perform(call("a", 3, 0, &values(3, NONE))).await, Ok(None));
    assert_eq!(put.perform(call("a", 2, 5, &values(0, NONE))).await, Ok(None), "a straggler changes nothing");
    assert_eq!(entries(folder.path()), [entry(3)]);
    assert_eq!(delete.perform(call("a", 4, 0, &values(0, NONE))).await, Ok(None));
    assert_eq!(delete.perform(call("a", 5, 0, &values(0, NONE))).await, Ok(None), "what is gone already is a success");
    assert_eq!(whole.perform(call("a", 6, 0, &values(4, NONE))).await, Ok(None));
    let record = r#"whole/nut {"item":"nut","level":{"left":4},"before":null} 2026-02-13T12:00:00.000000Z"#;
    assert_eq!(entries(folder.path()), [record]);
}

#[tokio::test]
async fn keys_and_values_have_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let note = record("note", &[("name", Type::String), ("text", Type::String)]);
    let route = trial("put", &note, "operation = 'put'\nkey = '{name}'\nvalue = 'text'");
    let operations = started(SETTINGS, folder.path(), &[route]).await;
    let values = |name: usize, value: usize| [text(&"n".repeat(name)), text(&"v".repeat(value))];
    for (sequence, name, value, fits) in [
        (1, 1, 0, true),
        (2, KEY_BYTES_MAX, VALUE_BYTES_MAX - 2, true),
        (3, 0, 0, false),
        (4, KEY_BYTES_MAX + 1, 0, false),
        (5, 1, VALUE_BYTES_MAX - 1, false),
    ] {
        let result = operations[0].perform(call("a", sequence, 0, &values(name, value))).await;
        assert_eq!(result.is_ok(), fits, "{name} and {value} bytes: {result:?}");
    }
}

#[test]
fn what_a_route_needs_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let effect = open(SETTINGS, folder.path()).unwrap();
    let cas = "operation = 'cas'\nkey = '{item}'\n";
    for (settings, expected) in [
        ("operation = 'put'\nkey = 'all'".to_owned(), &[][..]),
        (String::new(), &[("setting-missing", "operation"), ("setting-missing", "key")]),
        ("operation = 'put'\nkey = 'item'".to_owned(), &[("template-field", "key")]),
        ("operation = 'put'\nkey = '{itm}'".to_owned(), &[("template-field", "key")]),
        ("operation = 'put'\nkey = '{level}'".to_owned(), &[("template-field", "key")]),
        ("operation = 'put'\nkey = '{item}'\nvalue = 'lvl'".to_owned(), &[("field-missing", "value")]),
        ("operation = 'put'\nkey = '{item}'\nexpect = 'before'".to_owned(), &[("setting-unknown", "expect")]),
        ("operation = 'delete'\nkey = '{item}'\nvalue = 'level'".to_owned(), &[("setting-unknown", "value")]),
        (format!("{cas}value = 'level'"), &[("setting-missing", "expect")]),
        (format!("{cas}expect = 'before'"), &[("field-type", "expect")]),
        (format!("{cas}value = 'level'\nexpect = 'item'"), &[("field-type", "expect")]),
        (format!("{cas}value = 'level'\nexpect = 'bfore'"), &[("field-missing", "expect")]),
        (format!("{cas}value = 'level'\nexpect = 'level'"), &[]),
    ] {
        let expected: Vec<_> = expected.iter().map(|(code, name)| (*code, format!("intents.c.{name}"))).collect();
        assert_eq!(found(&*effect, &[trial("c", &stock(), &settings)]), expected, "{settings}");
    }
}
