//! The circuit breaker of an effect: after many failures in a row it keeps attempts back, and lets one through from time
//! to time to see whether the backend is there again.

use crate::workflow::BreakerSettings;

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Attempts start.
    Closed,
    /// No attempt starts before the cooldown is over.
    Open,
    /// One attempt at a time starts, as a probe.
    HalfOpen,
}

impl BreakerState {
    /// The name in metrics and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half-open",
        }
    }
}

/// What an attempt said of the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// It answered: with success, a refusal, or a reply that cannot be read.
    Answered,
    /// It did not do it, or nobody knows.
    Failed,
}

/// What a sign changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It opened, from closed.
    Opened,
    /// A probe failed: it is open for another cooldown.
    StaysOpen,
    /// It closed.
    Closed,
}

pub(super) struct Breaker {
    settings: BreakerSettings,
    state: BreakerState,
    /// Failures since the last answer.
    failures: u32,
    /// Whether the probe is under way.
    probing: bool,
    /// Counts the cooldowns: the end of an earlier one means nothing.
    cooldowns: u64,
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Breaker { settings, state: BreakerState::Closed, failures: 0, probing: false, cooldowns: 0 }
    }

    /// Goes on by other settings.
    pub(super) fn set(&mut self, settings: BreakerSettings) {
        self.settings = settings;
    }

    pub(super) fn settings(&self) -> BreakerSettings {
        self.settings
    }

    pub(super) fn state(&self) -> BreakerState {
        self.state
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Which cooldown is running, or ran last.
    pub(super) fn cooldown(&self) -> u64 {
        self.cooldowns
    }

    /// Whether an attempt may start, as far as the breaker is asked.
    pub(super) fn admits(&self) -> bool {
        match self.state {
            BreakerState::Closed => true,
            BreakerState::Open => false,
            BreakerState::HalfOpen => !self.probing,
        }
    }

    /// Notes that an attempt starts. Gives whether it is the probe.
    pub(super) fn starts(&mut self) -> bool {
        let probe = self.state == BreakerState::HalfOpen;
        self.probing |= probe;
        probe
    }

    /// Notes how an attempt ended.
    pub(super) fn ended(&mut self, probe: bool, sign: Sign) -> Option<Change> {
        if probe {
            self.probing = false;
        }
        match sign {
            Sign::Answered => {
                self.failures = 0;
                let was = std::mem::replace(&mut self.state, BreakerState::Closed);
                (was != BreakerState::Closed).then_some(Change::Closed)
            }
            Sign::Failed => {
                self.failures = self.failures.saturating_add(1);
                let change = match self.state {
                    BreakerState::Closed if self.failures >= self.settings.failures => Change::Opened,
                    BreakerState::HalfOpen if probe => Change::StaysOpen,
                    // Attempts from before it opened say nothing new.
                    _ => return None,
                };
                self.state = BreakerState::Open;
                self.cooldowns += 1;
                Some(change)
            }
        }
    }

    /// Opens it, where it is closed, whatever it counted.
    pub(super) fn open(&mut self) -> Option<Change> {
        if self.state != BreakerState::Closed {
            return None;
        }
        self.state = BreakerState::Open;
        self.cooldowns += 1;
        Some(Change::Opened)
    }

    /// A cooldown is over.
    pub(super) fn cooled(&mut self, cooldown: u64) {
        if self.state == BreakerState::Open && cooldown == self.cooldowns {
            self.state = BreakerState::HalfOpen;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(BreakerSettings { failures: 3, cooldown: Duration::from_secs(1) });
        for _ in 0..2 {
            assert_eq!(breaker.ended(false, Sign::Failed), None);
        }
        assert_eq!(breaker.ended(false, Sign::Failed), Some(Change::Opened));
        breaker
    }

    #[test]
    fn an_answer_between_failures_keeps_it_closed() {
        let mut breaker = Breaker::new(BreakerSettings { failures: 2, cooldown: Duration::from_secs(1) });
        for _ in 0..5 {
            assert_eq!(breaker.ended(false, Sign::Failed), None);
            assert_eq!(breaker.ended(false, Sign::Answered), None);
        }
        assert!(breaker.admits());
    }

    #[test]
    fn it_opens_half_opens_and_closes_by_a_probe() {
        let mut breaker = opened();
        assert!(!breaker.admits());
        assert_eq!(breaker.ended(false, Sign::Failed), None, "one that was under way says nothing new");
        breaker.cooled(breaker.cooldown());
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert!(breaker.admits() && breaker.starts());
        assert!(!breaker.admits(), "one probe at a time");
        assert_eq!(breaker.ended(true, Sign::Answered), Some(Change::Closed));
        assert_eq!((breaker.state(), breaker.failures()), (BreakerState::Closed, 0));
    }

    #[test]
    fn a_failed_probe_opens_it_again_and_the_earlier_cooldown_is_void() {
        let mut breaker = opened();
        let first = breaker.cooldown();
        breaker.cooled(first);
        breaker.starts();
        assert_eq!(breaker.ended(false, Sign::Failed), None, "not the probe");
        assert_eq!(breaker.ended(true, Sign::Failed), Some(Change::StaysOpen));
        breaker.cooled(first);
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker.cooled(breaker.cooldown());
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
    }

    #[test]
    fn a_late_answer_closes_it_without_a_probe() {
        assert_eq!(opened().ended(false, Sign::Answered), Some(Change::Closed));
    }
}
