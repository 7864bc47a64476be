//! Erasing what entries hold, so that it is gone from the file and the chain can still be checked.

use super::change::{Change, bytes, int, text};
use super::connection::Transaction;
use super::retain::GONE_EVENTS;
use super::value::{Columns, Value, values};
use super::{Batch, ErasedRow, ErasingRow, Reader, StoreError, StoredEntry};
use crate::journal::{EntryHash, Kind, Payloads};

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
    pub(super) fn read(row: &Columns<'_>, first: usize) -> Result<Option<Self>, StoreError> {
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

    /// Whether it holds a state, or held one before it was erased.
    #[must_use]
    pub fn has_state(&self) -> bool {
        self.entry.state.is_some() || self.erased.is_some_and(|erased| erased.state.is_some())
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
            Kind::Ended | Kind::Released | Kind::Redriven | Kind::Abandoned | Kind::Paused | Kind::Repositioned | Kind::Erased => {
                (false, false)
            }
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

static INPUTS: Change = Change::update("journal", &[text("input")], &[int("row")]);
static STATES: Change = Change::update("journal", &[text("state")], &[int("row")]);
static OUTPUTS: Change = Change::update("journal", &[text("output")], &[int("row")]);
static HASHES: Change = Change::complete("erased", &[bytes("input"), bytes("state"), bytes("output")], &[int("row")]);
static BEGUN: Change = Change::replace("erasing", &[int("next_row"), int("keep_row"), int("command")], &[int("entity")]);
static ENDED: Change = Change::delete("erasing", &[int("entity")]);

/// What lies after the position is still needed to know what is done there.
const LETTERS: &str = "DELETE FROM dead_letters WHERE (workflow, key) = (SELECT workflow, key FROM entities WHERE id = ?) \
                       AND line <= (SELECT next_line FROM sources WHERE sources.id = dead_letters.source)";

pub(super) fn write<'v>(transaction: &mut Transaction<'_, 'v>, batch: &'v Batch) -> Result<(), StoreError> {
    let erased = &batch.erased;
    transaction.change(&INPUTS, erased.iter().filter(|e| e.input.is_some()).map(|e| values!["", e.row]))?;
    transaction.change(&STATES, erased.iter().filter(|e| e.state.is_some()).map(|e| [Value::Null, e.row.into()]))?;
    transaction.change(&OUTPUTS, erased.iter().filter(|e| e.output.is_some()).map(|e| values!["", e.row]))?;
    transaction.change(&HASHES, erased.iter().map(|e| values![e.input.as_ref(), e.state.as_ref(), e.output.as_ref(), e.row]))?;
    transaction.change(&GONE_EVENTS, erased.iter().map(|e| values![e.row]))?;
    let goes_on = |e: &&ErasingRow| e.next_row > 0;
    let begun = batch.erasing.iter().filter(goes_on).map(|e| values![e.next_row, e.keep_row, e.command, e.entity]);
    transaction.change(&BEGUN, begun)?;
    for ended in batch.erasing.iter().filter(|e| !goes_on(e)) {
        transaction.execute(LETTERS, values![ended.entity])?;
    }
    transaction.change(&ENDED, batch.erasing.iter().filter(|e| !goes_on(e)).map(|e| values![e.entity]))
}

impl Reader {
    /// The entities that are being erased, by id.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn erasing(&self) -> Result<Vec<ErasingRow>, StoreError> {
        let query = match self.owned("shard") {
            all if all.is_empty() => "SELECT entity, next_row, keep_row, command FROM erasing ORDER BY entity".to_owned(),
            owned => format!(
                "SELECT entity, next_row, keep_row, command FROM erasing JOIN entities ON id = entity WHERE true{owned} ORDER BY entity"
            ),
        };
        self.rows(&query, &[], |row| {
            Ok(ErasingRow { entity: row.get(0)?, next_row: row.get(1)?, keep_row: row.get(2)?, command: row.get(3)? })
        })
    }

    /// How many inputs are on their way to an entity from others.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn deliveries_to(&self, workflow: &str, key: &str) -> Result<u64, StoreError> {
        let query = "SELECT count(*) FROM deliveries WHERE workflow = ? AND key = ?";
        self.count(query, &values![workflow, key])
    }
}
