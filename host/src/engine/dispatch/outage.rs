//! Whether an effect works, told once when it stops and once when it does again. The breaker, which keeps attempts back,
//! opens by their number: where little is asked, that is long after people should know.

use std::time::Duration;

use tokio::time::Instant;

use super::breaker::Sign;

/// For how long attempts may fail, with no answer in between, before the effect counts as down.
pub(super) const MOST_SILENCE: Duration = Duration::from_secs(3);

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It does not work.
    Down,
    /// It works again.
    Works,
}

#[derive(Default)]
pub(super) struct Outage {
    /// When an attempt was answered last.
    answered: Option<Instant>,
    /// Since when nothing that was asked has been answered.
    since: Option<Instant>,
    down: bool,
    /// Since when attempts have been under way without an answer.
    asked: Option<Instant>,
    /// Whether that is too long.
    silent: bool,
    /// Whether a look at it is arranged.
    watched: bool,
}

impl Outage {
    /// Of an effect that is known to be down, or not: it was told before.
    pub(super) fn known(down: bool) -> Self {
        Outage { down, ..Outage::default() }
    }

    pub(super) fn is_down(&self) -> bool {
        self.down
    }

    /// Notes that an attempt begins while no other is under way.
    pub(super) fn asks(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    /// Whether somebody is to look whether there was an answer, [`MOST_SILENCE`] from now; once until that look.
    pub(super) fn watch(&mut self) -> bool {
        !std::mem::replace(&mut self.watched, true)
    }

    /// Looks whether what is asked was answered lately. Gives when to look again; not where nothing is asked.
    pub(super) fn is_silent(&mut self, is_asked: bool) -> Option<Instant> {
        let since = self.asked.filter(|_| is_asked);
        self.watched = since.is_some();
        let over = since? + MOST_SILENCE;
        let now = Instant::now();
        self.silent = over <= now;
        Some(if self.silent { now + MOST_SILENCE } else { over })
    }

    /// Whether nothing should wait for it: it does not work, or has not answered for long.
    pub(super) fn stands(&self) -> bool {
        self.down || self.silent
    }

    /// Notes how an attempt ended that began then. `open` says that the breaker has had enough.
    pub(super) fn ended(&mut self, began: Instant, sign: Sign, open: bool) -> Option<News> {
        let now = Instant::now();
        match sign {
            Sign::Answered => {
                (self.answered, self.since) = (Some(now), None);
                (self.asked, self.silent) = (Some(now), false);
                std::mem::take(&mut self.down).then_some(News::Works)
            }
            Sign::Failed => {
                // An attempt that took long was silence from its beginning, unless another one was answered meanwhile.
                let began = self.answered.map_or(began, |answered| answered.max(began));
                let since = *self.since.get_or_insert(began);
                let is_down = open || now.duration_since(since) >= MOST_SILENCE;
                let news = is_down && !self.down;
                self.down |= is_down;
                news.then_some(News::Down)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(10);

    /// An attempt that takes that long.
    async fn attempt(outage: &mut Outage, takes: Duration, sign: Sign) -> Option<News> {
        let began = Instant::now();
        tokio::time::advance(takes).await;
        outage.ended(began, sign, false)
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_are_told_once_after_a_while_and_the_first_answer_too() {
        let mut outage = Outage::default();
        assert_eq!(attempt(&mut outage, SOON, Sign::Failed).await, None);
        tokio::time::advance(MOST_SILENCE).await;
        assert_eq!(attempt(&mut outage, SOON, Sign::Failed).await, Some(News::Down));
        assert_eq!(attempt(&mut outage, SOON, Sign::Failed).await, None);
        assert!(outage.is_down());
        assert_eq!(attempt(&mut outage, SOON, Sign::Answered).await, Some(News::Works));
        assert_eq!(attempt(&mut outage, SOON, Sign::Answered).await, None);
        assert!(!outage.is_down());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_in_between_begins_anew() {
        let mut outage = Outage::default();
        for _ in 0..20 {
            assert_eq!(attempt(&mut outage, SOON, Sign::Failed).await, None);
            tokio::time::advance(MOST_SILENCE - 4 * SOON).await;
            assert_eq!(attempt(&mut outage, SOON, Sign::Answered).await, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_attempt_that_hangs_is_enough_unless_others_are_answered() {
        let mut outage = Outage::default();
        let began = Instant::now();
        tokio::time::advance(MOST_SILENCE).await;
        assert_eq!(attempt(&mut outage, SOON, Sign::Answered).await, None);
        assert_eq!(outage.ended(began, Sign::Failed, false), None);
        assert_eq!(attempt(&mut outage, MOST_SILENCE, Sign::Failed).await, Some(News::Down));
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_breaker_is_enough() {
        let mut outage = Outage::default();
        assert_eq!(outage.ended(Instant::now(), Sign::Failed, true), Some(News::Down));
        assert_eq!(outage.ended(Instant::now(), Sign::Failed, true), None);
    }
}
