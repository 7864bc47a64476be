//! `kafka` of `[source]`.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use purefold_effects::kafka::{Connection, is_topic, topic_help};
use purefold_effects::settings::Settings;
use purefold_wit::Finding;
use rdkafka::ClientConfig;

/// Topics of one source.
const TOPICS_MOST: usize = 1000;

/// Longest name of a group or of a member.
const NAME_BYTES_MOST: usize = 249;

const SESSION_TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30 * 60);
const SESSION_TIMEOUT_DEFAULT: Duration = Duration::from_secs(45);

/// Records of each partition, and bytes of all together, that are fetched before they are asked for.
const PREFETCH_RECORDS: RangeInclusive<i64> = 1..=1_000_000;
const PREFETCH_RECORDS_DEFAULT: i64 = 2_000;
const PREFETCH_BYTES: RangeInclusive<i64> = (1 << 20)..=(1 << 30);
const PREFETCH_BYTES_DEFAULT: i64 = 16 << 20;

/// A member that has not been heard of within this fraction of its session's time loses its partitions: it says in time
/// that it lives.
const SIGNS_OF_LIFE_IN_SESSION: u32 = 10;

/// With its sign of life a member also hears that the group changes, twice where partitions pass from one to another: nobody
/// reads them meanwhile.
const MOST_SILENCE: Duration = Duration::from_secs(1);

/// The least that the client library takes as the largest answer.
const FETCH_BYTES_LEAST: i64 = 4 << 20;

/// Where a source is read from, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaSettings {
    /// Where the brokers are.
    pub connection: Connection,
    /// The consumer group.
    pub group: String,
    /// The topics.
    pub topics: Vec<String>,
    /// Whether a workflow that has read nothing of a topic yet begins with what comes from now on.
    pub from_end: bool,
    /// The name of this member, where it keeps its partitions over a restart.
    pub instance: Option<String>,
    /// Whether the brokers say who reads what (KIP-848), instead of the group's members.
    pub by_brokers: bool,
    /// After which a member that is not heard of loses its partitions.
    pub session_timeout: Duration,
    /// Records of a partition that are fetched ahead.
    pub prefetch_records: i64,
    /// Bytes that are fetched ahead.
    pub prefetch_bytes: i64,
    /// The header, and the field of the data, that hold the id of an event that is no CloudEvent.
    pub id_header: Option<String>,
    /// As above.
    pub id_field: Option<String>,
}

impl KafkaSettings {
    /// Reads the settings; none where they do not say what to read.
    pub(crate) fn read(mut settings: Settings<'_>, base: &Path) -> (Option<Self>, Vec<Finding>) {
        let connection = Connection::read(&mut settings, "brokers", base);
        let group = settings.required("group", Settings::string).map(str::to_owned);
        let instance = settings.string("instance").map(str::to_owned);
        for (name, value) in [("group", &group), ("instance", &instance)] {
            if value.as_ref().is_some_and(|value| value.len() > NAME_BYTES_MOST) {
                let help = format!("use {NAME_BYTES_MOST} bytes at most");
                settings.report("setting-range", name, "it is too long", help);
            }
        }
        let topics = topics(&mut settings);
        let from_end = settings.choice("from", &[("beginning", false), ("end", true)]).unwrap_or_default();
        let by_brokers = settings.choice("protocol", &[("classic", false), ("consumer", true)]).unwrap_or_default();
        if by_brokers && settings.has("session-timeout") {
            let help = "remove it; the group's brokers say it: `group.consumer.session.timeout.ms`";
            settings.report("setting-range", "session-timeout", "it is not for clients to say where `protocol` is `consumer`", help);
        }
        let session_timeout = settings.duration("session-timeout", SESSION_TIMEOUT).unwrap_or(SESSION_TIMEOUT_DEFAULT);
        let prefetch_records = settings.integer("prefetch-records", PREFETCH_RECORDS).unwrap_or(PREFETCH_RECORDS_DEFAULT);
        let prefetch_bytes = settings.integer("prefetch-bytes", PREFETCH_BYTES).unwrap_or(PREFETCH_BYTES_DEFAULT);
        let id_header = settings.string("id-header").map(str::to_owned);
        let id_field = settings.string("id-field").map(str::to_owned);
        let kafka = connection.zip(group).zip(topics).map(|((connection, group), topics)| KafkaSettings {
            connection,
            group,
            topics,
            from_end,
            instance,
            by_brokers,
            session_timeout,
            prefetch_records,
            prefetch_bytes,
            id_header,
            id_field,
        });
        (kafka, settings.finish())
    }

    /// What librdkafka takes.
    pub(super) fn config(&self) -> ClientConfig {
        let mut config = self.connection.config();
        let fetch_bytes = self.prefetch_bytes.max(FETCH_BYTES_LEAST).to_string();
        for (name, value) in [
            ("group.id", &*self.group),
            ("isolation.level", "read_committed"),
            // Positions are in the store: where one is not in the log, somebody has to say what that means.
            ("auto.offset.reset", "error"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("allow.auto.create.topics", "false"),
            ("check.crcs", "true"),
            // What is produced is decided at once, whatever little it is.
            ("fetch.min.bytes", "1"),
            ("fetch.max.bytes", &fetch_bytes),
            ("queued.min.messages", &self.prefetch_records.to_string()),
            ("queued.max.messages.kbytes", &(self.prefetch_bytes >> 10).to_string()),
            // New topics and partitions are seen within this time.
            ("topic.metadata.refresh.interval.ms", "60000"),
        ] {
            config.set(name, value);
        }
        if self.by_brokers {
            config.set("group.protocol", "consumer");
        } else {
            config.set("partition.assignment.strategy", "cooperative-sticky");
            config.set("session.timeout.ms", self.session_timeout.as_millis().to_string());
            config.set("heartbeat.interval.ms", MOST_SILENCE.min(self.session_timeout / SIGNS_OF_LIFE_IN_SESSION).as_millis().to_string());
        }
        if let Some(instance) = &self.instance {
            config.set("group.instance.id", instance);
        }
        config
    }
}

fn topics(settings: &mut Settings<'_>) -> Option<Vec<String>> {
    let topics = settings.required("topics", Settings::strings)?;
    if topics.is_empty() || topics.len() > TOPICS_MOST {
        settings.report("setting-range", "topics", format!("{} topics are named", topics.len()), format!("name 1 to {TOPICS_MOST} topics"));
        return None;
    }
    for (index, topic) in topics.iter().enumerate() {
        let name = format!("topics[{index}]");
        if !is_topic(topic) {
            settings.report("setting-range", &name, format!("`{}` is no topic", topic.escape_debug()), topic_help());
        }
        if topics[..index].contains(topic) {
            settings.report("setting-range", &name, "the topic is named twice", "remove one of them");
        }
    }
    Some(topics.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn config(rest: &str) -> ClientConfig {
        let table = format!("brokers = '127.0.0.1:1'\ngroup = 'g'\ntopics = ['t']\n{rest}").parse().unwrap();
        let (settings, findings) = KafkaSettings::read(Settings::new(&table, "source.kafka"), Path::new("."));
        assert!(findings.is_empty(), "{findings:?}");
        settings.unwrap().config()
    }

    #[test]
    fn what_is_fetched_ahead_is_bounded_as_the_settings_say() {
        let config = config("prefetch-records = 77\nprefetch-bytes = 8388608");
        let told = |name: &str| config.get(name).unwrap().to_owned();
        assert_eq!(["queued.min.messages", "queued.max.messages.kbytes"].map(told), ["77", "8192"]);
        assert_eq!(told("fetch.max.bytes"), "8388608", "one answer of the brokers is no more than all that may wait");
    }

    #[test]
    fn the_session_is_the_members_to_say_only_where_they_share_out_the_partitions() {
        let classic = config("session-timeout = '9s'");
        assert_eq!(["session.timeout.ms", "heartbeat.interval.ms"].map(|name| classic.get(name)), [Some("9000"), Some("900")]);
        assert_eq!(classic.get("partition.assignment.strategy"), Some("cooperative-sticky"));
        let by_brokers = config("protocol = 'consumer'\ninstance = 'one'");
        assert_eq!(["group.protocol", "group.instance.id"].map(|name| by_brokers.get(name)), [Some("consumer"), Some("one")]);
        assert_eq!(by_brokers.get("session.timeout.ms"), None);
    }
}
