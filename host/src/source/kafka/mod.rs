//! The Kafka source: a member of a consumer group, whose partitions an engine reads from the positions in its store.
//!
//! [`Group`] keeps the one client of the process, on threads of its own: it outlives engines. An engine reads a fixed set of
//! partitions; when the group gives or takes some, [`member`] has the engine end in good order, answers the group, and says
//! what there is to read from then on. The group's own offsets are written for whoever watches it, and never read.
//!
//! [`record`] says what a record means, [`check`] whether a partition is the one that was read before, [`watch`] where the
//! partitions end, and whether the brokers answer.

mod ask;
mod check;
mod context;
mod group;
mod member;
mod reading;
mod record;
mod settings;
mod status;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use ask::{Ends, topics_missing};
pub use group::{Assignment, Group, Notice, ReadFrom, Reading};
pub use settings::KafkaSettings;
pub use status::{KafkaStatus, PartitionStatus};

/// Before every partition's name in the store.
const PREFIX: &str = "kafka:";

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition {
    /// The topic.
    pub topic: Arc<str>,
    /// Its number there.
    pub number: i32,
}

impl Partition {
    /// Its name in the store.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{PREFIX}{self}")
    }

    /// The partition of that name in the store. A name that was set aside when a position was set is none.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let (topic, number) = name.strip_prefix(PREFIX)?.rsplit_once('/')?;
        Some(Partition { topic: topic.into(), number: number.parse().ok()? })
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.number)
    }
}

/// The topic that a source of that name in the store reads, where it reads one.
#[must_use]
pub fn topic_of(name: &str) -> Option<&str> {
    Some(name.strip_prefix(PREFIX)?.rsplit_once('/')?.0)
}

/// Where a line stands in the source of that name, as people count there: lines from 1, offsets from 0.
#[must_use]
pub fn position_of(name: &str, line: u64) -> u64 {
    if topic_of(name).is_some() { line.saturating_sub(1) } else { line }
}

/// How far the engine has decided each part of the source, durably.
#[derive(Debug, Default)]
pub struct Positions(Vec<AtomicU64>);

impl Positions {
    /// Of so many parts.
    #[must_use]
    pub fn new(positions: &[u64]) -> Self {
        Positions(positions.iter().map(|position| AtomicU64::new(*position)).collect())
    }

    /// Says how far it is.
    pub fn set(&self, positions: &[u64]) {
        for (cell, position) in self.0.iter().zip(positions) {
            cell.store(*position, Ordering::Release);
        }
    }

    /// How far it is.
    #[must_use]
    pub fn get(&self, part: usize) -> u64 {
        self.0.get(part).map_or(0, |cell| cell.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn partitions_have_names_in_the_store() {
        let partition = Partition { topic: "a.b-c_d".into(), number: 12 };
        assert_eq!(partition.name(), "kafka:a.b-c_d/12");
        assert_eq!(Partition::of_name("kafka:a.b-c_d/12"), Some(partition));
        for other in ["events.jsonl", "kafka:a", "kafka:a/b", "kafka:a/1@0"] {
            assert_eq!(Partition::of_name(other), None, "{other}");
        }
        assert_eq!(topic_of("kafka:a/1@0"), Some("a"));
        assert_eq!((position_of("kafka:a/1", 1), position_of("events.jsonl", 1)), (0, 1));
    }
}
