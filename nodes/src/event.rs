//! The events as they go over the wire: CloudEvents 1.0 in structured JSON, with the payloads of the reference domain.
//!
//! Structs instead of JSON trees, because a struct's fields keep their order whatever features a JSON library is built with.

use serde::{Serialize, Serializer};

/// A node announces itself.
pub const INTROSPECTION: &str = "onex.evt.platform.node-introspection.v1";
/// A node acknowledges that it was accepted.
pub const ACK: &str = "onex.cmd.platform.node-registration-acked.v1";
/// A node is alive.
pub const HEARTBEAT: &str = "onex.evt.platform.node-heartbeat.v1";
/// The registry asks every node to announce itself anew.
pub const REQUEST: &str = "onex.evt.platform.registry-request-introspection.v1";
/// The registry has accepted a node.
pub const ACCEPTED: &str = "onex.evt.platform.node-registration-accepted.v1";

/// The kinds of nodes that may register.
pub const NODE_TYPES: [&str; 4] = ["effect", "compute", "reducer", "orchestrator"];

/// A CloudEvent with its payload.
#[derive(Serialize)]
pub struct Event<'a, D> {
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
    #[must_use]
    pub fn new(kind: &'a str, id: &'a str, source: &'a str, time: Option<u64>, correlationid: Option<&'a str>, data: D) -> Self {
        Event { specversion: "1.0", id, source, kind, time: time.map(instant), datacontenttype: "application/json", correlationid, data }
    }

    /// One line of JSON, without its end.
    ///
    /// # Errors
    /// Where the data has no JSON form.
    pub fn line(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// The RFC 3339 text of a time of the stream, all of which lie before the last instant there is a text for.
#[must_use]
pub fn instant(micros: u64) -> String {
    purefold_wit::instant::format(micros.min(purefold_wit::instant::LAST)).unwrap_or_default()
}

/// A node announces itself.
#[derive(Serialize)]
pub struct Introspection<'a> {
    /// Who it is.
    pub node_id: &'a str,
    /// What kind of node it is.
    pub node_type: &'a str,
    /// Its version, 1.0.0 where it tells none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_version: Option<Version>,
    /// What it can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared_capabilities: Option<Capabilities<'a>>,
    /// Where it is reached, by name.
    #[serde(serialize_with = "object")]
    pub endpoints: Vec<(&'static str, String)>,
    /// What else there is to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Not in the reducer's contract: producers may say more than a consumer reads.
    pub current_state: &'static str,
    /// Whatever asked for this announcement, else its own.
    pub correlation_id: &'a str,
    /// When.
    pub timestamp: String,
}

fn object<S: Serializer>(pairs: &[(&'static str, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, url)| (name, url)))
}

/// A version.
#[derive(Serialize)]
pub struct Version {
    /// Major.
    pub major: u64,
    /// Minor.
    pub minor: u64,
    /// Patch.
    pub patch: u64,
    /// Its parts, where it is a prerelease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prerelease: Option<[&'static str; 2]>,
}

impl Version {
    /// That of the node of this number: some tell none, some have a prerelease.
    #[must_use]
    pub fn of(number: u64) -> Option<Self> {
        let prerelease = number.is_multiple_of(13).then_some(["beta", "11"]);
        (!number.is_multiple_of(7)).then_some(Version { major: 1 + number % 3, minor: number % 10, patch: number % 4, prerelease })
    }
}

/// What a node can do.
#[derive(Default, Serialize)]
pub struct Capabilities<'a> {
    /// Whether it speaks to PostgreSQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres: Option<bool>,
    /// Whether it processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing: Option<bool>,
    /// Whether it routes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing: Option<bool>,
    /// How much it takes at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u64>,
    /// Whether it is a tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp: Option<Mcp<'a>>,
}

impl Capabilities<'static> {
    /// Those of the node of this kind and number. Every other orchestrator offers a tool; those without a name of their own
    /// take one from their description or type.
    #[must_use]
    pub fn of(kind: &str, number: u64) -> Option<Self> {
        match kind {
            "effect" => Some(Capabilities { postgres: Some(true), batch_size: Some(32 + number % 100), ..Capabilities::default() }),
            "compute" => Some(Capabilities { processing: Some(true), ..Capabilities::default() }),
            "orchestrator" => {
                let tool_name = number.is_multiple_of(3).then_some("Parcel Router (EU)");
                let mcp = (number % 8 == 3).then_some(Mcp { expose: true, tool_name });
                Some(Capabilities { routing: Some(true), mcp, ..Capabilities::default() })
            }
            _ => None,
        }
    }
}

/// A node as a tool.
#[derive(Serialize)]
pub struct Mcp<'a> {
    /// Whether others may call it.
    pub expose: bool,
    /// By which name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<&'a str>,
}

/// What there is to know of a node.
#[derive(Serialize)]
pub struct Metadata {
    /// In words.
    pub description: &'static str,
    /// Where.
    pub region: &'static str,
}

/// A node acknowledges that it was accepted.
#[derive(Serialize)]
pub struct Ack<'a> {
    /// The id of this command.
    pub command_id: String,
    /// Who it is.
    pub node_id: &'a str,
    /// That of the announcement.
    pub correlation_id: &'a str,
    /// When.
    pub timestamp: String,
}

/// A node is alive.
#[derive(Serialize)]
pub struct Heartbeat<'a> {
    /// Who it is.
    pub node_id: &'a str,
    /// What kind of node it is.
    pub node_type: &'a str,
    /// Since its start.
    pub uptime_seconds: f64,
    /// What it is busy with.
    pub active_operations_count: u64,
    /// What it takes.
    pub memory_usage_mb: f64,
    /// What it takes.
    pub cpu_usage_percent: f64,
    /// When.
    pub timestamp: String,
}
