//! Several hosts on one PostgreSQL store: whatever happens to each of them, they decide as one.

mod chaos;
mod woken;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{ChildStderr, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use purefold_services::Kind;

use crate::client::Client;
use crate::place::{Place, Running};
use crate::program::{Done, signal, target_folder};
use crate::store::Database;

/// A database on the server that tests share.
fn database() -> Database {
    let cache = purefold_services::Cache::new(target_folder().join("services"));
    Database::at(&purefold_services::shared(Kind::Postgres, &cache).unwrap_or_else(|error| panic!("{error:#}")))
}

/// A workflow with its journal in PostgreSQL.
fn shared() -> Place {
    sharing(Place::misbehaving())
}

/// That workflow, with its journal in PostgreSQL.
fn sharing(mut place: Place) -> Place {
    place.keep_journal_in(database());
    place
}

/// A host that is sent events.
struct Host {
    running: Running,
    address: SocketAddr,
    told: Arc<Mutex<String>>,
}

impl Host {
    fn start(place: &Place) -> Host {
        let mut command = place.command("run", &["--listen", "127.0.0.1:0"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut running = Running::start(command);
        let (address, reader) = running.listens("listening on http://");
        let told = Arc::new(Mutex::new(String::new()));
        keep_reading(reader, told.clone());
        Host { running, address, told }
    }

    fn client(&self) -> Option<Client> {
        Client::connect(self.address).ok()
    }

    fn signal(&mut self, name: &str) {
        signal(self.running.child(), name);
    }

    fn told(&self) -> String {
        self.told.lock().unwrap().clone()
    }

    fn end(mut self) -> Done {
        self.signal("TERM");
        self.running.end()
    }
}

fn keep_reading(reader: BufReader<ChildStderr>, told: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        for line in reader.lines().map_while(Result::ok) {
            let mut told = told.lock().unwrap();
            told.push_str(&line);
            told.push('\n');
        }
    });
}

/// How long everything takes to come to rest.
const PATIENCE: Duration = Duration::from_secs(90);

fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// How many shards have an owner that is there.
fn owned(place: &Place) -> u64 {
    place.journal().number("SELECT count(*) FROM shards JOIN hosts ON hosts.epoch = shards.epoch")
}

/// How many hosts own shards.
fn owners(place: &Place) -> u64 {
    place.journal().number("SELECT count(DISTINCT shards.epoch) FROM shards JOIN hosts ON hosts.epoch = shards.epoch")
}
