//! Timers of a rehearsal.

use std::sync::Arc;

use super::{Rehearsal, RehearsalError, Step, unknown};
use crate::engine::{EntityName, Pending};

/// Timers that fire while the clock is moved on once.
const MOST_TIMERS_FIRED: u32 = 100_000;

/// A timer that is set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// When it falls due.
    pub due: u64,
    /// Whose it is.
    pub name: EntityName,
    /// Its name.
    pub timer: Arc<str>,
    /// The decision that set it, and the intent's index there.
    pub generation: (u64, u32),
}

impl Rehearsal {
    /// All timers that are set, in the order in which they fall due.
    #[must_use]
    pub fn timers(&self) -> Vec<Due> {
        let of = |(name, entity): (&EntityName, &crate::engine::Entity)| {
            let timers = entity.timers.iter().filter(|timer| !timer.waits);
            let due = |timer: &crate::store::TimerRow| Due {
                due: timer.due,
                name: name.clone(),
                timer: timer.name.clone(),
                generation: (timer.sequence, timer.index),
            };
            timers.map(due).collect::<Vec<_>>()
        };
        let mut timers: Vec<Due> = self.entities().flat_map(of).collect();
        timers.sort();
        timers
    }

    /// Fires a timer, moving the clock to its due time where it is not there yet. One that is not set any more is void.
    ///
    /// # Errors
    /// Only for the host's own failures.
    pub fn fire(&mut self, due: &Due) -> Result<Step, RehearsalError> {
        if self.entity(&due.name).is_none() {
            return Err(unknown("timer", format!("no entity {:?}", due.name.key)));
        }
        self.set_now(due.due);
        let timers = vec![(due.timer.clone(), due.generation.0, due.generation.1)];
        self.fold(&due.name, Pending { timers, ..Pending::default() })
    }

    /// Moves the clock on to `time` and fires every timer that falls due by then, in order; `after` each it has `settle` do
    /// what is done between two timers, such as concluding intents.
    ///
    /// # Errors
    /// As [`Rehearsal::fire`] and `settle`; where timers set each other without end.
    pub fn advance<E: From<RehearsalError>>(
        &mut self,
        time: u64,
        mut settle: impl FnMut(&mut Rehearsal, Step) -> Result<Step, E>,
    ) -> Result<Step, E> {
        let mut step = Step::default();
        for _ in 0..MOST_TIMERS_FIRED {
            let Some(due) = self.timers().into_iter().next().filter(|due| due.due <= time) else {
                self.set_now(time);
                return Ok(step);
            };
            let fired = self.fire(&due)?;
            step.extend(settle(self, fired)?);
        }
        Err(RehearsalError::Endless { what: "timers", most: MOST_TIMERS_FIRED }.into())
    }
}
