//! What keeps senders from taking more of the host than it has.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use super::Host;
use crate::client::{BATCHED, Client, STRUCTURED};
use crate::place::Place;
use crate::program::signal;
use crate::tables::{Locked, number};
use crate::wire::Node;

const CORRELATION: &str = "eeeeeeee-0000-4000-8000-0000000000ab";

fn with(settings: &str) -> Place {
    let place = Place::registration();
    place.mend("[store]", &format!("[source]\nhttp = {{ listen = \"127.0.0.1:0\", {settings} }}\n\n[store]"));
    place
}

fn introspection(number: u32) -> String {
    Node::new(number, "effect").introspection(0.0, CORRELATION)
}

#[test]
fn a_body_or_an_event_that_is_too_large_is_refused() {
    let place = with("body = 4096");
    place.mend("[store]", "[limits]\nevent = 2048\n\n[store]");
    let host = Host::start(&place, &[]);
    let large = " ".repeat(5000);
    assert_eq!(host.client().event("/", &large).unwrap().is(413)["code"], "body-too-large");
    let mut chunked = host.client();
    let chunk = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    chunked.send("POST", "/", &[("content-type", STRUCTURED), ("transfer-encoding", "chunked")], &chunk).unwrap();
    assert_eq!(chunked.receive().unwrap().is(413)["code"], "body-too-large");

    let padded = format!("{}{}", introspection(1), " ".repeat(2048));
    assert_eq!(host.client().event("/", &padded).unwrap().is(413)["code"], "event-too-large");
    let text = "x".repeat(2048);
    let batch = format!("[{},{:?}]", introspection(1), text);
    let answer = host.client().post("/", &[("content-type", BATCHED)], &batch).unwrap().is(207);
    assert_eq!((answer["accepted"].as_array().unwrap().len(), &answer["refused"][0]["code"]), (1, &json!("event-too-large")));
}

#[test]
fn a_sender_that_takes_its_time_is_not_waited_for() {
    let place = with("receive = \"300ms\"");
    let host = Host::start(&place, &[]);
    let begun = Instant::now();
    let mut slow_body = host.client();
    slow_body.send("POST", "/", &[("content-type", STRUCTURED), ("content-length", "100")], "{").unwrap();
    let told = slow_body.receive().unwrap();
    assert_eq!(told.is(408)["code"], "body-late");
    let mut slow_head = host.client();
    slow_head.raw(b"POST / HTTP/1.1\r\nhost:").unwrap();
    assert!(slow_head.receive().is_err(), "it is hung up on");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn connections_beyond_the_bound_wait_until_one_ends() {
    let place = with("connections = 1");
    let host = Host::start(&place, &[]);
    let mut first = host.client();
    first.event("/", &introspection(1)).unwrap().is(200);
    let address = host.address;
    let second = std::thread::spawn(move || Client::connect(address).unwrap().event("/", &introspection(2)).unwrap().status);
    first.event("/", &introspection(3)).unwrap().is(200);
    assert!(!second.is_finished());
    drop(first);
    assert_eq!(second.join().unwrap(), 200);
}

#[test]
fn a_store_that_is_down_turns_senders_away_and_loses_nothing() {
    let place = with("in-flight = 2, answer = \"60s\"");
    let mut host = Host::start(&place, &[]);
    let journal = place.path("registration.db");
    host.client().event("/", &introspection(1)).unwrap().is(200);
    host.running.until("the registration", || number(&journal, "SELECT count(*) FROM outbox") == 0);

    let lock = Locked::take(&journal);
    let codes = Arc::new(Mutex::new(BTreeSet::new()));
    let senders: Vec<_> = (2..8)
        .map(|number| {
            let (mut client, codes) = (host.client(), codes.clone());
            std::thread::spawn(move || send_until_taken(&mut client, &introspection(number), &codes))
        })
        .collect();
    // Two wait for the store; until it is known to be down the others are too many, and then nobody is let in.
    let told = |code: &str| codes.lock().unwrap().contains(code);
    host.running.until("the senders to be turned away", || told("too-many-requests") && told("store-down"));
    lock.release();
    for sender in senders {
        sender.join().unwrap();
    }
    signal(host.running.child(), "TERM");
    host.running.end().well();
    assert_eq!(number(&journal, "SELECT count(*) FROM events"), 7);
    place.verifies();
}

/// Sends an event as a good sender does. Every code with which it is turned away is noted.
fn send_until_taken(client: &mut Client, event: &str, codes: &Mutex<BTreeSet<String>>) {
    loop {
        let told = client.event("/", event).unwrap();
        if told.status == 200 {
            break;
        }
        assert!(matches!(told.status, 429 | 503) && told.header("retry-after").is_some(), "{told:?}");
        codes.lock().unwrap().insert(told.json()["code"].as_str().unwrap().to_owned());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_answer_that_takes_too_long_is_not_waited_for_and_the_event_is_there_once() {
    let place = with("answer = \"200ms\"");
    let mut host = Host::start(&place, &[]);
    let journal = place.path("registration.db");
    let lock = Locked::take(&journal);
    let told = host.client().event("/", &introspection(1)).unwrap();
    assert_eq!(told.is(503)["code"], "answer-late");
    lock.release();
    let mut client = host.client();
    host.running.until("the answer", || client.event("/", &introspection(1)).unwrap().status == 200);
    signal(host.running.child(), "TERM");
    host.running.end().well();
    assert_eq!(number(&journal, "SELECT count(*) FROM events"), 1);
}
