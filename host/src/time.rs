//! The clocks of a host: the wall's, which may jump, and one that only goes on.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the host takes time from. Nothing else in it asks the system.
pub trait HostClock: Send + Sync {
    /// The wall's clock, in microseconds since the Unix epoch. May jump, also back.
    fn wall(&self) -> u64;

    /// How long this clock has been going. Never goes back.
    fn elapsed(&self) -> Duration;
}

/// The system's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    began: Instant,
}

impl SystemClock {
    /// A clock that begins now.
    #[must_use]
    pub fn new() -> Self {
        SystemClock { began: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock::new()
    }
}

impl HostClock for SystemClock {
    fn wall(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}
