//! One node, as others see it.

use anyhow::Result;
use serde::Serialize;

use crate::event::{ACK, Ack, Capabilities, HEARTBEAT, Heartbeat, INTROSPECTION, Introspection, Metadata, NODE_TYPES, Version, instant};
use crate::message::Message;
use crate::random::Random;

/// A microsecond's thousand thousands.
pub(crate) const SECOND: u64 = 1_000_000;

/// One node, which makes the events that a real one would.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its id, the same for all its life.
    pub id: String,
    /// What kind of node it is.
    pub kind: &'static str,
    /// Its endpoints, by name.
    pub endpoints: Vec<(&'static str, String)>,
    number: u64,
    /// When it began to run.
    began: u64,
    /// How many events it has sent: with its start they make ids that nobody else's have.
    sent: u64,
    random: Random,
}

impl Node {
    /// The node of that number, with what is special about it by its number and by chance; it starts at `now`.
    pub fn new(number: u64, now: u64, random: &mut Random) -> Self {
        let kind = NODE_TYPES[(number % NODE_TYPES.len() as u64) as usize];
        let host = format!("10.{}.{}.{}", 20 + number / 62_500 % 200, number / 250 % 250, 1 + number % 250);
        let endpoints = vec![("health", format!("http://{host}:8080/health")), ("api", format!("http://{host}:8081/api"))];
        Node { id: random.uuid(), kind, endpoints, number, began: now, sent: 0, random: Random::new(random.below(u64::MAX)) }
    }

    /// A node of that kind.
    pub fn of_kind(kind: &'static str, now: u64, random: &mut Random) -> Self {
        let number = NODE_TYPES.iter().position(|known| *known == kind).unwrap_or_default() as u64;
        Node { kind, ..Node::new(number, now, random) }
    }

    /// The id under which the catalogue has it.
    #[must_use]
    pub fn service_id(&self) -> String {
        format!("onex-{}-{}", self.kind, self.id)
    }

    /// It starts anew: its uptime begins again.
    pub fn restart(&mut self, now: u64) {
        self.began = now;
    }

    /// It announces itself; because of a request that carries `correlation`, or of its own accord.
    ///
    /// # Errors
    /// Where an event has no JSON form, which none of these lacks.
    pub fn announce(&mut self, at: u64, correlation: Option<&str>) -> Result<Message> {
        let correlation = correlation.map_or_else(|| self.random.uuid(), str::to_owned);
        let data = Introspection {
            node_id: &self.id,
            node_type: self.kind,
            node_version: Version::of(self.number),
            declared_capabilities: Capabilities::of(self.kind, self.number),
            endpoints: self.endpoints.clone(),
            metadata: self
                .number
                .is_multiple_of(5)
                .then_some(Metadata { description: "Plans the routes of parcels", region: "eu-central" }),
            current_state: "initializing",
            correlation_id: &correlation,
            timestamp: instant(at),
        };
        let data = serde_json::to_string(&data)?;
        Ok(self.message(INTROSPECTION, at, Some(correlation), data))
    }

    /// It acknowledges that it was accepted.
    ///
    /// # Errors
    /// As [`Node::announce`].
    pub fn ack(&mut self, at: u64, correlation: &str) -> Result<Message> {
        let command_id = self.random.uuid();
        let data = Ack { command_id, node_id: &self.id, correlation_id: correlation, timestamp: instant(at) };
        let data = serde_json::to_string(&data)?;
        Ok(self.message(ACK, at, Some(correlation.to_owned()), data))
    }

    /// It is alive, by a clock of its own that says `at`.
    ///
    /// # Errors
    /// As [`Node::announce`].
    pub fn heartbeat(&mut self, at: u64) -> Result<Message> {
        let data = Heartbeat {
            node_id: &self.id,
            node_type: self.kind,
            uptime_seconds: (at.saturating_sub(self.began) / SECOND) as f64,
            active_operations_count: self.random.below(40),
            memory_usage_mb: self.random.between(240, 1900) as f64 / 2.0,
            cpu_usage_percent: self.random.below(400) as f64 / 4.0,
            timestamp: instant(at),
        };
        let data = serde_json::to_string(&data)?;
        Ok(self.message(HEARTBEAT, at, None, data))
    }

    /// An event of its own with other data.
    ///
    /// # Errors
    /// As [`Node::announce`].
    pub fn event(&mut self, kind: &'static str, at: u64, correlation: Option<&str>, data: &impl Serialize) -> Result<Message> {
        let data = serde_json::to_string(data)?;
        Ok(self.message(kind, at, correlation.map(str::to_owned), data))
    }

    fn message(&mut self, kind: &'static str, at: u64, correlation: Option<String>, data: String) -> Message {
        self.sent += 1;
        let what = kind.rsplit('.').nth(1).unwrap_or(kind);
        let id = format!("{what}-{}-{:x}-{}", self.id, self.began, self.sent);
        Message { kind, id, source: format!("/nodes/{}", self.id), node: self.id.clone(), time: at, correlation, data }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn a_node_announces_itself_completely_and_under_one_id() {
        let mut random = Random::new(1);
        for number in 0..8 {
            let mut node = Node::new(number, 5 * SECOND, &mut random);
            let announced = node.announce(5 * SECOND, Some("c-1")).unwrap();
            let event: Value = serde_json::from_str(&announced.structured(announced.kind).unwrap()).unwrap();
            assert_eq!((&event["type"], &event["correlationid"]), (&INTROSPECTION.into(), &"c-1".into()));
            assert_eq!((&event["data"]["node_id"], &event["data"]["node_type"]), (&node.id.as_str().into(), &node.kind.into()));
            assert!(event["data"]["endpoints"]["health"].as_str().unwrap().starts_with("http://10."), "{event}");
            assert!(announced.headers(announced.kind).contains(&("ce_correlationid", "c-1".to_owned())));
        }
    }

    #[test]
    fn no_two_events_have_one_id() {
        let mut node = Node::new(1, 0, &mut Random::new(1));
        let mut ids = BTreeSet::new();
        for at in 0..10 {
            ids.insert(node.heartbeat(at).unwrap().id);
            ids.insert(node.announce(at, None).unwrap().id);
            ids.insert(node.ack(at, "c").unwrap().id);
        }
        assert_eq!(ids.len(), 30);
    }
}
