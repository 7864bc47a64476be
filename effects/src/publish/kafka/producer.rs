//! The one client of an effect.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use tokio::sync::Semaphore;

use super::failure::sort;
use super::settings::Brokers;
use crate::EffectError;

/// How long brokers are waited for that are asked about their topics.
const LOOK_WAIT: Duration = Duration::from_secs(5);

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

type Client = FutureProducer<Logged>;

/// An idempotent producer, made when it is first needed and anew after an error that it cannot go on from.
pub(super) struct Producer {
    brokers: Brokers,
    effect: Arc<str>,
    away: Arc<Away>,
    client: Mutex<Option<Client>>,
    /// As many permits as messages may be on their way.
    free: Semaphore,
}

impl Producer {
    pub(super) fn new(effect: &str, brokers: Brokers) -> Producer {
        let free = Semaphore::new(brokers.in_flight());
        Producer { brokers, effect: effect.into(), away: Arc::default(), client: Mutex::new(None), free }
    }

    /// Looks whether the topics are there. Brokers that are away are no fault: they may come.
    ///
    /// # Errors
    /// Settings that no client can be made with.
    pub(super) fn look(&self, topics: &[&str]) -> Result<Vec<Topic>, String> {
        let client = self.client().map_err(|error| error.to_string())?;
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
                    tracing::warn!(effect = %self.effect, %error, "the brokers cannot be asked for the topics; they are taken to be there");
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
        let record = FutureRecord::to(topic).key(&*message.key).payload(&message.value).headers(message.headers);
        let report = match client.send_result(record) {
            Ok(report) => report,
            // Not taken by the client: it went nowhere.
            Err((error, _)) => {
                self.renew(&client);
                return Err(match sort(&error, topic) {
                    EffectError::Unknown(reason) => EffectError::NotDone { reason, retry_after: None },
                    other => other,
                });
            }
        };
        match report.await {
            Ok(Ok(_)) => {
                if self.away.is_over() {
                    tracing::info!(effect = %self.effect, "the brokers take messages again");
                }
                Ok(())
            }
            Ok(Err((error, _))) => {
                self.renew(&client);
                Err(sort(&error, topic))
            }
            Err(_) => Err(EffectError::Unknown(format!("cannot publish to {topic}: the client ended before it answered"))),
        }
    }

    fn client(&self) -> Result<Client, KafkaError> {
        let mut guard = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*guard {
            return Ok(client.clone());
        }
        let client: Client =
            self.brokers.config().create_with_context(Logged { effect: Arc::clone(&self.effect), away: Arc::clone(&self.away) })?;
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

/// Whether it was told that brokers are away. A client says so some forty times a second for as long as they are.
#[derive(Default)]
struct Away(AtomicBool);

impl Away {
    /// They are. Gives whether that is new.
    fn is_news(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }

    /// They are not. Gives whether that is new.
    fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

/// What the client says of itself goes to the host's log: that brokers are away, once.
struct Logged {
    effect: Arc<str>,
    away: Arc<Away>,
}

/// What the client's own lines about failing connections stand under.
const CONNECTION_FAILED: &str = "FAIL";

impl ClientContext for Logged {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let is_grave = matches!(
            level,
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning
        );
        if is_grave && (facility != CONNECTION_FAILED || self.away.is_news()) {
            tracing::warn!(effect = %self.effect, facility, message, "Kafka client");
        } else {
            tracing::debug!(effect = %self.effect, facility, message, "Kafka client");
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let is_away = matches!(error.rdkafka_error_code(), Some(Code::AllBrokersDown | Code::BrokerTransportFailure));
        if !is_away || self.away.is_news() {
            tracing::warn!(effect = %self.effect, %error, reason, "Kafka client");
        } else {
            tracing::debug!(effect = %self.effect, %error, reason, "Kafka client");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Away;

    #[test]
    fn that_brokers_are_away_is_news_once_until_they_are_back() {
        let away = Away::default();
        assert!(!away.is_over());
        for _ in 0..2 {
            assert!(away.is_news());
            assert!(!away.is_news() && !away.is_news());
            assert!(away.is_over());
            assert!(!away.is_over());
        }
    }
}
