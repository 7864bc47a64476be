//! Many senders at once, and a host that ends among them: what was answered is in the journal.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::Host;
use crate::client::Client;
use crate::place::Place;
use crate::program::signal;
use crate::wire::Node;

const CONNECTIONS: u32 = 200;
/// Answers after which the host is ended.
const ENOUGH: usize = 3000;

const CORRELATION: &str = "eeeeeeee-0000-4000-8000-0000000000ac";

/// What one sender saw.
#[derive(Default)]
struct Seen {
    /// Ids of events that the host said it has.
    taken: Vec<String>,
    /// The first status that was none of success.
    refused: Option<u16>,
    /// Whether the connection broke while an answer was due.
    broken: bool,
}

struct Senders {
    threads: Vec<std::thread::JoinHandle<Seen>>,
    answers: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

/// Each sends the events of a node of its own, one after the other over one connection, until the host refuses or is gone.
fn send_from_many(address: SocketAddr) -> Senders {
    let (answers, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let threads = (0..CONNECTIONS).map(|number| {
        let (answers, stop) = (answers.clone(), stop.clone());
        let client = Client::connect(address).unwrap();
        std::thread::Builder::new().stack_size(256 << 10).spawn(move || send(client, number, &answers, &stop)).unwrap()
    });
    Senders { threads: threads.collect(), answers, stop }
}

fn send(mut client: Client, number: u32, answers: &AtomicUsize, stop: &AtomicBool) -> Seen {
    let node = Node::new(number, "effect");
    let mut seen = Seen::default();
    for round in 0.. {
        if stop.load(Ordering::Acquire) {
            break;
        }
        let event = if round == 0 { node.introspection(0.0, CORRELATION) } else { node.heartbeat(f64::from(round)) };
        let Ok(response) = client.event("/", &event) else {
            seen.broken = true;
            break;
        };
        if response.status != 200 {
            seen.refused = Some(response.status);
            break;
        }
        let answer = response.json();
        seen.taken.extend(answer["accepted"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()));
        answers.fetch_add(1, Ordering::Release);
    }
    seen
}

impl Senders {
    fn wait_for(&self, count: usize, host: &mut Host) {
        host.running.until("answers", || self.answers.load(Ordering::Acquire) >= count);
    }

    fn seen(self) -> Vec<Seen> {
        self.stop.store(true, Ordering::Release);
        self.threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    }
}

/// Asserts that everything that was answered is in the journal, once.
fn assert_journaled(place: &Place, seen: &[Seen]) {
    let sql = "SELECT event_id FROM journal WHERE kind = 'decided' AND event_hash IS NOT NULL";
    let journaled = place.rows("registration.db", sql);
    let once: BTreeSet<&String> = journaled.iter().collect();
    assert_eq!(once.len(), journaled.len(), "none is decided twice");
    let missing: Vec<&String> = seen.iter().flat_map(|seen| &seen.taken).filter(|id| !once.contains(id)).collect();
    assert!(missing.is_empty(), "answered and not in the journal: {missing:?}");
}

#[test]
fn a_kill_under_load_loses_nothing_that_was_answered() {
    let place = Place::registration();
    let mut all = Vec::new();
    for _ in 0..2 {
        let mut host = Host::start(&place, &[]);
        let senders = send_from_many(host.address);
        senders.wait_for(ENOUGH / 2, &mut host);
        host.running.kill();
        all.extend(senders.seen());
        assert_journaled(&place, &all);
    }
    let taken: usize = all.iter().map(|seen| seen.taken.len()).sum();
    assert!(taken >= ENOUGH / 2, "{taken}");
    place.verifies();
}

#[test]
fn a_stop_under_load_answers_everybody() {
    let place = Place::registration();
    let mut host = Host::start(&place, &[]);
    let senders = send_from_many(host.address);
    senders.wait_for(ENOUGH / 2, &mut host);
    signal(host.running.child(), "TERM");
    host.running.end().well();
    let seen = senders.seen();
    // A sender may find the connection closed between two requests, but never while it waits for an answer that it
    // would have had: each event is answered, refused, or was never begun with.
    let refused = seen.iter().filter(|seen| seen.refused.is_some()).count();
    assert!(seen.iter().all(|seen| matches!(seen.refused, None | Some(503))), "only ever told to come back");
    eprintln!("{refused} told to come back, {} closed", seen.iter().filter(|seen| seen.broken).count());
    assert_journaled(&place, &seen);
    let taken: usize = seen.iter().map(|seen| seen.taken.len()).sum();
    let sql = "SELECT count(*) FROM events";
    assert_eq!(place.value("registration.db", sql), taken.to_string(), "what is in the journal was answered");
    place.verifies();
}

#[test]
fn senders_that_stay_are_served_to_the_end() {
    let place = Place::registration();
    let mut host = Host::start(&place, &[]);
    let senders = send_from_many(host.address);
    senders.wait_for(CONNECTIONS as usize * 3, &mut host);
    std::thread::sleep(Duration::from_millis(200));
    let seen = senders.seen();
    assert!(seen.iter().all(|seen| !seen.broken && seen.refused.is_none() && seen.taken.len() >= 2), "every connection was kept");
    host.running.kill();
    assert_journaled(&place, &seen);
}
