//! How a host is doing, for whoever watches it: figures for Prometheus, and whether it lives and takes events.
//!
//! The engine and the dispatcher count; the admin port reads. Labels are names of workflows, effects and a closed list of
//! words, so their number is bounded by the manifests.

mod admin;
mod health;
mod metrics;
mod store;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use admin::{Admin, AdminError};
pub use health::Health;
pub use metrics::{Commits, Decisions};

use crate::engine::EffectStatus;
use crate::source::{KafkaStatus, Lag};
use crate::time::HostClock;
use crate::trace::SpanCounts;

/// What the engine tells while it runs.
pub struct Observed {
    clock: Arc<dyn HostClock>,
    /// When the loop last turned, in milliseconds of the clock that only goes on.
    turned: AtomicU64,
    /// Whether an engine has run since the process began.
    began: AtomicBool,
    store_down: AtomicBool,
    stopping: AtomicBool,
    backlog: AtomicU64,
    forwarded: AtomicU64,
    /// One more than the shards that are owned; 0 where nobody shares the store.
    shards: AtomicU64,
    /// Where a file is read.
    lag: OnceLock<Arc<Lag>>,
    /// Where partitions are read.
    kafka: OnceLock<Arc<KafkaStatus>>,
    /// One for each workflow, in the host's order.
    pub decisions: Vec<Decisions>,
    /// Commits of all workflows.
    pub commits: Commits,
    /// One for each effect of each workflow.
    pub effects: Vec<Arc<EffectStatus>>,
    /// What became of spans, where they are told.
    pub spans: Option<Arc<SpanCounts>>,
}

impl Observed {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(
        clock: Arc<dyn HostClock>,
        decisions: Vec<Decisions>,
        effects: Vec<Arc<EffectStatus>>,
        spans: Option<Arc<SpanCounts>>,
    ) -> Self {
        Observed {
            clock,
            turned: AtomicU64::new(0),
            began: AtomicBool::new(false),
            store_down: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            backlog: AtomicU64::new(0),
            forwarded: AtomicU64::new(0),
            shards: AtomicU64::new(0),
            lag: OnceLock::new(),
            kafka: OnceLock::new(),
            decisions,
            commits: Commits::default(),
            effects,
            spans,
        }
    }

    /// The loop goes on.
    pub fn turned(&self, now: Duration) {
        self.turned.store(millis(now), Ordering::Relaxed);
    }

    /// An engine runs.
    pub fn runs(&self) {
        self.began.store(true, Ordering::Relaxed);
    }

    /// Whether the store takes commits.
    pub fn store(&self, down: bool) {
        self.store_down.store(down, Ordering::Relaxed);
    }

    /// The host takes no more events.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// How far the source is behind its file; said once.
    pub fn reads(&self, lag: Arc<Lag>) {
        // A host has one source.
        let _ = self.lag.set(lag);
    }

    /// Events that hosts read and left to the owners of their entities, which have not decided them.
    pub fn forwarded(&self, waiting: u64) {
        self.forwarded.store(waiting, Ordering::Relaxed);
    }

    /// How many shards of a store that several hosts share are this one's.
    pub fn owns(&self, shards: usize) {
        self.shards.store(shards as u64 + 1, Ordering::Relaxed);
    }

    fn owned_shards(&self) -> Option<u64> {
        self.shards.load(Ordering::Relaxed).checked_sub(1)
    }

    /// How the group's member is doing; said once.
    pub fn reads_kafka(&self, status: Arc<KafkaStatus>) {
        // A host has one source.
        let _ = self.kafka.set(status);
    }

    /// Lines or requests that were read and are not decided.
    pub fn backlog(&self, waiting: u64) {
        self.backlog.store(waiting, Ordering::Relaxed);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
