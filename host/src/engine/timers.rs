//! Timers: which of them may fire now.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::handle::SourceHandle;
use super::input::EntityName;
use super::planted::{Mistake, planted};
use super::{Engine, EngineError};
use crate::store::StoreError;

/// Timers that are looked up together.
const MOST_TIMERS_TOGETHER: u32 = 1024;

impl Engine {
    pub(super) fn fire_timers(&mut self) -> Result<(), EngineError> {
        // A host that is started for operators' commands only reads no source: nobody can say that nothing earlier is unread.
        if !self.course.perform {
            self.state.look_for_timers = false;
            return Ok(());
        }
        if self.course.event_clock {
            return self.fire_after_input();
        }
        if !std::mem::take(&mut self.state.look_for_timers) {
            return Ok(());
        }
        let fired = self.fire_due();
        self.state.look_for_timers |= fired.is_err();
        fired
    }

    fn fire_due(&mut self) -> Result<(), EngineError> {
        self.state.next_due = self.next_due()?;
        let now = self.clock.wall();
        let Some(earliest) = self.state.next_due.filter(|due| *due <= now) else { return Ok(()) };
        if self.waits_for_source() {
            return Ok(());
        }
        let Some(until) = self.read_past(now).or_else(|| self.waited_enough(now)) else { return Ok(()) };
        if earliest > until {
            return Ok(());
        }
        for due in self.reader.due_timers(until, MOST_TIMERS_TOGETHER, &self.state.pauses.firing_workflows())? {
            let Some(workflow) = self.shared.plans.iter().position(|plan| plan.id == due.workflow) else { continue };
            let name = EntityName { workflow, key: due.key };
            let fired = (due.timer.name, due.timer.sequence, due.timer.index);
            if !self.state.work.get(&name).is_some_and(|work| work.pending.timers.contains(&fired)) {
                self.pending(name).timers.push(fired);
            }
        }
        Ok(())
    }

    /// The source can be read from now on. What fell due while it could not has waited for nothing yet; nor has what was about to
    /// fire before, and was held up: the source may have had something meanwhile.
    pub(super) fn reading_begins(&mut self) {
        self.state.reading_since = self.clock.elapsed();
        for work in self.state.work.values_mut() {
            work.pending.timers.clear();
        }
        self.state.look_for_timers = true;
    }

    /// When the next timer falls due that may fire.
    pub(super) fn next_due(&self) -> Result<Option<u64>, StoreError> {
        self.reader.next_due(&self.state.pauses.firing_workflows())
    }

    /// Up to when the source has nothing left that was there before; none where it has.
    fn read_past(&self, now: u64) -> Option<u64> {
        let Some(source) = &self.source else { return Some(now) };
        if planted(Mistake::TimerUnheedingOfSource) {
            return Some(now);
        }
        if source.tells_when {
            // Who reads nothing has read everything; but the group may be about to give it what it lost in an outage.
            let is_trusted = source.has_parts() || self.waited_enough(now).is_some();
            return self.state.looked.filter(|_| is_trusted).map(|looked| looked.min(now));
        }
        if !self.state.backlog.is_empty() || !source.lines.is_empty() {
            return None;
        }
        if self.state.source_ended {
            return Some(now);
        }
        let since = source.waiting_since.load(Ordering::Acquire);
        let is_quiet = since > 0 && Duration::from_micros(now.saturating_sub(since)) >= source.quiet;
        is_quiet.then(|| source.looked.as_ref().map_or(now, |looked| looked.load(Ordering::Acquire).min(now)))
    }

    /// Whether the source is away, and not for so long that timers do not wait for it any longer. What falls due meanwhile waits
    /// for what its senders could not send, as soon as it is back.
    fn waits_for_source(&mut self) -> bool {
        if !self.source.as_ref().is_some_and(SourceHandle::is_away) {
            if self.state.away_since.take().is_some() {
                self.reading_begins();
            }
            return false;
        }
        let now = self.clock.elapsed();
        let since = *self.state.away_since.get_or_insert(now);
        now.saturating_sub(since) < self.course.outage_wait
    }

    /// Up to when timers do not wait for the source any longer. The wait begins when the host can read: what fell due while
    /// it could not has waited for nothing yet.
    fn waited_enough(&self, now: u64) -> Option<u64> {
        let most = self.course.timer_wait;
        let reading = self.clock.elapsed().saturating_sub(self.state.reading_since);
        (reading >= Duration::from_micros(most)).then(|| now.saturating_sub(most))
    }

    /// On the event clock, timers that no event follows fire once the input is over.
    fn fire_after_input(&mut self) -> Result<(), EngineError> {
        let over = self.source.is_none() || (self.state.source_ended && self.source.as_ref().is_none_or(|source| source.lines.is_empty()));
        if !over || !self.state.backlog.is_empty() || !self.is_quiet() || self.has_work() {
            return Ok(());
        }
        if !self.state.look_for_timers {
            return Ok(());
        }
        let limit = self.intake.clock().saturating_add(self.course.advance);
        let firing = self.state.pauses.firing_workflows();
        // Where entities write to each other, timers fire one by one, in the order of their times.
        let due = if self.course.delivers {
            self.reader.first_due_timer(limit, &firing)?.into_iter().collect()
        } else {
            self.reader.due_timers(limit, MOST_TIMERS_TOGETHER, &firing)?
        };
        self.state.bound = if self.course.delivers { due.first().map(|due| due.timer.due) } else { Some(limit) };
        self.state.look_for_timers = !due.is_empty();
        for due in due {
            if let Some(workflow) = self.shared.plans.iter().position(|plan| plan.id == due.workflow) {
                self.pending(EntityName { workflow, key: due.key });
            }
        }
        Ok(())
    }
}
