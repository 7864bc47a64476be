//! Spans on the wire: OTLP as protobuf over HTTP, by the exporter of OpenTelemetry and the host's own HTTP client.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use purefold_effects::causes;
use reqwest::Client;

use super::TraceSettings;
use super::span::{Answered, Span, What};

/// Stands where the exporter wants a URL. Where requests really go only [`Transport`] knows: it may hold a secret, and the
/// exporter's own settings, which it also takes from the environment, are not to add anything.
const NOWHERE: &str = "http://collector.invalid/v1/traces";

/// Bytes of an answer that are read: all that an answer should say is whether something was refused.
const ANSWER_BYTES_MOST: usize = 64 << 10;

/// How sending went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The collector has them.
    Taken,
    /// It will never take them.
    Refused(String),
    /// It did not answer, or asked for another time.
    NotReached(String),
}

/// A connection to a collector.
pub(super) struct Collector {
    exporter: SpanExporter,
    went: Arc<Mutex<Sent>>,
    scope: InstrumentationScope,
    timeout: Duration,
}

impl Collector {
    /// Readies sending; nothing is sent yet.
    ///
    /// # Errors
    /// What the machine lacks.
    pub(super) fn new(settings: &TraceSettings) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| format!("the header {name} cannot be sent"))?;
            value.set_sensitive(true);
            headers.insert(name.clone(), value);
        }
        let went = Arc::new(Mutex::new(Sent::Taken));
        let client = purefold_effects::client(settings.timeout, None)?;
        let transport = Transport { client, url: settings.endpoint.clone(), headers, went: went.clone() };
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(transport)
            .with_endpoint(NOWHERE)
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(settings.timeout)
            // Whoever calls tries again.
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(|error| error.to_string())?;
        let version = env!("CARGO_PKG_VERSION");
        exporter.set_resource(
            &Resource::builder_empty()
                .with_service_name(settings.service.clone())
                .with_attribute(KeyValue::new("service.version", version))
                .build(),
        );
        let scope = InstrumentationScope::builder("purefold").with_version(version).build();
        Ok(Collector { exporter, went, scope, timeout: settings.timeout })
    }

    /// Sends spans together, once.
    pub(super) async fn send(&self, spans: &[Span]) -> Sent {
        let data = spans.iter().map(|span| data(span, &self.scope)).collect();
        let sent = tokio::time::timeout(self.timeout, self.exporter.export(data)).await;
        match sent {
            Ok(Ok(())) => Sent::Taken,
            Err(_) => Sent::NotReached(format!("no answer within {:?}", self.timeout)),
            Ok(Err(error)) => match self.went.lock().unwrap_or_else(PoisonError::into_inner).clone() {
                // The exporter itself would not send them.
                Sent::Taken => Sent::Refused(error.to_string()),
                why => why,
            },
        }
    }
}

/// Sends what the exporter encodes to where the manifest says, and nothing else that the exporter would add.
struct Transport {
    client: Client,
    url: purefold_effects::Secret,
    headers: HeaderMap,
    went: Arc<Mutex<Sent>>,
}

impl Transport {
    fn note(&self, sent: Sent) {
        *self.went.lock().unwrap_or_else(PoisonError::into_inner) = sent;
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

#[async_trait]
impl HttpClient for Transport {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.note(Sent::Taken);
        let mut post = self.client.post(self.url.expose()).headers(self.headers.clone());
        if let Some(content_type) = request.headers().get(CONTENT_TYPE) {
            post = post.header(CONTENT_TYPE, content_type);
        }
        let broken = |error: reqwest::Error| {
            let why = causes(error);
            self.note(Sent::NotReached(why.clone()));
            HttpError::from(why)
        };
        let mut answer = post.body(request.into_body()).send().await.map_err(broken)?;
        let status = answer.status();
        if !status.is_success() {
            // These say that another time is better (OTLP/HTTP, "Failures"). The body is not told: servers repeat what they
            // were sent.
            let why = format!("the collector answers {status}");
            let passes = matches!(status.as_u16(), 429 | 502..=504);
            self.note(if passes { Sent::NotReached(why) } else { Sent::Refused(why) });
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MOST {
                break;
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        Ok(response)
    }
}

/// A span as the exporter takes it.
fn data(span: &Span, scope: &InstrumentationScope) -> SpanData {
    let Span { place, parent, subject, what, .. } = span;
    let flags = if place.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (name, span_kind) = match what {
        What::Accepted { .. } => (Cow::Borrowed("accept"), SpanKind::Consumer),
        What::Decided { .. } => ("decide".into(), SpanKind::Internal),
        What::Committed { .. } => ("commit".into(), SpanKind::Internal),
        What::Attempted { effect, .. } => (format!("perform {effect}").into(), SpanKind::Client),
    };
    let mut attributes = vec![
        KeyValue::new("purefold.workflow", subject.workflow.clone()),
        KeyValue::new("purefold.entity", subject.entity.clone()),
        KeyValue::new("purefold.sequence", whole(subject.sequence)),
        KeyValue::new("purefold.correlation_id", subject.correlation_id.clone()),
    ];
    SpanData {
        span_context: SpanContext::new(TraceId::from(place.trace), SpanId::from(place.span), flags, false, TraceState::default()),
        parent_span_id: parent.map_or(SpanId::INVALID, |parent| SpanId::from(parent.id)),
        parent_span_is_remote: parent.is_some_and(|parent| parent.remote),
        span_kind,
        name,
        start_time: time(span.began),
        // A clock that jumped back would make it end before it began.
        end_time: time(span.ended.max(span.began)),
        status: describe(what, &mut attributes),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        instrumentation_scope: scope.clone(),
    }
}

/// Adds what there is to say of each kind of span, and gives how it ended.
fn describe(what: &What, attributes: &mut Vec<KeyValue>) -> Status {
    match what {
        What::Accepted { event_id } => attributes.push(KeyValue::new("cloudevents.event_id", event_id.clone())),
        What::Decided { origin, event_id, verdict, fault, fuel, took } => {
            attributes.extend([
                KeyValue::new("purefold.origin", *origin),
                KeyValue::new("purefold.event_id", event_id.clone()),
                KeyValue::new("purefold.verdict", verdict.as_str()),
                KeyValue::new("purefold.fuel", whole(*fuel)),
                KeyValue::new("purefold.sandbox_seconds", took.as_secs_f64()),
            ]);
            if let Some(code) = fault {
                attributes.push(KeyValue::new("error.type", *code));
                return Status::error(*code);
            }
        }
        What::Committed { entries } => attributes.push(KeyValue::new("purefold.commit_entries", whole(*entries as u64))),
        What::Attempted { intent, index, effect, attempt, answer } => {
            attributes.extend([
                KeyValue::new("purefold.intent_id", intent.to_string()),
                KeyValue::new("purefold.index", i64::from(*index)),
                KeyValue::new("purefold.effect", effect.clone()),
                KeyValue::new("purefold.attempt", i64::from(*attempt)),
            ]);
            if let Answered::Failed(why) = answer {
                return Status::error(why.clone());
            }
        }
    }
    Status::Unset
}

/// OTLP has no unsigned numbers.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn time(microseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(microseconds)
}

#[cfg(test)]
mod tests {
    use purefold_effects::TraceParent;

    use super::*;
    use crate::journal::Verdict;
    use crate::trace::Subject;

    fn span(what: What) -> SpanData {
        let subject = Subject { workflow: "w".into(), entity: "e".into(), sequence: 3, correlation_id: "c".into() };
        let place = TraceParent { trace: 0x0af7, span: 0xb7ad, sampled: true };
        let span = Span { place, parent: None, began: 2_000_000, ended: 1_000_000, subject, what };
        data(&span, &InstrumentationScope::builder("purefold").build())
    }

    #[test]
    fn a_fault_is_an_error_with_its_code_and_a_clock_that_jumped_back_makes_no_span_end_before_it_began() {
        let took = Duration::from_micros(5);
        let what = What::Decided { origin: "event", event_id: "1".into(), verdict: Verdict::Faulted, fault: Some("fuel"), fuel: 7, took };
        let data = span(what);
        assert_eq!((data.name.as_ref(), data.status), ("decide", Status::error("fuel")));
        assert_eq!(data.span_context.trace_id().to_string(), format!("{:032x}", 0x0af7));
        assert_eq!(data.span_context.span_id().to_string(), format!("{:016x}", 0xb7ad));
        assert_eq!((data.parent_span_id, data.start_time, data.end_time), (SpanId::INVALID, time(2_000_000), time(2_000_000)));
        let values: Vec<String> = data.attributes.iter().map(|pair| format!("{}={}", pair.key, pair.value)).collect();
        for expected in ["purefold.sequence=3", "purefold.verdict=faulted", "purefold.fuel=7", "error.type=fuel"] {
            assert!(values.iter().any(|value| value == expected), "{expected}: {values:?}");
        }
    }

    #[test]
    fn what_the_manifest_says_of_secrets_is_in_nothing_that_can_be_printed() {
        let settings = TraceSettings::new("http://127.0.0.1:1/?key=swordfish")
            .map(|settings| TraceSettings { headers: vec![(CONTENT_TYPE, purefold_effects::Secret::new("swordfish"))], ..settings });
        let collector = settings.as_ref().map(Collector::new);
        assert!(matches!(&collector, Some(Ok(_))), "it can be made");
        let printed = format!("{settings:?} {:?}", collector.and_then(Result::ok).map(|collector| collector.exporter));
        assert!(printed.contains("SpanExporter") && !printed.contains("swordfish"), "{printed}");
    }
}
