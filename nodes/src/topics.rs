//! The topics of the reference workflow, and how to make them.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;

use crate::event::{ACCEPTED, ACK, HEARTBEAT, INTROSPECTION, REQUEST};

/// What nodes write and the workflow reads.
pub const WRITTEN_BY_NODES: [&str; 3] = [INTROSPECTION, ACK, HEARTBEAT];

/// What the registry writes.
pub const WRITTEN_BY_REGISTRY: [&str; 9] = [
    REQUEST,
    ACCEPTED,
    "onex.evt.platform.node-registration-initiated.v1",
    "onex.evt.platform.node-registration-ack-received.v1",
    "onex.evt.platform.node-registration-ack-timed-out.v1",
    "onex.evt.platform.node-registration-result.v1",
    "onex.evt.platform.node-registration-rejected.v1",
    "onex.evt.platform.node-became-active.v1",
    "onex.evt.platform.node-liveness-expired.v1",
];

/// What nodes listen to.
pub const READ_BY_NODES: [&str; 2] = [REQUEST, ACCEPTED];

/// How every topic's name begins where nothing else is said.
const PREFIX: &str = "onex";

/// Longest wait for the brokers to make topics.
const MAKING_MAX: Duration = Duration::from_secs(60);

/// What the workflow's topics are called: their names, or the same with another beginning, so that several of it can share brokers.
#[derive(Clone, Debug)]
pub struct Topics {
    prefix: String,
}

impl Default for Topics {
    fn default() -> Self {
        Topics::new(PREFIX)
    }
}

impl Topics {
    /// Topics that begin with `prefix` in the place of `onex`.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        Topics { prefix: prefix.to_owned() }
    }

    /// The name here of one of the topics.
    #[must_use]
    pub fn name(&self, topic: &str) -> String {
        topic.strip_prefix(PREFIX).map_or_else(|| topic.to_owned(), |rest| format!("{}{rest}", self.prefix))
    }

    /// The topic that has that name here.
    #[must_use]
    pub fn of_name(&self, name: &str) -> String {
        name.strip_prefix(&self.prefix).map_or_else(|| name.to_owned(), |rest| format!("{PREFIX}{rest}"))
    }

    /// All names.
    pub fn all(&self) -> impl Iterator<Item = String> + '_ {
        WRITTEN_BY_NODES.iter().chain(&WRITTEN_BY_REGISTRY).map(|topic| self.name(topic))
    }

    /// How many messages each topic holds.
    ///
    /// # Errors
    /// Where the brokers do not answer.
    pub fn count(&self, brokers: &str) -> Result<Vec<(String, i64)>> {
        let consumer: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", brokers).create().context("cannot make a Kafka client")?;
        let mut counts = Vec::new();
        for name in self.all() {
            let metadata = consumer.fetch_metadata(Some(&name), MAKING_MAX).with_context(|| format!("cannot ask {brokers} for {name}"))?;
            let partitions = metadata.topics().first().map_or(&[][..], |topic| topic.partitions());
            let mut messages = 0;
            for partition in partitions {
                let (low, high) =
                    consumer.fetch_watermarks(&name, partition.id(), MAKING_MAX).with_context(|| format!("cannot look into {name}"))?;
                messages += high - low;
            }
            counts.push((name, messages));
        }
        Ok(counts)
    }

    /// Makes all topics that are not there.
    ///
    /// # Errors
    /// Where the brokers do not make them.
    pub fn make(&self, brokers: &str, partitions: i32) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", brokers).create().context("cannot make a Kafka client")?;
        let names: Vec<String> = self.all().collect();
        let topics: Vec<NewTopic<'_>> = names.iter().map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(1))).collect();
        let options = AdminOptions::new().operation_timeout(Some(MAKING_MAX)).request_timeout(Some(MAKING_MAX));
        let made = wait(admin.create_topics(&topics, &options))?.context("cannot make the topics")?;
        for outcome in made {
            if let Err((topic, code)) = outcome
                && code != RDKafkaErrorCode::TopicAlreadyExists
            {
                bail!("cannot make the topic {topic}: {code}");
            }
        }
        Ok(())
    }
}

/// Waits for what the client's own thread does.
fn wait<T>(future: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot wait for the brokers")?;
    Ok(runtime.block_on(future))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_here_are_the_topics_with_another_beginning() {
        let topics = Topics::new("t1");
        assert_eq!(topics.name(HEARTBEAT), "t1.evt.platform.node-heartbeat.v1");
        assert_eq!(topics.of_name(&topics.name(HEARTBEAT)), HEARTBEAT);
        assert_eq!(Topics::default().name(ACK), ACK);
        assert_eq!(topics.all().count(), 12);
    }
}
