//! Time as the simulation has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::scenario::BEGIN;
use crate::time::HostClock;

/// Goes on only when it is told to, and its wall may jump.
#[derive(Debug, Default)]
pub(super) struct SimulatedClock {
    elapsed: Arc<AtomicU64>,
    skew: AtomicI64,
}

impl SimulatedClock {
    /// The clock of another host: the same time passes there, and its wall jumps by itself.
    pub(super) fn of_another_host(&self) -> Self {
        SimulatedClock { elapsed: self.elapsed.clone(), skew: AtomicI64::default() }
    }

    pub(super) fn advance(&self, by: Duration) {
        self.elapsed.fetch_add(u64::try_from(by.as_micros()).unwrap_or(0), Ordering::Relaxed);
    }

    /// The wall's clock jumps by so many microseconds.
    pub(super) fn jump(&self, by: i64) {
        self.skew.fetch_add(by, Ordering::Relaxed);
    }
}

impl HostClock for SimulatedClock {
    fn wall(&self) -> u64 {
        (BEGIN + self.elapsed.load(Ordering::Relaxed)).saturating_add_signed(self.skew.load(Ordering::Relaxed))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.elapsed.load(Ordering::Relaxed))
    }
}
