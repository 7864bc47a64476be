//! States taken over from earlier releases, step by step: when an entity is next decided for, and to see what would come of it.

use std::sync::Arc;

use super::EngineError;
use super::entity::Entity;
use super::fold::{Fold, Ids, Moment};
use super::input::Pending;
use super::plan::Plan;
use crate::journal::{Entry, Kind};
use crate::sandbox::{Decision, Fault};

/// Takes over the state of an entity as `plan` would before its next decision, to see what comes of it. Gives how many steps that
/// took, and what keeps it from going on.
///
/// # Errors
/// Only for the host's own failures.
pub fn migrate(plan: &Plan, entity: Box<Entity>) -> Result<(usize, Option<Fault>), EngineError> {
    let (ids, moment) = (Ids::default(), Moment::Arrival { now: entity.row.now });
    let mut fold = Fold::of(plan, &ids, entity, Pending::default(), moment);
    let fault = fold.migrate()?;
    Ok((fold.out.entries.len(), fault))
}

impl Fold<'_> {
    /// Takes the state over from the release that wrote it, step by step. Gives the fault that keeps it from going on.
    pub(super) fn migrate(&mut self) -> Result<Option<Fault>, EngineError> {
        let plan = self.plan;
        let Some(state) = self.out.entity.state.clone() else { return Ok(None) };
        if self.out.entity.state_release == plan.release {
            return Ok(None);
        }
        let from = self.out.entity.state_release;
        let Some(start) = plan.earlier.iter().position(|earlier| earlier.generation == from) else { return Ok(None) };
        let mut state = state;
        let current = plan.workflow.contract.state_fingerprint();
        let steps = plan.earlier[start..].iter().map(|r| (r.generation, &r.reducer, &r.codec, r.state_type.as_str()));
        let steps: Vec<_> = steps.chain([(plan.release, &plan.reducer, &plan.codec, current.as_str())]).collect();
        for step in steps.windows(2) {
            let [(_, before, _, state_type), (generation, reducer, codec, target)] = *step else { continue };
            if target == state_type {
                continue;
            }
            // Forward by what comes after, or back by what came before.
            let taken = if reducer.contract().migrates_from().as_deref() == Some(state_type) {
                reducer.migrate(&state)?
            } else if before.contract().downgrades_to().as_deref() == Some(target) {
                before.downgrade(&state)?
            } else {
                None
            };
            let migrated = match taken {
                Some(Ok(migrated)) => migrated,
                Some(Err(fault)) => return Ok(Some(fault)),
                None => return Ok(Some(Fault { code: "migrate-missing", reason: format!("release {generation} exports no migrate") })),
            };
            let (decision, encoded) = codec.encode(Decision::Accepted { state: Some(migrated), intents: Vec::new() });
            let Decision::Accepted { state: Some(migrated), .. } = decision else {
                return Ok(Some(Fault { code: "migrate-refused", reason: "the migrated state has no JSON form or is too large".into() }));
            };
            let row = &mut self.out.entity.row;
            row.ordinal += 1;
            let entry = Entry {
                sequence: row.sequence,
                ordinal: row.ordinal,
                kind: Kind::Migrated,
                release: generation,
                now: row.now,
                event_id: "".into(),
                correlation_id: "".into(),
                input: Box::default(),
                verdict: None,
                state: encoded.state,
                output: Box::default(),
                event_hash: None,
            };
            self.push(entry, None, Some(true));
            state = Arc::new(migrated);
            // Where a later step fails, the next attempt goes on from here.
            (self.out.entity.state, self.out.entity.state_release) = (Some(state.clone()), generation);
        }
        self.out.entity.state_release = plan.release;
        Ok(None)
    }
}
