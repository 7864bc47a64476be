#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use purefold_wit::{Record, Value};
use rusqlite::Connection;

use super::*;
use crate::trial::{NONE, Trial, call, found, list, open, option, record, refused, some, started, text, trial};

const SETTINGS: &str = "capability = 'service-registry'\nsqlite = 'services.db'\nttl = '90s'";

fn service() -> Arc<Record> {
    record(
        "register-service",
        &[
            ("service-id", Type::String),
            ("service-name", Type::String),
            ("tags", list(Type::String)),
            ("address", option(Type::String)),
            ("port", option(Type::U16)),
            ("attempt-id", Type::Uuid),
        ],
    )
}

fn id_only() -> Arc<Record> {
    record("by-id", &[("correlation-id", Type::String), ("service-id", Type::String)])
}

fn routes() -> Vec<Trial> {
    let meta =
        record("with-meta", &[("service-id", Type::String), ("service-name", Type::String), ("meta", Type::Map(Arc::new(Type::String)))]);
    vec![
        trial("register", &service(), "operation = 'register'"),
        trial("deregister", &id_only(), "operation = 'deregister'"),
        trial("pass", &id_only(), "operation = 'pass'"),
        trial("with-meta", &meta, "operation = 'register'"),
    ]
}

fn rows(folder: &Path) -> Vec<String> {
    let connection = Connection::open(folder.join("services.db")).unwrap();
    let sql = "SELECT concat_ws('|', service_id, service_name, tags, ifnull(address, '-'), ifnull(port, '-'), meta, ifnull(passing_until, '-'), registered_at, workflow, entity)
               FROM services ORDER BY service_id";
    connection.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_service_comes_lives_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let operations = started(SETTINGS, folder.path(), &routes()).await;
    let [register, deregister, pass, with_meta] = operations.as_slice() else { panic!("four routes") };
    let id = || [text("c"), text("s-1")];

    let reason = refused(pass.perform(call("n", 1, 0, &id())).await);
    assert_eq!(reason, "the service is not registered");

    let tags = Value::List(vec![text("onex"), text("a,\"b\"")]);
    let whole = [text("s-1"), text("web"), tags.clone(), some(text("10.0.0.7")), some(Value::U16(65_535)), Value::Uuid(1, 2)];
    assert_eq!(register.perform(call("n", 1, 1, &whole)).await, Ok(None));
    let tail = "2026-02-13T12:01:30.000000Z|2026-02-13T12:00:00.000000Z|w|n";
    assert_eq!(rows(folder.path()), [format!(r#"s-1|web|["onex","a,\"b\""]|10.0.0.7|65535|{{}}|{tail}"#)]);

    let bare = [text("s-1"), text("web"), Value::List(vec![]), NONE, NONE, Value::Uuid(1, 2)];
    assert_eq!(register.perform(call("n", 2, 0, &bare)).await, Ok(None));
    assert_eq!(rows(folder.path()), [format!("s-1|web|[]|-|-|{{}}|{tail}")], "nothing of the first registration is left");
    assert_eq!(register.perform(call("n", 1, 1, &whole)).await, Ok(None));
    assert_eq!(rows(folder.path()), [format!("s-1|web|[]|-|-|{{}}|{tail}")], "a straggler changes nothing");

    let mut later = call("n", 3, 0, &id());
    later.now += 60_000_000;
    assert_eq!(pass.perform(later).await, Ok(None));
    assert!(rows(folder.path())[0].contains("|2026-02-13T12:02:30.000000Z|2026-02-13T12:00:00.000000Z|"), "{:?}", rows(folder.path()));

    let meta = [text("s-2"), text("web"), Value::Map(vec![("b".into(), text("1")), ("a".into(), text("2"))])];
    assert_eq!(with_meta.perform(call("m", 1, 0, &meta)).await, Ok(None));
    assert_eq!(deregister.perform(call("n", 4, 0, &id())).await, Ok(None));
    assert_eq!(deregister.perform(call("n", 5, 0, &id())).await, Ok(None), "a service that is gone already is a success");
    assert_eq!(rows(folder.path()), [format!(r#"s-2|web|[]|-|-|{{"b":"1","a":"2"}}|{}"#, tail.replace("|n", "|m"))]);
}

#[tokio::test]
async fn without_a_ttl_a_service_has_no_end() {
    let folder = tempfile::tempdir().unwrap();
    let settings = SETTINGS.replace("ttl = '90s'", "");
    let operations = started(&settings, folder.path(), &routes()[..1]).await;
    let bare = [text("s-1"), text("web"), Value::List(vec![]), NONE, NONE, Value::Uuid(1, 2)];
    assert_eq!(operations[0].perform(call("n", 1, 0, &bare)).await, Ok(None));
    assert_eq!(rows(folder.path()), ["s-1|web|[]|-|-|{}|-|2026-02-13T12:00:00.000000Z|w|n"]);
}

#[test]
fn what_a_route_needs_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let effect = open(SETTINGS, folder.path()).unwrap();
    let without_ttl = open(&SETTINGS.replace("ttl = '90s'", ""), folder.path()).unwrap();
    let wrong = record(
        "wrong",
        &[
            ("service-id", Type::Uuid),
            ("tags", Type::String),
            ("address", Type::U8),
            ("port", option(Type::U32)),
            ("meta", Type::Map(Arc::new(Type::U8))),
        ],
    );
    let place = |name: &str| format!("intents.c.{name}");
    assert_eq!(
        found(&*effect, &[trial("c", &wrong, "operation = 'register'")]),
        [
            ("field-type", place("service-id")),
            ("field-missing", place("service-name")),
            ("field-type", place("tags")),
            ("field-type", place("address")),
            ("field-type", place("port")),
            ("field-type", place("meta")),
        ]
    );
    for (record, settings, expected) in [
        (service(), "operation = 'register'", None),
        (service(), "", Some(("setting-missing", place("operation")))),
        (service(), "operation = 'registr'", Some(("setting-range", place("operation")))),
        (service(), "operation = 'pass'\nttl = '5s'", Some(("setting-unknown", place("ttl")))),
        (record("r", &[]), "operation = 'deregister'", Some(("field-missing", place("service-id")))),
    ] {
        assert_eq!(found(&*effect, &[trial("c", &record, settings)]), expected.into_iter().collect::<Vec<_>>(), "{settings}");
    }
    assert_eq!(found(&*without_ttl, &[trial("c", &id_only(), "operation = 'pass'")]), [("setting-missing", place("operation"))]);
    let mut asks = trial("c", &service(), "operation = 'register'");
    asks.reply = Some(Type::Bool);
    assert_eq!(found(&*effect, &[asks]), [("reply-unfillable", place("outcome"))]);
}
