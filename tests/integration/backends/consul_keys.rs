//! `key-value` on a real Consul.

use std::path::Path;
use std::sync::Arc;

use purefold_effects::Operation;
use purefold_effects::trial::{NONE, Trial, call, option, record, refused, some, started, text, trial};
use purefold_services::{Consul, Instance, Kind};
use purefold_wit::{Type, Value};

use super::{cache, get, not_done, shared, unique};

const TOKEN: &str = "5c0e4f0e-7a3d-4c86-9e52-0c9a8f3a1b12";

fn routes() -> Vec<Trial> {
    let level = Type::Record(record("level", &[("left", Type::U32)]));
    let stock = record("stock", &[("item", Type::String), ("level", level.clone()), ("before", option(level))]);
    vec![
        trial("put", &stock, "operation = 'put'\nkey = 'stock/{item}'\nvalue = 'level'"),
        trial("delete", &stock, "operation = 'delete'\nkey = 'stock/{item}'"),
        trial("cas", &stock, "operation = 'cas'\nkey = 'stock/{item}'\nvalue = 'level'\nexpect = 'before'"),
    ]
}

async fn operations(address: &str, more: &str) -> Vec<Arc<dyn Operation>> {
    started(&format!("capability = 'key-value'\nconsul = '{address}'\n{more}"), Path::new("."), &routes()).await
}

fn level(left: u32) -> Value {
    Value::Record([Value::U32(left)].into())
}

fn stored(address: &str, key: &str) -> Option<String> {
    let answer = get(address, &format!("/v1/kv/{key}?raw"), TOKEN);
    (answer.status == 200).then_some(answer.body)
}

#[tokio::test]
async fn keys_are_put_swapped_and_deleted() {
    let address = shared(Kind::Consul);
    let operations = operations(&address, "").await;
    let [put, delete, cas] = operations.as_slice() else { panic!("three routes") };
    let (item, lane) = (unique("nut ü"), unique("lane"));
    let values = |left, before| [text(&item), level(left), before];
    let key = format!("stock/{}", item.replace(' ', "%20").replace('ü', "%C3%BC"));
    let left = |left: u32| Some(format!(r#"{{"left":{left}}}"#));

    assert_eq!(cas.perform(call(&lane, 1, 0, &values(1, NONE))).await, Ok(None));
    assert_eq!(cas.perform(call(&lane, 1, 0, &values(1, NONE))).await, Ok(None), "a repeat is no conflict with itself");
    assert_eq!(refused(cas.perform(call(&lane, 1, 1, &values(2, NONE))).await), "the key is there already");
    assert_eq!(refused(cas.perform(call(&lane, 1, 2, &values(2, some(level(9))))).await), "the key does not hold the expected value");
    assert_eq!(stored(&address, &key), left(1));
    assert_eq!(cas.perform(call(&lane, 2, 0, &values(2, some(level(1))))).await, Ok(None));
    assert_eq!(stored(&address, &key), left(2));
    assert_eq!(put.perform(call(&lane, 3, 0, &values(3, NONE))).await, Ok(None));
    assert_eq!(put.perform(call(&lane, 2, 5, &values(0, NONE))).await, Ok(None), "a straggler changes nothing");
    assert_eq!(stored(&address, &key), left(3));
    assert_eq!(delete.perform(call(&lane, 4, 0, &values(0, NONE))).await, Ok(None));
    assert_eq!(delete.perform(call(&lane, 5, 0, &values(0, NONE))).await, Ok(None), "what is gone already is a success");
    assert_eq!(put.perform(call(&lane, 3, 9, &values(9, NONE))).await, Ok(None), "a straggler does not bring it back");
    assert_eq!(stored(&address, &key), None);
    let mark = stored(&address, &format!("purefold/marks/00000000-0000-0000-0000-00000000000a/w/e/{lane}")).unwrap();
    assert!(mark.contains(r#""sequence":5"#), "{mark}");
}

/// The marks are what a lane remembers by: where they lie, and that nothing else does.
#[tokio::test]
async fn marks_lie_under_the_prefix_that_is_set() {
    let address = shared(Kind::Consul);
    let (item, lane, prefix) = (unique("nut"), unique("lane"), unique("own/marks"));
    let values = |left| [text(&item), level(left), NONE];
    let own = operations(&address, &format!("marks = '{prefix}'")).await;
    assert_eq!(own[0].perform(call(&lane, 7, 0, &values(7))).await, Ok(None));
    let mark = format!("00000000-0000-0000-0000-00000000000a/w/e/{lane}");
    assert!(stored(&address, &format!("{prefix}/{mark}")).is_some_and(|mark| mark.contains(r#""sequence":7"#)));
    assert_eq!(stored(&address, &format!("purefold/marks/{mark}")), None);
    assert_eq!(own[0].perform(call(&lane, 6, 0, &values(6))).await, Ok(None), "a straggler changes nothing");
    assert_eq!(stored(&address, &format!("stock/{item}")), Some(r#"{"left":7}"#.to_owned()));
    // Marks elsewhere know nothing of it.
    assert_eq!(operations(&address, "").await[0].perform(call(&lane, 6, 0, &values(6))).await, Ok(None));
    assert_eq!(stored(&address, &format!("stock/{item}")), Some(r#"{"left":6}"#.to_owned()));
}

/// All swap the same value for their own: one of them finds it.
#[tokio::test]
async fn of_many_swaps_at_once_one_succeeds() {
    let address = shared(Kind::Consul);
    let operations = operations(&address, "").await;
    let (item, lane) = (unique("nut"), unique("lane"));
    assert_eq!(operations[0].perform(call(&lane, 1, 0, &[text(&item), level(0), NONE])).await, Ok(None));
    let mut running = Vec::new();
    for number in 1..=8 {
        let cas = Arc::clone(&operations[2]);
        let call = call(&format!("{lane}-{number}"), 1, 0, &[text(&item), level(number), some(level(0))]);
        running.push(tokio::spawn(async move { cas.perform(call).await }));
    }
    let mut succeeded = 0;
    for one in running {
        match one.await.unwrap() {
            Ok(_) => succeeded += 1,
            refusal => assert_eq!(refused(refusal), "the key does not hold the expected value"),
        }
    }
    assert_eq!(succeeded, 1);
}

#[tokio::test]
async fn what_consul_does_not_take_is_refused() {
    let address = shared(Kind::Consul);
    let note = record("note", &[("name", Type::String), ("text", Type::String)]);
    let route = trial("put", &note, "operation = 'put'\nkey = '{name}'\nvalue = 'text'");
    let operations = started(&format!("capability = 'key-value'\nconsul = '{address}'"), Path::new("."), &[route]).await;
    let large = "v".repeat(400 * 1024);
    let reason = refused(operations[0].perform(call("n", 1, 0, &[text("large"), text(&large)])).await);
    assert!(reason.contains("Consul takes 524288"), "{reason}");
}

#[tokio::test]
async fn without_the_right_nothing_is_done() {
    let consul = Instance::consul(&cache(), &Consul { token: Some(TOKEN.to_owned()), ..Consul::default() }).unwrap();
    let address = consul.address();
    let values = |left| [text("nut"), level(left), NONE];
    let with = operations(address, &format!("token = '{TOKEN}'")).await;
    assert_eq!(with[0].perform(call("n", 1, 0, &values(1))).await, Ok(None));
    for more in ["", "token = '00000000-0000-4000-8000-00000000dead'"] {
        for operation in operations(address, more).await {
            let reason = not_done(operation.perform(call("n", 2, 0, &values(2))).await);
            assert!(!reason.contains("dead"), "{reason}");
        }
    }
    assert_eq!(stored(address, "stock/nut"), Some(r#"{"left":1}"#.to_owned()));
}

#[tokio::test]
async fn a_consul_that_hangs_or_is_gone_is_waited_for() {
    let mut consul = Instance::consul(&cache(), &Consul::default()).unwrap();
    let address = consul.address().to_owned();
    let operations = operations(&address, "timeout = '300ms'").await;
    let put = |left| operations[0].perform(call("n", u64::from(left), 0, &[text("nut"), level(left), NONE]));
    assert_eq!(put(1).await, Ok(None));
    consul.pause().unwrap();
    not_done(put(2).await);
    consul.resume().unwrap();
    assert_eq!(put(2).await, Ok(None));
    assert_eq!(stored(&address, "stock/nut"), Some(r#"{"left":2}"#.to_owned()));
    consul.kill().unwrap();
    not_done(put(3).await);
}
