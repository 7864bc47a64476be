//! The workflow's own chain, under the empty key: releases, and acts that are about no single entity.

use serde_json::Value;

use super::plan::Plan;
use super::{Engine, EngineError};
use crate::journal::{Entry, Kind, Warrant};
use crate::store::{Batch, EntityRow, EntryRow};

/// An entry of the workflow's own chain.
pub(super) struct OwnEntry<'a> {
    pub(super) kind: Kind,
    /// The id of the event that it is about, where it is about one.
    pub(super) event_id: &'a str,
    /// What it is about.
    pub(super) about: &'a Value,
    pub(super) warrant: &'a Warrant,
}

impl Engine {
    /// The time of a workflow's own entries: the wall's, or that of the virtual clock.
    pub(super) fn workflow_now(&self) -> u64 {
        if self.course.event_clock { self.intake.clock() } else { self.clock.wall() }
    }

    /// Appends to a workflow's own chain, in `batch`.
    pub(super) fn note_own(&mut self, workflow: usize, own: &OwnEntry<'_>, batch: &mut Batch) -> Result<(), EngineError> {
        let plan = self.shared.plans[workflow].clone();
        self.note_own_under(&plan, workflow, own, batch)
    }

    /// The same as an entry of the release of `plan`.
    pub(super) fn note_own_under(
        &mut self,
        plan: &Plan,
        workflow: usize,
        own: &OwnEntry<'_>,
        batch: &mut Batch,
    ) -> Result<(), EngineError> {
        let now = self.workflow_now();
        let Some(row) = self.state.own.get_mut(workflow) else {
            return Err(EngineError::Stored {
                what: "entities",
                reason: format!("workflow {} has no entry of its own", plan.workflow.name),
            });
        };
        let entry = Entry {
            sequence: row.sequence,
            ordinal: row.ordinal + 1,
            kind: own.kind,
            release: plan.release,
            now: now.max(row.now),
            event_id: own.event_id.into(),
            correlation_id: "".into(),
            input: own.about.to_string().into_bytes().into(),
            verdict: None,
            state: None,
            output: own.warrant.json(),
            event_hash: None,
        };
        let hash = entry.hash(&row.head, &plan.workflow.name, "", &plan.profile);
        self.rows.entry += 1;
        let (expected, expected_head) = (row.head_row, row.head);
        (row.ordinal, row.now, row.head, row.head_row) = (entry.ordinal, entry.now, hash, self.rows.entry);
        match batch.entities.iter_mut().find(|known| known.id == row.id) {
            // The store has what the commit began with.
            Some(known) => {
                *known = EntityRow { expected_head_row: known.expected_head_row, expected_head: known.expected_head, ..row.clone() };
            }
            None => batch.entities.push(EntityRow { expected_head_row: expected, expected_head, ..row.clone() }),
        }
        batch.entries.push(EntryRow {
            row: self.rows.entry,
            entity: row.id,
            previous_row: expected,
            profile: plan.profile_id,
            hash,
            entry,
            event: None,
        });
        Ok(())
    }
}
