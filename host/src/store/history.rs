//! Histories: the entries of one entity's chain with all that they hold, many in one question.

use std::sync::LazyLock;

use super::inspect::CHAIN;
use super::read::{ENTRY, stored_entry};
use super::{Reader, Row, StoreError, StoredEntry};

/// What is read of each entry, and how it is found by its row.
const WHAT: &str = "LEFT JOIN profiles ON profiles.id = journal.profile LEFT JOIN erased ON erased.row = journal.row \
                    LEFT JOIN events ON events.row = journal.row AND journal.event_hash IS NOT NULL";

static ONE: LazyLock<String> = LazyLock::new(|| format!("SELECT {ENTRY}, events.bytes FROM journal {WHAT} WHERE journal.row = ?1"));

static ALL: LazyLock<String> =
    LazyLock::new(|| format!("{CHAIN} SELECT {ENTRY}, events.bytes FROM chain CROSS JOIN journal ON journal.row = chain.row {WHAT}"));

/// One entry of a chain as it could be read.
#[derive(Debug)]
pub struct ReadEntry {
    /// Its row.
    pub row: Row,
    /// The entity's entry before; 0 for the first.
    pub previous_row: Row,
    /// The entry, or why it cannot be read: that keeps nobody from those before it.
    pub stored: Result<StoredEntry, StoreError>,
    /// The original bytes of its event, where one led to it and they are kept.
    pub event: Option<Vec<u8>>,
}

impl Reader {
    /// The entry in `row` and those before it, the latest first, up to `limit` of them.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn entries_back_from(&self, row: Row, limit: usize) -> Result<Vec<ReadEntry>, StoreError> {
        let mut found = self.chained((&ONE, &ALL), (row, limit), |columns| {
            let (row, previous_row) = (columns.get(0)?, columns.get(1)?);
            Ok((previous_row, ReadEntry { row, previous_row, stored: stored_entry(columns), event: columns.get(20)? }))
        })?;
        // Rows only descend along a chain. To sort here what is nearly always in order costs less than in the database.
        found.sort_unstable_by_key(|read| std::cmp::Reverse(read.row));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::store::Store;
    use crate::store::trial::{Prompt, on_each};
    use crate::store::value::values;

    #[test]
    fn a_chain_is_read_with_events_and_what_cannot_be_read_is_told_in_its_place() {
        on_each(|trial| {
            let store = Store::open(&trial.location, None, (1, 2)).unwrap();
            let prompt = Prompt::at(&trial.location);
            prompt.execute("INSERT INTO profiles VALUES (1, 'p')", &values![]);
            let entry = "INSERT INTO journal VALUES (?, 1, ?, 0, 'decided', 1, ?, 0, 'e', 'c', '{}', 'accepted', '{}', '[]', ?, ?, ?)";
            for (row, sequence, profile, previous) in [(3, 1, 1, 0), (7, 2, 2, 3), (8, 3, 1, 7)] {
                let (row, sequence, profile, previous): (i64, i64, i64, i64) = (row, sequence, profile, previous);
                prompt.execute(entry, &values![row, sequence, profile, &[1; 32], previous, &[0; 32]]);
            }
            prompt.execute("INSERT INTO events VALUES (?, ?)", &values![3_i64, &b"event"[..]]);
            let reader = store.reader().unwrap();
            let read = reader.entries_back_from(8, 10).unwrap();
            assert_eq!(read.iter().map(|read| (read.row, read.previous_row)).collect::<Vec<_>>(), [(8, 7), (7, 3), (3, 0)]);
            assert_eq!(read[0].stored.as_ref().unwrap().entry.sequence, 3);
            assert!(read[1].stored.is_err(), "its profile is nowhere");
            assert_eq!(read[2].event.as_deref(), Some(&b"event"[..]));
            assert_eq!(reader.entries_back_from(8, 2).unwrap().len(), 2);
            assert!(reader.entries_back_from(9, 2).unwrap().is_empty());
        });
    }
}
