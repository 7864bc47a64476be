//! The settings of a producer.

use std::path::Path;
use std::time::Duration;

use rdkafka::ClientConfig;

use crate::kafka::Connection;
use crate::settings::Settings;

/// Bounds and default of `timeout`: how long a message is tried to be delivered before its attempt has failed.
const TIMEOUT_MIN: Duration = Duration::from_millis(100);
const TIMEOUT_MAX: Duration = Duration::from_secs(10 * 60);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// Bounds and default of `in-flight`: messages that are on their way at a time.
const IN_FLIGHT_MAX: i64 = 1_000_000;
const IN_FLIGHT_DEFAULT: usize = 10_000;

/// Longest that a topic without leader or metadata is waited for before it counts as absent.
const TOPIC_WAIT_MAX: Duration = Duration::from_secs(5);

/// How long a message waits for company, so that one request carries many.
const LINGER_MS: &str = "2";

const COMPRESSIONS: [(&str, &str); 5] = [("none", "none"), ("gzip", "gzip"), ("snappy", "snappy"), ("lz4", "lz4"), ("zstd", "zstd")];

/// The settings of a producer.
pub(crate) struct Brokers {
    connection: Connection,
    compression: &'static str,
    timeout: Duration,
    in_flight: usize,
}

impl Brokers {
    /// Reads `kafka`, `tls`, `sasl`, `compression`, `timeout` and `in-flight`.
    pub(crate) fn read(settings: &mut Settings<'_>, base: &Path) -> Option<Brokers> {
        let connection = Connection::read(settings, "kafka", base);
        let compression = if settings.has("compression") { settings.choice("compression", &COMPRESSIONS)? } else { "lz4" };
        let timeout = settings.duration("timeout", TIMEOUT_MIN..=TIMEOUT_MAX).unwrap_or(TIMEOUT_DEFAULT);
        let in_flight = settings.integer("in-flight", 1..=IN_FLIGHT_MAX).and_then(|count| usize::try_from(count).ok());
        let in_flight = in_flight.unwrap_or(IN_FLIGHT_DEFAULT);
        Some(Brokers { connection: connection?, compression, timeout, in_flight })
    }

    /// How long a message is tried to be delivered.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How many messages may be on their way.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// What librdkafka takes.
    pub(super) fn config(&self) -> ClientConfig {
        let mut config = self.connection.config();
        let timeout = self.timeout.as_millis().to_string();
        let topic_wait = self.timeout.min(TOPIC_WAIT_MAX).as_millis().to_string();
        for (name, value) in [
            // All replicas in sync have it, and what the client repeats by itself is there once.
            ("enable.idempotence", "true"),
            ("acks", "all"),
            // As Java's clients do: the same key goes to the same partition, whoever writes it.
            ("partitioner", "murmur2_random"),
            ("compression.type", self.compression),
            ("linger.ms", LINGER_MS),
            ("message.timeout.ms", &*timeout),
            ("topic.metadata.propagation.max.ms", &topic_wait),
            // The client counts a message until after its report, and one whose attempt was given up until it has one.
            ("queue.buffering.max.messages", &(2 * self.in_flight).to_string()),
        ] {
            config.set(name, value);
        }
        config
    }
}
