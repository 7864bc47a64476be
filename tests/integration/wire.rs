//! What goes over the wire in the reference domain: the nodes' events as they send them, and what nodes do with those they hear.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// The topics that nodes write.
pub(crate) const INTROSPECTION: &str = "onex.evt.platform.node-introspection.v1";
pub(crate) const ACK: &str = "onex.cmd.platform.node-registration-acked.v1";
pub(crate) const HEARTBEAT: &str = "onex.evt.platform.node-heartbeat.v1";
/// The topics that the registry writes.
pub(crate) const REQUEST: &str = "onex.evt.platform.registry-request-introspection.v1";
pub(crate) const ACCEPTED: &str = "onex.evt.platform.node-registration-accepted.v1";

/// The kinds of nodes that may register.
pub(crate) const NODE_TYPES: [&str; 4] = ["effect", "compute", "reducer", "orchestrator"];

/// 2026-02-13T12:00:00Z, in microseconds since the epoch: when every test's time begins.
const START: u64 = 1_770_984_000_000_000;

/// The time so many seconds into a test.
pub(crate) fn at(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "tests last minutes")]
    let micros = (seconds * 1e6).round() as u64;
    purefold_wit::instant::format(START + micros).expect("tests end before the year 9999")
}

/// The time, in microseconds since the epoch.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    u64::try_from(since.as_micros()).expect("it is before 9999")
}

/// A CloudEvent as one line of JSON.
pub(crate) fn event(kind: &str, id: &str, source: &str, seconds: f64, correlation: Option<&str>, data: &Value) -> String {
    let mut event = json!({"specversion": "1.0", "id": id, "source": source, "type": kind, "time": at(seconds), "data": data});
    if let Some(correlation) = correlation {
        event["correlationid"] = correlation.into();
    }
    event.to_string()
}

/// A node that speaks the wire format.
#[derive(Clone)]
pub(crate) struct Node {
    /// Its id, the same for all its life.
    pub(crate) id: String,
    /// What kind of node it is.
    pub(crate) node_type: &'static str,
}

impl Node {
    /// The node of that number.
    pub(crate) fn new(number: u32, node_type: &'static str) -> Node {
        Node { id: format!("{number:08x}-0000-4000-8000-00000000abcd"), node_type }
    }

    /// A fleet, one of each type.
    pub(crate) fn of_each_type() -> Vec<Node> {
        (1..).zip(NODE_TYPES).map(|(number, node_type)| Node::new(number, node_type)).collect()
    }

    /// The source of its events.
    pub(crate) fn source(&self) -> String {
        format!("/nodes/{}", self.id)
    }

    /// The service id under which it must be found.
    pub(crate) fn service_id(&self) -> String {
        format!("onex-{}-{}", self.node_type, self.id)
    }

    /// It announces itself.
    pub(crate) fn introspection(&self, seconds: f64, correlation: &str) -> String {
        let data = json!({
            "node_id": self.id, "node_type": self.node_type, "correlation_id": correlation, "timestamp": at(seconds),
            "endpoints": {"health": format!("http://10.0.0.{}:8080/health", self.node_type.len())},
            // Not in the contract: producers may say more than a consumer reads.
            "current_state": "initializing",
        });
        event(INTROSPECTION, &self.event_id("introspection", seconds), &self.source(), seconds, Some(correlation), &data)
    }

    /// It acknowledges that it was accepted.
    pub(crate) fn ack(&self, seconds: f64, correlation: &str) -> String {
        let data = json!({
            "command_id": "c0000000-0000-4000-8000-000000000001", "node_id": self.id, "correlation_id": correlation, "timestamp": at(seconds),
        });
        event(ACK, &self.event_id("ack", seconds), &self.source(), seconds, Some(correlation), &data)
    }

    /// It is alive.
    pub(crate) fn heartbeat(&self, seconds: f64) -> String {
        let data = json!({
            "node_id": self.id, "node_type": self.node_type, "uptime_seconds": seconds, "active_operations_count": 3, "timestamp": at(seconds),
        });
        event(HEARTBEAT, &self.event_id("heartbeat", seconds), &self.source(), seconds, None, &data)
    }

    /// What it sends upon an event of the registry: an introspection upon a request, an acknowledgement upon its own acceptance.
    pub(crate) fn answer(&self, heard: &Value, seconds: f64) -> Option<String> {
        let correlation = heard["correlationid"].as_str().expect("the registry's events carry a correlation id");
        match heard["type"].as_str() {
            Some(REQUEST) => Some(self.introspection(seconds, correlation)),
            Some(ACCEPTED) if heard["data"]["node_id"] == *self.id => Some(self.ack(seconds, correlation)),
            _ => None,
        }
    }

    fn event_id(&self, what: &str, seconds: f64) -> String {
        format!("{what}-{}-{seconds}", &self.id[..8])
    }
}

/// The registry asks every node to announce itself anew.
pub(crate) fn request(seconds: f64, correlation: &str) -> String {
    event(REQUEST, &format!("request-{seconds}"), "/registry", seconds, Some(correlation), &json!({"reason": "startup"}))
}
