//! `publish` on a real Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use purefold_effects::trial::{Trial, bind, call, open, record, refused, started, text, trial};
use purefold_effects::{EffectError, Operation};
use purefold_services::{Instance, Kind};
use purefold_wit::{Type, Value};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::{cache, shared, unique};

const PARTITIONS: i32 = 3;

/// Longest wait for messages that are there.
const PATIENCE: Duration = Duration::from_secs(60);

fn note() -> Arc<purefold_wit::Record> {
    record("note", &[("id", Type::Uuid), ("body", Type::String)])
}

pub(super) fn route(topic: &str) -> Trial {
    trial("note", &note(), &format!("topic = '{topic}'"))
}

pub(super) fn settings(brokers: &str, more: &str) -> String {
    format!("capability = 'publish'\nkafka = '{brokers}'\n{more}")
}

pub(super) async fn operation(brokers: &str, topic: &str, more: &str) -> Arc<dyn Operation> {
    started(&settings(brokers, more), Path::new("."), &[route(topic)]).await.remove(0)
}

pub(super) fn values(body: &str) -> [Value; 2] {
    [Value::Uuid(0, 1), text(body)]
}

fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap()
}

pub(super) async fn make(brokers: &str, topic: &str, config: &[(&str, &str)]) {
    let mut new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
    for (name, value) in config {
        new = new.set(name, value);
    }
    let made = admin(brokers).create_topics([&new], &AdminOptions::new()).await.unwrap();
    assert!(made.iter().all(Result::is_ok), "{made:?}");
}

/// Makes a topic whose name others may use too.
pub(super) async fn make_if_absent(brokers: &str, topic: &str) {
    let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
    let made = admin(brokers).create_topics([&new], &AdminOptions::new()).await.unwrap();
    let is_there = |error: &RDKafkaErrorCode| *error == RDKafkaErrorCode::TopicAlreadyExists;
    assert!(made.iter().all(|made| made.as_ref().err().is_none_or(|(_, error)| is_there(error))), "{made:?}");
}

/// A message as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    partition: i32,
    key: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) value: String,
}

impl Seen {
    fn of(message: &BorrowedMessage<'_>) -> Seen {
        let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
        let headers = message.headers().unwrap().iter().map(|header| (header.key.to_owned(), text(header.value))).collect();
        Seen { partition: message.partition(), key: text(message.key()), headers, value: text(message.payload()) }
    }
}

/// All messages of the topic, each partition in its order.
pub(super) fn seen(brokers: &str, topic: &str) -> Vec<Seen> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "reader")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut assignment = TopicPartitionList::new();
    let mut left = 0;
    for partition in 0..PARTITIONS {
        let (low, high) = consumer.fetch_watermarks(topic, partition, PATIENCE).unwrap();
        left += high - low;
        assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&assignment).unwrap();
    let mut messages = Vec::new();
    let begun = Instant::now();
    while left > messages.len() as i64 {
        assert!(begun.elapsed() < PATIENCE, "{} of {left} messages", messages.len());
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            messages.push(Seen::of(&message.unwrap()));
        }
    }
    messages
}

#[tokio::test]
async fn an_event_is_one_message_in_binary_mode() {
    let (brokers, topic) = (shared(Kind::Kafka), unique("notes.v1"));
    make(&brokers, &topic, &[]).await;
    let operation = operation(&brokers, &topic, "").await;
    let mut first = call("key ü", 7, 2, &values("line\nbreak"));
    assert_eq!(operation.perform(first.clone()).await, Ok(None));
    assert_eq!(operation.perform(first.clone()).await, Ok(None), "a repeat");
    first.correlation_id = "".into();
    assert_eq!(operation.perform(first).await, Ok(None));
    let messages = seen(&brokers, &topic);
    assert_eq!(messages.len(), 3, "at least once");
    assert_eq!(messages[0], messages[1], "a repeat is published again, under the same id");
    let headers = [
        ("ce_correlationid", "c-1"),
        ("ce_id", "00000000-0000-0007-0000-000000000002"),
        ("ce_source", "w"),
        ("ce_specversion", "1.0"),
        ("ce_subject", "key ü"),
        ("ce_time", "2026-02-13T12:00:00.000000Z"),
        ("ce_type", topic.as_str()),
        ("content-type", "application/json"),
    ];
    let with: BTreeMap<String, String> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(messages[0].headers, with);
    assert!(!messages[2].headers.contains_key("ce_correlationid"), "there are no empty attributes");
    assert_eq!(
        (messages[0].key.as_str(), messages[0].value.as_str()),
        ("key ü", r#"{"id":"00000000-0000-0000-0000-000000000001","body":"line\nbreak"}"#)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entitys_events_keep_their_order_on_its_partition() {
    const ENTITIES: u64 = 30;
    const EVENTS: u64 = 20;
    let (brokers, topic) = (shared(Kind::Kafka), unique("order"));
    make(&brokers, &topic, &[]).await;
    let operation = operation(&brokers, &topic, "in-flight = 8\ncompression = 'zstd'").await;
    let mut lanes = tokio::task::JoinSet::new();
    for entity in 0..ENTITIES {
        let operation = Arc::clone(&operation);
        lanes.spawn(async move {
            for sequence in 1..=EVENTS {
                let event = call(&format!("e-{entity}"), sequence, 0, &values(&sequence.to_string()));
                assert_eq!(operation.perform(event).await, Ok(None));
            }
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane.unwrap();
    }
    let mut of_entity: BTreeMap<String, Vec<Seen>> = BTreeMap::new();
    for message in seen(&brokers, &topic) {
        of_entity.entry(message.key.clone()).or_default().push(message);
    }
    assert_eq!(of_entity.len() as u64, ENTITIES);
    for messages in of_entity.values() {
        assert!(messages.iter().all(|message| message.partition == messages[0].partition));
        let bodies: Vec<String> = messages
            .iter()
            .map(|message| serde_json::from_str::<serde_json::Value>(&message.value).unwrap()["body"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(bodies, (1..=EVENTS).map(|number| number.to_string()).collect::<Vec<_>>());
    }
    let partitions: BTreeSet<i32> = of_entity.values().map(|messages| messages[0].partition).collect();
    assert_eq!(partitions.len(), 3, "keys are spread");
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_found_at_load() {
    let (brokers, topic) = (shared(Kind::Kafka), unique("there"));
    make(&brokers, &topic, &[]).await;
    let effect = open(&settings(&brokers, ""), Path::new(".")).unwrap();
    let absent = unique("absent");
    let findings = bind(&*effect, &[route(&topic), route(&absent)]).err().unwrap();
    let told: Vec<(&str, &str)> = findings.iter().map(|finding| (finding.code, finding.place.as_str())).collect();
    assert_eq!(told, [("topic-missing", "intents.note.topic")]);
}

#[tokio::test]
async fn a_topic_that_is_lost_is_waited_for() {
    let (brokers, topic) = (shared(Kind::Kafka), unique("lost"));
    make(&brokers, &topic, &[]).await;
    let operation = operation(&brokers, &topic, "timeout = '2s'").await;
    assert_eq!(operation.perform(call("n", 1, 0, &values("a"))).await, Ok(None));
    let deleted = admin(&brokers).delete_topics(&[&topic], &AdminOptions::new()).await.unwrap();
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    // The client may believe in it for a moment, and then waits for it to come back.
    let failed = operation.perform(call("n", 2, 0, &values("b"))).await;
    assert!(matches!(failed, Err(EffectError::NotDone { .. } | EffectError::Unknown(_))), "{failed:?}");
    make(&brokers, &topic, &[]).await;
    let begun = Instant::now();
    while operation.perform(call("n", 2, 0, &values("b"))).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "the topic is there again");
    }
    let last = seen(&brokers, &topic).pop().unwrap();
    assert_eq!(last.headers["ce_id"], "00000000-0000-0002-0000-000000000000");
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_client_and_broker() {
    let (brokers, topic) = (shared(Kind::Kafka), unique("small"));
    make(&brokers, &topic, &[("max.message.bytes", "2000")]).await;
    let operation = operation(&brokers, &topic, "compression = 'none'").await;
    for bytes in [3_000, 2_000_000] {
        refused(operation.perform(call("n", 1, 0, &values(&"x".repeat(bytes)))).await);
    }
    assert_eq!(operation.perform(call("n", 2, 0, &values("x"))).await, Ok(None), "the client goes on");
}

#[tokio::test]
async fn brokers_that_are_away_at_load_may_come() {
    let started = Instant::now();
    let operation = operation("127.0.0.1:1", "any", "timeout = '300ms'").await;
    let failed = operation.perform(call("n", 1, 0, &values("x"))).await;
    assert!(matches!(failed, Err(EffectError::NotDone { .. } | EffectError::Unknown(_))), "{failed:?}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_restarted_under_load_every_event_arrives() {
    const LANES: u64 = 20;
    let mut kafka = Instance::kafka(&cache()).unwrap();
    let brokers = kafka.address().to_owned();
    make(&brokers, "events", &[]).await;
    let operation = operation(&brokers, "events", "timeout = '2s'").await;
    let over = Arc::new(AtomicBool::new(false));
    let mut lanes = tokio::task::JoinSet::new();
    for lane in 0..LANES {
        let (operation, over) = (Arc::clone(&operation), Arc::clone(&over));
        lanes.spawn(async move {
            let mut sequence = 0;
            while !over.load(Ordering::Relaxed) {
                sequence += 1;
                let event = call(&format!("lane-{lane}"), sequence, 0, &values("x"));
                while let Err(error) = operation.perform(event.clone()).await {
                    assert!(matches!(error, EffectError::NotDone { .. } | EffectError::Unknown(_)), "{error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            (lane, sequence)
        });
    }
    let outage = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(500));
        kafka.kill().unwrap();
        // Longer than a message is tried.
        std::thread::sleep(Duration::from_millis(2_500));
        kafka.start_again().unwrap();
        kafka
    });
    let kafka = outage.await;
    over.store(true, Ordering::Relaxed);
    let (_kafka, mut published) = (kafka.unwrap(), BTreeMap::new());
    while let Some(lane) = lanes.join_next().await {
        let (lane, count) = lane.unwrap();
        published.insert(format!("lane-{lane}"), count);
    }
    let messages = tokio::task::spawn_blocking(move || seen(&brokers, "events")).await.unwrap();
    for (lane, count) in published {
        let ids: BTreeSet<&str> = messages.iter().filter(|message| message.key == lane).map(|message| &*message.headers["ce_id"]).collect();
        let expected: Vec<String> = (1..=count).map(|sequence| purefold_wit::uuid::format(sequence, 0)).collect();
        assert_eq!(ids.into_iter().collect::<Vec<_>>(), expected, "{lane}: none missing, and repeats under the same id");
    }
}

#[tokio::test]
async fn secrets_are_not_told() {
    let (brokers, topic) = (shared(Kind::Kafka), unique("sasl"));
    // The broker speaks no SASL; what matters is what is said about it.
    let more = "timeout = '500ms'\nsasl = { mechanism = 'SCRAM-SHA-512', user = 'u', password = 's3cret-s3cret' }";
    let effect = open(&settings(&brokers, more), Path::new(".")).unwrap();
    // Where the client has not heard the refusal in time, the first attempt tells it.
    let told = match bind(&*effect, &[route(&topic)]) {
        Err(findings) => format!("{findings:?}"),
        Ok(operations) => operations[0].perform(call("n", 1, 0, &values("x"))).await.unwrap_err().to_string(),
    };
    assert!(told.contains("kafka-login-refused") || told.contains("cannot publish"), "{told}");
    assert!(!told.contains("s3cret"), "{told}");
    let tls = settings(&brokers, "tls = { ca = 'nowhere.pem' }");
    let findings = bind(&*open(&tls, Path::new("/")).unwrap(), &[route(&topic)]).err().unwrap();
    assert_eq!((findings[0].code, findings[0].place.as_str()), ("kafka-unusable", "effects.e.kafka"));
    assert!(findings[0].cause.contains("ssl.ca.location"), "{}", findings[0].cause);
}

#[test]
fn settings_of_the_effect() {
    for (more, expected) in [
        ("kafka = 'a:9092, b.example:9093'", &[][..]),
        ("kafka = ['a:9092', '[::1]:9093']", &[]),
        ("kafka = []", &[("setting-range", "kafka")]),
        ("kafka = 'a'", &[("setting-range", "kafka")]),
        ("kafka = 'user@a:9092'", &[("setting-range", "kafka")]),
        ("kafka = 9092", &[("setting-type", "kafka")]),
        ("kafka = 'a:1'\ncompression = 'zip'", &[("setting-range", "compression")]),
        ("kafka = 'a:1'\nin-flight = 0", &[("setting-range", "in-flight")]),
        ("kafka = 'a:1'\ntls = { certificate = 'c.pem' }", &[("setting-missing", "tls.key")]),
        ("kafka = 'a:1'\nsasl = { mechanism = 'GSSAPI', user = 'u', password = 'p' }", &[("setting-range", "sasl.mechanism")]),
        ("kafka = 'a:1'\nsasl = { mechanism = 'PLAIN' }", &[("setting-missing", "sasl.user"), ("setting-missing", "sasl.password")]),
        ("kafka = 'a:1'\nacks = 1", &[("setting-unknown", "acks")]),
    ] {
        let found = open(&format!("capability = 'publish'\n{more}"), Path::new(".")).err().unwrap_or_default();
        let found: Vec<(&str, &str)> = found.iter().map(|finding| (finding.code, finding.place.trim_start_matches("effects.e."))).collect();
        assert_eq!(found, expected, "{more}");
    }
}
