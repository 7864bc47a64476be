//! `load`: a stream of CloudEvents of the reference workflow, to load the pipeline with.
//!
//! `load nodes COUNT` registers COUNT nodes and acknowledges them; `load heartbeats COUNT EVENTS` has them send EVENTS
//! heartbeats in turn. One event a line on standard output; the same arguments give the same bytes.
//!
//! `load http ADDRESS CONNECTIONS SECONDS` sends such heartbeats to a host that listens, over so many connections, each event
//! when the one before is answered, and tells the rate and how long answers took as an object of JSON. The token is that of
//! the variable `TOKEN`, where it is set. `load http ADDRESS CONNECTIONS SECONDS FILE` writes to FILE the id of each event that
//! was answered, one a line, and a host that goes away ends it well: what was answered can be looked for. `load moments` with the same
//! writes when the events of the first of the nodes were answered instead, in microseconds since 1970.
//!
//! `load kafka BROKERS TOPIC PARTITIONS NODES EVENTS` makes a topic and fills it with EVENTS of NODES nodes: their registrations and
//! acknowledgements, then heartbeats in turn. The topics that the workflow publishes to are made too.
//!
//! `load alarms FIRST COUNT MILLISECONDS` is of the workflow of `benches/timers.toml`: accounts from FIRST on, each with an
//! alarm that is due so long after its event; `load moves COUNT EVENTS` has the first COUNT accounts set their alarms a year
//! ahead, again and again.

#[path = "load/http.rs"]
mod http;
#[path = "load/kafka.rs"]
mod kafka;

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use http::Kept;

/// Instants of a stream begin here: 2026-01-01T00:00:00Z, in seconds.
const BEGIN: u64 = 1_767_225_600;

const YEAR_MILLISECONDS: u64 = 365 * 24 * 60 * 60 * 1000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number > 0);
    let mut out = BufWriter::new(io::stdout().lock());
    let done = match words.as_slice() {
        ["nodes", count] => number(count).map(|count| nodes(&mut out, count)),
        ["http", address, connections, seconds, rest @ ..] if rest.len() < 2 => {
            let kept = rest.first().map_or(Kept::Nothing, |file| Kept::Ids(Path::new(file)));
            number(connections).zip(number(seconds)).map(|(connections, seconds)| http::run(&mut out, address, connections, seconds, kept))
        }
        ["moments", address, connections, seconds, file] => {
            let kept = Kept::Moments(Path::new(file));
            number(connections).zip(number(seconds)).map(|(connections, seconds)| http::run(&mut out, address, connections, seconds, kept))
        }
        ["kafka", brokers, topic, partitions, nodes, events] => number(partitions)
            .zip(number(nodes))
            .zip(number(events))
            .map(|((partitions, nodes), events)| kafka::fill(&kafka::Target { brokers, topic, partitions }, nodes, events)),
        ["alarms", first, count, milliseconds] => {
            first.parse().ok().zip(number(count)).zip(number(milliseconds)).map(|((first, count), milliseconds): ((u64, u64), u64)| {
                (first..first + count).try_for_each(|account| alarm(&mut out, account, 0, milliseconds))
            })
        }
        ["moves", count, events] => number(count)
            .zip(number(events))
            .map(|(count, events)| (0..events).try_for_each(|event| alarm(&mut out, event % count, 1 + event / count, YEAR_MILLISECONDS))),
        ["heartbeats", count, events] => number(count).zip(number(events)).map(|(count, events)| heartbeats(&mut out, count, events)),
        _ => None,
    };
    match done.map(|done| done.and_then(|()| out.flush())) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("error: {error}");
            ExitCode::from(3)
        }
        None => {
            eprintln!(
                "usage: load nodes COUNT | load heartbeats COUNT EVENTS | load http ADDRESS CONNECTIONS SECONDS [FILE] | \
                 load moments ADDRESS CONNECTIONS SECONDS FILE | \
                 load kafka BROKERS TOPIC PARTITIONS NODES EVENTS | load alarms FIRST COUNT MILLISECONDS | load moves COUNT EVENTS"
            );
            ExitCode::from(2)
        }
    }
}

/// A UUID of version 4's layout from a number: scattered as random ones are, and the same every time.
fn uuid(kind: u64, number: u64) -> String {
    // The finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let high = mix(number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(kind));
    let low = mix(high ^ number);
    purefold_wit::uuid::format((high & !0xf000) | 0x4000, (low & !(0b11 << 62)) | (0b10 << 62))
}

fn time(seconds: u64) -> String {
    purefold_wit::instant::format((BEGIN + seconds) * 1_000_000).unwrap_or_default()
}

fn event(out: &mut impl Write, ty: &str, id: &str, at: &str, data: &serde_json::Value) -> io::Result<()> {
    let event = serde_json::json!({
        "specversion": "1.0", "id": id, "source": "/load", "type": ty, "time": at, "datacontenttype": "application/json", "data": data,
    });
    writeln!(out, "{event}")
}

/// The event by which a node registers.
fn introspection(out: &mut impl Write, node: u64, at: &str) -> io::Result<()> {
    let data = serde_json::json!({
        "node_id": uuid(0, node), "node_type": "effect", "node_version": { "major": 1, "minor": 2, "patch": 3 },
        "declared_capabilities": { "postgres": true, "read": true, "write": true },
        "endpoints": { "health": "http://10.0.0.7:8080/health" }, "correlation_id": uuid(1, node), "timestamp": at,
    });
    event(out, "onex.evt.platform.node-introspection.v1", &uuid(2, node), at, &data)
}

fn nodes(out: &mut impl Write, count: u64) -> io::Result<()> {
    let at = time(0);
    for node in 0..count {
        introspection(out, node, &at)?;
    }
    let at = time(1);
    for node in 0..count {
        acknowledgement(out, node, &at)?;
    }
    Ok(())
}

/// The event by which a node that was accepted becomes active.
fn acknowledgement(out: &mut impl Write, node: u64, at: &str) -> io::Result<()> {
    let data = serde_json::json!({
        "command_id": uuid(3, node), "node_id": uuid(0, node), "correlation_id": uuid(1, node), "timestamp": at,
    });
    event(out, "onex.cmd.platform.node-registration-acked.v1", &uuid(4, node), at, &data)
}

fn heartbeats(out: &mut impl Write, count: u64, events: u64) -> io::Result<()> {
    for number in 0..events {
        beat(out, count, number)?;
    }
    Ok(())
}

/// The heartbeat of that number, of `count` nodes that beat in turn.
fn beat(out: &mut impl Write, count: u64, number: u64) -> io::Result<()> {
    heartbeat(out, number % count, number / count, &uuid(6, number), &uuid(5, number))
}

/// A node's heartbeat of a round.
fn heartbeat(out: &mut impl Write, node: u64, round: u64, id: &str, correlation_id: &str) -> io::Result<()> {
    // Far ahead of the wall's clock, so that no liveness timer falls due while the stream is measured.
    const AHEAD: u64 = 50 * 365 * 24 * 60 * 60;
    let at = time(AHEAD + round * 30);
    let data = serde_json::json!({
        "node_id": uuid(0, node), "node_type": "effect", "uptime_seconds": round * 30, "active_operations_count": node % 7,
        "memory_usage_mb": 120.5, "cpu_usage_percent": 2.5, "correlation_id": correlation_id, "timestamp": at,
    });
    event(out, "onex.evt.platform.node-heartbeat.v1", id, &at, &data)
}

/// An account's move that sets its alarm.
fn alarm(out: &mut impl Write, account: u64, round: u64, milliseconds: u64) -> io::Result<()> {
    let data = serde_json::json!({
        "account": format!("account-{account}"), "number": round, "calls": 0, "follows": 0, "alarm": milliseconds, "cancel": false,
        "pass_to": null, "behaviour": "plain",
    });
    event(out, "move", &format!("{account}-{round}"), &time(0), &data)
}
