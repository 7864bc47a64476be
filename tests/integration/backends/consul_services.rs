//! `service-registry` on a real Consul.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use purefold_effects::Operation;
use purefold_effects::trial::{Trial, call, list, open, option, record, refused, some, started, text, trial};
use purefold_services::{Consul, Instance, Kind};
use purefold_wit::{Type, Value};
use serde_json::Value as Json;

use super::{cache, get, not_done, shared, unique, unknown};

const TOKEN: &str = "5c0e4f0e-7a3d-4c86-9e52-0c9a8f3a1b11";

fn routes() -> Vec<Trial> {
    let service = record(
        "register-service",
        &[
            ("service-id", Type::String),
            ("service-name", Type::String),
            ("tags", list(Type::String)),
            ("address", option(Type::String)),
            ("port", option(Type::U16)),
            ("meta", Type::Map(Arc::new(Type::String))),
        ],
    );
    let by_id = record("by-id", &[("service-id", Type::String)]);
    vec![
        trial("register", &service, "operation = 'register'"),
        trial("deregister", &by_id, "operation = 'deregister'"),
        trial("pass", &by_id, "operation = 'pass'"),
    ]
}

async fn operations(address: &str, more: &str) -> Vec<Arc<dyn Operation>> {
    let settings = format!("capability = 'service-registry'\nconsul = '{address}'\n{more}");
    let count = if more.contains("ttl") { 3 } else { 2 };
    started(&settings, Path::new("."), &routes()[..count]).await
}

fn service(id: &str, port: u16) -> Vec<Value> {
    let meta = Value::Map(vec![("zone".into(), text("b"))]);
    vec![text(id), text("web"), Value::List(vec![text("a b"), text("c")]), some(text("10.0.0.7")), some(Value::U16(port)), meta]
}

fn found(address: &str, id: &str) -> Json {
    serde_json::from_str(&get(address, &format!("/v1/agent/service/{id}"), TOKEN).body).unwrap_or_default()
}

/// The service's check.
fn check_of(address: &str, id: &str) -> Json {
    let checks = serde_json::from_str::<Json>(&get(address, "/v1/agent/checks", TOKEN).body).unwrap();
    checks.as_object().unwrap().values().find(|check| check["ServiceID"] == id).cloned().unwrap_or_default()
}

fn status(address: &str, id: &str) -> String {
    check_of(address, id)["Status"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_service_comes_lives_and_goes() {
    let address = shared(Kind::Consul);
    let (id, id_of_none) = (unique("web/1 ü"), unique("none"));
    let operations = operations(&address, "ttl = '1s'").await;
    let [register, deregister, pass] = operations.as_slice() else { panic!("three routes") };

    let reason = refused(pass.perform(call("n", 1, 0, &[text(&id_of_none)])).await);
    assert_eq!(reason, "the service is not registered");
    assert_eq!(register.perform(call("n", 1, 1, &service(&id, 80))).await, Ok(None));
    let path = id.replace('/', "%2F").replace(' ', "%20").replace('ü', "%C3%BC");
    let there = found(&address, &path);
    assert_eq!(
        (&there["Service"], &there["Tags"], &there["Address"], &there["Port"]),
        (&"web".into(), &serde_json::json!(["a b", "c"]), &"10.0.0.7".into(), &80.into())
    );
    for (key, value) in [("zone", "b"), ("purefold-entity", "n"), ("purefold-sequence", "1"), ("purefold-index", "1")] {
        assert_eq!(there["Meta"][key], value, "{key}");
    }
    assert_eq!(status(&address, &id), "passing");

    // Nobody says that it lives for longer than its time.
    for _ in 0..500 {
        if status(&address, &id) == "critical" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(status(&address, &id), "critical");
    assert_eq!(pass.perform(call("n", 2, 0, &[text(&id)])).await, Ok(None));
    assert_eq!(status(&address, &id), "passing");

    assert_eq!(deregister.perform(call("n", 3, 0, &[text(&id)])).await, Ok(None));
    assert_eq!(found(&address, &path), Json::Null);
    assert_eq!(deregister.perform(call("n", 4, 0, &[text(&id)])).await, Ok(None), "what is gone already is a success");
}

#[tokio::test]
async fn repeats_and_stragglers_change_nothing_while_the_service_is_there() {
    let address = shared(Kind::Consul);
    let id = unique("web");
    let operations = operations(&address, "").await;
    let [register, deregister] = operations.as_slice() else { panic!("two routes") };
    let port = || found(&address, &id)["Port"].clone();
    assert_eq!(register.perform(call("n", 1, 0, &service(&id, 1))).await, Ok(None));
    assert_eq!(register.perform(call("n", 1, 0, &service(&id, 99))).await, Ok(None), "a repeat");
    assert_eq!(port(), 1);
    assert_eq!(register.perform(call("n", 2, 0, &service(&id, 2))).await, Ok(None));
    assert_eq!(register.perform(call("n", 1, 0, &service(&id, 1))).await, Ok(None), "a straggler");
    assert_eq!(deregister.perform(call("n", 1, 5, &[text(&id)])).await, Ok(None), "a straggler");
    assert_eq!(port(), 2);
    assert_eq!(register.perform(call("m", 1, 0, &service(&id, 3))).await, Ok(None), "another lane has its own order");
    assert_eq!(port(), 3);
}

#[tokio::test]
async fn consul_asks_a_service_by_itself_where_it_is_told_to() {
    let address = shared(Kind::Consul);
    let id = unique("web");
    let operations = operations(&address, "health = { path = '/up', interval = '1s', timeout = '2s', deregister-after = '90s' }").await;
    assert_eq!(operations[0].perform(call("n", 1, 0, &service(&id, 9))).await, Ok(None));
    assert_eq!(status(&address, &id), "critical", "it has not been asked yet");
    assert_eq!(check_of(&address, &id)["Type"], "http");
    let mut nowhere = service(&id, 9);
    nowhere[3] = Value::Option(None);
    let reason = refused(operations[0].perform(call("n", 2, 0, &nowhere)).await);
    assert!(reason.contains("no address"), "{reason}");
    assert_eq!(operations[1].perform(call("n", 3, 0, &[text(&id)])).await, Ok(None));
}

#[tokio::test]
async fn what_consul_does_not_take_is_refused() {
    let address = shared(Kind::Consul);
    let operations = operations(&address, "").await;
    let mut reserved = service("web", 1);
    reserved[5] = Value::Map(vec![("purefold-entity".into(), text("x"))]);
    let mut malformed = service(&unique("web"), 1);
    malformed[5] = Value::Map(vec![("not a key".into(), text("x"))]);
    for values in [reserved, malformed, service("", 1), service("..", 1)] {
        refused(operations[0].perform(call("n", 1, 0, &values)).await);
    }
}

#[tokio::test]
async fn without_the_right_nothing_is_done_and_no_token_is_told() {
    let consul = Instance::consul(&cache(), &Consul { token: Some(TOKEN.to_owned()), ..Consul::default() }).unwrap();
    let address = consul.address();
    let with = operations(address, &format!("token = '{TOKEN}'")).await;
    assert_eq!(with[0].perform(call("n", 1, 0, &service("web", 1))).await, Ok(None));
    let wrong = "00000000-0000-4000-8000-00000000dead";
    for more in [String::new(), format!("token = '{wrong}'")] {
        let without = operations(address, &more).await;
        for (operation, values) in without.iter().zip([service("web", 2), vec![text("web")]]) {
            let reason = not_done(operation.perform(call("n", 2, 0, &values)).await);
            assert!(reason.contains("403") && reason.contains("`token`") && !reason.contains(wrong), "{reason}");
        }
    }
    assert_eq!(found(address, "web")["Port"], 1);
}

#[tokio::test]
async fn an_agent_of_another_datacentre_is_told() {
    let address = shared(Kind::Consul);
    let elsewhere = operations(&address, "datacentre = 'elsewhere'").await;
    let reason = not_done(elsewhere[0].perform(call("n", 1, 0, &service(&unique("web"), 1))).await);
    assert!(reason.contains("`dc1`") && reason.contains("`elsewhere`"), "{reason}");
    let here = operations(&address, "datacentre = 'dc1'").await;
    assert_eq!(here[0].perform(call("n", 1, 0, &service(&unique("web"), 1))).await, Ok(None));
}

#[tokio::test]
async fn a_consul_that_hangs_or_is_gone_is_not_served_from_memory() {
    let mut consul = Instance::consul(&cache(), &Consul::default()).unwrap();
    let address = consul.address().to_owned();
    let operations = operations(&address, "timeout = '300ms'").await;
    let register = &operations[0];
    assert_eq!(register.perform(call("n", 1, 0, &service("web", 1))).await, Ok(None));
    consul.pause().unwrap();
    // The first question only reads, so that it is known that nothing was changed.
    not_done(register.perform(call("n", 2, 0, &service("web", 2))).await);
    consul.resume().unwrap();
    assert_eq!(register.perform(call("n", 2, 0, &service("web", 2))).await, Ok(None));
    consul.kill().unwrap();
    not_done(register.perform(call("n", 3, 0, &service("web", 3))).await);
    consul.start_again().unwrap();
    assert_eq!(register.perform(call("n", 3, 0, &service("web", 3))).await, Ok(None));
    assert_eq!(found(&address, "web")["Port"], 3);
}

/// Between the question and the change: a server that answers the first and then says nothing.
#[tokio::test]
async fn a_change_that_is_not_answered_is_unknown() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut held = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let count = stream.read(&mut request).await.unwrap();
            if request[..count].starts_with(b"GET") {
                stream.write_all(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            } else {
                held.push(stream);
            }
        }
    });
    let operations = operations(&address, "timeout = '300ms'").await;
    unknown(operations[0].perform(call("n", 1, 0, &service("web", 1))).await);
}

#[test]
fn settings_of_the_effect() {
    for (more, expected) in [
        ("consul = 'http://127.0.0.1:8500'", &[][..]),
        ("consul = '127.0.0.1:8500'", &[("setting-range", "consul")]),
        ("consul = 'http://user:password@127.0.0.1:8500'", &[("setting-range", "consul")]),
        ("consul = 'http://127.0.0.1:8500/v1'", &[("setting-range", "consul")]),
        ("consul = 'http://h'\ntoken = ''", &[("setting-range", "token")]),
        ("consul = 'http://h'\nttl = '5s'\nhealth = { path = '/' }", &[("setting-range", "health")]),
        ("consul = 'http://h'\nhealth = { path = 'up' }", &[("setting-range", "health.path")]),
        ("consul = 'http://h'\nhealth = { pth = '/' }", &[("setting-missing", "health.path"), ("setting-unknown", "health.pth")]),
        ("consul = 'http://h'\ndatacenter = 'dc1'", &[("setting-unknown", "datacenter")]),
        ("consul = 'http://h'\nsqlite = 'f.db'", &[("backend-twice", "consul")]),
    ] {
        let found = open(&format!("capability = 'service-registry'\n{more}"), Path::new(".")).err().unwrap_or_default();
        let found: Vec<(&str, &str)> = found.iter().map(|finding| (finding.code, finding.place.trim_start_matches("effects.e."))).collect();
        assert_eq!(found, expected, "{more}");
    }
}
