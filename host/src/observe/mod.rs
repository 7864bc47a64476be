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

use arc_swap::{ArcSwap, ArcSwapOption};

pub use admin::{Admin, AdminAddress, AdminError};
pub use health::Health;
pub use metrics::{Commits, Decisions};

use crate::engine::EffectStatus;
use crate::source::{KafkaStatus, Lag};
use crate::store::Location;
use crate::time::HostClock;
use crate::trace::SpanCounts;

/// How long the store may take for one answer before that is told.
const MOST_STORE_SILENCE: Duration = Duration::from_secs(5);

/// What the engine tells while it runs.
pub struct Observed {
    clock: Arc<dyn HostClock>,
    /// When the loop last turned, in milliseconds of the clock that only goes on.
    turned: AtomicU64,
    /// Whether an engine has run since the process began.
    began: AtomicBool,
    /// Where the journal is.
    store: Location,
    /// Why the store takes no commit or cannot be read.
    store_trouble: ArcSwapOption<String>,
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
    effects: ArcSwap<Vec<Arc<EffectStatus>>>,
    /// What became of spans, where they are told.
    pub spans: Option<Arc<SpanCounts>>,
}

impl Observed {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(
        clock: Arc<dyn HostClock>,
        store: Location,
        decisions: Vec<Decisions>,
        effects: Vec<Arc<EffectStatus>>,
        spans: Option<Arc<SpanCounts>>,
    ) -> Self {
        Observed {
            clock,
            turned: AtomicU64::new(0),
            began: AtomicBool::new(false),
            store,
            store_trouble: ArcSwapOption::empty(),
            stopping: AtomicBool::new(false),
            backlog: AtomicU64::new(0),
            forwarded: AtomicU64::new(0),
            shards: AtomicU64::new(0),
            lag: OnceLock::new(),
            kafka: OnceLock::new(),
            decisions,
            commits: Commits::default(),
            effects: ArcSwap::from_pointee(effects),
            spans,
        }
    }

    /// One for each effect of each workflow, in the order in which they came.
    #[must_use]
    pub fn effects(&self) -> Arc<Vec<Arc<EffectStatus>>> {
        self.effects.load_full()
    }

    /// A release brought effects that there were not before.
    pub fn has_effects(&self, effects: Vec<Arc<EffectStatus>>) {
        self.effects.store(Arc::new(effects));
    }

    /// The loop goes on.
    pub fn turned(&self, now: Duration) {
        self.turned.store(millis(now), Ordering::Relaxed);
    }

    /// An engine runs.
    pub fn runs(&self) {
        self.began.store(true, Ordering::Relaxed);
    }

    /// The store takes no commit or cannot be read. Told once for each outage, whoever notices it.
    pub fn store_fails(&self, reason: String) {
        if self.store_trouble.load().is_none() {
            tracing::error!("{reason}; no events are taken until the store works again");
            self.store_trouble.store(Some(Arc::new(reason)));
        }
    }

    /// The store takes commits and can be read.
    pub fn store_works(&self) {
        if self.store_trouble.swap(None).is_some() {
            tracing::warn!("the store works again");
        }
    }

    /// Why nothing can be committed or read, where that is so. One that does not answer is not known to have failed
    /// before the time that an answer may take is over.
    #[must_use]
    fn store_trouble(&self) -> Option<String> {
        if let Some(reason) = &*self.store_trouble.load() {
            return Some(String::clone(reason));
        }
        let silent = self.store.silent_for().filter(|silent| *silent >= MOST_STORE_SILENCE)?;
        Some(format!("the store {} has not answered for {} s", self.store, silent.as_secs()))
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
