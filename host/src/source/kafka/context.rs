//! What the client library tells of itself.

use std::sync::{Arc, Mutex, PoisonError};

use purefold_effects::kafka::{LOGIN_HELP, is_refusal};
use rdkafka::bindings::rd_kafka_resp_err_t as Response;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::status::KafkaStatus;
use super::{KafkaSettings, Partition};
use crate::source::SourceError;

/// The client.
pub(super) type Client = BaseConsumer<Context>;

/// What the group gives or takes. It waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Given(Vec<Partition>),
    Taken(Vec<Partition>),
}

/// Keeps what the group wants for the thread that polls.
pub(super) struct Context {
    changes: Mutex<Vec<Change>>,
    closing: std::sync::atomic::AtomicBool,
    status: Arc<KafkaStatus>,
}

impl Context {
    /// A client that has subscribed.
    pub(super) fn consumer(settings: &KafkaSettings, status: Arc<KafkaStatus>) -> Result<Arc<Client>, SourceError> {
        let failed = |error: KafkaError| SourceError::KafkaUnusable { reason: error.to_string() };
        let context = Context { changes: Mutex::default(), closing: false.into(), status };
        let consumer: Client = settings.config().create_with_context(context).map_err(failed)?;
        let topics: Vec<&str> = settings.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(failed)?;
        Ok(Arc::new(consumer))
    }

    /// What the group wants since it was asked last.
    pub(super) fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on the group is answered at once: nobody reads any more.
    pub(super) fn close(&self) {
        self.closing.store(true, std::sync::atomic::Ordering::Release);
    }

    fn is_closing(&self) -> bool {
        self.closing.load(std::sync::atomic::Ordering::Acquire)
    }
}

/// Answers the group.
pub(super) fn answer(consumer: &Client, change: &Change) {
    let nothing = TopicPartitionList::new();
    // What is read is assigned when an engine reads it, and is not assigned any more when it has ended.
    let answered = match change {
        Change::Given(_) => consumer.incremental_assign(&nothing),
        Change::Taken(_) => consumer.incremental_unassign(&nothing),
    };
    if let Err(error) = answered {
        tracing::warn!(%error, "the consumer group could not be answered");
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::warn!(facility, message, "Kafka client");
            }
            // What matters of the rest is told once, as the host's own words: each lost connection is many lines here.
            _ => tracing::debug!(facility, message, "Kafka client"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka client");
        // That all brokers are down follows each complaint that says why.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            let refused = is_refusal(&error, reason);
            self.status.blames(if refused { format!("{reason}; {LOGIN_HELP}") } else { reason.to_owned() }, refused);
        }
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, response: Response, partitions: &mut TopicPartitionList) {
        let elements = partitions.elements();
        let listed = elements.iter().map(|element| Partition { topic: element.topic().into(), number: element.partition() }).collect();
        let change = match response {
            Response::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Change::Given(listed),
            _ => Change::Taken(listed),
        };
        self.status.rebalanced();
        if self.is_closing() {
            return answer(consumer, &change);
        }
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change);
    }
}
