//! The lives of many nodes, as data: what is to be sent when, given what was heard. Nothing here knows a clock or a network.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use anyhow::Result;

use crate::behaviour::Behaviour;
use crate::bus::Received;
use crate::event::{ACCEPTED, ACK, HEARTBEAT, INTROSPECTION, REQUEST};
use crate::message::{Form, Message, Outgoing};
use crate::node::Node;
use crate::random::Random;
use crate::summary::Summary;

/// What a node sends that garbles, and where.
const GARBAGE: [(&str, &str); 5] = [
    (HEARTBEAT, "the quick brown fox is not an event"),
    (INTROSPECTION, r#"{"specversion":"1.0","id":"cut-off","source":"/nodes/x","type":"onex.evt.platf"#),
    (ACK, r#"["an array","is not an event"]"#),
    (HEARTBEAT, r#"{"specversion":"1.0","id":"no-data","source":"/nodes/x","type":"onex.evt.platform.node-heartbeat.v1"}"#),
    (INTROSPECTION, ""),
];

/// One in so many heartbeats of a node that misbehaves is bad.
const MISBEHAVES_ONCE_IN: u64 = 3;

/// Heartbeats after which a node dies that does.
const BEATS_BEFORE_DEATH: u64 = 2;

/// How fast nodes live.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// All nodes have started after this time.
    pub starts_within: Duration,
    /// From hearing of its acceptance to a node's acknowledgement.
    pub ack_after: Duration,
    /// The same for a node whose acknowledgement is late.
    pub ack_late_after: Duration,
    /// Between heartbeats.
    pub beat_every: Duration,
    /// How long a node is dead that comes back.
    pub dead_for: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Pace {
            starts_within: seconds(5),
            ack_after: Duration::from_millis(500),
            ack_late_after: seconds(35),
            beat_every: seconds(30),
            dead_for: seconds(100),
        }
    }
}

/// Which fleet.
#[derive(Clone, Debug)]
pub struct Plan {
    /// One for each node.
    pub behaviours: Vec<Behaviour>,
    /// What is left to chance comes from it.
    pub seed: u64,
    /// How fast they live.
    pub pace: Pace,
}

/// What a node is to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Start,
    Announce(Option<String>),
    Ack(String),
    Beat,
    Return,
}

struct Living {
    node: Node,
    behaviour: Behaviour,
    form: Form,
    alive: bool,
    /// Heartbeats since it started last.
    beats: u64,
    /// How often it has died.
    deaths: u64,
    /// Heartbeats begin with the first acknowledgement, and go on.
    beating: bool,
}

/// A fleet of nodes.
pub struct Fleet {
    nodes: Vec<Living>,
    by_id: BTreeMap<String, usize>,
    acts: BinaryHeap<Reverse<(u64, u64, usize, Act)>>,
    planned: u64,
    pace: Pace,
    random: Random,
    summary: Summary,
}

impl Fleet {
    /// A fleet whose nodes start from `now` on, in microseconds since the epoch.
    #[must_use]
    pub fn new(plan: &Plan, now: u64) -> Self {
        let mut random = Random::new(plan.seed);
        let nodes: Vec<Living> = (0..)
            .zip(&plan.behaviours)
            .map(|(number, behaviour)| Living {
                node: Node::new(number, now, &mut random),
                behaviour: *behaviour,
                form: if random.once_in(2) { Form::Structured } else { Form::Binary },
                alive: false,
                beats: 0,
                deaths: 0,
                beating: false,
            })
            .collect();
        let by_id = nodes.iter().enumerate().map(|(index, living)| (living.node.id.clone(), index)).collect();
        let mut fleet = Fleet { nodes, by_id, acts: BinaryHeap::new(), planned: 0, pace: plan.pace, random, summary: Summary::default() };
        for index in 0..fleet.nodes.len() {
            let within = micros(fleet.pace.starts_within).max(1);
            let at = now + fleet.random.below(within);
            fleet.plan(at, index, Act::Start);
        }
        fleet
    }

    /// The nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().map(|living| &living.node)
    }

    /// What was done and heard so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// When there is something to do next.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        self.acts.peek().map(|Reverse((at, ..))| *at)
    }

    /// Does what is due, and gives what is to be sent, in this order.
    ///
    /// # Errors
    /// Where an event has no JSON form, which none of these lacks.
    pub fn advance(&mut self, now: u64) -> Result<Vec<Outgoing>> {
        let mut out = Vec::new();
        while self.next_due().is_some_and(|due| due <= now) {
            let Some(Reverse((_, _, index, act))) = self.acts.pop() else { break };
            self.act(index, act, now, &mut out)?;
        }
        Ok(out)
    }

    /// Has the nodes hear an event of the registry.
    pub fn hear(&mut self, received: &Received, now: u64) {
        match received.kind.as_str() {
            REQUEST => {
                let Some(correlation) = received.correlation() else { return };
                for index in 0..self.nodes.len() {
                    if self.nodes[index].alive {
                        self.summary.answered += 1;
                        self.plan(now, index, Act::Announce(Some(correlation.clone())));
                    }
                }
            }
            ACCEPTED => {
                let index = received.data["node_id"].as_str().and_then(|id| self.by_id.get(id)).copied();
                if let Some((index, correlation)) = index.zip(received.correlation())
                    && self.nodes[index].alive
                {
                    self.summary.accepted += 1;
                    self.accepted(index, &correlation, now);
                }
            }
            _ => {}
        }
    }

    fn accepted(&mut self, index: usize, correlation: &str, now: u64) {
        let (soon, late) = (now + micros(self.pace.ack_after), now + micros(self.pace.ack_late_after));
        let ack = || Act::Ack(correlation.to_owned());
        match self.nodes[index].behaviour {
            Behaviour::NeverAcks => {}
            Behaviour::AcksLate => self.plan(late, index, ack()),
            Behaviour::AcksTwice => {
                self.plan(soon, index, ack());
                self.plan(soon + micros(self.pace.ack_after), index, ack());
            }
            _ => self.plan(soon, index, ack()),
        }
    }

    fn act(&mut self, index: usize, act: Act, now: u64, out: &mut Vec<Outgoing>) -> Result<()> {
        let living = &mut self.nodes[index];
        match act {
            Act::Start | Act::Return => {
                if act == Act::Return {
                    self.summary.returned += 1;
                } else {
                    self.summary.started += 1;
                }
                (living.alive, living.beats, living.beating) = (true, 0, false);
                living.node.restart(now);
                self.plan(now, index, Act::Announce(None));
            }
            // What a dead node had in mind is gone with it.
            _ if !living.alive => {}
            Act::Announce(correlation) => {
                let message = living.node.announce(now, correlation.as_deref())?;
                self.summary.announcements += 1;
                self.send(index, message, out);
            }
            Act::Ack(correlation) => {
                let message = living.node.ack(now, &correlation)?;
                let begins = !std::mem::replace(&mut living.beating, true);
                self.summary.acks += 1;
                self.send(index, message, out);
                if begins {
                    self.plan(now + micros(self.pace.beat_every), index, Act::Beat);
                }
            }
            Act::Beat => self.beat(index, now, out)?,
        }
        Ok(())
    }

    fn beat(&mut self, index: usize, now: u64, out: &mut Vec<Outgoing>) -> Result<()> {
        let every = micros(self.pace.beat_every);
        let misbehaves = self.random.once_in(MISBEHAVES_ONCE_IN);
        let living = &mut self.nodes[index];
        let dies = match living.behaviour {
            Behaviour::Dies => living.beats >= BEATS_BEFORE_DEATH,
            Behaviour::Recovers => living.beats >= BEATS_BEFORE_DEATH && living.deaths == 0,
            _ => false,
        };
        if dies {
            living.alive = false;
            living.deaths += 1;
            self.summary.died += 1;
            if living.behaviour == Behaviour::Recovers {
                self.plan(now + micros(self.pace.dead_for), index, Act::Return);
            }
            return Ok(());
        }
        living.beats += 1;
        match living.behaviour {
            Behaviour::Reorders if misbehaves => {
                let (earlier, later) = (living.node.heartbeat(now)?, living.node.heartbeat(now + every / 100)?);
                self.summary.heartbeats += 2;
                self.summary.reordered += 1;
                self.send(index, later, out);
                self.send(index, earlier, out);
            }
            behaviour => {
                let message = living.node.heartbeat(now)?;
                self.summary.heartbeats += 1;
                self.send(index, message, out);
                if behaviour == Behaviour::Garbles && misbehaves {
                    let (topic, bytes) = GARBAGE[self.random.index(GARBAGE.len())];
                    self.summary.garbage += 1;
                    out.push(Outgoing::Garbage(topic, bytes));
                }
                if behaviour == Behaviour::AnnouncesAgain && misbehaves {
                    self.plan(now, index, Act::Announce(None));
                }
            }
        }
        self.plan(now + every, index, Act::Beat);
        Ok(())
    }

    fn send(&mut self, index: usize, message: Message, out: &mut Vec<Outgoing>) {
        let living = &self.nodes[index];
        if living.behaviour == Behaviour::Duplicates {
            self.summary.duplicates += 1;
            out.push(Outgoing::Event(message.clone(), living.form));
        }
        out.push(Outgoing::Event(message, living.form));
    }

    fn plan(&mut self, at: u64, index: usize, act: Act) {
        self.planned += 1;
        self.acts.push(Reverse((at, self.planned, index, act)));
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::node::SECOND;

    const START: u64 = 1_770_984_000 * SECOND;

    fn fleet(behaviours: &[Behaviour]) -> Fleet {
        Fleet::new(&Plan { behaviours: behaviours.to_vec(), seed: 7, pace: Pace::default() }, START)
    }

    /// Lets `fleet` live for so many seconds; the registry accepts each announcement at once.
    fn live(fleet: &mut Fleet, seconds: u64) -> Vec<Outgoing> {
        let mut sent = Vec::new();
        while let Some(due) = fleet.next_due().filter(|due| *due <= START + seconds * SECOND) {
            for outgoing in fleet.advance(due).unwrap() {
                if let Outgoing::Event(message, _) = &outgoing
                    && message.kind == INTROSPECTION
                {
                    let correlation = message.correlation.clone().unwrap();
                    let data = json!({"node_id": message.node, "correlation_id": correlation});
                    fleet.hear(&Received { kind: ACCEPTED.to_owned(), headers: BTreeMap::new(), data }, due);
                }
                sent.push(outgoing);
            }
        }
        sent
    }

    #[test]
    fn a_steady_node_announces_itself_acknowledges_and_goes_on() {
        let mut fleet = fleet(&[Behaviour::Steady; 3]);
        live(&mut fleet, 200);
        let Summary { started, announcements, accepted, acks, heartbeats, .. } = fleet.summary();
        assert_eq!((started, announcements, accepted, acks, heartbeats), (3, 3, 3, 3, 18));
    }

    #[test]
    fn every_behaviour_shows() {
        let mut fleet = fleet(&Behaviour::ALL);
        live(&mut fleet, 1_000);
        let summary = fleet.summary();
        let shown = [summary.duplicates, summary.reordered, summary.garbage];
        assert!(shown.iter().all(|count| *count > 0), "{summary:?}");
        assert_eq!((summary.died, summary.returned), (2, 1), "{summary:?}");
        assert!(summary.announcements > summary.started + summary.returned + 1, "one announces itself again: {summary:?}");
    }

    #[test]
    fn the_same_seed_is_the_same_fleet() {
        assert_eq!(live(&mut fleet(&Behaviour::ALL), 500), live(&mut fleet(&Behaviour::ALL), 500));
    }

    #[test]
    fn all_that_live_answer_a_request_under_its_correlation_id() {
        let mut fleet = fleet(&[Behaviour::Steady, Behaviour::Dies, Behaviour::Steady]);
        live(&mut fleet, 200);
        let request = Received { kind: REQUEST.to_owned(), headers: BTreeMap::new(), data: json!({"correlation_id": "r-1"}) };
        fleet.hear(&request, START + 200 * SECOND);
        let answers = fleet.advance(START + 200 * SECOND).unwrap();
        let correlations: Vec<_> = answers
            .iter()
            .filter_map(|outgoing| match outgoing {
                Outgoing::Event(message, _) if message.kind == INTROSPECTION => message.correlation.as_deref(),
                _ => None,
            })
            .collect();
        assert_eq!(correlations, ["r-1", "r-1"], "the dead one is silent");
    }
}
