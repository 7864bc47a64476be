//! Erasing entities, some entries with each commit.

use std::collections::VecDeque;

use super::planted::{Mistake, planted};
use super::{Engine, EngineError};
use crate::store::{EntityId, ErasingRow, Reader, StoreError};

/// Entries that one commit erases. Few in tests, so that it takes several.
const MOST_ERASED: usize = if cfg!(test) { 2 } else { 512 };

/// An entity that is being erased.
struct Job {
    row: ErasingRow,
    /// The commit after which its entries can be read.
    after: u64,
    /// Entries erased by this process.
    count: usize,
}

/// The entities that are being erased, one after the other.
#[derive(Default)]
pub(super) struct Erasing(VecDeque<Job>);

impl Erasing {
    pub(super) fn load(reader: &Reader) -> Result<Self, StoreError> {
        if planted(Mistake::ErasureForgotten) {
            return Ok(Erasing::default());
        }
        Ok(Erasing(reader.erasing()?.into_iter().map(|row| Job { row, after: 0, count: 0 }).collect()))
    }

    /// Takes what the commit of that number begins.
    pub(super) fn begin(&mut self, rows: &[ErasingRow], batch: u64) {
        let begins = rows.iter().filter(|row| row.next_row > 0 && self.0.iter().all(|job| job.row.entity != row.entity));
        let jobs: Vec<Job> = begins.map(|row| Job { row: *row, after: batch, count: 0 }).collect();
        self.0.extend(jobs);
    }

    /// Whether that command is being done already, by this process or the one before it.
    pub(super) fn is_for(&self, command: i64) -> bool {
        self.0.iter().any(|job| job.row.command == command)
    }

    /// Whether that entity is being erased.
    pub(super) fn has(&self, entity: EntityId) -> bool {
        self.0.iter().any(|job| job.row.entity == entity)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Engine {
    /// Adds the next entries to be erased to the draft of the next commit.
    pub(super) fn erase_some(&mut self) -> Result<(), EngineError> {
        let committed = self.state.committed;
        let Some(job) = self.state.erasing.0.front_mut().filter(|job| job.after <= committed) else { return Ok(()) };
        if self.state.draft.erased.len() >= MOST_ERASED {
            return Ok(());
        }
        let (mut next, mut looked_at, mut found) = (job.row.next_row, 0, Vec::new());
        while next > 0 && looked_at < MOST_ERASED {
            let row = next;
            // Where a truncation was faster, there is nothing left.
            let Some(entry) = self.reader.entry_if_there(row)? else {
                next = 0;
                break;
            };
            found.extend(entry.to_erase(job.row.keep_row == Some(row) && !planted(Mistake::KeptStateErased)));
            next = if entry.previous_row < row { entry.previous_row } else { 0 };
            looked_at += 1;
        }
        job.row.next_row = next;
        job.count += found.len();
        self.state.draft.erased.extend(found);
        let ErasingRow { entity, next_row, command, .. } = job.row;
        self.state.draft.erasing.retain(|row| row.entity != entity);
        self.state.draft.erasing.push(job.row);
        if next_row == 0 {
            let answer = format!("erased: {} entries; their hashes stay, so that the chain can be checked", job.count);
            self.state.draft.answers.push((command, answer));
            self.state.erasing.0.pop_front();
        }
        Ok(())
    }
}
