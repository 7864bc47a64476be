//! The nodes and their lives: most are well-behaved, some show what the workflow does with those that are not.

use anyhow::Result;

use super::{LENGTH, SECOND, START, Stream};
use purefold_nodes::event::{
    ACK, Ack, Capabilities, Event, HEARTBEAT, Heartbeat, INTROSPECTION, Introspection, Metadata, NODE_TYPES, Version, instant,
};
use purefold_nodes::random::Random;

/// Nodes that do nothing but what they should.
const STEADY: u64 = 52;
/// The ordinary nodes start one after another, this far apart.
const START_APART: u64 = 2 * SECOND;
/// Heartbeats come sooner than the 60 seconds that the first one has, and the 90 seconds that the others have.
const FIRST_BEAT: (u64, u64) = (35 * SECOND, 50 * SECOND);
const BEATS_APART: (u64, u64) = (62 * SECOND, 78 * SECOND);

/// What is special in a node's life.
#[derive(Clone, Copy, PartialEq)]
enum Life {
    Steady,
    /// Its announcement cannot be acknowledged in time: it never is.
    NeverAcks,
    /// Acknowledges 45 seconds after announcing itself, when its time is over.
    AcksTooLate,
    /// Stops after so many heartbeats.
    GoesSilent(u64),
    /// Does not acknowledge at first, is timed out, and announces itself again.
    ReturnsAfterTimeOut,
    /// Stops after so many heartbeats, expires, and announces itself again.
    ReturnsAfterSilence(u64),
    /// Announces itself again while it is active.
    AnnouncesTwice,
    /// Acknowledges twice.
    AcksTwice,
    /// Two of its heartbeats overtake each other.
    Reorders,
    /// Some of its events are delivered twice.
    Duplicates,
    /// One endpoint's URL has no host.
    InvalidEndpoint,
}

/// Lives beside the steady ones, with the second at which they begin.
const SPECIAL: &[(u64, Life)] = &[
    (12, Life::NeverAcks),
    (18, Life::GoesSilent(3)),
    (21, Life::ReturnsAfterTimeOut),
    (26, Life::ReturnsAfterSilence(2)),
    (31, Life::AnnouncesTwice),
    (37, Life::AcksTwice),
    (41, Life::Reorders),
    (48, Life::Reorders),
    (53, Life::Duplicates),
    (59, Life::Duplicates),
    (64, Life::InvalidEndpoint),
    (71, Life::AcksTooLate),
    (83, Life::GoesSilent(1)),
    // Its time to acknowledge ends after the stream: only a clock that is moved on shows it.
    (575, Life::NeverAcks),
];

/// Adds the events of all nodes.
pub(super) fn add(stream: &mut Stream, random: &mut Random) -> Result<()> {
    for number in 0..STEADY {
        let begins = START + number * START_APART + random.below(SECOND);
        live(stream, random, number, begins, Life::Steady)?;
    }
    for (number, (second, life)) in (STEADY..).zip(SPECIAL) {
        let begins = START + second * SECOND + random.below(SECOND);
        live(stream, random, number, begins, *life)?;
    }
    Ok(())
}

fn live(stream: &mut Stream, random: &mut Random, number: u64, begins: u64, life: Life) -> Result<()> {
    let mut node = Node::new(number, random);
    node.introspect(stream, random, begins, life)?;
    let acks = begins + random.between(SECOND, 8 * SECOND);
    match life {
        Life::NeverAcks | Life::InvalidEndpoint => return Ok(()),
        Life::AcksTooLate => return node.ack(stream, random, begins + 45 * SECOND),
        Life::ReturnsAfterTimeOut => {
            let again = begins + 50 * SECOND;
            node.introspect(stream, random, again, life)?;
            node.ack(stream, random, again + 3 * SECOND)?;
            return node.beat_until(stream, random, again + 3 * SECOND, u64::MAX, life);
        }
        Life::ReturnsAfterSilence(beats) => {
            node.ack(stream, random, acks)?;
            node.beat_until(stream, random, acks, beats, life)?;
            let again = begins + 300 * SECOND;
            node.introspect(stream, random, again, life)?;
            node.ack(stream, random, again + 2 * SECOND)?;
            return node.beat_until(stream, random, again + 2 * SECOND, u64::MAX, life);
        }
        Life::Steady | Life::GoesSilent(_) | Life::AnnouncesTwice | Life::AcksTwice | Life::Reorders | Life::Duplicates => {}
    }
    node.ack(stream, random, acks)?;
    if life == Life::AcksTwice {
        node.ack(stream, random, acks + 5 * SECOND)?;
    }
    let beats = if let Life::GoesSilent(beats) = life { beats } else { u64::MAX };
    node.beat_until(stream, random, acks, beats, life)?;
    if life == Life::AnnouncesTwice {
        node.introspect(stream, random, acks + 100 * SECOND, life)?;
    }
    Ok(())
}

struct Node {
    number: u64,
    id: String,
    source: String,
    kind: &'static str,
    /// Of its latest announcement, which its acknowledgement answers.
    correlation: String,
    began: u64,
    introspections: u64,
    acks: u64,
    beats: u64,
}

impl Node {
    fn new(number: u64, random: &mut Random) -> Self {
        let id = random.uuid();
        let source = format!("/nodes/{id}");
        let kind = NODE_TYPES[(number % 4) as usize];
        Node { number, id, source, kind, correlation: String::new(), began: 0, introspections: 0, acks: 0, beats: 0 }
    }

    fn introspect(&mut self, stream: &mut Stream, random: &mut Random, at: u64, life: Life) -> Result<()> {
        self.introspections += 1;
        self.began = at;
        self.correlation = random.uuid();
        let id = format!("introspection-{:02}-{}", self.number, self.introspections);
        let data = Introspection {
            node_id: &self.id,
            node_type: self.kind,
            node_version: Version::of(self.number),
            declared_capabilities: Capabilities::of(self.kind, self.number),
            endpoints: self.endpoints(life),
            metadata: self
                .number
                .is_multiple_of(5)
                .then_some(Metadata { description: "Plans the routes of parcels", region: "eu-central" }),
            current_state: "initializing",
            correlation_id: &self.correlation,
            timestamp: instant(at),
        };
        let line = Event::new(INTROSPECTION, &id, &self.source, Some(at), Some(&self.correlation), data).line()?;
        if life == Life::Duplicates {
            stream.push(at + random.between(SECOND, 9 * SECOND), line.clone());
        }
        stream.push(at, line);
        Ok(())
    }

    fn ack(&mut self, stream: &mut Stream, random: &mut Random, at: u64) -> Result<()> {
        self.acks += 1;
        let id = format!("ack-{:02}-{}", self.number, self.acks);
        let data = Ack { command_id: random.uuid(), node_id: &self.id, correlation_id: &self.correlation, timestamp: instant(at) };
        stream.push(at, Event::new(ACK, &id, &self.source, Some(at), Some(&self.correlation), data).line()?);
        Ok(())
    }

    /// Heartbeats after `from`, at most `most` of them, as long as the stream lasts.
    fn beat_until(&mut self, stream: &mut Stream, random: &mut Random, from: u64, most: u64, life: Life) -> Result<()> {
        let mut at = from + random.between(FIRST_BEAT.0, FIRST_BEAT.1);
        for beat in 0..most {
            if at > START + LENGTH {
                break;
            }
            if life == Life::Reorders && beat % 3 == 1 {
                // Sent two seconds apart, they arrive the other way round.
                let (earlier, later) = (self.beat(random, at)?, self.beat(random, at + 2 * SECOND)?);
                stream.push(at + 2 * SECOND, later);
                stream.push(at + 2 * SECOND, earlier);
            } else {
                let line = self.beat(random, at)?;
                if life == Life::Duplicates && beat % 3 == 0 {
                    stream.push(at + random.between(SECOND, 20 * SECOND), line.clone());
                }
                stream.push(at, line);
            }
            at += random.between(BEATS_APART.0, BEATS_APART.1);
        }
        Ok(())
    }

    fn beat(&mut self, random: &mut Random, at: u64) -> Result<String> {
        self.beats += 1;
        let id = format!("heartbeat-{:02}-{}", self.number, self.beats);
        let data = Heartbeat {
            node_id: &self.id,
            node_type: self.kind,
            uptime_seconds: ((at - self.began) / SECOND) as f64 + 0.5,
            active_operations_count: random.below(40),
            memory_usage_mb: random.between(240, 1900) as f64 / 2.0,
            cpu_usage_percent: random.below(400) as f64 / 4.0,
            timestamp: instant(at),
        };
        Ok(Event::new(HEARTBEAT, &id, &self.source, Some(at), None, data).line()?)
    }

    fn endpoints(&self, life: Life) -> Vec<(&'static str, String)> {
        if life == Life::InvalidEndpoint {
            return vec![("health", "http://:8080/health".to_owned())];
        }
        let host = format!("10.20.{}.{}", self.number / 16, 10 + self.number);
        match self.number % 4 {
            0 => vec![("health", format!("http://{host}:8080/health"))],
            1 => vec![("api", format!("https://node-{:02}.Example.com/v1", self.number))],
            2 => vec![("health", format!("http://{host}:9000/health")), ("api", format!("http://{host}:9001/api"))],
            _ => vec![("metrics", format!("http://{host}:9100/metrics")), ("health", format!("http://{host}:8080/health"))],
        }
    }
}
