//! The events as they go over the wire: CloudEvents 1.0 in structured JSON, with the payloads of the reference domain.
//!
//! Structs instead of JSON trees, because a struct's fields keep their order whatever features a JSON library is built with.

use serde::{Serialize, Serializer};

pub(crate) const INTROSPECTION: &str = "onex.evt.platform.node-introspection.v1";
pub(crate) const ACK: &str = "onex.cmd.platform.node-registration-acked.v1";
pub(crate) const HEARTBEAT: &str = "onex.evt.platform.node-heartbeat.v1";

/// A CloudEvent with its payload.
#[derive(Serialize)]
pub(crate) struct Event<'a, D> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    datacontenttype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlationid: Option<&'a str>,
    data: D,
}

impl<'a, D: Serialize> Event<'a, D> {
    /// An event of `kind` that happened at `time` (microseconds since the epoch).
    pub(crate) fn new(kind: &'a str, id: &'a str, source: &'a str, time: Option<u64>, correlationid: Option<&'a str>, data: D) -> Self {
        Event { specversion: "1.0", id, source, kind, time: time.map(instant), datacontenttype: "application/json", correlationid, data }
    }

    /// One line of JSON, without its end.
    pub(crate) fn line(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// The RFC 3339 text of a time of the stream, all of which lie before the last instant there is a text for.
pub(crate) fn instant(micros: u64) -> String {
    purefold_wit::instant::format(micros.min(purefold_wit::instant::LAST)).unwrap_or_default()
}

/// A node announces itself.
#[derive(Serialize)]
pub(crate) struct Introspection<'a> {
    pub(crate) node_id: &'a str,
    pub(crate) node_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node_version: Option<Version>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) declared_capabilities: Option<Capabilities<'a>>,
    #[serde(serialize_with = "object")]
    pub(crate) endpoints: Vec<(&'static str, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<Metadata>,
    /// Not in the reducer's contract: producers may say more than a consumer reads.
    pub(crate) current_state: &'static str,
    pub(crate) correlation_id: &'a str,
    pub(crate) timestamp: String,
}

fn object<S: Serializer>(pairs: &[(&'static str, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, url)| (name, url)))
}

#[derive(Serialize)]
pub(crate) struct Version {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    pub(crate) patch: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prerelease: Option<[&'static str; 2]>,
}

#[derive(Default, Serialize)]
pub(crate) struct Capabilities<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) postgres: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) processing: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) routing: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) batch_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mcp: Option<Mcp<'a>>,
}

#[derive(Serialize)]
pub(crate) struct Mcp<'a> {
    pub(crate) expose: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tool_name: Option<&'a str>,
}

#[derive(Serialize)]
pub(crate) struct Metadata {
    pub(crate) description: &'static str,
    pub(crate) region: &'static str,
}

/// A node acknowledges that it was accepted.
#[derive(Serialize)]
pub(crate) struct Ack<'a> {
    pub(crate) command_id: String,
    pub(crate) node_id: &'a str,
    pub(crate) correlation_id: &'a str,
    pub(crate) timestamp: String,
}

/// A node is alive.
#[derive(Serialize)]
pub(crate) struct Heartbeat<'a> {
    pub(crate) node_id: &'a str,
    pub(crate) node_type: &'a str,
    pub(crate) uptime_seconds: f64,
    pub(crate) active_operations_count: u64,
    pub(crate) memory_usage_mb: f64,
    pub(crate) cpu_usage_percent: f64,
    pub(crate) timestamp: String,
}
