//! What a client of Kafka says of itself. It says the same again and again while brokers are away, so none of it goes into
//! the log by itself: the last complaint is kept for whoever has to say why something failed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// What to do where brokers do not let a client in.
pub const LOGIN_HELP: &str = "mend `tls` or `sasl`: who is trusted, what is shown, the user and the password";

/// The context of a client, and whoever asks what it said.
#[derive(Clone, Debug)]
pub struct Said {
    /// Whose client it is, for the log.
    of: Arc<str>,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Debug, Default)]
struct Heard {
    /// How many complaints there were.
    complaints: u64,
    last: Option<Complaint>,
}

#[derive(Debug)]
struct Complaint {
    is_refusal: bool,
    reason: String,
}

impl Said {
    /// Nothing yet, of a client of that name.
    #[must_use]
    pub fn new(of: Arc<str>) -> Self {
        Said { of, heard: Arc::default() }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the brokers do not let the client in, where that is what it said last.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        self.heard().last.as_ref().filter(|complaint| complaint.is_refusal).map(|complaint| complaint.reason.clone())
    }

    /// How many complaints there were so far.
    #[must_use]
    pub fn complaints(&self) -> u64 {
        self.heard().complaints
    }

    /// What it complained of last, where it did after so many complaints, with the way out where there is one to be named.
    #[must_use]
    pub fn complaint_after(&self, complaints: u64) -> Option<String> {
        let heard = self.heard();
        let Complaint { is_refusal, reason } = heard.last.as_ref().filter(|_| heard.complaints > complaints)?;
        Some(if *is_refusal { format!("{reason}; {LOGIN_HELP}") } else { reason.clone() })
    }
}

/// Whether an error says that the brokers were reached and either side does not take the other for what it says it is.
#[must_use]
pub fn is_refusal(error: &KafkaError, reason: &str) -> bool {
    let by_code = matches!(error.rdkafka_error_code(), Some(Code::Authentication | Code::SaslAuthenticationFailed | Code::SSL));
    // A client's certificate is refused after the handshake: to the library that is a connection that broke off.
    by_code || reason.contains("SSL alert number")
}

impl ClientContext for Said {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::warn!(of = %self.of, facility, message, "Kafka client");
            }
            _ => tracing::debug!(of = %self.of, facility, message, "Kafka client"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(of = %self.of, %error, reason, "Kafka client");
        // That all brokers are down follows each complaint that says why.
        if error.rdkafka_error_code() != Some(Code::AllBrokersDown) {
            let mut heard = self.heard();
            heard.complaints += 1;
            heard.last = Some(Complaint { is_refusal: is_refusal(&error, reason), reason: reason.to_owned() });
        }
    }
}

impl ConsumerContext for Said {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_last_complaint_is_kept_with_the_way_out() {
        let said = Said::new("events".into());
        assert_eq!((said.refusal(), said.complaint_after(said.complaints())), (None, None));
        said.error(KafkaError::Global(Code::BrokerTransportFailure), "Connection refused");
        said.error(KafkaError::Global(Code::AllBrokersDown), "1/1 brokers are down");
        assert_eq!(said.complaint_after(0).unwrap(), "Connection refused");
        assert_eq!(said.refusal(), None);
        said.error(KafkaError::Global(Code::Authentication), "Authentication failed");
        assert_eq!(said.refusal().unwrap(), "Authentication failed");
        assert_eq!(said.complaint_after(1).unwrap(), format!("Authentication failed; {LOGIN_HELP}"));
        assert_eq!(said.complaint_after(2), None, "it is of before");
    }
}
