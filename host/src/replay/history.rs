//! One entity's history from its first entry on, in memory that does not grow with it.

use std::ops::ControlFlow;

use super::ReplayError;
use crate::store::{EntityRow, Reader, Row, StoreError, StoredEntry};

/// Entries of a chain whose places are read together. Of a longer chain every one of so many is remembered.
const CHAINED_TOGETHER: u32 = 1024;

/// Entries that are read together, with all they hold. Most histories are shorter: they are read once, and not looked through before.
pub(super) const ENTRIES_TOGETHER: usize = 128;

/// Gives `each` the entity's entries that there are, first to last, with their events' bytes where they are kept, until it breaks off.
///
/// # Errors
/// Those of `each`, and where the store fails or the chain is damaged.
pub(super) fn forward(
    reader: &Reader,
    row: &EntityRow,
    mut each: impl FnMut(&StoredEntry, Option<&[u8]>) -> Result<ControlFlow<()>, ReplayError>,
) -> Result<(), ReplayError> {
    if row.head_row <= 0 {
        return Ok(());
    }
    let latest = reader.entries_back_from(row.head_row, ENTRIES_TOGETHER)?;
    if latest.last().is_some_and(|first| first.previous_row == 0) {
        for read in latest.into_iter().rev() {
            if each(&read.stored?, read.event.as_deref())?.is_break() {
                break;
            }
        }
        return Ok(());
    }
    drop(latest);
    let mut anchors = Vec::new();
    let mut next = row.head_row;
    while next > 0 {
        anchors.push(next);
        let page = page(reader, next)?;
        next = page.last().map_or(0, |(_, previous)| *previous);
    }
    for anchor in anchors.into_iter().rev() {
        let rows: Vec<Row> = page(reader, anchor)?.into_iter().map(|(row, _)| row).collect();
        // They stand from the latest back.
        for together in rows.rchunks(ENTRIES_TOGETHER) {
            for read in reader.entries_back_from(together[0], together.len())?.into_iter().rev() {
                if each(&read.stored?, read.event.as_deref())?.is_break() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn page(reader: &Reader, from: Row) -> Result<Vec<(Row, Row)>, ReplayError> {
    let page = reader.rows_back_from(from, CHAINED_TOGETHER)?;
    let ascends = page.iter().any(|(row, previous)| previous >= row);
    if page.is_empty() || ascends {
        let reason = format!("the chain that leads through row {from} is broken; `purefold verify` tells what else is wrong");
        return Err(StoreError::Corrupt(reason).into());
    }
    Ok(page)
}
