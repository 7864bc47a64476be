//! One entity's history from its first entry on, in memory that does not grow with it.

use std::ops::ControlFlow;

use super::ReplayError;
use crate::store::{EntityRow, Reader, Row, StoreError, StoredEntry};

/// Entries of a chain whose places are read together. Of a longer chain every one of so many is remembered.
const CHAINED_TOGETHER: u32 = 1024;

/// Entries that are read together, with all they hold.
const ENTRIES_TOGETHER: usize = 64;

/// Gives `each` the entity's entries that there are, first to last, with their events' bytes where they are kept, until it breaks off.
///
/// # Errors
/// Those of `each`, and where the store fails or the chain is damaged.
pub(super) fn forward(
    reader: &Reader,
    row: &EntityRow,
    mut each: impl FnMut(&StoredEntry, Option<&[u8]>) -> Result<ControlFlow<()>, ReplayError>,
) -> Result<(), ReplayError> {
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
            let (mut entries, events) = (reader.entries_in(together)?, reader.events_in(together)?);
            for row in together.iter().rev() {
                let stored = entries.remove(row).unwrap_or_else(|| reader.entry(*row))?;
                if each(&stored, events.get(row).map(Vec::as_slice))?.is_break() {
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
