//! What has no place in the stream and comes all the same: each must end as a dead letter, or as a rejection, and stop nothing.

use anyhow::Result;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{LENGTH, SECOND, START, Stream};
use purefold_nodes::event::{ACK, Event, HEARTBEAT, INTROSPECTION, instant};
use purefold_nodes::random::Random;

/// Lines that are no events at all.
const GARBAGE: &[&str] = &[
    "the quick brown fox is not an event",
    r#"{"specversion":"1.0","id":"cut-off","source":"/nodes/x","type":"onex.evt.platform.node-heartb"#,
    r#"["an array","is not an event"]"#,
];

/// What a misfit is wrong in: its place in the id, its type, and its payload, where `NODE` stands for a node's id and `TIME` for its time.
const PAYLOADS: &[(&str, &str, &str)] = &[
    ("wrong-type", HEARTBEAT, r#"{"node_id":"NODE","node_type":"effect","uptime_seconds":"rather long","timestamp":"TIME"}"#),
    (
        "wrong-type-deep",
        INTROSPECTION,
        r#"{"node_id":"NODE","node_type":"orchestrator","declared_capabilities":{"mcp":{"expose":true,"timeout_seconds":-3}},"correlation_id":"NODE","timestamp":"TIME"}"#,
    ),
    (
        "wrong-type-in-map",
        INTROSPECTION,
        r#"{"node_id":"NODE","node_type":"compute","endpoints":{"health":8080},"correlation_id":"NODE","timestamp":"TIME"}"#,
    ),
    ("key-twice", HEARTBEAT, r#"{"node_id":"NODE","node_id":"NODE","node_type":"effect","uptime_seconds":1.5,"timestamp":"TIME"}"#),
    ("not-a-uuid", ACK, r#"{"command_id":"NODE","node_id":"node-17","correlation_id":"NODE","timestamp":"TIME"}"#),
    ("no-key", HEARTBEAT, r#"{"node_type":"effect","uptime_seconds":12.5,"timestamp":"TIME"}"#),
    ("runtime-host", INTROSPECTION, r#"{"node_id":"NODE","node_type":"runtime_host","correlation_id":"NODE","timestamp":"TIME"}"#),
    (
        "nanoseconds",
        HEARTBEAT,
        r#"{"node_id":"NODE","node_type":"reducer","uptime_seconds":2.5,"timestamp":"2026-02-13T12:04:00.123456789Z"}"#,
    ),
    ("unknown-type", "onex.evt.platform.node-teleported.v1", r#"{"node_id":"NODE","timestamp":"TIME"}"#),
    // These two fit, but nobody has announced the node: the reducer rejects them.
    ("stranger-heartbeat", HEARTBEAT, r#"{"node_id":"NODE","node_type":"compute","uptime_seconds":99.5,"timestamp":"TIME"}"#),
    ("stranger-ack", ACK, r#"{"command_id":"NODE","node_id":"NODE","correlation_id":"NODE","timestamp":"TIME"}"#),
];

const STRANGER: &str = "/nodes/stranger";

/// Adds the misfits at random times.
pub(super) fn add(stream: &mut Stream, random: &mut Random) -> Result<()> {
    for line in GARBAGE {
        stream.push(moment(random), (*line).to_owned());
    }
    for (name, kind, payload) in PAYLOADS {
        let at = moment(random);
        let data = data(payload, at, random)?;
        stream.push(at, line(name, kind, Some(at), &data)?);
    }
    let fits = r#"{"node_id":"NODE","node_type":"effect","uptime_seconds":7.5,"timestamp":"TIME"}"#;
    let at = moment(random);
    let timeless = data(fits, at, random)?;
    stream.push(at, line("no-time", HEARTBEAT, None, &timeless)?);
    let at = moment(random);
    let ahead = at + 366 * 24 * 60 * 60 * SECOND;
    let ahead_data = data(fits, ahead, random)?;
    stream.push(at, line("a-year-ahead", HEARTBEAT, Some(ahead), &ahead_data)?);
    Ok(())
}

/// Some time in the stream's middle.
fn moment(random: &mut Random) -> u64 {
    START + random.between(LENGTH / 10, LENGTH * 9 / 10)
}

fn data(payload: &str, at: u64, random: &mut Random) -> Result<Box<RawValue>> {
    let text = payload.replace("NODE", &random.uuid()).replace("TIME", &instant(at));
    Ok(RawValue::from_string(text)?)
}

fn line(name: &str, kind: &str, time: Option<u64>, data: &impl Serialize) -> Result<String> {
    Ok(Event::new(kind, &format!("misfit-{name}"), STRANGER, time, None, data).line()?)
}
