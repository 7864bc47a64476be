//! What the topics hold in the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use purefold_nodes::{WRITTEN_BY_NODES, WRITTEN_BY_REGISTRY};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;

/// Longest wait for the brokers to answer, and for each next record.
const PATIENCE: Duration = Duration::from_secs(60);

/// A record as a reader sees it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) key: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) value: String,
}

/// An event, in whichever form it came.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) source: String,
    pub(super) correlation: Option<String>,
    /// The entity that it is about.
    pub(super) node: String,
    pub(super) data: Value,
}

impl Record {
    fn of(message: &BorrowedMessage<'_>) -> Record {
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        Record {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            key: text(message.key()),
            headers: headers.map(|header| (header.key.to_owned(), text(header.value))).collect(),
            value: text(message.payload()),
        }
    }

    /// The partition's name as a source.
    pub(super) fn source(&self) -> String {
        source(&self.topic, self.partition)
    }

    /// The event that it is; none where nobody can read it.
    pub(super) fn event(&self) -> Option<Event> {
        let value: Value = serde_json::from_str(&self.value).ok()?;
        let text = |value: &Value, name: &str| value[name].as_str().map(str::to_owned);
        let header = |name: &str| self.headers.get(name).cloned();
        let (id, source, correlation, data) = match header("ce_id") {
            Some(id) => (id, header("ce_source")?, header("ce_correlationid"), value),
            None => (text(&value, "id")?, text(&value, "source")?, text(&value, "correlationid"), value.get("data")?.clone()),
        };
        let node = text(&data, "node_id").unwrap_or_default();
        Some(Event { id, source, correlation: correlation.or_else(|| text(&data, "correlation_id")), node, data })
    }
}

/// All records of all topics of both workflows, each partition in its order.
pub(super) fn records(brokers: &str) -> Vec<Record> {
    let consumer = consumer(brokers);
    let mut assignment = TopicPartitionList::new();
    let mut left = 0;
    for (topic, partition) in WRITTEN_BY_NODES.iter().chain(&WRITTEN_BY_REGISTRY).flat_map(|topic| partitions(&consumer, topic)) {
        let (low, high) = watermarks(&consumer, &topic, partition);
        left += high - low;
        assignment.add_partition_offset(&topic, partition, Offset::Beginning).expect("an offset");
    }
    consumer.assign(&assignment).expect("an assignment");
    let mut records = Vec::new();
    let mut last = Instant::now();
    while left > i64::try_from(records.len()).expect("a length") {
        assert!(last.elapsed() < PATIENCE, "{} of {left} records were read", records.len());
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            records.push(Record::of(&message));
            last = Instant::now();
        }
    }
    records
}

/// Where the partitions end that the workflow reads, by their names as sources.
pub(super) fn ends(brokers: &str) -> Vec<(String, u64)> {
    let consumer = consumer(brokers);
    let all = WRITTEN_BY_NODES.iter().flat_map(|topic| partitions(&consumer, topic));
    all.map(|(topic, partition)| (source(&topic, partition), watermarks(&consumer, &topic, partition).1.unsigned_abs())).collect()
}

fn source(topic: &str, partition: i32) -> String {
    format!("kafka:{topic}/{partition}")
}

fn consumer(brokers: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    // Nobody joins the group: partitions are assigned.
    config.set("bootstrap.servers", brokers).set("group.id", "chaos").set("enable.auto.commit", "false");
    config.create().expect("a consumer")
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> Vec<(String, i32)> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).expect("the brokers answer");
    metadata
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions().iter().map(|partition| (topic.name().to_owned(), partition.id())))
        .collect()
}

fn watermarks(consumer: &BaseConsumer, topic: &str, partition: i32) -> (i64, i64) {
    consumer.fetch_watermarks(topic, partition, PATIENCE).expect("the brokers answer")
}
