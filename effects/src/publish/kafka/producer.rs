//! The one client of an effect.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use tokio::sync::Semaphore;

use super::failure::sort;
use super::settings::Brokers;
use crate::EffectError;
use crate::kafka::Said;

/// How long brokers are waited for that are asked about their topics.
const LOOK_WAIT: Duration = Duration::from_secs(5);

/// How long what the client has to say about a failure is waited for.
const BLAME_WAIT: Duration = Duration::from_millis(100);

/// One message.
pub(super) struct Message {
    pub(super) topic: Arc<str>,
    pub(super) key: Arc<str>,
    pub(super) headers: OwnedHeaders,
    pub(super) value: Vec<u8>,
}

/// What is known of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    There,
    Absent,
    Forbidden,
    /// The brokers were not reached.
    Unknown,
}

/// Why brokers are never spoken to with these settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// No client can be made.
    NoClient(String),
    /// The brokers were reached, and one side does not let the other in.
    NotLetIn(String),
}

type Client = FutureProducer<Said>;

/// An idempotent producer, made when it is first needed and anew after an error that it cannot go on from.
pub(super) struct Producer {
    brokers: Brokers,
    effect: Arc<str>,
    client: Mutex<Option<Client>>,
    said: Said,
    /// As many permits as messages may be on their way.
    free: Semaphore,
}

impl Producer {
    pub(super) fn new(effect: &str, brokers: Brokers) -> Producer {
        let free = Semaphore::new(brokers.in_flight());
        Producer { brokers, effect: effect.into(), client: Mutex::new(None), said: Said::new(effect.into()), free }
    }

    /// Looks whether the topics are there. Brokers that are away are no fault: they may come.
    ///
    /// # Errors
    /// Settings by which the brokers are never spoken to.
    pub(super) fn look(&self, topics: &[&str]) -> Result<Vec<Topic>, Unusable> {
        let client = self.client().map_err(|error| Unusable::NoClient(error.to_string()))?;
        let before = self.said.complaints();
        let mut found = Vec::with_capacity(topics.len());
        for topic in topics {
            let answer = match client.client().fetch_metadata(Some(topic), LOOK_WAIT.min(self.brokers.timeout())) {
                Ok(metadata) => metadata.topics().first().map_or(Topic::Absent, |topic| match topic.error().map(Code::from) {
                    None => Topic::There,
                    Some(Code::TopicAuthorizationFailed) => Topic::Forbidden,
                    Some(Code::UnknownTopic | Code::UnknownTopicOrPartition) => Topic::Absent,
                    // Without a leader for now.
                    Some(_) => Topic::Unknown,
                }),
                Err(error) => {
                    // What the client has to say comes by another thread.
                    std::thread::sleep(BLAME_WAIT);
                    if let Some(reason) = self.said.refusal() {
                        return Err(Unusable::NotLetIn(reason));
                    }
                    let said = self.said.complaint_after(before).unwrap_or_default();
                    tracing::warn!(effect = %self.effect, %error, said, "the brokers cannot be asked for the topics; they are taken to be there");
                    // Asking for the others would take as long again, each.
                    found.resize(topics.len(), Topic::Unknown);
                    return Ok(found);
                }
            };
            found.push(answer);
        }
        Ok(found)
    }

    /// Sends a message and waits until all replicas in sync have it.
    pub(super) async fn send(&self, message: Message) -> Result<(), EffectError> {
        let topic = &*message.topic;
        let not_done = |reason: String| EffectError::NotDone { reason: format!("cannot publish to {topic}: {reason}"), retry_after: None };
        let _permit = self.free.acquire().await.map_err(|error| not_done(error.to_string()))?;
        let client = self.client().map_err(|error| not_done(error.to_string()))?;
        let before = self.said.complaints();
        let record = FutureRecord::to(topic).key(&*message.key).payload(&message.value).headers(message.headers);
        let report = match client.send_result(record) {
            Ok(report) => report,
            // Not taken by the client: it went nowhere.
            Err((error, _)) => {
                self.renew(&client);
                return Err(match sort(&error, topic, None) {
                    EffectError::Unknown(reason) => EffectError::NotDone { reason, retry_after: None },
                    other => other,
                });
            }
        };
        match report.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err((error, _))) => {
                self.renew(&client);
                Err(sort(&error, topic, self.said.complaint_after(before)))
            }
            Err(_) => Err(EffectError::Unknown(format!("cannot publish to {topic}: the client ended before it answered"))),
        }
    }

    fn client(&self) -> Result<Client, KafkaError> {
        let mut guard = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*guard {
            return Ok(client.clone());
        }
        let client: Client = self.brokers.config().create_with_context(self.said.clone())?;
        *guard = Some(client.clone());
        Ok(client)
    }

    /// Has the next message get a new client where this one has lost its order for good.
    fn renew(&self, failed: &Client) {
        let Some((code, reason)) = failed.client().fatal_error() else { return };
        let mut guard = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if guard.as_ref().is_some_and(|client| client.client().native_ptr() == failed.client().native_ptr()) {
            tracing::warn!(effect = %self.effect, %code, reason, "the Kafka client cannot go on; the next message gets a new one");
            *guard = None;
        }
    }
}
