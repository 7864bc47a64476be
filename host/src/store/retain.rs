//! What is looked at, and what goes, where a workflow's retention says so.

use std::collections::{BTreeMap, HashMap};

use super::change::{Change, bytes, int};
use super::connection::Transaction;
use super::inspect::{CHAIN, OF_CHAIN};
use super::status::STREAM;
use super::value::values;
use super::{Batch, EntityId, Reader, Row, StoreError};
use crate::journal::EntryHash;

/// An entry as far as its age matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aged {
    /// Its row.
    pub row: Row,
    /// Its entity.
    pub entity: EntityId,
    /// The entity's workflow.
    pub workflow: i64,
    /// The last decision's number.
    pub sequence: u64,
    /// 0 for the decision itself.
    pub ordinal: u32,
    /// Its time.
    pub now: u64,
    /// Whether its event's bytes are there.
    pub has_event: bool,
}

/// What of an entity must stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// Its last decision's number.
    pub sequence: u64,
    /// Its last entry's row.
    pub head_row: Row,
    /// Its last entry's time.
    pub now: u64,
    /// The entry that holds its state.
    pub state_row: Option<Row>,
    /// The first decision that an outstanding intent or a pending timer is of.
    pub needed: Option<u64>,
    /// Whether it is the workflow's own, waits for somebody or is being erased: nothing of it goes.
    pub untouched: bool,
}

/// An entry's place in its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chained {
    /// Its row.
    pub row: Row,
    /// The entity's entry before; 0 for the first.
    pub previous_row: Row,
    /// Its hash.
    pub hash: EntryHash,
    /// Its sequence.
    pub sequence: u64,
}

/// Where a truncated chain begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its first entry.
    pub row: Row,
    /// Hash of the entry before.
    pub hash: EntryHash,
    /// Sequence of the entry before.
    pub sequence: u64,
}

pub(super) static GONE_EVENTS: Change = Change::delete("events", &[int("row")]);
static GONE_ENTRIES: Change = Change::delete("journal", &[int("row")]);
static GONE_ERASED: Change = Change::delete("erased", &[int("row")]);
static FIRST_ENTRIES: Change = Change::update("journal", &[int("previous_row")], &[int("row")]);
static CHECKPOINTS: Change = Change::replace("checkpoints", &[int("row"), bytes("hash"), int("sequence")], &[int("entity")]);

/// Lets go what the batch says. Gives how many entries that were, by entity: where a look was taken twice before it was
/// durable, the second finds them gone.
pub(super) fn write<'v>(transaction: &mut Transaction<'_, 'v>, batch: &'v Batch) -> Result<BTreeMap<EntityId, u64>, StoreError> {
    transaction.change(&GONE_EVENTS, batch.events_forgotten.iter().map(|row| values![*row]))?;
    let mut gone = BTreeMap::new();
    if batch.truncations.is_empty() {
        return Ok(gone);
    }
    let rows = || batch.truncations.iter().flat_map(|truncation| &truncation.rows).map(|row| values![*row]);
    for entity in transaction.change_telling(&GONE_ENTRIES, "entity", rows())? {
        *gone.entry(entity).or_default() += 1;
    }
    transaction.change(&GONE_EVENTS, rows())?;
    transaction.change(&GONE_ERASED, rows())?;
    transaction.change(&FIRST_ENTRIES, batch.truncations.iter().map(|t| values![0_i64, t.first_row]))?;
    transaction.change(&CHECKPOINTS, batch.truncations.iter().map(|t| values![t.first_row, &t.hash, t.sequence, t.entity]))?;
    Ok(gone)
}

impl Reader {
    /// Up to `limit` entries after `row`, by row.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn aged_after(&self, row: Row, limit: u32) -> Result<Vec<Aged>, StoreError> {
        let query = format!(
            "SELECT journal.row, entity, workflow, journal.sequence, journal.ordinal, journal.now, \
             event_hash IS NOT NULL AND EXISTS (SELECT 1 FROM events WHERE events.row = journal.row) \
             FROM journal JOIN entities ON entities.id = entity WHERE journal.row > ?{} ORDER BY journal.row LIMIT ?",
            self.owned("shard")
        );
        self.rows(&query, &values![row, limit], |row| {
            Ok(Aged {
                row: row.get(0)?,
                entity: row.get(1)?,
                workflow: row.get(2)?,
                sequence: row.get(3)?,
                ordinal: row.get(4)?,
                now: row.get(5)?,
                has_event: row.get(6)?,
            })
        })
    }

    /// What of each of these entities must stay.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn protections(&self, entities: &[EntityId]) -> Result<HashMap<EntityId, Protection>, StoreError> {
        let query = "SELECT id, sequence, head_row, now, state_row, \
                     (SELECT min(sequence) FROM (SELECT sequence FROM outbox WHERE entity = entities.id \
                      UNION ALL SELECT sequence FROM timers WHERE entity = entities.id) AS asked), \
                     key = '' OR parked OR EXISTS (SELECT 1 FROM inbox WHERE entity = entities.id) \
                     OR EXISTS (SELECT 1 FROM erasing WHERE entity = entities.id) FROM entities";
        let found = self.of_each(query, "id", entities, |row| {
            let protection = Protection {
                sequence: row.get(1)?,
                head_row: row.get(2)?,
                now: row.get(3)?,
                state_row: row.get(4)?,
                needed: row.get(5)?,
                untouched: row.get(6)?,
            };
            Ok((row.get(0)?, protection))
        })?;
        Ok(found.into_iter().collect())
    }

    /// The entry in `row` and those before it in its chain, up to `limit` of them, from the latest on. Ends where one is gone.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn back_from(&self, row: Row, limit: u32) -> Result<Vec<Chained>, StoreError> {
        let query = format!("{CHAIN} SELECT journal.row, journal.previous_row, hash, sequence {OF_CHAIN}");
        self.rows(&query, &values![row, limit], |row| {
            Ok(Chained { row: row.get(0)?, previous_row: row.get(1)?, hash: row.get(2)?, sequence: row.get(3)? })
        })
    }

    /// As [`Reader::back_from`], each with its row and the one before it alone: these can be read where the rest is damaged.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn rows_back_from(&self, row: Row, limit: u32) -> Result<Vec<(Row, Row)>, StoreError> {
        let query = format!("{CHAIN} SELECT row, previous_row FROM chain ORDER BY depth");
        self.rows(&query, &values![row, limit], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Up to `limit` dead letters of a workflow that were buried before `now` and whose lines are done for good.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn dead_letters_before(&self, workflow: i64, now: u64, limit: u32) -> Result<Vec<i64>, StoreError> {
        // A letter after the position tells that its line is done. Lines of a stream are numbered anew by each run.
        let query = "SELECT dead_letters.id FROM dead_letters JOIN sources ON sources.id = source \
                     WHERE dead_letters.workflow = ? AND now < ? AND (line <= next_line OR sources.name = ?) ORDER BY dead_letters.id LIMIT ?";
        self.rows(query, &values![workflow, now, STREAM, limit], |row| row.get(0))
    }

    /// Where an entity's chain begins, if its first entries are truncated.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn checkpoint(&self, entity: EntityId) -> Result<Option<Checkpoint>, StoreError> {
        self.row("SELECT row, hash, sequence FROM checkpoints WHERE entity = ?", &values![entity], |row| {
            Ok(Checkpoint { row: row.get(0)?, hash: row.get(1)?, sequence: row.get(2)? })
        })
    }
}
