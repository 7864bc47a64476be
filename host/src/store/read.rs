//! Reading the store: what the engine loads, what commands show.

use std::collections::HashMap;
use std::sync::Arc;

use super::connection::Connection;
use super::value::{Columns, Json, Value, values};
use super::{
    DeliveryRow, EntityId, EntityRow, Erased, InboxRow, IntentKey, Location, OutboxStatus, Row, SHARDS, ShardSet, StoreError, postgres,
    sqlite,
};
use crate::journal::{Entry, EntryHash};

/// A connection that only reads.
pub struct Reader {
    connection: Connection,
    /// Of the engine that reads, where several share the store; else 0.
    epoch: u64,
    /// Whether everything in the store is that engine's to do.
    owns_all: bool,
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
    /// The id of the event that the asking decision was on.
    pub event_id: Arc<str>,
    /// The asking decision's correlation id.
    pub correlation_id: Arc<str>,
    /// All intents of the asking decision, as canonical JSON.
    pub intents: Vec<u8>,
    /// The asking decision's release.
    pub release: u64,
}

pub(super) const ENTITY: &str = "id, workflow, key, sequence, ordinal, now, head, head_row, state_row, parked";
pub(super) const ENTRY: &str = "journal.row, journal.previous_row, profiles.text, hash, journal.sequence, journal.ordinal, kind, release, journal.now, event_id, \
                     correlation_id, journal.input, verdict, journal.state, journal.output, event_hash, erased.row, erased.input, \
                     erased.state, erased.output";
const ENTRIES: &str = "journal JOIN profiles ON profiles.id = journal.profile LEFT JOIN erased ON erased.row = journal.row";

pub(super) const OUTSTANDING: &str = "SELECT outbox.entity, outbox.sequence, outbox.position, status, attempts, reason, journal.now, event_id, \
                           correlation_id, output, outbox.row, journal.release FROM outbox JOIN journal ON journal.row = outbox.row";

pub(super) fn outstanding(row: &Columns<'_>) -> Result<OutstandingRow, StoreError> {
    Ok(OutstandingRow {
        key: IntentKey { entity: row.get(0)?, sequence: row.get(1)?, index: row.get(2)? },
        status: row.named(3, OutboxStatus::from_name)?,
        attempts: row.get(4)?,
        reason: row.get(5)?,
        now: row.get(6)?,
        event_id: row.get(7)?,
        correlation_id: row.get(8)?,
        intents: json(row, 9)?.into(),
        release: row.get(11)?,
    })
}

pub(super) fn entity(row: &Columns<'_>) -> Result<EntityRow, StoreError> {
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

/// The JSON of a column; empty where there is none.
fn json(row: &Columns<'_>, column: usize) -> Result<Box<[u8]>, StoreError> {
    Ok(row.get::<Option<Json>>(column)?.map(|json| json.0).unwrap_or_default())
}

pub(super) fn stored_entry(row: &Columns<'_>) -> Result<StoredEntry, StoreError> {
    let verdict: Option<Arc<str>> = row.get(12)?;
    Ok(StoredEntry {
        row: row.get(0)?,
        previous_row: row.get(1)?,
        profile: row.get(2)?,
        hash: row.get(3)?,
        entry: Entry {
            sequence: row.get(4)?,
            ordinal: row.get(5)?,
            kind: row.named(6, |name| name.parse().ok())?,
            release: row.get(7)?,
            now: row.get(8)?,
            event_id: row.get(9)?,
            correlation_id: row.get(10)?,
            input: json(row, 11)?,
            verdict: verdict.map(|_| row.named(12, |name| name.parse().ok())).transpose()?,
            state: row.get::<Option<Json>>(13)?.map(|json| json.0),
            output: json(row, 14)?,
            event_hash: row.get(15)?,
        },
        erased: Erased::read(row, 16)?,
    })
}

pub(super) const WAITING: &str = "SELECT id, entity, origin, sequence, position, now, event_id, correlation_id, input, bytes FROM inbox";

pub(super) fn waiting(row: &Columns<'_>) -> Result<InboxRow, StoreError> {
    let known = |name: &str| ["event", "outcome", "timer", "delivery"].into_iter().find(|known| *known == name);
    let event: Option<Vec<u8>> = row.get(9)?;
    Ok(InboxRow {
        id: row.get(0)?,
        entity: row.get(1)?,
        origin: row.named(2, known)?,
        sequence: row.get(3)?,
        index: row.get(4)?,
        now: row.get(5)?,
        event_id: row.get(6)?,
        correlation_id: row.get(7)?,
        input: json(row, 8)?,
        bytes: event.map(Arc::from),
    })
}

impl Reader {
    /// Opens the store at `location` to read, beside a running host or not.
    ///
    /// # Errors
    /// Where there is no store of this version.
    pub fn open(location: &Location) -> Result<Self, StoreError> {
        let connection = match location {
            Location::Sqlite(path) => Connection::Sqlite(sqlite::open_to_read(path)?),
            Location::Postgres(place) => Connection::Postgres(postgres::open_beside(place)?),
        };
        if !super::is_begun(&connection)? {
            return Err(StoreError::Missing { store: location.to_string() });
        }
        super::journal_id(&connection)?;
        Ok(Reader { connection, epoch: 0, owns_all: true })
    }

    /// The same for the engine of that epoch, which owns these shards: what it looks for to do is theirs.
    #[must_use]
    pub fn of_epoch(self, epoch: u64, shards: &ShardSet) -> Self {
        Reader { epoch, owns_all: shards.len() == usize::from(SHARDS), ..self }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The condition that the shard in `column` is owned; nothing where all of them are.
    pub(super) fn owned(&self, column: &str) -> String {
        if self.owns_all {
            return String::new();
        }
        format!(" AND {column} IN (SELECT shard FROM shards WHERE epoch = {})", self.epoch)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The journal's id.
    ///
    /// # Errors
    /// Where the store is damaged.
    pub fn journal(&self) -> Result<(u64, u64), StoreError> {
        super::journal_id(&self.connection)
    }

    pub(super) fn rows<T>(
        &self,
        query: &str,
        values: &[Value<'_>],
        map: impl FnMut(&Columns<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        super::faults::before_read()?;
        self.connection.rows(query, values, map)
    }

    /// What `chained` gives of the rows that `one` finds, each by the number that the one before gave; see [`Connection::chained`].
    pub(super) fn chained<T>(
        &self,
        (one, all): (&str, &str),
        (first, limit): (i64, usize),
        map: impl FnMut(&Columns<'_>) -> Result<(i64, T), StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        super::faults::before_read()?;
        self.connection.chained((one, all), (first, limit), map)
    }

    pub(super) fn row<T>(
        &self,
        query: &str,
        values: &[Value<'_>],
        map: impl FnOnce(&Columns<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        super::faults::before_read()?;
        self.connection.row(query, values, map)
    }

    /// The rows that `query` finds whose column `column` is one of `keys`: in one question where a question has a price.
    pub(super) fn of_each<T>(
        &self,
        query: &str,
        column: &str,
        keys: &[i64],
        mut map: impl FnMut(&Columns<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        match self.connection {
            Connection::Sqlite(_) => {
                let query = format!("{query} WHERE {column} = ?");
                let mut found = Vec::with_capacity(keys.len());
                for key in keys {
                    found.extend(self.rows(&query, &values![*key], &mut map)?);
                }
                Ok(found)
            }
            Connection::Postgres(_) => {
                let keys = Value::List(keys.iter().map(|key| Value::Int(*key)).collect());
                self.rows(&format!("{query} WHERE {column} = ANY(?)"), &[keys], map)
            }
        }
    }

    /// The number that `query` finds.
    pub(super) fn count(&self, query: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        Ok(self.row(query, values, |row| row.get(0))?.unwrap_or_default())
    }

    /// Runs `read` on one view of the store, as of its beginning.
    ///
    /// # Errors
    /// Those of `read`, and where the store fails.
    pub fn at_once<T, E: From<StoreError>>(&self, read: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, E> {
        let view = self.connection.view()?;
        let result = read(self)?;
        view.end()?;
        Ok(result)
    }

    /// Id and virtual clock of the workflow `name`.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn workflow(&self, name: &str) -> Result<Option<(i64, u64)>, StoreError> {
        self.row("SELECT id, clock FROM workflows WHERE name = ?", &values![name], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// The entity of that key.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn entity(&self, workflow: i64, key: &str) -> Result<Option<EntityRow>, StoreError> {
        self.row(&format!("SELECT {ENTITY} FROM entities WHERE workflow = ? AND key = ?"), &values![workflow, key], entity)
    }

    /// Up to `limit` entities of a workflow whose keys come after `key`, by key. The workflow's own entity has the empty key.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn entities_after(&self, workflow: i64, key: &str, limit: u32) -> Result<Vec<EntityRow>, StoreError> {
        let query = format!("SELECT {ENTITY} FROM entities WHERE workflow = ? AND key > ? ORDER BY key LIMIT ?");
        self.rows(&query, &values![workflow, key, limit], entity)
    }

    /// Up to `limit` entities of a workflow but its own whose ids come after `id`, by id: those that came at one time are side by side.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn entities_since(&self, workflow: i64, id: EntityId, limit: u32) -> Result<Vec<EntityRow>, StoreError> {
        // The sign keeps the index over keys from being used, by which each page would be sorted anew.
        let query = format!("SELECT {ENTITY} FROM entities WHERE +workflow = ? AND id > ? AND key <> '' ORDER BY id LIMIT ?");
        self.rows(&query, &values![workflow, id, limit], entity)
    }

    /// The entities that wait for an operator, by key.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn parked(&self, workflow: i64) -> Result<Vec<EntityRow>, StoreError> {
        self.rows(&format!("SELECT {ENTITY} FROM entities WHERE workflow = ? AND parked ORDER BY key"), &values![workflow], entity)
    }

    /// How many entities of a workflow wait for an operator.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn count_parked(&self, workflow: i64) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM entities WHERE workflow = ? AND parked", &values![workflow])
    }

    /// The entities that do not wait for an operator but have inputs left in their inbox.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn resuming(&self, workflow: i64) -> Result<Vec<Arc<str>>, StoreError> {
        let owned = self.owned("shard");
        let query = format!(
            "SELECT DISTINCT key FROM inbox JOIN entities ON entities.id = inbox.entity WHERE workflow = ? AND NOT parked{owned} ORDER BY key"
        );
        self.rows(&query, &values![workflow], |row| row.get(0))
    }

    /// How many entities do not wait for an operator but have inputs left in their inbox, whoever owns them.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn count_resuming(&self, workflow: i64) -> Result<u64, StoreError> {
        let query =
            "SELECT count(DISTINCT entities.id) FROM inbox JOIN entities ON entities.id = inbox.entity WHERE workflow = ? AND NOT parked";
        self.count(query, &values![workflow])
    }

    /// The entry in `row`, where there is one.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn entry_if_there(&self, row: Row) -> Result<Option<StoredEntry>, StoreError> {
        self.row(&format!("SELECT {ENTRY} FROM {ENTRIES} WHERE journal.row = ?"), &values![row], stored_entry)
    }

    /// The entries in these rows that there are; each is what it can be read as.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn entries_in(&self, rows: &[Row]) -> Result<HashMap<Row, Result<StoredEntry, StoreError>>, StoreError> {
        let query = format!("SELECT {ENTRY} FROM {ENTRIES}");
        Ok(self.of_each(&query, "journal.row", rows, |row| Ok((row.get(0)?, stored_entry(row))))?.into_iter().collect())
    }

    /// The original bytes of the events that led to the entries in these rows, where they are kept.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn events_in(&self, rows: &[Row]) -> Result<HashMap<Row, Vec<u8>>, StoreError> {
        let found = self.of_each("SELECT row, bytes FROM events", "row", rows, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(found.into_iter().collect())
    }

    /// The entry in `row`.
    ///
    /// # Errors
    /// Where the store fails or has no such entry.
    pub fn entry(&self, row: Row) -> Result<StoredEntry, StoreError> {
        self.entry_if_there(row)?.ok_or_else(|| StoreError::Corrupt(format!("the journal has no entry in row {row}")))
    }

    /// State and release generation of the entry in `row`.
    ///
    /// # Errors
    /// Where the store fails or the entry holds no state.
    pub fn state(&self, row: Row) -> Result<(Box<[u8]>, u64), StoreError> {
        self.row("SELECT state, release FROM journal WHERE row = ?", &values![row], |r| Ok((r.get::<Option<Json>>(0)?, r.get(1)?)))?
            .and_then(|(state, release)| Some((state?.0, release)))
            .ok_or_else(|| StoreError::Corrupt(format!("the entry in row {row} holds no state")))
    }

    /// The original bytes of the event that led to the entry in `row`.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn event(&self, row: Row) -> Result<Option<Vec<u8>>, StoreError> {
        self.row("SELECT bytes FROM events WHERE row = ?", &values![row], |r| r.get(0))
    }

    /// Up to `limit` entries of a workflow from `row` on, with their entities' keys, by row: in the order of commits where one
    /// host wrote them; of several, those of each epoch in that order.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn entries_from(&self, workflow: i64, row: Row, limit: u32) -> Result<Vec<(Arc<str>, StoredEntry)>, StoreError> {
        let query = format!(
            "SELECT {ENTRY}, entities.key FROM {ENTRIES} JOIN entities ON entities.id = journal.entity \
             WHERE journal.row >= ? AND entities.workflow = ? ORDER BY journal.row LIMIT ?"
        );
        self.rows(&query, &values![row, workflow, limit], |r| Ok((r.get(20)?, stored_entry(r)?)))
    }

    /// The intents of an entity that have no conclusion, in order.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn outstanding(&self, entity: EntityId) -> Result<Vec<OutstandingRow>, StoreError> {
        let query = format!("{OUTSTANDING} WHERE outbox.entity = ? ORDER BY outbox.sequence, outbox.position");
        self.rows(&query, &values![entity], outstanding)
    }

    /// The intents of one decision that have no conclusion, in order.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn outstanding_of(&self, entity: EntityId, sequence: u64) -> Result<Vec<OutstandingRow>, StoreError> {
        let query = format!("{OUTSTANDING} WHERE outbox.entity = ? AND outbox.sequence = ? ORDER BY outbox.position");
        self.rows(&query, &values![entity, sequence], outstanding)
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
        self.rows(&query, &values![entity, sequence, row, limit], |row| Ok((outstanding(row)?, row.get(10)?)))
    }

    /// The key of an entity.
    ///
    /// # Errors
    /// Where the store fails or has no such entity.
    pub fn key(&self, entity: EntityId) -> Result<Arc<str>, StoreError> {
        self.row("SELECT key FROM entities WHERE id = ?", &values![entity], |row| row.get(0))?
            .ok_or_else(|| StoreError::Corrupt(format!("there is no entity {entity}")))
    }

    /// Up to `limit` entities, of whatever workflow, that have intents without a conclusion and whose id comes after `id`.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn entities_with_outstanding(&self, id: EntityId, limit: u32) -> Result<Vec<EntityRow>, StoreError> {
        let query = format!(
            "SELECT {ENTITY} FROM entities WHERE id IN (SELECT DISTINCT entity FROM outbox WHERE entity > ?{} ORDER BY entity LIMIT ?) ORDER BY id",
            match self.owned("shard") {
                all if all.is_empty() => all,
                owned => format!(" AND EXISTS (SELECT 1 FROM entities WHERE id = outbox.entity{owned})"),
            }
        );
        self.rows(&query, &values![id, limit], entity)
    }

    /// How many entities of a workflow have intents without a conclusion.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn count_with_outstanding(&self, workflow: i64) -> Result<u64, StoreError> {
        let query = "SELECT count(*) FROM entities WHERE workflow = ? AND id IN (SELECT entity FROM outbox)";
        self.count(query, &values![workflow])
    }

    /// Up to `limit` deliveries whose id comes after `id`, by id.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn deliveries_after(&self, id: i64, limit: u32) -> Result<Vec<DeliveryRow>, StoreError> {
        self.rows(&format!("{DELIVERY} WHERE id > ? ORDER BY id LIMIT ?"), &values![id, limit], delivery)
    }

    /// The inputs that wait in an entity's inbox, in order.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn inbox(&self, entity: EntityId) -> Result<Vec<InboxRow>, StoreError> {
        self.rows(&format!("{WAITING} WHERE entity = ? ORDER BY id"), &values![entity], waiting)
    }

    /// How many inputs wait in an entity's inbox.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn inbox_length(&self, entity: EntityId) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM inbox WHERE entity = ?", &values![entity])
    }

    /// Row of the journal's last entry; 0 where it is empty.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn last_entry(&self) -> Result<Row, StoreError> {
        self.last("journal", "row")
    }

    /// The number after which those of an engine that starts now begin in a table.
    ///
    /// # Errors
    /// Where the store fails.
    pub(crate) fn numbered_to(&self, table: &'static str, column: &'static str) -> Result<i64, StoreError> {
        if self.epoch == 0 {
            return self.last(table, column);
        }
        // The release that its start put in force has numbers of the same epoch.
        let own = super::Numbers::of(self.epoch);
        let query = format!("SELECT max({column}) FROM {table} WHERE {column} BETWEEN ? AND ?");
        let last = self.row(&query, &values![own.before_first(), own.last()], |row| row.get::<Option<i64>>(0))?;
        Ok(last.flatten().unwrap_or(own.before_first()))
    }

    /// The greatest id in a table, 0 where it is empty.
    ///
    /// # Errors
    /// Where the store fails.
    pub(crate) fn last(&self, table: &'static str, column: &'static str) -> Result<i64, StoreError> {
        Ok(self.row(&format!("SELECT max({column}) FROM {table}"), &[], |row| row.get::<Option<i64>>(0))?.flatten().unwrap_or(0))
    }

    /// The clock that this journal runs on, where a run has chosen one.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn clock(&self) -> Result<Option<String>, StoreError> {
        self.row("SELECT value FROM meta WHERE name = 'clock'", &[], |row| row.get(0))
    }
}

pub(super) const DELIVERY: &str =
    "SELECT id, workflow, key, input, payload, now, sender, sequence, position, event_id, correlation_id FROM deliveries";

pub(super) fn delivery(row: &Columns<'_>) -> Result<DeliveryRow, StoreError> {
    Ok(DeliveryRow {
        id: row.get(0)?,
        workflow: row.get(1)?,
        key: row.get(2)?,
        input: row.get(3)?,
        payload: json(row, 4)?,
        now: row.get(5)?,
        sender: row.get(6)?,
        sequence: row.get(7)?,
        index: row.get(8)?,
        event_id: row.get(9)?,
        correlation_id: row.get(10)?,
    })
}
