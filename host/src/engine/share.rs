//! What of a store an engine owns, where several share it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::store::ShardSet;
use crate::time::HostClock;

/// What an engine owns for its whole life. By default all of a store that nobody shares.
#[derive(Clone, Debug, Default)]
pub struct Share {
    /// The engine's epoch; 0 where it has the store for itself.
    pub epoch: u64,
    /// The shards whose entities it decides for.
    pub shards: ShardSet,
    /// How long attempts may start; without one, always.
    pub lease: Option<Arc<Lease>>,
}

impl Share {
    /// Whether others may share the store.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.epoch > 0
    }

    /// Whether it has the workflows' own entities, and so does what is about no single entity.
    #[must_use]
    pub fn has_own(&self) -> bool {
        self.shards.has_key("")
    }
}

/// Until when this host may believe that nobody has taken its shards.
///
/// Nothing that is stored rests on it: it spares backends attempts that another host makes too. The time is that of the
/// host's own monotonic clock, which goes on while the process is stopped.
pub struct Lease {
    clock: Arc<dyn HostClock>,
    until: AtomicU64,
}

impl Lease {
    /// A lease until then, by `clock`'s elapsed time.
    #[must_use]
    pub fn new(clock: Arc<dyn HostClock>, until: Duration) -> Self {
        Lease { clock, until: AtomicU64::new(micros(until)) }
    }

    /// It is renewed.
    pub fn renew(&self, until: Duration) {
        self.until.fetch_max(micros(until), Ordering::AcqRel);
    }

    /// Whether it holds now.
    #[must_use]
    pub fn holds(&self) -> bool {
        micros(self.clock.elapsed()) < self.until.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("holds", &self.holds()).finish_non_exhaustive()
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
