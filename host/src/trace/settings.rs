//! `[traces]`: where spans are sent, and of how much.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use purefold_effects::Secret;
use purefold_effects::settings::Settings;
use purefold_wit::Finding;
use reqwest::Url;

/// What OTLP over HTTP appends to the address of a collector.
const SIGNAL_PATH: &str = "v1/traces";

/// The share of traces that is recorded, where the manifest does not say.
const DEFAULT_SAMPLE: f64 = 1.0;
/// The name that spans are told under, where the manifest does not say.
const DEFAULT_SERVICE: &str = "purefold";
/// Spans that may wait to be sent, where the manifest does not say.
const DEFAULT_QUEUE: usize = 8192;
/// How long sending may take, where the manifest does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

const SERVICE_BYTES_MOST: usize = 256;
const QUEUE_LEAST: i64 = 64;
/// The queue takes its room at once: some 20 MB.
const QUEUE_MOST: i64 = 100_000;
const TIMEOUT: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);

/// `[traces]`
#[derive(Clone, Debug, PartialEq)]
pub struct TraceSettings {
    /// The URL that spans are posted to; its query may hold a secret.
    pub endpoint: Secret,
    /// Scheme, host and port of it, for messages.
    pub origin: String,
    /// What else is sent along, as a token.
    pub headers: Vec<(HeaderName, Secret)>,
    /// The share of traces that begin here and are recorded. One that comes from outside says itself whether it is.
    pub sample: f64,
    /// The name of the service that spans are told under.
    pub service: String,
    /// Spans that may wait to be sent.
    pub queue: usize,
    /// How long sending may take.
    pub timeout: Duration,
}

impl TraceSettings {
    /// To send all spans to `endpoint`, with the defaults; none where it is no URL of a collector.
    #[must_use]
    pub fn new(endpoint: &str) -> Option<Self> {
        let url = collector(endpoint).ok()?;
        Some(TraceSettings {
            origin: url.origin().ascii_serialization(),
            endpoint: Secret::new(url),
            headers: Vec::new(),
            sample: DEFAULT_SAMPLE,
            service: DEFAULT_SERVICE.to_owned(),
            queue: DEFAULT_QUEUE,
            timeout: DEFAULT_TIMEOUT,
        })
    }

    /// Reads the settings; none where they do not say where to send.
    pub(crate) fn read(mut settings: Settings<'_>) -> (Option<Self>, Vec<Finding>) {
        let endpoint = settings.required("endpoint", Settings::secret);
        if let Some((cause, help)) = endpoint.as_ref().and_then(|endpoint| collector(endpoint.expose()).err()) {
            settings.report("url-malformed", "endpoint", cause, help);
        }
        let mut traces = endpoint.and_then(|endpoint| TraceSettings::new(endpoint.expose()));
        let sample = settings.number("sample", 0.0..=1.0);
        let service = settings.string("service");
        if service.is_some_and(|service| service.len() > SERVICE_BYTES_MOST) {
            settings.report("setting-range", "service", "is too long", format!("use {SERVICE_BYTES_MOST} bytes at most"));
        }
        let queue = settings.integer("queue", QUEUE_LEAST..=QUEUE_MOST).and_then(|queue| usize::try_from(queue).ok());
        let timeout = settings.duration("timeout", TIMEOUT);
        let headers = headers(&mut settings);
        if let Some(traces) = &mut traces {
            traces.sample = sample.unwrap_or(traces.sample);
            traces.service = service.map_or(std::mem::take(&mut traces.service), str::to_owned);
            traces.queue = queue.unwrap_or(traces.queue);
            traces.timeout = timeout.unwrap_or(traces.timeout);
            traces.headers = headers;
        }
        (traces, settings.finish())
    }
}

/// The URL that spans are posted to at the collector of this address, or what is wrong with it. The text is not told.
fn collector(text: &str) -> Result<Url, (&'static str, &'static str)> {
    let whole = "write scheme, host and port of a collector that speaks OTLP over HTTP: http://127.0.0.1:4318";
    let mut url = Url::parse(text).map_err(|_| ("is no URL", whole))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(("does not begin with http:// or https://", whole));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(("has a credential in its host", "put it into `headers`"));
    }
    if url.fragment().is_some() {
        return Err(("has a `#`", "remove it and what follows"));
    }
    let path = format!("{}/{SIGNAL_PATH}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

fn headers(settings: &mut Settings<'_>) -> Vec<(HeaderName, Secret)> {
    let Some(mut table) = settings.nested("headers") else { return Vec::new() };
    let mut headers: Vec<(HeaderName, Secret)> = Vec::new();
    for name in table.names() {
        let Some(value) = table.secret(name) else { continue };
        match HeaderName::from_bytes(name.as_bytes()) {
            Err(_) => table.report("header-invalid", name, "is no name of a header", "use letters, digits and `-`"),
            Ok(header) if headers.iter().any(|(known, _)| *known == header) => {
                table.report("header-invalid", name, "is set twice", "keep one; headers have no case");
            }
            Ok(_) if HeaderValue::from_str(value.expose()).is_err() => {
                table.report("header-invalid", name, "has a character that a header does not carry", "use visible ASCII and spaces");
            }
            Ok(header) => headers.push((header, value)),
        }
    }
    settings.absorb(table.finish());
    headers
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(text: &str) -> (Option<TraceSettings>, Vec<(&'static str, String)>) {
        let table = text.parse().unwrap();
        let (settings, findings) = TraceSettings::read(Settings::new(&table, "traces"));
        assert!(!format!("{settings:?} {findings:?}").contains("swordfish"), "{settings:?} {findings:?}");
        (settings, findings.into_iter().map(|finding| (finding.code, finding.place)).collect())
    }

    #[test]
    fn spans_go_to_the_path_of_their_signal() {
        for (endpoint, url, origin) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces", "http://127.0.0.1:4318"),
            ("https://otlp.example/", "https://otlp.example/v1/traces", "https://otlp.example"),
            ("https://otlp.example/a/b?key=swordfish", "https://otlp.example/a/b/v1/traces?key=swordfish", "https://otlp.example"),
        ] {
            let (settings, findings) = read(&format!("endpoint = '{endpoint}'"));
            let settings = settings.unwrap();
            assert_eq!((settings.endpoint.expose(), settings.origin.as_str(), findings), (url, origin, vec![]));
        }
    }

    #[test]
    fn every_setting_is_read() {
        let text =
            "endpoint = 'http://c:1'\nsample = 0.25\nservice = 's'\nqueue = 100\ntimeout = '1s'\nheaders = { X-Token = 'swordfish' }";
        let (settings, findings) = read(text);
        let settings = settings.unwrap();
        assert_eq!(findings, []);
        assert_eq!((settings.sample, settings.service.as_str(), settings.queue), (0.25, "s", 100));
        assert_eq!(settings.timeout, Duration::from_secs(1));
        assert_eq!(settings.headers, [(HeaderName::from_static("x-token"), Secret::new("swordfish"))]);
        assert_eq!(read("endpoint = 'http://c:1'\nsample = 1").0.unwrap(), TraceSettings::new("http://c:1").unwrap());
    }

    #[test]
    fn what_is_wrong_is_found_and_no_secret_told() {
        let found = |text: &str| read(text).1;
        let one = |code, place: &str| vec![(code, place.to_owned())];
        for endpoint in ["swordfish", "ftp://swordfish", "http://u:swordfish@c:1", "http://c:1#swordfish"] {
            assert_eq!(found(&format!("endpoint = '{endpoint}'")), one("url-malformed", "traces.endpoint"), "{endpoint}");
        }
        assert_eq!(found("sample = 0.5"), one("setting-missing", "traces.endpoint"));
        let with = |text: &str| found(&format!("endpoint = 'http://c:1'\n{text}"));
        assert_eq!(with("sample = 1.5"), one("setting-range", "traces.sample"));
        assert_eq!(with("sample = 'swordfish'"), one("setting-type", "traces.sample"));
        assert_eq!(with("queue = 1"), one("setting-range", "traces.queue"));
        assert_eq!(with("headers = { 'a b' = 'swordfish' }"), one("header-invalid", "traces.headers.a b"));
        assert_eq!(with("headers = { a = '1', A = '2' }"), one("header-invalid", "traces.headers.A"));
        assert_eq!(with("headers = { a = \"swordfish\\n\" }"), one("header-invalid", "traces.headers.a"));
        assert_eq!(with("samples = 1"), one("setting-unknown", "traces.samples"));
    }
}
