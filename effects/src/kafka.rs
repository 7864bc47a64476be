//! How to reach a Kafka cluster: what its producers and consumers have in common.

mod said;

use std::path::{Path, PathBuf};

use purefold_wit::Finding;
use rdkafka::ClientConfig;
use toml::Value;

pub use self::said::{LOGIN_HELP, Said, is_refusal};
use crate::Secret;
use crate::settings::Settings;

const MECHANISMS: [(&str, &str); 3] = [("PLAIN", "PLAIN"), ("SCRAM-SHA-256", "SCRAM-SHA-256"), ("SCRAM-SHA-512", "SCRAM-SHA-512")];

/// Longest topic that Kafka takes.
pub(crate) const TOPIC_BYTES_MAX: usize = 249;

/// Where the brokers are, and how to speak to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    addresses: Vec<String>,
    tls: Option<Tls>,
    sasl: Option<Sasl>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tls {
    authority: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    password: Option<Secret>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Sasl {
    mechanism: &'static str,
    user: String,
    password: Secret,
}

impl Connection {
    /// Reads the brokers' addresses from the setting `brokers`, and `tls` and `sasl`. Files are taken relative to `base`.
    pub fn read(settings: &mut Settings<'_>, brokers: &str, base: &Path) -> Option<Connection> {
        let addresses = settings.required(brokers, addresses);
        let tls = settings.nested("tls").map(|table| absorbed(settings, Tls::read(table, base)));
        let sasl = settings.nested("sasl").map(|table| absorbed(settings, Sasl::read(table)));
        Some(Connection { addresses: addresses?, tls, sasl: sasl.flatten() })
    }

    /// The addresses, for people.
    #[must_use]
    pub fn addresses(&self) -> String {
        self.addresses.join(",")
    }

    /// What librdkafka takes.
    #[must_use]
    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        let protocol = match (&self.tls, &self.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        config.set("client.id", "purefold").set("bootstrap.servers", self.addresses()).set("security.protocol", protocol);
        if let Some(tls) = &self.tls {
            tls.set(&mut config);
        }
        if let Some(sasl) = &self.sasl {
            config.set("sasl.mechanism", sasl.mechanism).set("sasl.username", &sasl.user).set("sasl.password", sasl.password.expose());
        }
        config
    }
}

/// Whether a topic may have this name.
#[must_use]
pub fn is_topic(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= TOPIC_BYTES_MAX && name.bytes().all(allowed) && name != "." && name != ".."
}

/// What to do about a name that no topic may have.
#[must_use]
pub fn topic_help() -> String {
    format!("use letters, digits, `.`, `_` and `-`, {TOPIC_BYTES_MAX} at most, and not dots alone")
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn config(text: &str) -> ClientConfig {
        let table = format!("kafka = 'k:9092'\n{text}").parse().unwrap();
        let mut settings = Settings::new(&table, "effects.events");
        let connection = Connection::read(&mut settings, "kafka", Path::new("/certificates")).unwrap();
        assert_eq!(settings.finish(), []);
        connection.config()
    }

    #[test]
    fn each_way_to_the_brokers_is_told_to_the_client() {
        let sasl = "sasl = { mechanism = 'PLAIN', user = 'u', password = 'the-word' }";
        for (text, protocol) in [
            (String::new(), "plaintext"),
            ("tls = {}".to_owned(), "ssl"),
            (sasl.to_owned(), "sasl_plaintext"),
            (format!("tls = {{}}\n{sasl}"), "sasl_ssl"),
        ] {
            assert_eq!(config(&text).get("security.protocol"), Some(protocol), "{text}");
        }
        let config = config("tls = { ca = 'ca.pem', certificate = 'c.pem', key = 'k.pem', key-password = 'the-word' }");
        for (name, expected) in [
            ("ssl.ca.location", "/certificates/ca.pem"),
            ("ssl.certificate.location", "/certificates/c.pem"),
            ("ssl.key.location", "/certificates/k.pem"),
            ("ssl.key.password", "the-word"),
        ] {
            assert_eq!(config.get(name), Some(expected), "{name}");
        }
    }
}
