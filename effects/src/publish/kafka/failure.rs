//! What an error of Kafka means for the message that met it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::EffectError;

/// What the brokers or the client refuse for what the message is, is refused. What lies at topics, rights and queues
/// happened before the message was written. Of everything else nobody knows whether it was. `said` is what the client
/// complained of meanwhile.
pub(super) fn sort(error: &KafkaError, topic: &str, said: Option<String>) -> EffectError {
    let said = said.map_or_else(String::new, |said| format!(": {said}"));
    let reason = format!("cannot publish to {topic}: {error}{said}");
    let not_done = |help: &str| EffectError::NotDone { reason: format!("{reason}{help}"), retry_after: None };
    let Some(code) = error.rdkafka_error_code() else { return EffectError::Unknown(reason) };
    match code {
        Code::MessageSizeTooLarge
        | Code::MessageBatchTooLarge
        | Code::InvalidMessage
        | Code::InvalidRecord
        | Code::InvalidTopic
        | Code::PolicyViolation => EffectError::Refused(reason),
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => not_done("; create the topic"),
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => not_done("; allow the effect's user to write to it"),
        Code::Authentication | Code::SaslAuthenticationFailed => not_done("; mend `sasl` or `tls` of the effect"),
        // Answers that come before the message is written, and what never left this process.
        Code::NotEnoughReplicas
        | Code::ThrottlingQuotaExceeded
        | Code::QueueFull
        | Code::PurgeQueue
        | Code::Resolve
        | Code::AllBrokersDown => not_done(""),
        _ => EffectError::Unknown(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_has_its_meaning() {
        let kind = |code| match sort(&KafkaError::MessageProduction(code), "t", None) {
            EffectError::Refused(_) => "refused",
            EffectError::NotDone { .. } => "not done",
            EffectError::Unknown(_) => "unknown",
            EffectError::UnreadableReply(_) => "unreadable",
        };
        for (codes, expected) in [
            (&[Code::MessageSizeTooLarge, Code::InvalidTopic, Code::PolicyViolation][..], "refused"),
            (&[Code::UnknownTopicOrPartition, Code::TopicAuthorizationFailed, Code::NotEnoughReplicas, Code::QueueFull], "not done"),
            (
                &[Code::MessageTimedOut, Code::NotEnoughReplicasAfterAppend, Code::RequestTimedOut, Code::Fatal, Code::PurgeInflight],
                "unknown",
            ),
        ] {
            for code in codes {
                assert_eq!(kind(*code), expected, "{code}");
            }
        }
        assert!(matches!(sort(&KafkaError::Canceled, "t", None), EffectError::Unknown(_)));
    }
}
