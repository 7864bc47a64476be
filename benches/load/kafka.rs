//! Events of nodes in a topic of Kafka: one partition holds a node's events, in their order.

use std::io;
use std::time::{Duration, Instant};

use purefold_nodes::Topics;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

/// Longest wait for the brokers.
const BROKERS_MAX: Duration = Duration::from_secs(60);

/// How long is waited before something is tried again that may go a moment later.
const RETRY_WAIT: Duration = Duration::from_millis(5);

/// Where events go.
pub(super) struct Target<'a> {
    pub(super) brokers: &'a str,
    pub(super) topic: &'a str,
    pub(super) partitions: u64,
}

/// Makes the topic, and those that the workflow publishes to, and fills it: all nodes register and acknowledge, and send
/// heartbeats in turn until it holds `events`.
pub(super) fn fill(target: &Target<'_>, nodes: u64, events: u64) -> io::Result<()> {
    make_topics(target).map_err(io::Error::other)?;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", target.brokers).set("partitioner", "murmur2_random").set("enable.idempotence", "true");
    config.set("linger.ms", "5");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().map_err(io::Error::other)?;
    let mut line = Vec::new();
    let (begin, later) = (super::time(0), super::time(1));
    for number in 0..events {
        line.clear();
        let node = number % nodes;
        match number / nodes {
            0 => super::introspection(&mut line, node, &begin)?,
            1 => super::acknowledgement(&mut line, node, &later)?,
            _ => super::beat(&mut line, nodes, number - 2 * nodes)?,
        }
        send(&producer, target.topic, &super::uuid(0, node), line.trim_ascii_end())?;
    }
    // The client's own wait looks ten times a second.
    let begun = Instant::now();
    while producer.in_flight_count() > 0 {
        if begun.elapsed() > BROKERS_MAX {
            return Err(io::Error::other("what was sent did not arrive"));
        }
        std::thread::sleep(RETRY_WAIT);
    }
    Ok(())
}

fn make_topics(target: &Target<'_>) -> anyhow::Result<()> {
    let partitions = i32::try_from(target.partitions)?;
    Topics::default().make(target.brokers, partitions)?;
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", target.brokers).create()?;
    let options = AdminOptions::new().operation_timeout(Some(BROKERS_MAX)).request_timeout(Some(BROKERS_MAX));
    let topic = NewTopic::new(target.topic, partitions, TopicReplication::Fixed(1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for made in runtime.block_on(admin.create_topics([&topic], &options))? {
        made.map_err(|(topic, code)| anyhow::anyhow!("cannot make the topic {topic}: {code}"))?;
    }
    Ok(())
}

fn send(producer: &ThreadedProducer<DefaultProducerContext>, topic: &str, key: &str, event: &[u8]) -> io::Result<()> {
    let headers = OwnedHeaders::new().insert(Header { key: "content-type", value: Some("application/cloudevents+json") });
    let mut record = BaseRecord::to(topic).key(key).payload(event).headers(headers);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                std::thread::sleep(RETRY_WAIT);
            }
            Err((error, _)) => return Err(io::Error::other(error)),
        }
    }
}
