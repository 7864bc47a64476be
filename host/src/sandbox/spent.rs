//! What decisions cost, counted as they are made.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What one call took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Time in the sandbox.
    pub time: Duration,
    /// Units of fuel burnt.
    pub fuel: u64,
}

/// Time and fuel that one reducer's calls took, since it was loaded.
#[derive(Debug, Default)]
pub struct Spent {
    nanoseconds: AtomicU64,
    fuel: AtomicU64,
}

impl Spent {
    pub(super) fn add(&self, Cost { time, fuel }: Cost) {
        self.nanoseconds.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.fuel.fetch_add(fuel, Ordering::Relaxed);
    }

    /// Time in the sandbox: making it, the call, and dropping it.
    #[must_use]
    pub fn time(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }

    /// Units of fuel burnt.
    #[must_use]
    pub fn fuel(&self) -> u64 {
        self.fuel.load(Ordering::Relaxed)
    }
}
