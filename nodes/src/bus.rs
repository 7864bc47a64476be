//! What nodes send and hear, over Kafka.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;

use crate::message::{Form, Outgoing};
use crate::topics::Topics;

/// Longest wait for the brokers to say where a topic ends.
const LOOK_MAX: Duration = Duration::from_secs(30);

/// Longest wait for the brokers to take what was sent.
const FLUSH_MAX: Duration = Duration::from_secs(30);

/// How often it is looked whether it has.
const FLUSH_LOOK: Duration = Duration::from_micros(500);

/// How long is waited before something is tried again that may go a moment later.
const RETRY_WAIT: Duration = Duration::from_millis(20);

/// An event that was heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// Its type, which is the topic's name wherever it begins.
    pub kind: String,
    /// All headers.
    pub headers: BTreeMap<String, String>,
    /// Its data; null where that is no JSON.
    pub data: Value,
}

impl Received {
    /// Its correlation id: the attribute, else the data's.
    #[must_use]
    pub fn correlation(&self) -> Option<String> {
        let of_data = || self.data["correlation_id"].as_str().map(str::to_owned);
        self.headers.get("ce_correlationid").cloned().or_else(of_data)
    }
}

/// A connection to the brokers: writes events, and hears those of some topics from now on.
pub struct Bus {
    topics: Topics,
    producer: ThreadedProducer<DefaultProducerContext>,
    consumer: BaseConsumer,
}

impl Bus {
    /// Connects, and hears `heard` from now on.
    ///
    /// # Errors
    /// Where the brokers do not answer, or one of the topics is not there.
    pub fn connect(brokers: &str, topics: Topics, heard: &[&str]) -> Result<Bus> {
        Bus::from(brokers, topics, heard, |_, high| Offset::Offset(high))
    }

    /// Connects, and hears `heard` from the beginning.
    ///
    /// # Errors
    /// As [`Bus::connect`].
    pub fn connect_from_the_beginning(brokers: &str, topics: Topics, heard: &[&str]) -> Result<Bus> {
        Bus::from(brokers, topics, heard, |low, _| Offset::Offset(low))
    }

    fn from(brokers: &str, topics: Topics, heard: &[&str], begin: impl Fn(i64, i64) -> Offset) -> Result<Bus> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("client.id", "purefold-nodes");
        // As Java's clients do, and in the order in which it was sent.
        let producer = config
            .clone()
            .set("partitioner", "murmur2_random")
            .set("enable.idempotence", "true")
            .set("linger.ms", "1")
            .create()
            .context("cannot make a Kafka producer")?;
        let consumer: BaseConsumer = config
            // Nobody joins it: positions are assigned.
            .set("group.id", "purefold-nodes")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "50")
            .create()
            .context("cannot make a Kafka consumer")?;
        let mut assignment = TopicPartitionList::new();
        for topic in heard {
            let name = topics.name(topic);
            let metadata = consumer.fetch_metadata(Some(&name), LOOK_MAX).with_context(|| format!("cannot ask {brokers} for {name}"))?;
            let partitions = metadata.topics().first().map(|topic| topic.partitions().len()).unwrap_or_default();
            if partitions == 0 {
                bail!("there is no topic {name}; make the workflow's topics first");
            }
            for partition in 0..partitions as i32 {
                let (low, high) = ends(&consumer, &name, partition)?;
                assignment.add_partition_offset(&name, partition, begin(low, high))?;
            }
        }
        consumer.assign(&assignment)?;
        Ok(Bus { topics, producer, consumer })
    }

    /// Sends something. It is on its way when this returns; [`Bus::flush`] waits until it has arrived.
    ///
    /// # Errors
    /// Where the client does not take it.
    pub fn send(&self, outgoing: &Outgoing) -> Result<()> {
        match outgoing {
            Outgoing::Garbage(topic, bytes) => self.put(&self.topics.name(topic), None, OwnedHeaders::new(), bytes.as_bytes()),
            Outgoing::Event(message, Form::Structured) => {
                let topic = self.topics.name(message.kind);
                let headers = headers([("content-type", "application/cloudevents+json".to_owned())]);
                self.put(&topic, Some(&message.node), headers, message.structured(&topic)?.as_bytes())
            }
            Outgoing::Event(message, Form::Binary) => {
                let topic = self.topics.name(message.kind);
                self.put(&topic, Some(&message.node), headers(message.headers(&topic)), message.data.as_bytes())
            }
        }
    }

    /// Waits until everything that was sent has arrived.
    ///
    /// # Errors
    /// Where it does not within half a minute.
    pub fn flush(&self) -> Result<()> {
        // The client's own wait looks ten times a second; its thread hears of each arrival at once.
        let begun = Instant::now();
        while self.producer.in_flight_count() > 0 {
            ensure!(begun.elapsed() < FLUSH_MAX, "what was sent did not arrive within {FLUSH_MAX:?}");
            std::thread::sleep(FLUSH_LOOK);
        }
        Ok(())
    }

    /// The next event, where one comes within `wait`.
    #[must_use]
    pub fn hear(&self, wait: Duration) -> Option<Received> {
        // An error of the connection passes: the client goes on by itself.
        self.consumer.poll(wait)?.ok().map(|message| self.received(&message))
    }

    fn received(&self, message: &BorrowedMessage<'_>) -> Received {
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let headers: BTreeMap<String, String> = message
            .headers()
            .map(|headers| headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect())
            .unwrap_or_default();
        let value: Value = serde_json::from_slice(message.payload().unwrap_or_default()).unwrap_or_default();
        // Structured events have their data within.
        let data = if headers.contains_key("ce_type") { value } else { value.get("data").cloned().unwrap_or(value) };
        Received { kind: self.topics.of_name(message.topic()), headers, data }
    }

    fn put(&self, topic: &str, key: Option<&str>, headers: OwnedHeaders, value: &[u8]) -> Result<()> {
        let mut record = BaseRecord::<str, [u8]>::to(topic).payload(value).headers(headers);
        if let Some(key) = key {
            record = record.key(key);
        }
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    std::thread::sleep(RETRY_WAIT);
                }
                Err((error, _)) => return Err(error).with_context(|| format!("cannot send to {topic}")),
            }
        }
    }
}

/// Where a partition begins and ends. One that was made a moment ago has no leader yet: it is asked again.
fn ends(consumer: &BaseConsumer, topic: &str, partition: i32) -> Result<(i64, i64)> {
    let begun = Instant::now();
    loop {
        match consumer.fetch_watermarks(topic, partition, LOOK_MAX) {
            Ok(ends) => return Ok(ends),
            Err(_) if begun.elapsed() < LOOK_MAX => std::thread::sleep(RETRY_WAIT),
            Err(error) => return Err(error).with_context(|| format!("cannot look into {topic}")),
        }
    }
}

fn headers(pairs: impl IntoIterator<Item = (&'static str, String)>) -> OwnedHeaders {
    pairs.into_iter().fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(&value) }))
}
