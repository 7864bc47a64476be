//! Reads of the store that fail and may succeed later: told once, tried again, and nothing is lost meanwhile.
//!
//! Whatever reads on behalf of the loop reads before it changes what the loop remembers, or gives back what it took: so a
//! turn that a failed read broke off is simply done again.

use std::time::Duration;

use super::Engine;
use super::writer::{DAMAGE_WAIT, FIRST_RETRY, MOST_RETRY};
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
    /// When it failed first.
    since: Duration,
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
    /// Whether a read that failed may succeed later.
    pub(super) fn may_pass(&self, error: &StoreError) -> bool {
        let waited = self.state.reads.failing.as_ref().map_or(Duration::ZERO, |failing| self.clock.elapsed().saturating_sub(failing.since));
        error.is_passing() || (error.looks_like_damage() && waited < DAMAGE_WAIT)
    }

    /// A read failed, and may succeed later. Gives how long to wait before that.
    pub(super) fn read_failed(&mut self, error: &StoreError) -> Duration {
        let now = self.clock.elapsed();
        let (delay, since) = match &self.state.reads.failing {
            Some(failing) => (failing.delay, failing.since),
            None => {
                self.observed.store_fails(format!("the store cannot be read: {error}"));
                (FIRST_RETRY, now)
            }
        };
        let is_new = self.state.reads.failing.replace(Failing { again: now + delay, delay: (delay * 2).min(MOST_RETRY), since }).is_none();
        if is_new {
            self.tell_store();
        }
        delay
    }

    /// What failed before has been read.
    pub(super) fn read_again(&mut self) {
        if self.state.reads.failing.take().is_some() {
            self.tell_store();
        }
    }

    /// Tells senders, and whoever looks, whether the store does its work.
    pub(super) fn tell_store(&mut self) {
        let down = self.state.store_down || self.state.reads.fail();
        if !down {
            self.observed.store_works();
            self.reading_begins();
        }
        if self.state.stopping.is_none() {
            self.tell_source(if down { Standing::StoreDown } else { Standing::Open });
        }
    }
}
