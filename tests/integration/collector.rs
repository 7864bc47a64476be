//! A collector of traces on the loopback: it takes what comes over the wire as OTLP, answers as a test has it, and keeps the
//! spans.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;

use crate::request::Request;
use crate::service::{Answer, Manner, Service};

/// Longest wait for spans.
const PATIENCE: Duration = Duration::from_secs(60);

/// A span as it came. Ids are in hexadecimal digits, as `traceparent` has them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty where it has none.
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) attributes: BTreeMap<String, String>,
    /// Why it failed; empty where it did not.
    pub(crate) failure: String,
    /// Attributes of the process.
    pub(crate) resource: BTreeMap<String, String>,
}

impl Span {
    /// An attribute; empty where it is not there.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// A running collector; it lives as long as the test's process.
pub(crate) struct Collector {
    pub(crate) port: u16,
    service: Service<Request>,
}

impl Collector {
    /// One that takes everything.
    pub(crate) fn willing() -> Collector {
        Collector::answering(|_, _| Answer::status("200 OK"))
    }

    /// One that is told each request and how many came before.
    pub(crate) fn answering(answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Collector {
        let manner = Manner { read: |request| request, earlier: |kept: &[Request], _| kept.len() };
        let service = Service::start(0, manner, answer);
        Collector { port: service.port, service }
    }

    /// What came so far, as it came.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.service.requests()
    }

    /// The spans that came so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.requests().iter().flat_map(decode).collect()
    }

    /// Waits until the spans fit.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, fits: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let begun = Instant::now();
        loop {
            let spans = self.spans();
            if fits(&spans) {
                return spans;
            }
            assert!(begun.elapsed() < PATIENCE, "{what} did not come within {PATIENCE:?}: {spans:#?}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn decode(request: &Request) -> Vec<Span> {
    let told = ExportTraceServiceRequest::decode(&*request.body).expect("the body is a request of OTLP");
    let mut spans = Vec::new();
    for of_resource in told.resource_spans {
        let resource = attributes(of_resource.resource.expect("spans come from a resource").attributes);
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(Span {
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                name: span.name,
                began: span.start_time_unix_nano,
                ended: span.end_time_unix_nano,
                attributes: attributes(span.attributes),
                failure: span.status.map(|status| status.message).unwrap_or_default(),
                resource: resource.clone(),
            });
        }
    }
    spans
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value| match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        other => panic!("no attribute is a {other:?}"),
    };
    pairs.into_iter().map(|pair| (pair.key, text(pair.value.and_then(|value| value.value).expect("an attribute has a value")))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
