//! Nodes that live while it happens: waves of them, so that some register, some live and some die at every moment.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use purefold::time::{HostClock, SystemClock};
use purefold_nodes::{Behaviour, Bus, Fleet, Outgoing, Pace, Plan, READ_BY_NODES, Topics};

use super::stage::well;
use crate::chance::Chance;

/// Between two waves.
const WAVE_EVERY: Duration = Duration::from_secs(5);

/// After which the nodes of a wave are heard of no more, and die of that.
const WAVE_LIVES: Duration = Duration::from_secs(60);

/// Events a second for each node of a wave, once as many waves are alive as can be: heartbeats, and what leads to them.
const EVENTS_OF_A_NODE: u64 = 5;

/// One node in so many has each of its events under a key of its own: in any partition.
const WRONGLY_KEYED_ONCE_IN: u64 = 8;

/// How fast they live.
const PACE: Pace = Pace {
    starts_within: Duration::from_secs(4),
    ack_after: Duration::from_millis(500),
    ack_late_after: Duration::from_secs(35),
    beat_every: Duration::from_secs(2),
    dead_for: Duration::from_secs(20),
};

/// Longest wait for events before the nodes look what they have to do.
const HEAR_MAX: Duration = Duration::from_millis(5);

struct Wave {
    fleet: Fleet,
    ends: Instant,
}

/// What was sent.
#[derive(Default)]
pub(super) struct Sent {
    /// The ids of all events.
    pub(super) ids: BTreeSet<String>,
    /// Nodes whose events are keyed wrongly.
    pub(super) wrongly_keyed: BTreeSet<String>,
    /// Nodes that lived.
    pub(super) nodes: usize,
}

/// Lets nodes live until it is over; about `rate` events a second, once there are waves enough.
pub(super) fn live(brokers: &str, rate: u64, chance: &mut Chance, over: Instant) -> Sent {
    let bus = well(Bus::connect(brokers, Topics::default(), &READ_BY_NODES));
    let clock = SystemClock::new();
    let mut sent = Sent::default();
    let mut waves: Vec<Wave> = Vec::new();
    let mut next = Instant::now();
    while Instant::now() < over {
        let now = Instant::now();
        waves.retain(|wave| wave.ends > now);
        if now >= next {
            next = now + WAVE_EVERY;
            let wave = Wave { fleet: fleet(rate, chance, clock.wall()), ends: now + WAVE_LIVES };
            sent.nodes += wave.fleet.nodes().count();
            let wrong = wave.fleet.nodes().filter(|_| chance.below(WRONGLY_KEYED_ONCE_IN) == 0);
            sent.wrongly_keyed.extend(wrong.map(|node| node.id.clone()));
            waves.push(wave);
        }
        for wave in &mut waves {
            for outgoing in well(wave.fleet.advance(clock.wall())) {
                let outgoing = sent.note(outgoing);
                well(bus.send(&outgoing));
            }
        }
        if let Some(received) = bus.hear(HEAR_MAX) {
            for wave in &mut waves {
                wave.fleet.hear(&received, clock.wall());
            }
        }
    }
    well(bus.flush());
    sent
}

fn fleet(rate: u64, chance: &mut Chance, now: u64) -> Fleet {
    let count = (rate / EVENTS_OF_A_NODE).max(1);
    let any = |chance: &mut Chance| Behaviour::ALL[usize::try_from(chance.below(Behaviour::ALL.len() as u64)).expect("a small number")];
    let behaviours = (0..count).map(|_| any(chance)).collect();
    Fleet::new(&Plan { behaviours, seed: chance.below(u64::MAX), pace: PACE }, now)
}

impl Sent {
    /// Notes what is about to be sent, and gives it the key that it is to have.
    fn note(&mut self, outgoing: Outgoing) -> Outgoing {
        let Outgoing::Event(mut message, form) = outgoing else { return outgoing };
        self.ids.insert(message.id.clone());
        if self.wrongly_keyed.contains(&message.node) {
            message.node.clone_from(&message.id);
        }
        Outgoing::Event(message, form)
    }
}
