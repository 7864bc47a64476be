//! The Kafka source on a real broker.

mod basics;
mod forms;
mod group;
mod lost;
mod outages;
mod secure;
mod shared;

use std::io::BufReader;
use std::net::SocketAddr;
use std::process::ChildStderr;
use std::time::{Duration, Instant};

use purefold_services::{Instance, Kind};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rusqlite::Connection;
use serde_json::Value;

use crate::backends::{cache, shared, unique};
use crate::client::Client;
use crate::place::{Place, Running};
use crate::program::Done;
use crate::wire::Node;

pub(super) const STORE: &str = "registration.db";

/// Longest wait for what should happen at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How often a figure is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

const CORRELATION: &str = "eeeeeeee-0000-4000-8000-0000000000ca";

/// A broker, a topic on it, and whoever writes to it.
pub(super) struct Stream {
    pub(super) brokers: String,
    pub(super) topic: String,
    producer: BaseProducer,
}

/// What producers say of their records by headers.
pub(super) type Headers<'a> = &'a [(&'a str, &'a str)];

pub(super) const STRUCTURED: Headers<'_> = &[("content-type", "application/cloudevents+json")];

impl Stream {
    /// A topic of its own on the broker that tests share.
    pub(super) fn new(partitions: i32) -> Stream {
        Stream::at(&shared(Kind::Kafka), partitions)
    }

    pub(super) fn at(brokers: &str, partitions: i32) -> Stream {
        let stream = Stream { brokers: brokers.to_owned(), topic: unique("events"), producer: producer(brokers, &[]) };
        stream.make(partitions);
        stream
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", &self.brokers).create().unwrap()
    }

    /// Makes the topic.
    pub(super) fn make(&self, partitions: i32) {
        let new = NewTopic::new(&self.topic, partitions, TopicReplication::Fixed(1)).set("message.timestamp.type", "CreateTime");
        let begun = Instant::now();
        // A topic of that name may still be on its way out.
        while wait(self.admin().create_topics([&new], &AdminOptions::new())).unwrap()[0].is_err() {
            assert!(begun.elapsed() < PATIENCE, "the topic can be made");
            std::thread::sleep(Duration::from_millis(100));
        }
        // The controller has it; the broker hears of it a little later.
        while self.partitions() != partitions {
            assert!(begun.elapsed() < PATIENCE, "the broker knows the topic");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How many partitions the broker says that the topic has.
    fn partitions(&self) -> i32 {
        let metadata = self.admin().inner().fetch_metadata(Some(&self.topic), PATIENCE).unwrap();
        metadata.topics().iter().map(|topic| i32::try_from(topic.partitions().len()).unwrap()).sum()
    }

    /// Deletes the topic and makes another one of its name.
    pub(super) fn make_anew(&self, partitions: i32) {
        let deleted = wait(self.admin().delete_topics(&[&self.topic], &AdminOptions::new())).unwrap();
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
        self.make(partitions);
    }

    /// Gives the topic more partitions, so that it has so many.
    pub(super) fn add_partitions(&self, count: usize) {
        let more = NewPartitions::new(&self.topic, count);
        let made = wait(self.admin().create_partitions([&more], &AdminOptions::new())).unwrap();
        assert!(made.iter().all(Result::is_ok), "{made:?}");
    }

    /// Removes what stands before these offsets.
    pub(super) fn remove_before(&self, partition: i32, offset: i64) {
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, rdkafka::Offset::Offset(offset)).unwrap();
        wait(self.admin().delete_records(&list, &AdminOptions::new())).unwrap();
    }

    /// Sends a record, keyed.
    pub(super) fn send(&self, key: &str, headers: Headers<'_>, value: Option<&str>) {
        send(&self.producer, &self.topic, key, headers, value);
    }

    /// Sends an event in its structured form, keyed by its source.
    pub(super) fn event(&self, event: &str) {
        let json: Value = serde_json::from_str(event).unwrap();
        self.send(json["source"].as_str().unwrap(), STRUCTURED, Some(event));
    }

    /// Waits until the broker has everything.
    pub(super) fn flush(&self) {
        self.producer.flush(PATIENCE).unwrap();
    }

    /// Announcements of so many nodes.
    pub(super) fn announce(&self, nodes: std::ops::Range<u32>) {
        for number in nodes {
            self.event(&announcement(number));
        }
        self.flush();
    }

    fn reader(&self) -> BaseConsumer {
        ClientConfig::new().set("bootstrap.servers", &self.brokers).set("group.id", &self.topic).create().unwrap()
    }

    /// What the group has committed.
    pub(super) fn committed(&self, partition: i32) -> Option<i64> {
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        let committed = self.reader().committed_offsets(list, PATIENCE).unwrap();
        committed.elements().first().and_then(|element| element.offset().to_raw()).filter(|offset| *offset >= 0)
    }

    /// Commits as the group, as tools do.
    pub(super) fn commit(&self, partition: i32, offset: i64) {
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, rdkafka::Offset::Offset(offset)).unwrap();
        self.reader().commit(&list, rdkafka::consumer::CommitMode::Sync).unwrap();
    }

    /// The reference workflow on this topic.
    pub(super) fn place(&self, more: &str) -> Place {
        let mut place = Place::registration();
        place.mend(
            "[store]\n",
            &format!("[source]\nkafka = {{ brokers = \"${{BROKERS}}\", group = \"{}\", topics = [\"{0}\"]{more} }}\n[store]\n", self.topic),
        );
        place.variable("BROKERS", &self.brokers);
        place
    }
}

/// What a node of that number announces.
pub(super) fn announcement(number: u32) -> String {
    Node::new(number, "effect").introspection(f64::from(number), CORRELATION)
}

pub(super) fn producer(brokers: &str, more: &[(&str, &str)]) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("partitioner", "murmur2_random").set("linger.ms", "1").set("message.timeout.ms", "60000");
    for (name, value) in more {
        config.set(*name, *value);
    }
    config.create().unwrap()
}

pub(super) fn send(producer: &BaseProducer, topic: &str, key: &str, headers: Headers<'_>, value: Option<&str>) {
    let headers = headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(*value) }));
    let mut record = BaseRecord::to(topic).key(key).headers(headers);
    record.payload = value;
    while let Err((error, back)) = producer.send(record) {
        assert_eq!(error.rdkafka_error_code(), Some(rdkafka::error::RDKafkaErrorCode::QueueFull), "{error}");
        producer.poll(Duration::from_millis(50));
        record = back;
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A host that runs, with its admin port.
pub(super) struct Host {
    pub(super) running: Running,
    pub(super) admin: SocketAddr,
    told: std::thread::JoinHandle<String>,
}

impl Host {
    pub(super) fn start(place: &Place) -> Host {
        let mut running = Running::start(place.command("run", &["--admin", "127.0.0.1:0"]));
        let (admin, told) = running.listens("metrics, health and readiness on http://");
        Host { running, admin, told: std::thread::spawn(|| read_all(told)) }
    }

    pub(super) fn get(&self, path: &str) -> (u16, String) {
        let mut client = Client::connect(self.admin).unwrap();
        client.send("GET", path, &[], "").unwrap();
        let response = client.receive().unwrap();
        (response.status, response.body)
    }

    /// The value of the sample that begins so.
    pub(super) fn figure(&self, sample: &str) -> Option<f64> {
        self.get("/metrics").1.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok())
    }

    /// Waits until the figure that begins so is as expected.
    #[track_caller]
    pub(super) fn until_figure(&self, sample: &str, expected: impl Fn(Option<f64>) -> bool) {
        let begun = Instant::now();
        while !expected(self.figure(sample)) {
            assert!(begun.elapsed() < PATIENCE, "{sample}\n{}\n{}", self.get("/metrics").1, self.get("/readyz").1);
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until so many entities are there.
    #[track_caller]
    pub(super) fn until_known(&mut self, place: &Place, nodes: usize) {
        self.running.until(&format!("{nodes} nodes are known"), || known(place).is_some_and(|known| known >= nodes));
    }

    /// Ends it in good order. Gives what it said.
    #[track_caller]
    pub(super) fn stop(mut self) -> String {
        let id = self.running.child().id().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let done: Done = self.running.end();
        let told = self.told.join().unwrap();
        assert_eq!(done.code, Some(0), "{told}");
        told
    }

    /// Ends it at once.
    pub(super) fn kill(self) {
        self.running.kill();
    }
}

/// What a host says, told on where a test fails.
fn read_all(told: BufReader<ChildStderr>) -> String {
    let mut text = String::new();
    for line in std::io::BufRead::lines(told).map_while(Result::ok) {
        eprintln!("{line}");
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// How many entities a running host has decided for.
pub(super) fn known(place: &Place) -> Option<usize> {
    let connection = Connection::open(place.path(STORE)).ok()?;
    connection.query_row("SELECT count(*) FROM entities WHERE key <> ''", [], |row| row.get(0)).ok()
}

/// The ids of events that were decided, in the order of the journal.
pub(super) fn decided(place: &Place) -> Vec<String> {
    place.rows(STORE, "SELECT event_id FROM journal WHERE kind = 'decided' AND event_hash IS NOT NULL ORDER BY row")
}

/// Position by partition.
pub(super) fn positions(place: &Place) -> Vec<String> {
    place.rows(STORE, "SELECT name, next_line FROM sources WHERE name LIKE 'kafka:%' ORDER BY name")
}

/// Runs what the topic has.
#[track_caller]
pub(super) fn run(place: &Place) -> Done {
    place.ask("run", &["--until-idle", "--json"])
}

/// Asserts that every announcement was decided, each once.
#[track_caller]
pub(super) fn assert_decided_once(place: &Place, nodes: std::ops::Range<u32>) {
    let mut found = decided(place);
    found.sort();
    let mut expected: Vec<String> = nodes
        .map(|number| {
            let event: Value = serde_json::from_str(&announcement(number)).unwrap();
            event["id"].as_str().unwrap().to_owned()
        })
        .collect();
    expected.sort();
    assert_eq!(found.len(), expected.len());
    assert_eq!(found, expected);
    place.verifies();
}

/// A broker of one test's own.
pub(super) fn own_broker() -> Instance {
    Instance::kafka(&cache()).unwrap_or_else(|error| panic!("{error:#}"))
}
