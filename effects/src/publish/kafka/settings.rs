//! Where the brokers are, and how to speak to them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use purefold_wit::Finding;
use rdkafka::ClientConfig;
use toml::Value;

use crate::Secret;
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

const MECHANISMS: [(&str, &str); 3] = [("PLAIN", "PLAIN"), ("SCRAM-SHA-256", "SCRAM-SHA-256"), ("SCRAM-SHA-512", "SCRAM-SHA-512")];

/// The settings of a producer.
pub(crate) struct Brokers {
    addresses: Vec<String>,
    tls: Option<Tls>,
    sasl: Option<Sasl>,
    compression: &'static str,
    timeout: Duration,
    in_flight: usize,
}

#[derive(Default)]
struct Tls {
    authority: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    password: Option<Secret>,
}

struct Sasl {
    mechanism: &'static str,
    user: String,
    password: Secret,
}

impl Brokers {
    /// Reads `kafka`, `tls`, `sasl`, `compression`, `timeout` and `in-flight`.
    pub(crate) fn read(settings: &mut Settings<'_>, base: &Path) -> Option<Brokers> {
        let addresses = settings.required("kafka", addresses);
        let tls = settings.nested("tls").map(|table| absorbed(settings, Tls::read(table, base)));
        let sasl = settings.nested("sasl").map(|table| absorbed(settings, Sasl::read(table)));
        let compression = if settings.has("compression") { settings.choice("compression", &COMPRESSIONS)? } else { "lz4" };
        let timeout = settings.duration("timeout", TIMEOUT_MIN..=TIMEOUT_MAX).unwrap_or(TIMEOUT_DEFAULT);
        let in_flight = settings.integer("in-flight", 1..=IN_FLIGHT_MAX).and_then(|count| usize::try_from(count).ok());
        let in_flight = in_flight.unwrap_or(IN_FLIGHT_DEFAULT);
        Some(Brokers { addresses: addresses?, tls, sasl: sasl.flatten(), compression, timeout, in_flight })
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
        let mut config = ClientConfig::new();
        let protocol = match (&self.tls, &self.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        let timeout = self.timeout.as_millis().to_string();
        let topic_wait = self.timeout.min(TOPIC_WAIT_MAX).as_millis().to_string();
        for (name, value) in [
            ("client.id", "purefold"),
            ("bootstrap.servers", &*self.addresses.join(",")),
            ("security.protocol", protocol),
            // All replicas in sync have it, and what the client repeats by itself is there once.
            ("enable.idempotence", "true"),
            ("acks", "all"),
            // As Java's clients do: the same key goes to the same partition, whoever writes it.
            ("partitioner", "murmur2_random"),
            ("compression.type", self.compression),
            ("linger.ms", LINGER_MS),
            ("message.timeout.ms", &timeout),
            ("topic.metadata.propagation.max.ms", &topic_wait),
            // The client counts a message until after its report, and one whose attempt was given up until it has one.
            ("queue.buffering.max.messages", &(2 * self.in_flight).to_string()),
        ] {
            config.set(name, value);
        }
        if let Some(tls) = &self.tls {
            tls.set(&mut config);
        }
        if let Some(sasl) = &self.sasl {
            config.set("sasl.mechanism", sasl.mechanism).set("sasl.username", &sasl.user).set("sasl.password", sasl.password.expose());
        }
        config
    }
}

impl Tls {
    fn read(mut table: Settings<'_>, base: &Path) -> (Tls, Vec<Finding>) {
        let authority = table.path("ca", base);
        let certificate = table.path("certificate", base);
        let key = table.path("key", base);
        let password = table.secret("key-password");
        if certificate.is_some() != key.is_some() {
            let lacking = if key.is_none() { "key" } else { "certificate" };
            table.report("setting-missing", lacking, "is not set", "a client shows a `certificate` together with its `key`, or neither");
        }
        (Tls { authority, certificate, key, password }, table.finish())
    }

    fn set(&self, config: &mut ClientConfig) {
        for (name, path) in
            [("ssl.ca.location", &self.authority), ("ssl.certificate.location", &self.certificate), ("ssl.key.location", &self.key)]
        {
            if let Some(path) = path {
                config.set(name, path.to_string_lossy());
            }
        }
        if let Some(password) = &self.password {
            config.set("ssl.key.password", password.expose());
        }
    }
}

impl Sasl {
    fn read(mut table: Settings<'_>) -> (Option<Sasl>, Vec<Finding>) {
        let mechanism = table.required("mechanism", |table, name| table.choice(name, &MECHANISMS));
        let user = table.required("user", Settings::string).map(str::to_owned);
        let password = table.required("password", Settings::secret);
        let sasl = mechanism.zip(user).zip(password).map(|((mechanism, user), password)| Sasl { mechanism, user, password });
        (sasl, table.finish())
    }
}

fn absorbed<T>(settings: &mut Settings<'_>, (read, findings): (T, Vec<Finding>)) -> T {
    settings.absorb(findings);
    read
}

/// A list of addresses, or one text with commas, as a variable of the environment holds it.
fn addresses(settings: &mut Settings<'_>, name: &str) -> Option<Vec<String>> {
    let texts: Vec<&str> = match settings.raw(name)? {
        Value::String(_) => settings.string(name)?.split(',').map(str::trim).collect(),
        _ => settings.strings(name)?,
    };
    if texts.is_empty() || texts.iter().any(|text| !is_address(text)) {
        let help = "name host and port of one broker or more: [\"kafka-1.example:9092\", \"kafka-2.example:9092\"]";
        settings.report("setting-range", name, "is no list of brokers", help);
        return None;
    }
    Some(texts.into_iter().map(str::to_owned).collect())
}

fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    !host.is_empty() && !host.contains(['/', ',', ' ', '@']) && port.parse::<u16>().is_ok_and(|port| port > 0)
}
