//! Erasing entities, some entries with each commit.

use std::collections::VecDeque;

use super::{Engine, EngineError};
use crate::store::{ErasingRow, Reader, StoreError};

/// Entries that one commit erases.
const MOST_ERASED: usize = 512;

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
        let mut looked_at = 0;
        while job.row.next_row > 0 && looked_at < MOST_ERASED {
            let row = job.row.next_row;
            // Where a truncation was faster, there is nothing left.
            let Some(entry) = self.reader.entry_if_there(row)? else {
                job.row.next_row = 0;
                break;
            };
            let erased = entry.to_erase(job.row.keep_row == Some(row));
            job.count += usize::from(erased.is_some());
            self.state.draft.erased.extend(erased);
            job.row.next_row = if entry.previous_row < row { entry.previous_row } else { 0 };
            looked_at += 1;
        }
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
