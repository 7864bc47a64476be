//! Releases that come into force under load, again and again, while hosts are killed: nothing is lost, and nothing decided twice
//! or by an older release after a younger.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::chance::{Chance, number_of};
use crate::client::Client;
use crate::deploying::{MANIFEST, STORE, UNTRIED, arrival, begun, deploy, step};
use crate::place::{Place, Running};
use crate::program::{fixture, signal};
use crate::store::database;
use crate::tables::number as number_in;

/// Swaps, where the variable does not say; `cargo xtask swaps` sets it.
const SWAPS_VARIABLE: &str = "PUREFOLD_SWAPS";
const SWAPS: u64 = 8;

/// Another seed is another set of moments.
const SEED_VARIABLE: &str = "PUREFOLD_SWAP_SEED";

const COMPONENTS: [&str; 3] = ["simulated-v1", "simulated-v2", "simulated-v3"];

/// Entities that events are for.
const ACCOUNTS: u64 = 5;

/// Hosts that share a store, and how many send them events.
const HOSTS: usize = 3;
const SENDERS: u64 = 2;

/// Swaps for each one with a kill. What a killed host had of a shared store is nobody's until its lease is over, which takes its time.
const SWAPS_FOR_A_KILL: u64 = 3;
const SWAPS_FOR_A_KILL_OF_SEVERAL: u64 = 8;

/// Lines that are written ahead of the host that reads them, by and large.
const MOST_AHEAD: u64 = 10_000;

/// How far a source is decided.
const READ: &str = "SELECT coalesce(max(next_line), 0) FROM sources";

/// How long nothing may happen where there is something to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was written, or sent and answered.
#[derive(Clone, Default)]
struct Load {
    events: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Load {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn end(&self, by: Vec<JoinHandle<()>>) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        by.into_iter().for_each(|thread| thread.join().expect("who makes the load ends"));
        self.events.load(Ordering::Relaxed)
    }
}

/// The step of that number.
fn numbered(number: u64) -> String {
    step(number % ACCOUNTS, number, number % 2)
}

/// Writes steps after the first two for as long as it is to, as fast as a file's reader may be expected to follow.
fn writes(stream: &Path, store: &Path, load: &Load) {
    let mut file = OpenOptions::new().append(true).open(stream).expect("there is a stream");
    load.events.store(2, Ordering::Relaxed);
    while !load.is_over() {
        let number = load.events.load(Ordering::Relaxed) + 1;
        while number.is_multiple_of(1000) && !load.is_over() && number_in(store, READ) + MOST_AHEAD < number {
            std::thread::sleep(Duration::from_millis(20));
        }
        writeln!(file, "{}", numbered(number)).expect("the stream can be written");
        load.events.store(number, Ordering::Relaxed);
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// Where the hosts listen, each at its place.
type Addresses = Arc<Mutex<Vec<SocketAddr>>>;

/// Sends every so many-th step, from `number` on, each to one host after the other until one answers that it has it.
fn sends(addresses: &Addresses, mut number: u64, load: &Load) {
    let mut clients: Vec<Option<(SocketAddr, Client)>> = (0..HOSTS).map(|_| None).collect();
    let mut at = 0;
    while !load.is_over() {
        let event = numbered(number);
        let begun = Instant::now();
        loop {
            at = (at + 1) % HOSTS;
            let address = addresses.lock().expect("nobody fails with it")[at];
            let known = clients[at].take().filter(|(known, _)| *known == address).map(|(_, client)| client);
            let client = known.or_else(|| Client::connect(address).ok());
            if let Some(mut client) = client {
                client.patience(Duration::from_secs(2));
                if client.event("/", &event).is_ok_and(|answer| answer.status == 200) {
                    clients[at] = Some((address, client));
                    break;
                }
            }
            assert!(begun.elapsed() < PATIENCE, "no host takes step {number}");
            std::thread::sleep(Duration::from_millis(10));
        }
        load.events.fetch_add(1, Ordering::Relaxed);
        number += SENDERS;
    }
}

/// Has releases come into force, every so often with a kill before, during or after. `started` has a host at that place. Gives how many
/// were killed.
fn swap(
    place: &Place,
    (swaps, for_a_kill): (u64, u64),
    chance: &mut Chance,
    hosts: &mut [Option<Running>],
    mut started: impl FnMut(usize) -> Running,
) -> u64 {
    let mut kills = 0;
    for number in 0..swaps {
        let component = COMPONENTS[usize::try_from(chance.below(COMPONENTS.len() as u64)).expect("an index")];
        // Each run has at least one.
        if number + 1 != swaps.min(for_a_kill) && chance.below(for_a_kill) != 0 {
            drop(deploy(place, component, UNTRIED));
            continue;
        }
        let wait = Duration::from_millis(chance.below(400));
        let at = usize::try_from(chance.below(hosts.len() as u64)).expect("an index");
        std::thread::scope(|scope| {
            scope.spawn(move || drop(deploy(place, component, UNTRIED)));
            std::thread::sleep(wait);
            hosts[at].take().expect("it runs").kill();
            hosts[at] = Some(started(at));
        });
        kills += 1;
    }
    kills
}

/// Waits until everything is decided and performed, ends the hosts and looks at what they left.
fn is_well(place: &Place, hosts: Vec<Option<Running>>, events: u64, what: &str) {
    let log = || std::fs::read_to_string(place.path("hosts.log")).unwrap_or_default();
    let mut hosts: Vec<Running> = hosts.into_iter().flatten().collect();
    let left = "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM forwarded) + (SELECT count(*) FROM deliveries)";
    let of_steps = "FROM entries WHERE kind = 'decided' AND event_id LIKE 'step-%'";
    let decided = || place.value(STORE, &format!("SELECT count(DISTINCT event_id) {of_steps}"));
    let (mut begun, mut before) = (Instant::now(), String::new());
    while decided() != events.to_string() || place.value(STORE, left) != "0" {
        for host in &mut hosts {
            assert!(host.child().try_wait().expect("it can be asked").is_none(), "a host ended by itself: {}", log());
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{} of {events} events are decided, {} is left: {}",
            decided(),
            place.value(STORE, left),
            log()
        );
        let now = decided();
        if now != before {
            (begun, before) = (Instant::now(), now);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    for mut host in hosts {
        signal(host.child(), "TERM");
        host.end().well();
    }
    assert_eq!(place.value(STORE, &format!("SELECT count(*) {of_steps}")), events.to_string(), "each event is decided once");
    let older = "SELECT count(*) FROM (SELECT release, lag(release) OVER (PARTITION BY entity ORDER BY sequence, ordinal) AS before \
                 FROM entries WHERE kind = 'decided') AS pairs WHERE release < before";
    assert_eq!(place.value(STORE, older), "0", "nothing is decided by an older release after a younger");
    let releases: u64 = place.value(STORE, "SELECT count(*) FROM releases").parse().expect("a number");
    let swaps = number_of(SWAPS_VARIABLE, SWAPS);
    assert!(releases > swaps / 3, "{releases} releases of {swaps} swaps");
    eprintln!("{what}: {events} events, {swaps} swaps, {releases} releases");
    place.verifies();
}

/// Where all that the hosts say goes.
fn log_of(place: &Place) -> File {
    OpenOptions::new().create(true).append(true).open(place.path("hosts.log")).expect("a log can be written")
}

#[test]
fn under_load_with_kills_lose_and_repeat_nothing() {
    let (swaps, seed) = (number_of(SWAPS_VARIABLE, SWAPS), number_of(SEED_VARIABLE, 1));
    let place = begun();
    let load = Load::default();
    let writer = {
        let (load, stream, store) = (load.clone(), place.path("stream.jsonl"), place.path(STORE));
        std::thread::spawn(move || writes(&stream, &store, &load))
    };
    let started = |_: usize| {
        let mut command = place.running(&["--follow"]);
        command.stderr(log_of(&place));
        Running::start(command)
    };
    let mut hosts = vec![Some(started(0))];
    let kills = swap(&place, (swaps, SWAPS_FOR_A_KILL), &mut Chance::new(seed), &mut hosts, started);
    is_well(&place, hosts, load.end(vec![writer]), &format!("one host on SQLite, seed {seed}, {kills} kills"));
}

#[test]
fn under_load_with_kills_of_several_hosts_lose_and_repeat_nothing() {
    let (swaps, seed) = (number_of(SWAPS_VARIABLE, SWAPS), number_of(SEED_VARIABLE, 1));
    let mut place = Place::new(MANIFEST, &fixture("simulated-v1"));
    place.keep_journal_in(database());
    // A file of published events has one writer.
    for file in ["first.jsonl", "second.jsonl"] {
        place.mend(&format!("\"{file}\""), &format!("\"${{WRITER}}-{file}\""));
    }
    place.variable("WRITER", "nobody");
    place.stream(Vec::<String>::new());
    arrival(&place).well();
    let addresses: Addresses = Arc::new(Mutex::new(Vec::new()));
    let lives = AtomicU64::new(0);
    let started = |at: usize| {
        let mut command = place.command("run", &["--listen", "127.0.0.1:0"]);
        command.env("WRITER", format!("host-{}", lives.fetch_add(1, Ordering::Relaxed)));
        let mut host = Running::start(command);
        let (address, mut told) = host.listens("listening on http://");
        let mut log = log_of(&place);
        std::thread::spawn(move || std::io::copy(&mut told, &mut log));
        let mut addresses = addresses.lock().expect("nobody fails with it");
        if at < addresses.len() {
            addresses[at] = address;
        } else {
            addresses.push(address);
        }
        drop(addresses);
        host
    };
    let mut hosts: Vec<Option<Running>> = (0..HOSTS).map(|at| Some(started(at))).collect();
    let load = Load::default();
    let senders = (1..=SENDERS).map(|first| {
        let (load, addresses) = (load.clone(), addresses.clone());
        std::thread::spawn(move || sends(&addresses, first, &load))
    });
    let senders = senders.collect();
    let kills = swap(&place, (swaps, SWAPS_FOR_A_KILL_OF_SEVERAL), &mut Chance::new(seed), &mut hosts, started);
    is_well(&place, hosts, load.end(senders), &format!("{HOSTS} hosts on PostgreSQL, seed {seed}, {kills} kills"));
}
