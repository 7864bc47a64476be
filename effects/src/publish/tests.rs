#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;

use futures_util::future::join_all;
use purefold_wit::{Record, Type};

use super::*;
use crate::EffectError;
use crate::trial::{Trial, bind, call, found, list, open, record, refused, started, text, trial};

const SETTINGS: &str = "capability = 'publish'\njsonl = 'out/events.jsonl'";

fn accepted() -> Arc<Record> {
    record("accepted", &[("node-id", Type::Uuid), ("notes", Type::String)])
}

fn route() -> Trial {
    trial("accepted", &accepted(), "topic = 'onex.evt.accepted.v1'")
}

fn lines(folder: &Path) -> Vec<String> {
    std::fs::read_to_string(folder.join("out/events.jsonl")).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn an_intent_becomes_a_cloud_event() {
    let folder = tempfile::tempdir().unwrap();
    let operations = started(SETTINGS, folder.path(), &[route()]).await;
    let mut one = call("key \"1\"\n", 7, 2, &[purefold_wit::Value::Uuid(0, 1), text("line\nbreak")]);
    assert_eq!(operations[0].perform(one.clone()).await, Ok(None));
    one.correlation_id = "".into();
    assert_eq!(operations[0].perform(one).await, Ok(None), "at least once: a repeat is published again, under the same id");
    let with = |correlation: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"00000000-0000-0007-0000-000000000002","source":"w","type":"onex.evt.accepted.v1","subject":"key \"1\"\n","time":"2026-02-13T12:00:00.000000Z",{correlation}"datacontenttype":"application/json","data":{{"node_id":"00000000-0000-0000-0000-000000000001","notes":"line\nbreak"}}}}"#
        )
    };
    assert_eq!(lines(folder.path()), [with(r#""correlationid":"c-1","#), with("")]);
    for line in lines(folder.path()) {
        serde_json::from_str::<serde_json::Value>(&line).unwrap();
    }
}

#[tokio::test]
async fn many_at_once_come_whole_and_once_each() {
    let folder = tempfile::tempdir().unwrap();
    let operations = started(SETTINGS, folder.path(), &[route()]).await;
    let calls = (0..3_000).map(|number| operations[0].perform(call("n", number, 0, &[purefold_wit::Value::Uuid(0, 1), text("x")])));
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    let lines = lines(folder.path());
    assert_eq!(lines.len(), 3_000);
    let ids = lines.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned());
    let expected: BTreeSet<String> = (0..3_000).map(|number| purefold_wit::uuid::format(number, 0)).collect();
    assert_eq!(ids.collect::<BTreeSet<String>>(), expected);
}

#[tokio::test]
async fn a_torn_line_is_cut_off_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let operations = started(SETTINGS, folder.path(), &[route()]).await;
    let values = [purefold_wit::Value::Uuid(0, 1), text("x")];
    assert_eq!(operations[0].perform(call("n", 1, 0, &values)).await, Ok(None));
    drop(operations);
    let path = folder.path().join("out/events.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{whole}{}", &whole[..whole.len() / 2])).unwrap();
    let operations = started(SETTINGS, folder.path(), &[route()]).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
    assert_eq!(operations[0].perform(call("n", 2, 0, &values)).await, Ok(None));
    assert_eq!(lines(folder.path()).len(), 2);
}

#[tokio::test]
async fn two_effects_may_write_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let first = started(SETTINGS, folder.path(), &[route()]).await;
    let second = started(SETTINGS, folder.path(), &[route()]).await;
    let values = [purefold_wit::Value::Uuid(0, 1), text("x")];
    let calls = (0..100).map(|number| if number % 2 == 0 { &first } else { &second }[0].perform(call("n", number, 0, &values)));
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(lines(folder.path()).len(), 100);
}

#[tokio::test]
async fn what_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let operations = started(SETTINGS, folder.path(), &[route()]).await;
    let huge = [purefold_wit::Value::Uuid(0, 1), text(&"x".repeat(1024 * 1024))];
    let reason = refused(operations[0].perform(call("n", 1, 0, &huge)).await);
    assert!(reason.contains("1048576 at most"), "{reason}");

    let effect = open("capability = 'publish'\njsonl = 'folder'", folder.path()).unwrap();
    let operations = bind(&*effect, &[route()]).unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    let result = effect.start().await;
    assert!(matches!(&result, Err(EffectError::NotDone { reason, .. }) if reason.contains("cannot open")), "{result:?}");
    let result = operations[0].perform(call("n", 1, 0, &[purefold_wit::Value::Uuid(0, 1), text("x")])).await;
    assert!(matches!(result, Err(EffectError::NotDone { .. })), "{result:?}");
}

#[test]
fn what_a_route_needs_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let effect = open(SETTINGS, folder.path()).unwrap();
    let longest = "x".repeat(crate::kafka::TOPIC_BYTES_MAX);
    for (settings, expected) in [
        ("topic = 'a.B_c-9'".to_owned(), None),
        (format!("topic = '{longest}'"), None),
        (format!("topic = '{longest}x'"), Some(("setting-range", "topic"))),
        ("topic = 'a b'".to_owned(), Some(("setting-range", "topic"))),
        ("topic = '..'".to_owned(), Some(("setting-range", "topic"))),
        ("topic = ''".to_owned(), Some(("setting-range", "topic"))),
        ("topc = 'a'\ntopic = 'b'".to_owned(), Some(("setting-unknown", "topc"))),
        (String::new(), Some(("setting-missing", "topic"))),
    ] {
        let expected: Vec<_> = expected.iter().map(|(code, name)| (*code, format!("intents.c.{name}"))).collect();
        assert_eq!(found(&*effect, &[trial("c", &accepted(), &settings)]), expected, "{settings}");
    }
    let mut asks = route();
    asks.reply = Some(list(Type::U8));
    assert_eq!(found(&*effect, &[asks]), [("reply-unfillable", "intents.accepted.outcome".to_owned())]);
}
