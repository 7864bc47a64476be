//! Erasing what entries hold, so that it is gone from the file and the chain can still be checked.

use std::time::Duration;

use rusqlite::{Connection, Row as SqlRow, Transaction, params};

use super::{Batch, ErasedRow, ErasingRow, Reader, StoreError, StoredEntry};
use crate::journal::{EntryHash, Kind, Payloads};

/// How long the log is waited for, so that nothing erased is left in it. Commits wait meanwhile.
const LOG_TIMEOUT: Duration = Duration::from_millis(100);

/// The hashes of what an entry held that is erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erased {
    /// Of the input, where that is erased.
    pub input: Option<EntryHash>,
    /// Of the state, where that is erased.
    pub state: Option<EntryHash>,
    /// Of the output, where that is erased.
    pub output: Option<EntryHash>,
}

impl Erased {
    /// From four columns: the row, where there is one, and the hashes.
    pub(super) fn read(row: &SqlRow<'_>, first: usize) -> rusqlite::Result<Option<Self>> {
        let there: Option<i64> = row.get(first)?;
        Ok(match there {
            None => None,
            Some(_) => Some(Erased { input: row.get(first + 1)?, state: row.get(first + 2)?, output: row.get(first + 3)? }),
        })
    }
}

impl StoredEntry {
    /// Hashes of what the entry holds, or held before it was erased.
    #[must_use]
    pub fn payloads(&self) -> Payloads {
        let Payloads { input, state, output } = self.entry.payloads();
        match self.erased {
            None => Payloads { input, state, output },
            Some(erased) => {
                Payloads { input: erased.input.unwrap_or(input), state: erased.state.or(state), output: erased.output.unwrap_or(output) }
            }
        }
    }

    /// Whether the input that led here is erased.
    #[must_use]
    pub fn input_is_erased(&self) -> bool {
        self.erased.is_some_and(|erased| erased.input.is_some())
    }

    /// What of the entry is to be erased, but for its state where `keep_state`; nothing where nothing is left.
    #[must_use]
    pub fn to_erase(&self, keep_state: bool) -> Option<ErasedRow> {
        let (input, output) = match self.entry.kind {
            Kind::Decided | Kind::Concluded | Kind::Parked | Kind::Migrated => (true, true),
            // The output says who did it and why.
            Kind::Resumed | Kind::Dropped => (true, false),
            Kind::Ended | Kind::Released | Kind::Redriven | Kind::Abandoned | Kind::Paused | Kind::Erased => (false, false),
        };
        let Payloads { input: input_hash, state: state_hash, output: output_hash } = self.entry.payloads();
        let before = self.erased.unwrap_or(Erased { input: None, state: None, output: None });
        let erased = ErasedRow {
            row: self.row,
            input: (input && before.input.is_none()).then_some(input_hash),
            state: state_hash.filter(|_| !keep_state),
            output: (output && before.output.is_none()).then_some(output_hash),
        };
        (erased.input.is_some() || erased.state.is_some() || erased.output.is_some()).then_some(erased)
    }
}

pub(super) fn write(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    let mut blank = transaction.prepare_cached(
        "UPDATE journal SET input = iif(?2, '', input), state = iif(?3, NULL, state), output = iif(?4, '', output) WHERE row = ?1",
    )?;
    let mut hash = transaction.prepare_cached(
        "INSERT INTO erased VALUES (?, ?, ?, ?) ON CONFLICT (row) DO UPDATE SET input = coalesce(input, excluded.input), \
         state = coalesce(state, excluded.state), output = coalesce(output, excluded.output)",
    )?;
    let mut event = transaction.prepare_cached("DELETE FROM events WHERE row = ?")?;
    for e in &batch.erased {
        blank.execute(params![e.row, e.input.is_some(), e.state.is_some(), e.output.is_some()])?;
        hash.execute(params![e.row, e.input, e.state, e.output])?;
        event.execute([e.row])?;
    }
    let mut begin = transaction.prepare_cached(
        "INSERT INTO erasing VALUES (?, ?, ?, ?) ON CONFLICT (entity) DO UPDATE SET next_row = excluded.next_row, \
         keep_row = excluded.keep_row, command = excluded.command",
    )?;
    let mut letters = transaction.prepare_cached(
        "DELETE FROM dead_letters WHERE (workflow, key) = (SELECT workflow, key FROM entities WHERE id = ?) \
         AND line <= (SELECT next_line FROM sources WHERE sources.id = dead_letters.source)",
    )?;
    let mut end = transaction.prepare_cached("DELETE FROM erasing WHERE entity = ?")?;
    for ErasingRow { entity, next_row, keep_row, command } in &batch.erasing {
        if *next_row > 0 {
            begin.execute(params![entity, next_row, keep_row, command])?;
        } else {
            letters.execute([entity])?;
            end.execute([entity])?;
        }
    }
    Ok(())
}

/// Has SQLite overwrite what the next transaction frees, if that is to erase something.
pub(super) fn before(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    if batch.erased.is_empty() && batch.erasing.is_empty() { Ok(()) } else { connection.pragma_update(None, "secure_delete", "ON") }
}

/// Clears the log of what the commit erased, as far as no reader is in the way: it is overwritten later in any case.
pub(super) fn after(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    if batch.erased.is_empty() && batch.erasing.is_empty() {
        return Ok(());
    }
    connection.pragma_update(None, "secure_delete", "OFF")?;
    if batch.erasing.iter().any(|erasing| erasing.next_row == 0) {
        connection.busy_timeout(LOG_TIMEOUT)?;
        let cleared = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        connection.busy_timeout(super::BUSY_TIMEOUT)?;
        if !matches!(cleared, Ok(0)) {
            tracing::debug!("the log could not be cleared at once of what was erased");
        }
    }
    Ok(())
}

impl Reader {
    /// The entities that are being erased, by id.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn erasing(&self) -> Result<Vec<ErasingRow>, StoreError> {
        self.rows("SELECT entity, next_row, keep_row, command FROM erasing ORDER BY entity", [], |row| {
            Ok(ErasingRow { entity: row.get(0)?, next_row: row.get(1)?, keep_row: row.get(2)?, command: row.get(3)? })
        })
    }

    /// How many inputs are on their way to an entity from others.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn deliveries_to(&self, workflow: &str, key: &str) -> Result<u64, StoreError> {
        let query = "SELECT count(*) FROM deliveries WHERE workflow = ? AND key = ?";
        Ok(self.row(query, [workflow, key], |row| row.get(0))?.unwrap_or_default())
    }
}
