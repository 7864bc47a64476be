//! Questions to the brokers outside a run: whether the topics are there, and where partitions begin and end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use purefold_effects::kafka::{LOGIN_HELP, Said};
use purefold_wit::Finding;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::metadata::MetadataPartition;

use super::{KafkaSettings, Partition};

/// How long brokers are waited for that are asked something.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long what the client has to say about a failure is waited for, and how much of it is heard.
const BLAME_WAIT: Duration = Duration::from_millis(100);
const MOST_COMPLAINTS: u32 = 100;

fn client(settings: &KafkaSettings) -> Result<BaseConsumer<Said>, KafkaError> {
    let mut config = settings.connection.config();
    config.set("isolation.level", "read_committed").set("allow.auto.create.topics", "false");
    config.create_with_context(Said::new("source".into()))
}

/// What is wrong with the topics of `settings`, which stand at `place`, as far as the brokers tell. Brokers that are away are
/// no fault: they may come.
#[must_use]
pub fn topics_missing(settings: &KafkaSettings, place: &str) -> Vec<Finding> {
    let client = match client(settings) {
        Ok(client) => client,
        Err(error) => {
            let cause = format!("no Kafka client can be made: {error}");
            return vec![Finding::new("kafka-unusable", place, cause, "mend the setting that the cause names")];
        }
    };
    let mut findings = Vec::new();
    for (index, topic) in settings.topics.iter().enumerate() {
        let (cause, help) = match client.fetch_metadata(Some(topic), ANSWER_TIMEOUT) {
            Err(error) => return login_refused(&client, place, &error).into_iter().collect(),
            Ok(metadata) => match metadata.topics().first().map(|topic| topic.error().map(Code::from)) {
                Some(Some(Code::TopicAuthorizationFailed)) => {
                    ("the user may not see the topic", "allow the user to describe and to read it, and to read as the group")
                }
                None | Some(Some(Code::UnknownTopic | Code::UnknownTopicOrPartition)) => {
                    ("the brokers have no such topic", "create it, or mend the name")
                }
                // There, perhaps without a leader for now.
                Some(_) => continue,
            },
        };
        findings.push(Finding::new("topic-missing", format!("{place}.topics[{index}]"), format!("{cause}: {topic}"), help));
    }
    findings
}

/// That the brokers do not let this client in, where that is why they do not answer.
fn login_refused(client: &BaseConsumer<Said>, place: &str, error: &KafkaError) -> Option<Finding> {
    // What the client has to say arrives with a poll.
    for _ in 0..MOST_COMPLAINTS {
        if client.poll(BLAME_WAIT).is_none() {
            break;
        }
    }
    let Some(reason) = client.context().refusal() else {
        let said = client.context().complaint_after(0).unwrap_or_default();
        tracing::warn!(%error, said, "the brokers cannot be asked for the topics; they are taken to be there");
        return None;
    };
    Some(Finding::new("kafka-login-refused", place, format!("the brokers do not let this client in: {reason}"), LOGIN_HELP))
}

/// Where partitions begin and end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// First offset, and the one after the last, of each partition of the topics.
    pub partitions: BTreeMap<Partition, (u64, u64)>,
}

impl Ends {
    /// Records of a partition that stand at `position` or after it.
    #[must_use]
    pub fn lag(&self, partition: &Partition, position: u64) -> Option<u64> {
        let (_, end) = self.partitions.get(partition)?;
        Some(end.saturating_sub(position))
    }

    /// Asks the brokers, of every partition of the source's topics. All answers together are waited for so long.
    ///
    /// # Errors
    /// Why they do not tell.
    pub fn ask(settings: &KafkaSettings, patience: Duration) -> Result<Self, String> {
        let client = client(settings).map_err(|error| error.to_string())?;
        let began = Instant::now();
        let patience = || patience.saturating_sub(began.elapsed());
        let mut ends = Ends::default();
        for topic in &settings.topics {
            let name: Arc<str> = topic.as_str().into();
            let metadata = client.fetch_metadata(Some(topic), patience()).map_err(|error| error.to_string())?;
            let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions().iter().map(MetadataPartition::id));
            for number in partitions {
                let (begin, end) =
                    client.fetch_watermarks(topic, number, patience()).map_err(|error| format!("{topic}/{number}: {error}"))?;
                let offset = |offset: i64| u64::try_from(offset).unwrap_or(0);
                ends.partitions.insert(Partition { topic: name.clone(), number }, (offset(begin), offset(end)));
            }
        }
        Ok(ends)
    }
}
