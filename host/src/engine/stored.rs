//! Lanes that are only in the store, read back for the dispatcher.
//!
//! The store knows what is committed, the engine what has been decided since and what was told to it and not decided yet.
//! An intent is performed where the store has it and neither of the two has ended it.

use super::assemble::{Task, waits};
use super::dispatch::{FoundLane, Order, Place, Wanted};
use super::entity::{Entity, Outstanding};
use super::input::{Conclusion, EntityName, Order as AskedOrder, OrderKind};
use super::planted::{Mistake, planted};
use super::{Engine, EngineError};
use crate::store::{IntentKey, OutboxStatus};

/// Rows of the outbox that are read of a lane at a time: they may be of other effects too.
pub(super) const MOST_ROWS: u32 = if cfg!(test) { 4 } else { 128 };

impl Engine {
    /// Reads the lanes that the dispatcher wants.
    pub(super) fn find_wanted(&mut self) -> Result<(), EngineError> {
        if self.state.wanted.is_empty() {
            return Ok(());
        }
        let mut found = self.state.wanted.iter().map(|wanted| self.find_lane(wanted)).collect::<Result<Vec<_>, _>>()?;
        self.state.wanted.clear();
        if let Some(spans) = &mut self.spans {
            found.iter_mut().for_each(|lane| spans.mark(&self.shared.plans, &mut lane.tasks));
        }
        // The dispatcher ends only with the engine.
        let _ = self.orders.send(Order::Found(found));
        Ok(())
    }

    fn find_lane(&self, wanted: &Wanted) -> Result<FoundLane, EngineError> {
        let plan = &self.shared.plans[wanted.workflow];
        let (entity, (sequence, index)) = (wanted.lane.1, wanted.from);
        let name = EntityName { workflow: wanted.workflow, key: self.reader.key(entity)? };
        // From the decision's first intent on, for those that others come after.
        let limit = MOST_ROWS.saturating_add(index);
        let rows = self.reader.outstanding_from(entity, sequence, self.state.committed_row, limit)?;
        let last = rows.last().filter(|_| rows.len() >= limit as usize).map(|row| row.0.key);
        let pending = self.state.work.get(&name).map(|work| &work.pending);
        let view = View {
            entity: self.cached(&name),
            told: pending.map_or(&[][..], |pending| &pending.conclusions),
            orders: pending.map_or(&[][..], |pending| &pending.orders),
        };
        let mut lane = FoundLane { lane: wanted.lane, tasks: Vec::new(), rest: last.map(|key| (key.sequence, key.index + 1)) };
        let mut open: Vec<Outstanding> = Vec::new();
        let mut failed: Vec<(u64, u32)> = Vec::new();
        for (row, journal_row) in rows {
            let (key, settled) = (row.key, row.status == OutboxStatus::Settled);
            let intent = super::entity::outstanding(plan, row)?;
            match view.standing(key, &intent, &failed) {
                _ if settled => failed.push((key.sequence, intent.case)),
                Stands::Failed => failed.push((key.sequence, intent.case)),
                Stands::Done => {}
                Stands::Open => {
                    if (key.sequence, key.index) >= wanted.from && is_of(&intent, &wanted.effect) {
                        let waits = waits(&open, &intent);
                        let maybe_done = journal_row <= self.state.first_row;
                        lane.tasks.extend(Task::of(key, &name, intent.clone(), waits).map(|task| Task { maybe_done, ..task }));
                    }
                    open.push(intent);
                }
            }
        }
        Ok(lane)
    }
}

fn is_of(intent: &Outstanding, effect: &str) -> bool {
    intent.terms.route(intent.case).is_some_and(|route| *route.effect == *effect)
}

enum Stands {
    Open,
    Done,
    /// It failed, or will not be performed because one that it comes after did.
    Failed,
}

/// What the engine knows of an entity beyond the store.
struct View<'a> {
    /// The entity as it was decided last, committed or not. None: as it stands in the store.
    entity: Option<&'a Entity>,
    /// Conclusions that wait to be decided.
    told: &'a [(IntentKey, Conclusion)],
    /// What operators ask that waits to be done: what is given up has left its lane already.
    orders: &'a [AskedOrder],
}

impl View<'_> {
    fn standing(&self, key: IntentKey, intent: &Outstanding, failed: &[(u64, u32)]) -> Stands {
        if let Some((_, conclusion)) = self.told.iter().find(|(told, _)| *told == key) {
            return if conclusion.is_ok() { Stands::Done } else { Stands::Failed };
        }
        let given_up = OrderKind::GiveUpIntent(key.sequence, key.index);
        if self.orders.iter().any(|order| order.what == given_up) && !planted(Mistake::GivenUpReadBack) {
            return Stands::Failed;
        }
        if let Some(entity) = self.entity {
            let place: Place = (key.sequence, key.index);
            // They stand in the order of asking.
            match entity.outstanding.binary_search_by_key(&place, |known| (known.sequence, known.index)) {
                // Decided already: what comes after it is settled, where it failed.
                Err(_) => return Stands::Done,
                Ok(at) if entity.outstanding[at].settled.is_some() => return Stands::Failed,
                Ok(_) => {}
            }
        }
        let Some(route) = intent.terms.route(intent.case) else { return Stands::Done };
        let comes_after_failed = failed.iter().any(|(sequence, case)| *sequence == key.sequence && route.after.contains(case));
        if comes_after_failed { Stands::Failed } else { Stands::Open }
    }
}
