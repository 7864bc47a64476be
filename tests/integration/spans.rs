//! Traces over OTLP: the real program, a collector that reads what comes over the wire, and everything that one event led to
//! in one trace, up to the request that an effect sends.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::BufRead;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Client, STRUCTURED};
use crate::collector::{Collector, Span};
use crate::payments::{Payments, receipt};
use crate::place::{Place, Running};
use crate::program::{Done, signal};
use crate::repository::root;
use crate::service::{Answer, closed_port};
use crate::shop::{arrived, placed};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SENDER: &str = "b7ad6b7169203331";

/// The orders, whose traces go to this port.
fn orders(payments: u16, collector: u16, settings: &str) -> Place {
    let place = Place::orders(payments);
    tell(&place, collector, settings);
    place
}

fn tell(place: &Place, collector: u16, settings: &str) {
    place.mend("[store]\n", &format!("[traces]\nendpoint = \"http://127.0.0.1:{collector}\"\n{settings}\n[store]\n"));
}

/// The event, with what it follows from.
fn following(event: &str, parent: &str) -> String {
    let mut event: Value = serde_json::from_str(event).unwrap();
    event["traceparent"] = parent.into();
    event.to_string()
}

/// A host that is sent events.
struct Host {
    running: Running,
    client: Client,
    admin: Client,
    _told: Box<dyn BufRead>,
}

impl Host {
    fn start(place: &Place) -> Host {
        let mut running = Running::start(place.command("run", &["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]));
        let (address, mut told) = running.listens("listening on http://");
        let mut line = String::new();
        told.read_line(&mut line).unwrap();
        let admin = line.trim().rsplit("http://").next().unwrap().parse().unwrap_or_else(|error| panic!("{error}: {line}"));
        let (client, admin) = (Client::connect(address).unwrap(), Client::connect(admin).unwrap());
        Host { running, client, admin, _told: Box::new(told) }
    }

    #[track_caller]
    fn send(&mut self, event: &str) {
        self.client.event("/", event).unwrap().is(200);
    }

    fn figure(&mut self, sample: &str) -> Option<f64> {
        self.admin.send("GET", "/metrics", &[], "").unwrap();
        let text = self.admin.receive().unwrap().body;
        text.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok())
    }

    /// Ends it as an operator does, which sends the last spans.
    fn end(mut self) {
        signal(self.running.child(), "TERM");
        drop(self._told);
        assert_eq!(self.running.end().code, Some(0));
    }
}

/// The one span that fits.
#[track_caller]
fn the<'a>(spans: &'a [Span], what: &str, fits: impl Fn(&Span) -> bool) -> &'a Span {
    let found: Vec<&Span> = spans.iter().filter(|span| fits(span)).collect();
    assert_eq!(found.len(), 1, "{what}: {found:#?} of {spans:#?}");
    found[0]
}

fn decided<'a>(spans: &'a [Span], entity: &str, sequence: &str) -> &'a Span {
    the(spans, &format!("decision {sequence} of {entity}"), |span| {
        span.name == "decide" && span.get("purefold.entity") == entity && span.get("purefold.sequence") == sequence
    })
}

#[test]
fn everything_that_an_event_led_to_is_one_trace_up_to_the_requests_of_effects() {
    let (payments, collector) = (Payments::willing(), Collector::willing());
    let mut place = orders(payments.port, collector.port, "headers = { Authorization = \"Bearer ${TRACE_TOKEN}\" }\nservice = \"shop\"");
    place.variable("TRACE_TOKEN", "a-token-for-the-collector");
    // The manifest says where traces go, not the environment.
    for (name, value) in [("ENDPOINT", "http://127.0.0.1:9"), ("HEADERS", "x-other=1"), ("COMPRESSION", "gzip"), ("PROTOCOL", "http/json")]
    {
        place.variable(&format!("OTEL_EXPORTER_OTLP_{name}"), value);
    }
    let mut host = Host::start(&place);
    host.send(&arrived("tea", 5, 0.0));
    host.send(&following(&placed("order-1", &[("tea", 1)], 1.0), &format!("00-{TRACE}-{SENDER}-01")));
    let all = collector.until("the shipped order", |spans| spans.iter().any(|span| span.trace == TRACE && span.name == "perform events"));
    let spans: Vec<Span> = all.iter().filter(|span| span.trace == TRACE).cloned().collect();

    // From the sender to the first decision and its commit.
    let accepted = the(&spans, "the event", |span| span.name == "accept");
    assert_eq!((accepted.parent.as_str(), accepted.get("cloudevents.event_id")), (SENDER, "placed-order-1"));
    let first = decided(&spans, "order-1", "1");
    assert_eq!(first.parent, accepted.id);
    for (attribute, value) in [
        ("purefold.workflow", "orders"),
        ("purefold.origin", "event"),
        ("purefold.event_id", "placed-order-1"),
        ("purefold.correlation_id", "correlation-order-1"),
        ("purefold.verdict", "accepted"),
    ] {
        assert_eq!(first.get(attribute), value, "{first:#?}");
    }
    assert!(first.get("purefold.fuel").parse::<u64>().unwrap() > 0 && first.get("purefold.sandbox_seconds").parse::<f64>().unwrap() > 0.0);
    let committed = the(&spans, "the first commit", |span| span.name == "commit" && span.parent == first.id);
    assert!(accepted.began <= first.began && first.ended <= committed.ended && committed.ended <= accepted.ended, "{spans:#?}");

    // To the stock and back, over deliveries.
    let reserved =
        the(&spans, "the reservation", |span| span.name == "decide" && span.get("purefold.entity") == "tea" && span.parent == first.id);
    assert_eq!(reserved.get("purefold.origin"), "delivery");
    let charging = decided(&spans, "order-1", "2");
    assert_eq!((charging.parent.as_str(), charging.get("purefold.origin")), (reserved.id.as_str(), "delivery"));

    // To the payment service, whose request follows from the attempt.
    let charge = the(&spans, "the charge", |span| span.name == "perform payments");
    assert_eq!((charge.parent.as_str(), charge.get("purefold.attempt"), charge.failure.as_str()), (charging.id.as_str(), "1", ""));
    let requests = payments.requests_for("POST /charges/order-1");
    assert_eq!(requests.len(), 1);
    assert_eq!(charge.get("purefold.intent_id"), requests[0].idempotency_key);
    assert_eq!(requests[0].trace_parent, format!("00-{TRACE}-{}-01", charge.id));

    // And back as an outcome, to the event that is published.
    let charged = decided(&spans, "order-1", "3");
    assert_eq!((charged.parent.as_str(), charged.get("purefold.origin")), (charging.id.as_str(), "outcome"));
    let shipped = the(&spans, "the publication", |span| span.name == "perform events");
    let published = place.published("order-events.jsonl");
    assert_eq!(published.len(), 1);
    assert_eq!(published[0]["traceparent"], format!("00-{TRACE}-{}-01", shipped.id));

    // Nothing hangs in the air, nothing is there twice, and what others sent is not in it.
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    assert_eq!(ids.len(), spans.len());
    for span in &spans {
        assert!(span.parent == SENDER || ids.contains(span.parent.as_str()), "{span:#?}");
        assert_eq!(span.get("purefold.correlation_id"), "correlation-order-1");
        assert_eq!(span.resource["service.name"], "shop");
    }
    assert!(all.iter().any(|span| span.get("purefold.event_id") == "arrived-tea-0" && span.trace != TRACE), "{all:#?}");

    for request in collector.requests() {
        assert_eq!((request.what.as_str(), request.header("content-type").as_str()), ("POST /v1/traces", "application/x-protobuf"));
        assert_eq!(request.header("authorization"), "Bearer a-token-for-the-collector");
        assert_eq!((request.header("x-other"), request.header("content-encoding")), (String::new(), String::new()));
    }
    let told = collector.spans().len();
    #[allow(clippy::cast_precision_loss, reason = "few spans")]
    let told = told as f64;
    assert!(host.figure("purefold_trace_spans_total{fate=\"exported\"}").is_some_and(|count| count >= told));
    assert_eq!(host.figure("purefold_trace_spans_total{fate=\"dropped\"}"), Some(0.0));
    host.end();
    assert!(
        !place.rows("orders.db", "SELECT input || output || coalesce(state, '') FROM entries").concat().contains(TRACE),
        "no decision knows of it"
    );
    place.verifies();
}

#[test]
fn a_request_says_what_its_events_follow_from_and_whether_that_is_recorded() {
    let (payments, collector) = (Payments::willing(), Collector::willing());
    let place = orders(payments.port, collector.port, "");
    let mut host = Host::start(&place);
    host.send(&arrived("tea", 5, 0.0));
    let mut sent = |order: &str, event: &str, header: &str| {
        host.client.post("/", &[("content-type", STRUCTURED), ("traceparent", header)], event).unwrap().is(200);
        collector.until(order, |_| !payments.requests_for(&format!("POST /charges/{order}")).is_empty());
        payments.requests_for(&format!("POST /charges/{order}"))[0].trace_parent.clone()
    };
    let plain = |order: &str| placed(order, &[("tea", 1)], 1.0);
    // The event knows better than the request that carries it.
    let other = "1".repeat(32);
    let own = following(&plain("own"), &format!("00-{TRACE}-{SENDER}-01"));
    assert!(sent("own", &own, &format!("00-{other}-{SENDER}-01")).starts_with(&format!("00-{TRACE}-")));
    assert!(sent("of-request", &plain("of-request"), &format!("00-{other}-{SENDER}-01")).starts_with(&format!("00-{other}-")));
    // What is not well formed says nothing, and is no reason to refuse the event.
    assert!(!sent("broken", &following(&plain("broken"), "a"), "00-0-0-01").is_empty());
    let number = plain("number").replacen('{', "{\"traceparent\":5,", 1);
    assert!(sent("number", &number, &format!("00-{other}-{SENDER}-01")).starts_with(&format!("00-{other}-")));
    // What is not recorded is handed on all the same, and not told.
    let silent = "2".repeat(32);
    let unrecorded = sent("silent", &plain("silent"), &format!("00-{silent}-{SENDER}-00"));
    assert!(unrecorded.starts_with(&format!("00-{silent}-")) && unrecorded.ends_with("-00"), "{unrecorded}");
    host.end();
    let spans = collector.spans();
    let of_request = |span: &Span| span.name == "accept" && span.get("cloudevents.event_id") == "placed-of-request";
    let accepted = the(&spans, "the request's event", of_request);
    assert_eq!(accepted.trace, other);
    assert_eq!(accepted.parent, SENDER);
    assert!(spans.iter().all(|span| span.trace != silent));
    let broken = the(&spans, "the root", |span| span.name == "accept" && span.get("cloudevents.event_id") == "placed-broken");
    assert_eq!(broken.parent, "");
}

#[test]
fn a_trace_goes_on_after_a_crash_by_its_correlation_id() {
    let payments = Payments::answering(|request, before| match before {
        0 => Answer::status("503 Service Unavailable"),
        _ => receipt(&request.body["amount"]),
    });
    let collector = Collector::willing();
    let place = orders(payments.port, collector.port, "");
    place.mend("first = \"200ms\", most = \"10s\", deadline = \"2m\"", "first = \"1h\", most = \"1h\", deadline = \"2h\"");
    let attempts = |spans: &[Span]| spans.iter().filter(|span| span.name == "perform payments").count();
    let attempt_at = |spans: &[Span], order: &str, number: usize| {
        spans.iter().filter(|span| span.name == "perform payments" && span.get("purefold.entity") == order).nth(number).unwrap().clone()
    };
    let mut host = Host::start(&place);
    host.send(&arrived("tea", 5, 0.0));
    host.send(&placed("order-1", &[("tea", 1)], 1.0));
    host.send(&following(&placed("order-2", &[("tea", 1)], 1.0), &format!("00-{TRACE}-{SENDER}-01")));
    collector.until("the failed attempts", |spans| attempts(spans) == 2);
    host.running.kill();

    let host = Host::start(&place);
    collector.until("the second attempts", |spans| attempts(spans) == 4);
    host.end();
    let spans = collector.spans();
    let charging = decided(&spans, "order-1", "2");
    let (failed, again) = (attempt_at(&spans, "order-1", 0), attempt_at(&spans, "order-1", 1));
    assert!(failed.failure.contains("503") && again.failure.is_empty() && failed.id != again.id, "{failed:#?} {again:#?}");
    for attempt in [&failed, &again] {
        assert_eq!((&attempt.trace, &attempt.parent), (&charging.trace, &charging.id));
    }
    assert_eq!(decided(&spans, "order-1", "3").trace, charging.trace, "its outcome too");

    // A trace that came from outside is forgotten. What follows names its parent, and is found by the correlation id.
    let charging = decided(&spans, "order-2", "2");
    let (failed, again) = (attempt_at(&spans, "order-2", 0), attempt_at(&spans, "order-2", 1));
    assert_eq!((charging.trace.as_str(), failed.trace.as_str()), (TRACE, TRACE));
    assert_ne!(again.trace, TRACE);
    assert_eq!(again.parent, charging.id);
    assert_eq!(decided(&spans, "order-2", "3").trace, again.trace);
    for span in [charging, &again] {
        assert_eq!(span.get("purefold.correlation_id"), "correlation-order-2");
    }
}

#[test]
fn an_event_that_waited_in_an_inbox_still_follows_from_its_sender() {
    let collector = Collector::willing();
    let place = orders(Payments::willing().port, collector.port, "");
    let mut host = Host::start(&place);
    host.send(&arrived("tea", 5, 0.0));
    place.ask("pause", &["--entity", "tea"]).well();
    host.send(&following(&arrived("tea", 3, 1.0), &format!("00-{TRACE}-{SENDER}-01")));
    place.ask("resume", &["--entity", "tea"]).well();
    let spans = collector.until("the decision", |spans| spans.iter().any(|span| span.name == "commit" && span.trace == TRACE));
    let accepted = the(&spans, "the event", |span| span.name == "accept" && span.trace == TRACE);
    assert_eq!((accepted.parent.as_str(), &decided(&spans, "tea", "2").parent), (SENDER, &accepted.id));
    host.end();
}

/// Everything that the journal commits to.
fn journal(place: &Place) -> Vec<String> {
    place.rows("registration.db", "SELECT key, sequence, hex(head) FROM entities WHERE key != '' ORDER BY key")
}

fn registration(collector: Option<u16>, settings: &str) -> (Place, Done, Duration) {
    let place = Place::registration();
    if let Some(port) = collector {
        tell(&place, port, settings);
    }
    place.stream_from(&root().join("demo/events.jsonl"));
    let begun = Instant::now();
    let done = place.run().well();
    (place, done, begun.elapsed())
}

#[test]
fn a_collector_that_is_away_hangs_or_refuses_costs_nothing_but_spans() {
    let (plain, done, _) = registration(None, "");
    let summary = done.out;
    let hanging = Collector::answering(|_, _| Answer::Silence);
    let refusing = Collector::answering(|_, _| Answer::status("400 Bad Request"));
    for (what, port) in [("away", closed_port()), ("hanging", hanging.port), ("refusing", refusing.port)] {
        let (place, done, took) = registration(Some(port), "queue = 64");
        assert_eq!(journal(&place), journal(&plain), "{what}: the same decisions");
        let counts = |summary: &str| summary.split(';').next().unwrap_or_default().to_owned();
        assert_eq!(counts(&done.out), counts(&summary), "{what}");
        assert!(done.err.matches("traces cannot be told").count() <= 1, "{what}: {}", done.err);
        assert!(took < Duration::from_secs(30), "{what}: {took:?}");
        assert!(what == "hanging" || done.err.contains("traces cannot be told"), "{what}: {}", done.err);
    }
    assert!(hanging.requests().len() <= 2, "what hangs is left alone");
}

#[test]
fn a_share_of_the_traces_is_recorded_and_each_of_them_whole() {
    let collector = Collector::willing();
    let (place, ..) = registration(Some(collector.port), "sample = 0.25\nqueue = 20000");
    let spans = collector.spans();
    let mut traces: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
    for span in &spans {
        traces.entry(&span.trace).or_default().push(span);
    }
    let all: usize =
        place.value("registration.db", "SELECT count(DISTINCT correlation_id) FROM entries WHERE kind = 'decided'").parse().unwrap();
    assert!((all / 8..all / 2).contains(&traces.len()), "{} of {all} traces", traces.len());
    for spans in traces.values() {
        let correlation: BTreeSet<&str> = spans.iter().map(|span| span.get("purefold.correlation_id")).collect();
        assert_eq!(correlation.len(), 1, "{spans:#?}");
        let id = correlation.first().unwrap();
        let decisions = spans.iter().filter(|span| span.name == "decide").count().to_string();
        let sql = format!("SELECT count(*) FROM entries WHERE kind = 'decided' AND correlation_id = '{id}'");
        assert_eq!(decisions, place.value("registration.db", &sql), "every decision of {id}, timers and outcomes included");
    }
}

#[test]
fn hosts_of_several_workflows_tell_their_traces_in_one_place() {
    let place = Place::registration();
    tell(&place, 1, "");
    let other = Place::registration();
    other.mend("name = \"registration\"", "name = \"another\"");
    tell(&other, 2, "");
    other.mend("sqlite = \"registration.db\"", &format!("sqlite = \"{}\"", place.path("registration.db").display()));
    place.stream([""; 0]);
    let other = other.manifest().display().to_string();
    let done: Done = place.running(&["--until-idle", &other]).output().expect("purefold can be started").into();
    let done = done.exits(2);
    assert!(done.err.contains("[traces]") && done.err.contains("another"), "{}", done.err);
}

#[test]
fn what_watching_costs_can_be_measured() {
    let events = root().join("demo/events.jsonl");
    let folder = tempfile::tempdir().unwrap();
    let place = Place::registration();
    let rest = [
        "--watching",
        "--rounds",
        "1",
        "--json",
        "--perform",
        "--events",
        &events.display().to_string(),
        "--folder",
        &folder.path().display().to_string(),
    ];
    let told = place.ask("bench", &rest).well().json();
    let names: Vec<&str> = told.iter().filter_map(|line| line["watching"].as_str()).collect();
    assert_eq!(names, ["nobody", "figures", "traces"]);
    assert!(told.iter().all(|line| line["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0)), "{told:?}");
    assert_eq!(told[0]["ratio"], 1.0);
    assert!(told[2]["spans_exported"].as_u64().is_some_and(|spans| spans > 1000), "{told:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}
