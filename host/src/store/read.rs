//! Reading the store: what the engine loads, what commands show.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};

use super::write::int;
use super::{DeliveryRow, EntityId, EntityRow, Erased, InboxRow, IntentKey, OutboxStatus, Row, StoreError};
use crate::journal::{Entry, EntryHash};

/// A connection that only reads.
pub struct Reader {
    connection: Connection,
}

/// An entry as it stands in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its row.
    pub row: Row,
    /// The entity's entry before; 0 for the first.
    pub previous_row: Row,
    /// Semantic profile and engine build.
    pub profile: Arc<str>,
    /// The stored hash.
    pub hash: EntryHash,
    /// The entry.
    pub entry: Entry,
    /// What of it is erased.
    pub erased: Option<Erased>,
}

/// An intent without a conclusion, with the decision that asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutstandingRow {
    /// Which intent.
    pub key: IntentKey,
    /// How it stands.
    pub status: OutboxStatus,
    /// Attempts that were noted.
    pub attempts: u32,
    /// Why the last noted one failed.
    pub reason: Option<String>,
    /// The asking decision's `now`.
    pub now: u64,
    /// The asking decision's correlation id.
    pub correlation_id: Arc<str>,
    /// All intents of the asking decision, as canonical JSON.
    pub intents: Vec<u8>,
}

/// An event that could not be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its id.
    pub id: i64,
    /// The source's id.
    pub source_id: i64,
    /// The source's name.
    pub source: String,
    /// Its line there.
    pub line: u64,
    /// The event's id, where it could be read.
    pub event_id: Option<String>,
    /// Stable code.
    pub code: String,
    /// Where in the event.
    pub path: String,
    /// What is wrong.
    pub reason: String,
    /// The event's bytes.
    pub bytes: Vec<u8>,
    /// The entity's key, where it could be read.
    pub key: Option<String>,
    /// When it was buried, on the workflow's clock.
    pub now: u64,
}

const ENTITY: &str = "id, workflow, key, sequence, ordinal, now, head, head_row, state_row, parked";
const ENTRY: &str = "journal.row, previous_row, profiles.text, hash, journal.sequence, journal.ordinal, kind, release, journal.now, event_id, \
                     correlation_id, journal.input, verdict, journal.state, journal.output, event_hash, erased.row, erased.input, \
                     erased.state, erased.output";
const ENTRIES: &str = "journal JOIN profiles ON profiles.id = journal.profile LEFT JOIN erased ON erased.row = journal.row";

const OUTSTANDING: &str = "SELECT outbox.entity, outbox.sequence, outbox.position, status, attempts, reason, journal.now, correlation_id, \
                           output, outbox.row FROM outbox JOIN journal ON journal.row = outbox.row";

fn outstanding(row: &SqlRow<'_>) -> rusqlite::Result<OutstandingRow> {
    let status: String = row.get(3)?;
    Ok(OutstandingRow {
        key: IntentKey { entity: row.get(0)?, sequence: row.get(1)?, index: row.get(2)? },
        status: OutboxStatus::from_name(&status).ok_or(rusqlite::Error::InvalidQuery)?,
        attempts: row.get(4)?,
        reason: row.get(5)?,
        now: row.get(6)?,
        correlation_id: row.get(7)?,
        intents: bytes(row, 8)?.unwrap_or_default().into(),
    })
}

fn entity(row: &SqlRow<'_>) -> rusqlite::Result<EntityRow> {
    let (head, head_row) = (row.get(6)?, row.get(7)?);
    Ok(EntityRow {
        id: row.get(0)?,
        workflow: row.get(1)?,
        key: row.get(2)?,
        sequence: row.get(3)?,
        ordinal: row.get(4)?,
        now: row.get(5)?,
        head,
        head_row,
        state_row: row.get(8)?,
        parked: row.get(9)?,
        expected_head_row: head_row,
        expected_head: head,
    })
}

/// A column that holds JSON: text, or bytes where somebody wrote over it.
fn bytes(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<Option<Box<[u8]>>> {
    use rusqlite::types::ValueRef;
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes.into()),
        _ => None,
    })
}

fn stored_entry(row: &SqlRow<'_>) -> rusqlite::Result<StoredEntry> {
    let name = |column: usize| -> rusqlite::Result<String> { row.get(column) };
    let unknown = |column, error| rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error));
    let verdict: Option<String> = row.get(12)?;
    Ok(StoredEntry {
        row: row.get(0)?,
        previous_row: row.get(1)?,
        profile: row.get(2)?,
        hash: row.get(3)?,
        entry: Entry {
            sequence: row.get(4)?,
            ordinal: row.get(5)?,
            kind: name(6)?.parse().map_err(|error: crate::journal::UnknownName| unknown(6, error))?,
            release: row.get(7)?,
            now: row.get(8)?,
            event_id: row.get(9)?,
            correlation_id: row.get(10)?,
            input: bytes(row, 11)?.unwrap_or_default(),
            verdict: verdict.map(|name| name.parse()).transpose().map_err(|error| unknown(12, error))?,
            state: bytes(row, 13)?,
            output: bytes(row, 14)?.unwrap_or_default(),
            event_hash: row.get(15)?,
        },
        erased: Erased::read(row, 16)?,
    })
}

impl Reader {
    /// Opens the store at `path` to read, beside a running host or not.
    ///
    /// # Errors
    /// Where there is no store of this version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing { path: path.into() });
        }
        let connection = super::open_to_read(path)?;
        super::journal_id(&connection, path)?;
        Ok(Reader { connection })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The journal's id.
    ///
    /// # Errors
    /// Where the store is damaged.
    pub fn journal(&self) -> Result<(u64, u64), StoreError> {
        super::journal_id(&self.connection, Path::new("the store"))
    }

    pub(super) fn rows<T>(
        &self,
        query: &str,
        parameters: impl rusqlite::Params,
        map: impl FnMut(&SqlRow<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        super::faults::before_read()?;
        let mut statement = self.connection.prepare_cached(query)?;
        let rows = statement.query_map(parameters, map)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(super) fn row<T>(
        &self,
        query: &str,
        parameters: impl rusqlite::Params,
        map: impl FnOnce(&SqlRow<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        super::faults::before_read()?;
        Ok(self.connection.prepare_cached(query)?.query_row(parameters, map).optional()?)
    }

    /// Runs `read` on one view of the store, as of its beginning.
    ///
    /// # Errors
    /// Those of `read`, and where the store fails.
    pub fn at_once<T, E: From<StoreError>>(&self, read: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, E> {
        let view = self.connection.unchecked_transaction().map_err(StoreError::from)?;
        let result = read(self)?;
        view.finish().map_err(StoreError::from)?;
        Ok(result)
    }

    /// A number that changes when another connection commits.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn data_version(&self) -> Result<i64, StoreError> {
        Ok(self.connection.query_row("PRAGMA data_version", [], |row| row.get(0))?)
    }

    /// Id and virtual clock of the workflow `name`.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn workflow(&self, name: &str) -> Result<Option<(i64, u64)>, StoreError> {
        self.row("SELECT id, clock FROM workflows WHERE name = ?", [name], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// The entity of that key.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn entity(&self, workflow: i64, key: &str) -> Result<Option<EntityRow>, StoreError> {
        self.row(&format!("SELECT {ENTITY} FROM entities WHERE workflow = ? AND key = ?"), params![workflow, key], entity)
    }

    /// Up to `limit` entities of a workflow whose keys come after `key`, by key. The workflow's own entity has the empty key.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn entities_after(&self, workflow: i64, key: &str, limit: u32) -> Result<Vec<EntityRow>, StoreError> {
        let query = format!("SELECT {ENTITY} FROM entities WHERE workflow = ? AND key > ? ORDER BY key LIMIT ?");
        self.rows(&query, params![workflow, key, limit], entity)
    }

    /// The entities that wait for an operator, by key.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn parked(&self, workflow: i64) -> Result<Vec<EntityRow>, StoreError> {
        self.rows(&format!("SELECT {ENTITY} FROM entities WHERE workflow = ? AND parked ORDER BY key"), [workflow], entity)
    }

    /// How many entities of a workflow wait for an operator.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn count_parked(&self, workflow: i64) -> Result<u64, StoreError> {
        let count = self.row("SELECT count(*) FROM entities WHERE workflow = ? AND parked", [workflow], |row| row.get(0))?;
        Ok(count.unwrap_or_default())
    }

    /// How many dead letters of a workflow there are.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn count_dead_letters(&self, workflow: i64) -> Result<u64, StoreError> {
        Ok(self.row("SELECT count(*) FROM dead_letters WHERE workflow = ?", [workflow], |row| row.get(0))?.unwrap_or_default())
    }

    /// The entities that do not wait for an operator but have inputs left in their inbox.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn resuming(&self, workflow: i64) -> Result<Vec<Arc<str>>, StoreError> {
        let query =
            "SELECT DISTINCT key FROM inbox JOIN entities ON entities.id = inbox.entity WHERE workflow = ? AND NOT parked ORDER BY key";
        self.rows(query, [workflow], |row| row.get(0))
    }

    /// The entry in `row`, where there is one.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn entry_if_there(&self, row: Row) -> Result<Option<StoredEntry>, StoreError> {
        self.row(&format!("SELECT {ENTRY} FROM {ENTRIES} WHERE journal.row = ?"), [row], stored_entry)
    }

    /// The entry in `row`.
    ///
    /// # Errors
    /// Where the store fails or has no such entry.
    pub fn entry(&self, row: Row) -> Result<StoredEntry, StoreError> {
        self.entry_if_there(row)?.ok_or_else(|| StoreError::Corrupt(format!("the journal has no entry in row {row}")))
    }

    /// The row of the entity's entry before the one in `row`; none where there is no such row.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn previous_row(&self, row: Row) -> Result<Option<Row>, StoreError> {
        self.row("SELECT previous_row FROM journal WHERE row = ?", [row], |r| r.get(0))
    }

    /// State and release generation of the entry in `row`.
    ///
    /// # Errors
    /// Where the store fails or the entry holds no state.
    pub fn state(&self, row: Row) -> Result<(Box<[u8]>, u64), StoreError> {
        self.row("SELECT state, release FROM journal WHERE row = ?", [row], |r| Ok((bytes(r, 0)?, r.get(1)?)))?
            .and_then(|(state, release)| Some((state?, release)))
            .ok_or_else(|| StoreError::Corrupt(format!("the entry in row {row} holds no state")))
    }

    /// The original bytes of the event that led to the entry in `row`.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn event(&self, row: Row) -> Result<Option<Vec<u8>>, StoreError> {
        self.row("SELECT bytes FROM events WHERE row = ?", [row], |r| r.get(0))
    }

    /// Up to `limit` entries of a workflow from `row` on, with their entities' keys, in the order of commits.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn entries_from(&self, workflow: i64, row: Row, limit: u32) -> Result<Vec<(Arc<str>, StoredEntry)>, StoreError> {
        let query = format!(
            "SELECT {ENTRY}, entities.key FROM {ENTRIES} JOIN entities ON entities.id = journal.entity \
             WHERE journal.row >= ? AND entities.workflow = ? ORDER BY journal.row LIMIT ?"
        );
        self.rows(&query, params![row, workflow, limit], |r| Ok((r.get(20)?, stored_entry(r)?)))
    }

    /// The intents of an entity that have no conclusion, in order.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn outstanding(&self, entity: EntityId) -> Result<Vec<OutstandingRow>, StoreError> {
        let query = format!("{OUTSTANDING} WHERE outbox.entity = ? ORDER BY outbox.sequence, outbox.position");
        self.rows(&query, [entity], outstanding)
    }

    /// The intents of one decision that have no conclusion, in order.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn outstanding_of(&self, entity: EntityId, sequence: u64) -> Result<Vec<OutstandingRow>, StoreError> {
        let query = format!("{OUTSTANDING} WHERE outbox.entity = ? AND outbox.sequence = ? ORDER BY outbox.position");
        self.rows(&query, params![entity, int(sequence)], outstanding)
    }

    /// Up to `limit` intents of an entity that have no conclusion, from those of the decision `sequence` on, in order,
    /// with the rows of their entries: none past `row`.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn outstanding_from(
        &self,
        entity: EntityId,
        sequence: u64,
        row: Row,
        limit: u32,
    ) -> Result<Vec<(OutstandingRow, Row)>, StoreError> {
        let query = format!(
            "{OUTSTANDING} WHERE outbox.entity = ? AND outbox.sequence >= ? AND outbox.row <= ? \
             ORDER BY outbox.sequence, outbox.position LIMIT ?"
        );
        self.rows(&query, params![entity, int(sequence), row, limit], |row| Ok((outstanding(row)?, row.get(9)?)))
    }

    /// The key of an entity.
    ///
    /// # Errors
    /// Where the store fails or has no such entity.
    pub fn key(&self, entity: EntityId) -> Result<Arc<str>, StoreError> {
        self.row("SELECT key FROM entities WHERE id = ?", [entity], |row| row.get(0))?
            .ok_or_else(|| StoreError::Corrupt(format!("there is no entity {entity}")))
    }

    /// Up to `limit` entities, of whatever workflow, that have intents without a conclusion and whose id comes after `id`.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn entities_with_outstanding(&self, id: EntityId, limit: u32) -> Result<Vec<EntityRow>, StoreError> {
        let query = format!(
            "SELECT {ENTITY} FROM entities WHERE id IN (SELECT DISTINCT entity FROM outbox WHERE entity > ? ORDER BY entity LIMIT ?) ORDER BY id"
        );
        self.rows(&query, params![id, limit], entity)
    }

    /// How many entities of a workflow have intents without a conclusion.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn count_with_outstanding(&self, workflow: i64) -> Result<u64, StoreError> {
        let query = "SELECT count(*) FROM entities WHERE workflow = ? AND id IN (SELECT entity FROM outbox)";
        Ok(self.row(query, [workflow], |row| row.get(0))?.unwrap_or(0))
    }

    /// Up to `limit` deliveries whose id comes after `id`, by id.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn deliveries_after(&self, id: i64, limit: u32) -> Result<Vec<DeliveryRow>, StoreError> {
        let query = "SELECT id, workflow, key, input, payload, now, sender, sequence, position, event_id, correlation_id FROM deliveries \
                     WHERE id > ? ORDER BY id LIMIT ?";
        self.rows(query, params![id, limit], |row| {
            Ok(DeliveryRow {
                id: row.get(0)?,
                workflow: row.get(1)?,
                key: row.get(2)?,
                input: row.get(3)?,
                payload: bytes(row, 4)?.unwrap_or_default(),
                now: row.get(5)?,
                sender: row.get(6)?,
                sequence: row.get(7)?,
                index: row.get(8)?,
                event_id: row.get(9)?,
                correlation_id: row.get(10)?,
            })
        })
    }

    /// The inputs that wait in an entity's inbox, in order.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn inbox(&self, entity: EntityId) -> Result<Vec<InboxRow>, StoreError> {
        let query = "SELECT id, entity, origin, sequence, position, now, event_id, correlation_id, input, bytes FROM inbox WHERE entity = ? ORDER BY id";
        self.rows(query, [entity], |row| {
            let origin: String = row.get(2)?;
            let origin = ["event", "outcome", "timer", "delivery"].into_iter().find(|known| *known == origin);
            let event: Option<Vec<u8>> = row.get(9)?;
            Ok(InboxRow {
                id: row.get(0)?,
                entity: row.get(1)?,
                origin: origin.ok_or(rusqlite::Error::InvalidQuery)?,
                sequence: row.get(3)?,
                index: row.get(4)?,
                now: row.get(5)?,
                event_id: row.get(6)?,
                correlation_id: row.get(7)?,
                input: bytes(row, 8)?.unwrap_or_default(),
                bytes: event.map(Arc::from),
            })
        })
    }

    /// How many inputs wait in an entity's inbox.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn inbox_length(&self, entity: EntityId) -> Result<u64, StoreError> {
        Ok(self.row("SELECT count(*) FROM inbox WHERE entity = ?", [entity], |row| row.get(0))?.unwrap_or(0))
    }

    /// The last `count` accepted events, oldest first: row, source, line, fingerprint.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn accepted(&self, count: u64) -> Result<Vec<(i64, i64, u64, u128)>, StoreError> {
        let last: i64 = self.last("accepted", "row")?;
        self.rows("SELECT row, source, line, fingerprint FROM accepted WHERE row > ? ORDER BY row", [last - int(count)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, u128::from_be_bytes(row.get(3)?)))
        })
    }

    /// Lines of a source after `line` whose events were accepted before the last `count`.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn lines_accepted_before(&self, count: u64, source: i64, line: u64) -> Result<Vec<u64>, StoreError> {
        let last: i64 = self.last("accepted", "row")?;
        let query = "SELECT line FROM accepted WHERE row <= ? AND source = ? AND line > ?";
        self.rows(query, params![last - int(count), source, int(line)], |row| row.get(0))
    }

    /// Lines of a source after `line` that are dead letters.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn dead_lines(&self, source: i64, line: u64) -> Result<Vec<u64>, StoreError> {
        self.rows("SELECT line FROM dead_letters WHERE source = ? AND line > ?", params![source, int(line)], |row| row.get(0))
    }

    /// Row of the journal's last entry; 0 where it is empty.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn last_entry(&self) -> Result<Row, StoreError> {
        self.last("journal", "row")
    }

    /// The greatest id in a table, 0 where it is empty.
    ///
    /// # Errors
    /// Where the store fails.
    pub(crate) fn last(&self, table: &'static str, column: &'static str) -> Result<i64, StoreError> {
        Ok(self.row(&format!("SELECT max({column}) FROM {table}"), [], |row| row.get::<_, Option<i64>>(0))?.flatten().unwrap_or(0))
    }

    /// The dead letters of a workflow, oldest first.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn dead_letters(&self, workflow: i64) -> Result<Vec<DeadLetter>, StoreError> {
        self.rows(&format!("{DEAD_LETTER} WHERE dead_letters.workflow = ? ORDER BY dead_letters.id"), [workflow], dead_letter)
    }

    /// One dead letter of a workflow.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn dead_letter(&self, workflow: i64, id: i64) -> Result<Option<DeadLetter>, StoreError> {
        self.row(&format!("{DEAD_LETTER} WHERE dead_letters.workflow = ? AND dead_letters.id = ?"), [workflow, id], dead_letter)
    }

    /// The clock that this journal runs on, where a run has chosen one.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn clock(&self) -> Result<Option<String>, StoreError> {
        self.row("SELECT value FROM meta WHERE name = 'clock'", [], |row| row.get(0))
    }
}

const DEAD_LETTER: &str = "SELECT dead_letters.id, source, sources.name, line, event_id, code, path, reason, bytes, key, now FROM dead_letters \
                           JOIN sources ON sources.id = dead_letters.source";

fn dead_letter(row: &SqlRow<'_>) -> rusqlite::Result<DeadLetter> {
    Ok(DeadLetter {
        id: row.get(0)?,
        source_id: row.get(1)?,
        source: row.get(2)?,
        line: row.get(3)?,
        event_id: row.get(4)?,
        code: row.get(5)?,
        path: row.get(6)?,
        reason: row.get(7)?,
        bytes: row.get(8)?,
        key: row.get(9)?,
        now: row.get(10)?,
    })
}
