//! How the source is doing, for whoever watches it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Partition;

/// What is known of a partition that is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionStatus {
    /// Offset up to which everything is decided and durable.
    pub position: u64,
    /// The offset after the last record, where the brokers have told it.
    pub end: Option<u64>,
    /// Why it is not read.
    pub refused: Option<String>,
}

impl PartitionStatus {
    /// Records that are there and not decided.
    #[must_use]
    pub fn lag(&self) -> Option<u64> {
        Some(self.end?.saturating_sub(self.position))
    }
}

/// How a member of a group is doing.
#[derive(Debug, Default)]
pub struct KafkaStatus(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    partitions: BTreeMap<Partition, PartitionStatus>,
    /// Why the brokers cannot be read from.
    away: Option<String>,
    /// What the client said last of what does not work.
    blamed: Option<String>,
    /// Whether that is that the brokers do not let it in.
    refused: bool,
    joined: bool,
    rebalances: u64,
    /// Whether nothing is fetched because the engine takes nothing.
    paused: bool,
}

impl KafkaStatus {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The partitions that are read by this host.
    #[must_use]
    pub fn partitions(&self) -> BTreeMap<Partition, PartitionStatus> {
        self.lock().partitions.clone()
    }

    /// Whether the group gave the host partitions.
    #[must_use]
    pub fn reads_some(&self) -> bool {
        !self.lock().partitions.is_empty()
    }

    /// Whether the host can take no events now: [`trouble`](Self::trouble) says why.
    #[must_use]
    pub fn reads_nothing(&self) -> bool {
        let known = self.lock();
        known.away.is_some() || !known.joined
    }

    /// What keeps the host from taking events, where anything does.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let known = self.lock();
        let works = known.away.is_none() && known.joined;
        if let Some(reason) = known.blamed.as_ref().filter(|_| known.refused && !works) {
            return Some(format!("the Kafka brokers do not let this client in: {reason}"));
        }
        let blamed = known.blamed.as_ref().map_or_else(String::new, |blamed| format!(" ({blamed})"));
        match &known.away {
            Some(reason) => Some(format!("the Kafka brokers do not answer: {reason}{blamed}")),
            None if !known.joined => Some(format!("the consumer group has not been joined yet{blamed}")),
            None => None,
        }
    }

    /// How often partitions were given or taken.
    #[must_use]
    pub fn rebalances(&self) -> u64 {
        self.lock().rebalances
    }

    /// Whether nothing is fetched because the engine has no room for more.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.lock().paused
    }

    pub(super) fn pauses(&self, paused: bool) {
        self.lock().paused = paused;
    }

    pub(super) fn rebalanced(&self) {
        let mut known = self.lock();
        (known.joined, known.rebalances, known.blamed, known.refused) = (true, known.rebalances + 1, None, false);
    }

    pub(super) fn has_joined(&self) -> bool {
        self.lock().joined
    }

    /// Says what the client complains of, and whether that is that it is not let in.
    pub(super) fn blames(&self, reason: String, refused: bool) {
        let mut known = self.lock();
        (known.blamed, known.refused) = (Some(reason), refused);
    }

    /// Whether the client said last that the brokers do not let it in.
    pub(super) fn is_refused(&self) -> bool {
        self.lock().refused
    }

    /// Says which partitions are read now.
    pub(super) fn reads(&self, partitions: &[Partition]) {
        let mut known = self.lock();
        known.partitions = partitions.iter().map(|partition| (partition.clone(), PartitionStatus::default())).collect();
    }

    pub(super) fn set(&self, partition: &Partition, set: impl FnOnce(&mut PartitionStatus)) {
        if let Some(status) = self.lock().partitions.get_mut(partition) {
            set(status);
        }
    }

    /// Says whether the brokers answer.
    pub(super) fn away(&self, reason: Option<String>) {
        let mut known = self.lock();
        if known.away.is_some() && reason.is_none() {
            (known.blamed, known.refused) = (None, false);
        }
        known.away = reason;
    }

    pub(super) fn is_away(&self) -> bool {
        self.lock().away.is_some()
    }
}
