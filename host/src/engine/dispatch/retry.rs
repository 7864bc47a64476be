//! What follows a failed attempt.

use std::time::Duration;

use purefold_effects::EffectError;

use crate::engine::input::FailureKind;
use crate::workflow::Retry;

/// Longest text of a failure that is kept.
const MOST_REASON_BYTES: usize = 1024;

#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// Another attempt, not before this time has passed.
    Again(Duration),
    /// There is no further attempt.
    Over(FailureKind, String),
}

/// An intent at which an attempt has failed.
#[derive(Clone, Copy)]
pub(super) struct Account {
    /// Attempts that are on its account, this one included where it is.
    pub(super) attempts: u32,
    /// Time on its account since its first attempt began.
    pub(super) elapsed: Duration,
    /// Whether an attempt may have done it.
    pub(super) maybe_done: bool,
    /// Whether the wait for the next attempt is on its account: not while its effect is down.
    pub(super) pays_for_waits: bool,
}

/// What follows a failed attempt. `random` is uniform over all of `u64`: the delay is a uniform part of the exponential bound
/// ("full jitter"), but never shorter than what the backend asked for, as far as the deadline allows: a wait that is asked for
/// ends no intent before its time, and by then the effect may count as down, whose time is on no intent's account.
pub(super) fn after_failure(retry: &Retry, account: Account, error: &EffectError, random: u64) -> Verdict {
    let Account { attempts, elapsed, maybe_done, pays_for_waits } = account;
    let text = match error {
        EffectError::Refused(text) => return Verdict::Over(FailureKind::Refused, text.clone()),
        EffectError::UnreadableReply(text) => return Verdict::Over(FailureKind::UnreadableReply, text.clone()),
        EffectError::NotDone { reason: text, .. } | EffectError::Unknown(text) => text,
    };
    let bound = retry.first.saturating_mul(1 << attempts.saturating_sub(1).min(30)).min(retry.most);
    #[allow(clippy::cast_precision_loss)]
    let part = random as f64 / u64::MAX as f64;
    let own = bound.mul_f64(part);
    let asked = error.retry_after().unwrap_or_default();
    let left = retry.deadline.saturating_sub(elapsed);
    if attempts < retry.attempts && (own < left || !pays_for_waits) {
        return Verdict::Again(own.max(asked.min(if pays_for_waits { left } else { retry.deadline })));
    }
    exhausted(text, attempts, maybe_done)
}

/// Attempts or time are used up.
pub(super) fn exhausted(text: &str, attempts: u32, maybe_done: bool) -> Verdict {
    let kind = if maybe_done { FailureKind::Unknown } else { FailureKind::Exhausted };
    Verdict::Over(kind, format!("{text} (after {attempts} attempts)"))
}

/// The text as far as it is kept.
pub(super) fn shortened(text: &str) -> String {
    let mut end = text.len().min(MOST_REASON_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    const RETRY: Retry = Retry {
        attempts: 3,
        first: Duration::from_millis(200),
        most: Duration::from_secs(30),
        timeout: Duration::from_secs(60),
        deadline: Duration::from_secs(300),
    };

    fn account(attempts: u32, elapsed: Duration) -> Account {
        Account { attempts, elapsed, maybe_done: false, pays_for_waits: true }
    }

    fn not_done(retry_after: Option<Duration>) -> EffectError {
        EffectError::NotDone { reason: "down".into(), retry_after }
    }

    #[test]
    fn delays_double_up_to_the_bound_and_are_jittered() {
        let delay = |retry: &Retry, attempts, random| match after_failure(retry, account(attempts, Duration::ZERO), &not_done(None), random)
        {
            Verdict::Again(delay) => delay,
            over @ Verdict::Over(..) => panic!("{over:?}"),
        };
        assert_eq!(delay(&RETRY, 1, u64::MAX), Duration::from_millis(200));
        assert_eq!(delay(&RETRY, 2, u64::MAX), Duration::from_millis(400));
        assert_eq!(delay(&RETRY, 2, 0), Duration::ZERO);
        assert_eq!(delay(&Retry { attempts: 99, ..RETRY }, 60, u64::MAX), Duration::from_secs(30));
    }

    #[test]
    fn what_the_backend_asks_for_is_honoured_up_to_the_deadline() {
        let wait = Duration::from_secs(7);
        let after = |elapsed| after_failure(&RETRY, account(1, Duration::from_secs(elapsed)), &not_done(Some(wait)), 0);
        assert_eq!(after(0), Verdict::Again(wait));
        assert_eq!(after(295), Verdict::Again(Duration::from_secs(5)), "it is not over before its deadline");
        assert_eq!(after(300), Verdict::Over(FailureKind::Exhausted, "down (after 1 attempts)".into()));
    }

    #[test]
    fn while_the_effect_is_down_no_wait_is_too_long() {
        let wait = Duration::from_secs(3600);
        let account = Account { pays_for_waits: false, ..account(1, Duration::from_secs(299)) };
        assert_eq!(after_failure(&RETRY, account, &not_done(Some(wait)), 0), Verdict::Again(RETRY.deadline), "but all has a bound");
        assert_eq!(after_failure(&RETRY, account, &not_done(None), u64::MAX), Verdict::Again(RETRY.first));
    }

    #[test]
    fn a_failure_that_may_have_been_a_success_stays_unknown() {
        let over = |maybe_done| after_failure(&RETRY, Account { maybe_done, ..account(3, Duration::ZERO) }, &not_done(None), 0);
        assert!(matches!(over(false), Verdict::Over(FailureKind::Exhausted, _)));
        assert!(matches!(over(true), Verdict::Over(FailureKind::Unknown, _)));
    }

    #[test]
    fn a_refusal_is_final_at_once() {
        let refused = EffectError::Refused("no".into());
        assert_eq!(after_failure(&RETRY, account(1, Duration::ZERO), &refused, 0), Verdict::Over(FailureKind::Refused, "no".into()));
    }
}
