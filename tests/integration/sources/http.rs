//! Events by HTTP: every form of them, every way to be refused, and the answer that comes after the commit.

use serde_json::{Value, json};

use super::Host;
use crate::client::{BATCHED, STRUCTURED};
use crate::place::Place;
use crate::program::signal;
use crate::wire::{ACK, HEARTBEAT, INTROSPECTION, Node, at, event};

const CORRELATION: &str = "eeeeeeee-0000-4000-8000-0000000000aa";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn decided(place: &Place) -> Vec<String> {
    place.rows("registration.db", "SELECT event_id FROM journal WHERE kind = 'decided' AND event_hash IS NOT NULL ORDER BY event_id")
}

#[test]
fn an_event_is_answered_when_it_is_in_the_journal_and_a_second_time_as_a_duplicate() {
    let place = Place::registration();
    let host = Host::start(&place, &[]);
    let mut client = host.client();
    let event = Node::new(1, "effect").introspection(0.0, CORRELATION);
    let id = serde_json::from_str::<Value>(&event).unwrap()["id"].clone();

    let answer = client.event("/", &event).unwrap().is(200);
    assert_eq!(answer, json!({"accepted": [id], "duplicates": []}));
    assert_eq!(decided(&place).len(), 1, "it is there when the answer is");
    let again = client.event("/events", &event).unwrap().is(200);
    assert_eq!(again, json!({"accepted": [], "duplicates": [id]}));
    assert_eq!(decided(&place).len(), 1);

    host.running.kill();
    let host = Host::start(&place, &[]);
    let after_a_crash = host.client().event("/", &event).unwrap().is(200);
    assert_eq!(after_a_crash, json!({"accepted": [], "duplicates": [id]}));
    host.running.kill();
    let status = place.ask("status", &[]).well();
    assert!(status.out.contains("http: events come by request, "), "{}", status.out);
    place.verifies();
}

#[test]
fn who_waits_for_the_decision_is_told_what_the_journal_holds() {
    let place = Place::registration();
    let host = Host::start(&place, &[]);
    let mut client = host.client();
    let node = Node::new(1, "effect");

    let answer = client.event("/?wait=decision", &node.introspection(0.0, CORRELATION)).unwrap().is(200);
    let decision = &answer["decisions"][0];
    assert_eq!((&decision["workflow"], &decision["entity"], &decision["sequence"]), (&json!("registration"), &json!(node.id), &json!(1)));
    assert_eq!(decision["accepted"]["state"]["node_id"], node.id);
    let journaled = place.rows("registration.db", "SELECT state || output FROM entries WHERE sequence = 1 AND ordinal = 0").remove(0);
    let text = answer.to_string();
    let told: Value = serde_json::from_str(&text).unwrap();
    let told = format!("{}{}", told["decisions"][0]["accepted"]["state"], told["decisions"][0]["accepted"]["intents"]);
    assert_eq!(told, serde_json_text(&journaled), "as the journal has it");

    let stranger = Node::new(9, "effect").heartbeat(1.0);
    let rejected = client.event("/?wait=decision", &stranger).unwrap().is(200);
    assert_eq!(rejected["decisions"][0]["rejected"], "unknown_node", "{rejected}");
    let duplicate = client.event("/?wait=decision", &stranger).unwrap().is(200);
    assert_eq!(duplicate["decisions"], json!([]), "{duplicate}");
}

/// Two values of JSON that stand together, as `serde_json` writes them.
fn serde_json_text(values: &str) -> String {
    serde_json::Deserializer::from_str(values).into_iter::<Value>().map(|value| value.unwrap().to_string()).collect()
}

#[test]
fn a_fault_is_told_and_what_follows_waits_in_the_inbox() {
    let place = Place::misbehaving();
    let host = Host::start(&place, &[]);
    let mut client = host.client();
    let poke =
        |id: &str, misdeed: &str| event("fixture.poke.v1", id, "/pokes", 0.0, None, &json!({"id": "a", "misdeed": misdeed, "value": 1.0}));

    let faulted = client.event("/?wait=decision", &poke("one", "panic")).unwrap().is(200);
    assert_eq!(faulted["decisions"][0]["faulted"]["code"], "trap", "{faulted}");
    let waiting = client.event("/?wait=decision", &poke("two", "panic")).unwrap().is(200);
    assert_eq!((&waiting["accepted"], &waiting["decisions"][0]["waiting"]), (&json!(["two"]), &json!(true)), "{waiting}");
    host.running.kill();
    assert_eq!(place.value("misbehaving.db", "SELECT count(*) FROM inbox"), "2");

    place.mend("[store]", "[limits]\ninbox = 2\n\n[store]");
    let host = Host::start(&place, &[]);
    let full = host.client().event("/", &poke("three", "panic")).unwrap();
    assert_eq!(full.is(503)["code"], "inbox-full");
    assert!(full.header("retry-after").is_some(), "{full:?}");
    host.running.kill();
    assert_eq!(place.value("misbehaving.db", "SELECT count(*) FROM dead_letters"), "0", "its sender has it");
}

#[test]
fn a_binary_event_is_kept_in_its_structured_form() {
    let place = Place::registration();
    let host = Host::start(&place, &[]);
    let node = Node::new(1, "effect");
    let data = json!({"node_id": node.id, "node_type": "effect", "correlation_id": CORRELATION, "timestamp": at(0.0)}).to_string();
    let time = at(0.0);
    let headers = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "binary%201"),
        ("ce-source", "/nodes/1"),
        ("ce-type", INTROSPECTION),
        ("ce-time", time.as_str()),
        ("ce-correlationid", CORRELATION),
    ];
    let answer = host.client().post("/", &headers, &data).unwrap().is(200);
    assert_eq!(answer["accepted"], json!(["binary 1"]));
    let kept = place.value("registration.db", "SELECT CAST(bytes AS TEXT) FROM events");
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!((&kept["id"], &kept["type"], &kept["data"]["node_id"]), (&json!("binary 1"), &json!(INTROSPECTION), &json!(node.id)));
    host.running.kill();
    place.verifies();
}

#[test]
fn a_batch_is_answered_event_by_event() {
    let place = Place::registration();
    let host = Host::start(&place, &[]);
    let mut client = host.client();
    let nodes = Node::of_each_type();
    let good: Vec<String> = nodes.iter().map(|node| node.introspection(0.0, CORRELATION)).collect();
    let unknown = event("nobody.takes.this", "u", "/x", 0.0, None, &json!({}));
    let headers = [("content-type", BATCHED)];

    let mixed = format!("[{},{unknown},{},{}]", good[0], good[1], good[0]);
    let answer = client.post("/?wait=decision", &headers, &mixed).unwrap().is(207);
    assert_eq!((answer["accepted"].as_array().unwrap().len(), answer["duplicates"].as_array().unwrap().len()), (2, 1), "{answer}");
    let refused = &answer["refused"][0];
    assert_eq!(
        (&refused["index"], &refused["id"], &refused["code"], &refused["path"]),
        (&json!(1), &json!("u"), &json!("type-unroutable"), &json!("type"))
    );
    assert_eq!((&refused["passing"], answer["decisions"].as_array().unwrap().len()), (&json!(false), 2), "{answer}");

    let all = client.post("/", &headers, &format!("[{}]", good.join(","))).unwrap().is(200);
    assert_eq!((all["accepted"].as_array().unwrap().len(), all["duplicates"].as_array().unwrap().len()), (2, 2), "{all}");
    assert_eq!(client.post("/", &headers, &format!("[{unknown}]")).unwrap().is(400)["refused"][0]["code"], "type-unroutable");
    assert_eq!(client.post("/", &headers, "[]").unwrap().is(200), json!({"accepted": [], "duplicates": []}));
    assert_eq!(client.post("/", &headers, "{}").unwrap().is(400)["code"], "not-cloudevent");
    assert_eq!(client.post("/", &headers, &format!("[{}0]", "0,".repeat(1000))).unwrap().is(413)["code"], "batch-too-large");
    assert_eq!(client.post("/?wait=decision", &headers, &format!("[{}0]", "0,".repeat(64))).unwrap().is(400)["code"], "query-wrong");
    assert_eq!(decided(&place).len(), nodes.len());
}

#[test]
fn what_is_wrong_is_told_with_code_path_reason_and_help_and_nothing_becomes_a_dead_letter() {
    let place = Place::registration();
    let host = Host::start(&place, &[]);
    let mut client = host.client();
    let beat =
        json!({"node_id": "00000009-0000-4000-8000-00000000abcd", "node_type": "effect", "uptime_seconds": "long", "timestamp": at(1.0)});
    for (text, code, path) in [
        ("{".to_owned(), "not-json", ""),
        ("[]".to_owned(), "not-cloudevent", ""),
        (r#"{"specversion":"1.0"}"#.to_owned(), "not-cloudevent", "id"),
        (event("nobody.takes.this", "u", "/x", 1.0, None, &json!({})), "type-unroutable", "type"),
        (event(HEARTBEAT, "t", "/x", 1.0, None, &beat), "data-undecodable", "data.uptime_seconds"),
        (event(ACK, "k", "/x", 1.0, None, &json!({"node_id": 7})), "data-undecodable", "data.node_id"),
    ] {
        let told = client.event("/", &text).unwrap().is(400);
        assert_eq!((&told["code"], &told["path"]), (&json!(code), &json!(path)), "{told}");
        assert!(["reason", "help"].iter().all(|part| told[*part].as_str().is_some_and(|text| !text.is_empty())), "{told}");
    }
    let node = Node::new(1, "effect").introspection(0.0, CORRELATION);
    for (content_type, status) in [("application/json", 415), ("text/plain", 415), ("application/cloudevents+json; charset=latin1", 415)] {
        let told = client.post("/", &[("content-type", content_type)], &node).unwrap();
        assert_eq!(told.is(status)["code"], "media-type-unknown");
        assert!(told.header("accept-post").is_some_and(|types| types.contains(STRUCTURED)), "{told:?}");
    }
    assert_eq!(client.event("/?wait=for-ever", &node).unwrap().is(400)["code"], "query-wrong");
    assert_eq!(client.event("/elsewhere", &node).unwrap().is(404)["code"], "path-unknown");
    client.send("GET", "/", &[], "").unwrap();
    let get = client.receive().unwrap();
    assert_eq!((get.is(405)["code"].clone(), get.header("allow")), (json!("method-unknown"), Some("POST")));

    assert_eq!(client.event("/", &node).unwrap().is(200)["duplicates"], json!([]), "the connection and the host go on");
    host.running.kill();
    assert_eq!(place.value("registration.db", "SELECT count(*) FROM dead_letters"), "0");
}

#[test]
fn an_event_from_far_ahead_of_the_virtual_clock_is_refused() {
    let place = Place::registration();
    let host = Host::start(&place, &["--clock", "event"]);
    let mut client = host.client();
    let node = Node::new(1, "effect");
    client.event("/", &node.introspection(0.0, CORRELATION)).unwrap().is(200);
    let told = client.event("/", &node.heartbeat(3.0 * 86_400.0)).unwrap().is(400);
    assert_eq!((&told["code"], &told["path"]), (&json!("time-ahead"), &json!("time")));
    client.event("/", &node.heartbeat(1.0)).unwrap().is(200);
}

#[test]
fn without_the_token_nothing_is_taken() {
    let mut place = Place::registration();
    place.variable("TOKEN", TOKEN);
    place.mend("[store]", "[source]\nhttp = { listen = \"127.0.0.1:0\", token = [\"${TOKEN}\", \"an-older-token-of-ours\"] }\n\n[store]");
    let host = Host::start(&place, &[]);
    let mut client = host.client();
    let event = Node::new(1, "effect").introspection(0.0, CORRELATION);
    for wrong in [None, Some("Bearer 0123456789abcdef0123456789abcdee"), Some("Basic Zm9vOmJhcg=="), Some("Bearer")] {
        let headers: Vec<(&str, &str)> =
            [("content-type", STRUCTURED)].into_iter().chain(wrong.map(|value| ("authorization", value))).collect();
        let told = client.post("/", &headers, &event).unwrap();
        assert_eq!((told.is(401)["code"].clone(), told.header("www-authenticate")), (json!("token-wrong"), Some("Bearer")));
        assert!(!told.body.contains(TOKEN), "{told:?}");
    }
    for token in [TOKEN, "an-older-token-of-ours"] {
        let authorization = format!("Bearer {token}");
        client.post("/", &[("content-type", STRUCTURED), ("authorization", &authorization)], &event).unwrap().is(200);
    }
    assert_eq!(decided(&place).len(), 1);
}

#[test]
fn an_address_of_others_needs_a_token() {
    let place = Place::registration();
    let refused = place.ask("run", &["--listen", "0.0.0.0:0"]).exits(2);
    assert!(refused.err.contains("token-missing"), "{}", refused.err);
    let name = place.ask("run", &["--listen", "localhost:8123"]).exits(2);
    assert!(name.err.contains("127.0.0.1:8123"), "{}", name.err);
    place.mend("[store]", "[source]\nhttp = { listen = \"[::]:8080\" }\n\n[store]");
    let found = place.ask("check", &["--json"]).exits(2).json();
    assert_eq!((&found[0]["code"], &found[0]["place"]), (&json!("token-missing"), &json!("source.http.token")));
}

#[test]
fn a_source_without_an_end_does_not_go_with_until_idle() {
    let place = Place::registration();
    let refused = place.ask("run", &["--listen", "127.0.0.1:0", "--until-idle"]).exits(2);
    assert!(refused.err.contains("--until-idle"), "{}", refused.err);
    let refused = place.ask("run", &["--follow"]).exits(2);
    assert!(refused.err.contains("--events FILE"), "{}", refused.err);
}

#[test]
fn a_timer_that_fell_due_while_no_host_ran_waits_for_senders_to_come_back() {
    let place = Place::registration();
    let host = Host::start(&place, &[]);
    let node = Node::new(1, "effect");
    let mut client = host.client();
    client.event("/", &node.introspection(0.0, CORRELATION)).unwrap().is(200);
    host.running.kill();
    // As if the host had been away for an hour.
    let database = rusqlite::Connection::open(place.path("registration.db")).unwrap();
    assert_eq!(database.execute("UPDATE timers SET due = due - 3600000000", []).unwrap(), 1);
    drop(database);

    let mut host = Host::start(&place, &[]);
    let answer = host.client().event("/?wait=decision", &node.ack(1.0, CORRELATION)).unwrap().is(200);
    assert_eq!(answer["decisions"][0]["accepted"]["state"]["phase"], "active", "the acknowledgement came before the timer: {answer}");
    signal(host.running.child(), "TERM");
    host.running.end().well();
    place.verifies();
}
