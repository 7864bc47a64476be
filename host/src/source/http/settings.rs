//! `http` of `[source]`.

use std::net::SocketAddr;
use std::time::Duration;

use purefold_effects::Secret;
use purefold_effects::settings::Settings;
use purefold_wit::Finding;
use toml::Value;

/// Bytes of one request's body, where the manifest does not say.
const DEFAULT_BODY_BYTES: usize = 4 << 20;
/// Connections, where the manifest does not say.
const DEFAULT_CONNECTIONS: usize = 1024;
/// Requests that are being answered, where the manifest does not say.
const DEFAULT_IN_FLIGHT: usize = 1024;
/// How long a request may take to arrive, where the manifest does not say.
const DEFAULT_RECEIVE: Duration = Duration::from_secs(30);
/// How long a request waits for its answer, where the manifest does not say.
const DEFAULT_ANSWER: Duration = Duration::from_secs(30);

const BODY_BYTES_LEAST: i64 = 1 << 10;
const BODY_BYTES_MOST: i64 = 64 << 20;
const CONNECTIONS_MOST: i64 = 65_536;
const IN_FLIGHT_MOST: i64 = 65_536;
const RECEIVE: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(600);
const ANSWER: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(600);

/// A shorter token can be guessed.
const TOKEN_BYTES_LEAST: usize = 16;
const TOKEN_BYTES_MOST: usize = 1024;

/// Where and how to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// The address.
    pub listen: SocketAddr,
    /// The tokens of which senders must show one; none where everybody on this machine may send.
    pub tokens: Vec<Secret>,
    /// Bytes of one request's body.
    pub body_bytes: usize,
    /// Connections at a time.
    pub connections: usize,
    /// Requests that are being answered at a time.
    pub in_flight: usize,
    /// How long a request's head, and its body, may take to arrive.
    pub receive: Duration,
    /// How long a request waits until what was decided on it is durable.
    pub answer: Duration,
}

impl HttpSettings {
    /// To listen on `listen`, with the defaults.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        HttpSettings {
            listen,
            tokens: Vec::new(),
            body_bytes: DEFAULT_BODY_BYTES,
            connections: DEFAULT_CONNECTIONS,
            in_flight: DEFAULT_IN_FLIGHT,
            receive: DEFAULT_RECEIVE,
            answer: DEFAULT_ANSWER,
        }
    }

    /// What is wrong with the address: others than this machine could send events without showing a token.
    #[must_use]
    pub fn open_to_everybody(&self) -> Option<Finding> {
        if self.listen.ip().is_loopback() || !self.tokens.is_empty() {
            return None;
        }
        Some(Finding::new(
            "token-missing",
            "source.http.token",
            format!("everybody who reaches {} could send events", self.listen),
            "set `token = \"${TOKEN}\"`, or listen on 127.0.0.1",
        ))
    }

    /// Reads the settings; none where they do not say where to listen.
    pub(crate) fn read(mut settings: Settings<'_>) -> (Option<Self>, Vec<Finding>) {
        let listen = settings.required("listen", Settings::string).map(str::parse::<SocketAddr>);
        let mut http = listen.and_then(|listen| match listen {
            Ok(listen) => Some(HttpSettings::new(listen)),
            Err(_) => {
                settings.report("setting-type", "listen", "it is no address", "write an IP address and a port: \"127.0.0.1:8080\"");
                None
            }
        });
        let tokens = tokens(&mut settings);
        let unread = settings.has("token") && tokens.is_empty();
        let mut bounds = [None; 3];
        for (bound, (name, range)) in bounds.iter_mut().zip([
            ("body", BODY_BYTES_LEAST..=BODY_BYTES_MOST),
            ("connections", 1..=CONNECTIONS_MOST),
            ("in-flight", 1..=IN_FLIGHT_MOST),
        ]) {
            *bound = settings.integer(name, range).and_then(|value| usize::try_from(value).ok());
        }
        let (receive, answer) = (settings.duration("receive", RECEIVE), settings.duration("answer", ANSWER));
        let mut findings = settings.finish();
        if let Some(http) = &mut http {
            let [body, connections, in_flight] = bounds;
            http.tokens = tokens;
            http.body_bytes = body.unwrap_or(http.body_bytes);
            http.connections = connections.unwrap_or(http.connections);
            http.in_flight = in_flight.unwrap_or(http.in_flight);
            http.receive = receive.unwrap_or(http.receive);
            http.answer = answer.unwrap_or(http.answer);
            // A token that is wrong is told as such already.
            findings.extend(http.open_to_everybody().filter(|_| !unread));
        }
        (http, findings)
    }
}

/// One token, or several while they are exchanged.
fn tokens(settings: &mut Settings<'_>) -> Vec<Secret> {
    let texts = match settings.raw("token") {
        None => return Vec::new(),
        Some(Value::Array(_)) => settings.strings("token").unwrap_or_default(),
        Some(_) => settings.string("token").into_iter().collect(),
    };
    let fits =
        |text: &&str| (TOKEN_BYTES_LEAST..=TOKEN_BYTES_MOST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !texts.iter().all(fits) {
        settings.report(
            "setting-range",
            "token",
            "it cannot be shown in a header, or is easily guessed",
            format!("use {TOKEN_BYTES_LEAST} to {TOKEN_BYTES_MOST} letters, digits and signs, such as `openssl rand -hex 32` gives"),
        );
        return Vec::new();
    }
    texts.into_iter().map(Secret::new).collect()
}
