//! How an effect stands, for whoever looks while the host runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;

use super::breaker::BreakerState;

/// How an effect of a workflow stands. The dispatcher writes it, anybody reads it, and nobody waits for another: each
/// figure is exact by itself, two of them may be of moments a little apart.
#[derive(Debug)]
pub struct EffectStatus {
    workflow: Arc<str>,
    effect: Arc<str>,
    breaker: AtomicU8,
    down: AtomicBool,
    paused: AtomicBool,
    waiting: AtomicUsize,
    in_memory: AtomicUsize,
    flowing: AtomicUsize,
    under_way: AtomicUsize,
    heard: AtomicU64,
    attempts: AtomicU64,
    retries: AtomicU64,
    oldest: AtomicU64,
    last_error: ArcSwapOption<String>,
}

impl EffectStatus {
    /// The status of an effect that has nothing to do yet.
    #[must_use]
    pub fn new(workflow: Arc<str>, effect: Arc<str>) -> Self {
        EffectStatus {
            workflow,
            effect,
            breaker: AtomicU8::new(BreakerState::Closed as u8),
            down: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            in_memory: AtomicUsize::new(0),
            flowing: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            heard: AtomicU64::new(0),
            attempts: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            oldest: AtomicU64::new(0),
            last_error: ArcSwapOption::empty(),
        }
    }

    /// The workflow's name.
    #[must_use]
    pub fn workflow(&self) -> &Arc<str> {
        &self.workflow
    }

    /// The effect's name in the manifest.
    #[must_use]
    pub fn effect(&self) -> &Arc<str> {
        &self.effect
    }

    /// Where its breaker stands.
    #[must_use]
    pub fn breaker(&self) -> BreakerState {
        [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen]
            .into_iter()
            .find(|state| *state as u8 == self.breaker.load(Ordering::Relaxed))
            .unwrap_or(BreakerState::Closed)
    }

    /// Whether its attempts fail, and none has been answered since the first of them did.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// Whether an operator has paused it, or its whole workflow.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Committed intents without a conclusion, those under way and those held included. While part of them is only in
    /// the store, intents that will not be performed because one that they come after failed may be counted still.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How many of those that wait are in memory; the others are read from the store in their turn.
    #[must_use]
    pub fn in_memory(&self) -> usize {
        self.in_memory.load(Ordering::Relaxed)
    }

    /// Attempts under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Attempts begun since the host started.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.attempts.load(Ordering::Relaxed)
    }

    /// How many of the attempts were not the first of their intent.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// The time, in microseconds, of the decision that asked for the intent that waits longest; none where nothing
    /// waits. Up to a second old while much is going on, and an earlier time than is true while part of the intents is
    /// only in the store.
    #[must_use]
    pub fn oldest(&self) -> Option<u64> {
        Some(self.oldest.load(Ordering::Relaxed)).filter(|asked| *asked != 0)
    }

    /// Why the last attempt that failed did. Backends keep secrets out of these texts.
    #[must_use]
    pub fn last_error(&self) -> Option<Arc<String>> {
        self.last_error.load_full()
    }

    /// Intents that take their turn by themselves: neither delayed, held, paused, behind an open breaker nor waiting for a
    /// backend that has not answered for long.
    pub(in crate::engine) fn flowing(&self) -> usize {
        self.flowing.load(Ordering::Acquire)
    }

    /// Intents that the dispatcher has been handed since the host started.
    pub(in crate::engine) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Acquire)
    }

    pub(super) fn began(&self, again: bool) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        self.retries.fetch_add(u64::from(again), Ordering::Relaxed);
    }

    pub(super) fn failed(&self, error: String) {
        self.last_error.store(Some(Arc::new(error)));
    }

    pub(super) fn publish(&self, figures: &Figures) {
        self.breaker.store(figures.breaker as u8, Ordering::Relaxed);
        self.down.store(figures.down, Ordering::Relaxed);
        self.paused.store(figures.paused, Ordering::Relaxed);
        self.waiting.store(figures.waiting, Ordering::Relaxed);
        self.in_memory.store(figures.in_memory, Ordering::Relaxed);
        self.under_way.store(figures.under_way, Ordering::Relaxed);
        // In this order: whoever reads `heard` first and `flowing` then counts an intent twice rather than not at all.
        self.flowing.store(figures.flowing, Ordering::Release);
        self.heard.store(figures.heard, Ordering::Release);
        if let Some(oldest) = figures.oldest {
            self.oldest.store(oldest, Ordering::Relaxed);
        }
    }
}

/// What the dispatcher tells of an effect at once.
pub(super) struct Figures {
    pub(super) breaker: BreakerState,
    pub(super) down: bool,
    pub(super) paused: bool,
    pub(super) waiting: usize,
    pub(super) in_memory: usize,
    pub(super) flowing: usize,
    pub(super) under_way: usize,
    pub(super) heard: u64,
    /// 0: nothing waits. None: as before.
    pub(super) oldest: Option<u64>,
}
