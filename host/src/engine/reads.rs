//! Reads of the store that fail and may succeed later: told once, tried again, and nothing is lost meanwhile.
//!
//! Whatever reads on behalf of the loop reads before it changes what the loop remembers, or gives back what it took: so a
//! turn that a failed read broke off is simply done again.

use std::time::Duration;

use super::Engine;
use super::writer::{FIRST_RETRY, MOST_RETRY};
use crate::source::Standing;
use crate::store::StoreError;

/// How reading the store goes.
#[derive(Debug, Default)]
pub(super) struct Reads {
    failing: Option<Failing>,
}

/// The store cannot be read.
#[derive(Debug)]
struct Failing {
    /// When it is tried again.
    again: Duration,
    /// How long after that once more.
    delay: Duration,
}

impl Reads {
    pub(super) fn fail(&self) -> bool {
        self.failing.is_some()
    }

    /// How long nothing is to be read; none where there is nothing to wait for.
    pub(super) fn pause(&self, now: Duration) -> Option<Duration> {
        self.failing.as_ref().map(|failing| failing.again.saturating_sub(now)).filter(|left| !left.is_zero())
    }
}

impl Engine {
    /// A read failed, and may succeed later. Gives how long to wait before that.
    pub(super) fn read_failed(&mut self, error: &StoreError) -> Duration {
        let now = self.clock.elapsed();
        let delay = match &self.state.reads.failing {
            Some(failing) => failing.delay,
            None => {
                tracing::error!(%error, "the store cannot be read; no events are taken until it can");
                FIRST_RETRY
            }
        };
        let is_new = self.state.reads.failing.replace(Failing { again: now + delay, delay: (delay * 2).min(MOST_RETRY) }).is_none();
        if is_new {
            self.tell_store();
        }
        delay
    }

    /// What failed before has been read.
    pub(super) fn read_again(&mut self) {
        if self.state.reads.failing.take().is_some() {
            tracing::warn!("the store can be read again");
            self.tell_store();
        }
    }

    /// Tells senders, and whoever looks, whether the store does its work.
    pub(super) fn tell_store(&mut self) {
        let down = self.state.store_down || self.state.reads.fail();
        self.observed.store(down);
        if !down {
            // What fell due while nothing could be read has waited for nothing yet.
            self.state.reading_since = self.clock.elapsed();
        }
        if self.state.stopping.is_none() {
            self.tell_source(if down { Standing::StoreDown } else { Standing::Open });
        }
    }
}
