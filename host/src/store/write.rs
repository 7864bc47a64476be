//! One batch, one transaction.

use std::collections::BTreeMap;

use crossbeam_channel::Receiver;

use super::change::{Change, boolean, bytes, int, text};
use super::connection::{Connection, Transaction};
use super::postgres::Commits;
use super::shard::shard_of;
use super::sqlite;
use super::tally::Tally;
use super::value::{Value, values};
use super::{Batch, EntityRow, EntryRow, SourceReset, StoreError};
use crate::journal::{EntryHash, Verdict};

/// The one connection that writes.
pub struct Writer {
    connection: Connection,
    /// Of a store that may be away in the middle of a commit.
    commits: Option<Commits>,
    /// Of the engine that commits, where several share the store; else 0.
    epoch: u64,
}

impl Writer {
    pub(super) fn new(connection: Connection, commits: Option<Commits>) -> Self {
        Writer { connection, commits, epoch: 0 }
    }

    /// The same for the engine of that epoch, where it has one: it commits only while the epoch is in force.
    ///
    /// # Errors
    /// Where the store fails, or the epoch is over.
    pub fn of_epoch(mut self, epoch: u64) -> Result<Self, StoreError> {
        if let (Connection::Postgres(session), true) = (&self.connection, epoch > 0) {
            self.commits = Some(Commits::new(session, epoch)?);
        }
        self.epoch = epoch;
        Ok(self)
    }

    /// Sends `batch` ahead behind what is committed next, where the store is one that takes time to answer: [`Writer::commit`]
    /// only waits for it then. Batches are sent and committed in the same order.
    pub fn send(&mut self, batch: &Batch) {
        if let (Connection::Postgres(session), Some(commits)) = (&self.connection, &mut self.commits) {
            commits.send(session, batch, (write, self.epoch));
        }
    }

    /// Closed as soon as the commit of the oldest batch that was sent need not wait any more; none where nothing is on its way.
    #[must_use]
    pub fn answered(&self) -> Option<&Receiver<()>> {
        self.commits.as_ref()?.answered()
    }

    /// Commits `batch`, all or none, and returns when it is durable.
    ///
    /// # Errors
    /// Where nothing was committed, as far as is known. [`StoreError::is_passing`] tells whether the same batch may succeed
    /// later; no other may be tried before it.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if let (Connection::Postgres(session), Some(commits)) = (&self.connection, &mut self.commits) {
            return commits.commit(session, batch, (write, self.epoch));
        }
        // Something that is erased is not to be left in the file's free pages and its log.
        let erases = !batch.erased.is_empty() || !batch.erasing.is_empty();
        if let Connection::Sqlite(connection) = &self.connection
            && erases
        {
            sqlite::begin_to_erase(connection)?;
        }
        let epoch = self.epoch;
        self.connection.transact(|transaction| {
            if epoch > 0 {
                super::lease::hold(transaction, epoch)?;
            }
            write(transaction, batch, epoch, &mut BTreeMap::new())
        })?;
        // It is durable: what is left to do must not have it committed once more.
        if let Connection::Sqlite(connection) = &self.connection
            && erases
            && let Err(error) = sqlite::after_erasing(connection, batch.erasing.iter().any(|erasing| erasing.next_row == 0))
        {
            tracing::debug!(%error, "the log could not be cleared of what was erased");
        }
        Ok(())
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn connection_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

/// Does all that `batch` says. `tallies` are those that are known to be as the store has them; they are what they will be
/// once it is committed.
fn write<'v>(
    transaction: &mut Transaction<'_, 'v>,
    batch: &'v Batch,
    epoch: u64,
    tallies: &mut BTreeMap<i64, Tally>,
) -> Result<(), StoreError> {
    super::release::write(transaction, batch, epoch)?;
    write_entities(transaction, &batch.entities)?;
    write_entries(transaction, &batch.entries)?;
    write_intents(transaction, batch)?;
    write_inputs(transaction, batch)?;
    write_sources(transaction, batch, epoch)?;
    super::forward::write(transaction, batch)?;
    super::operate::write(transaction, batch)?;
    super::erase::write(transaction, batch)?;
    write_letters(transaction, batch)?;
    let truncated = super::retain::write(transaction, batch)?;
    super::tally::write(transaction, batch, &truncated, epoch, tallies)
}

static NEW_ENTITIES: Change = Change::insert(
    "entities",
    &[
        int("id"),
        int("workflow"),
        text("key"),
        int("sequence"),
        int("ordinal"),
        int("now"),
        bytes("head"),
        int("head_row"),
        int("state_row"),
        boolean("parked"),
        int("shard"),
    ],
);
static ENTITIES: Change = Change::update(
    "entities",
    &[int("sequence"), int("ordinal"), int("now"), bytes("head"), int("head_row"), int("state_row"), boolean("parked")],
    &[int("id"), int("head_row"), bytes("head")],
);

fn write_entities<'v>(transaction: &mut Transaction<'_, 'v>, entities: &'v [EntityRow]) -> Result<(), StoreError> {
    let is_new = |e: &&EntityRow| e.expected_head_row == 0;
    let new = entities.iter().filter(is_new).map(|e| {
        values![e.id, e.workflow, &e.key, e.sequence, e.ordinal, e.now, &e.head, e.head_row, e.state_row, e.parked, shard_of(&e.key)]
    });
    transaction.change(&NEW_ENTITIES, new)?;
    let changed = || entities.iter().filter(|e| !is_new(e));
    let rows = changed().map(|e| {
        values![e.sequence, e.ordinal, e.now, &e.head, e.head_row, e.state_row, e.parked, e.id, e.expected_head_row, &e.expected_head]
    });
    let overtaken = transaction.change_all(&ENTITIES, rows)?.and_then(|index| changed().nth(index));
    overtaken.map_or(Ok(()), |entity| {
        let what = format!("entity {:?} was changed by somebody else between reading and committing", entity.key);
        Err(StoreError::Overtaken { what })
    })
}

static ENTRIES: Change = Change::insert(
    "journal",
    &[
        int("row"),
        int("entity"),
        int("sequence"),
        int("ordinal"),
        text("kind"),
        int("release"),
        int("profile"),
        int("now"),
        text("event_id"),
        text("correlation_id"),
        text("input"),
        text("verdict"),
        text("state"),
        text("output"),
        bytes("event_hash"),
        int("previous_row"),
        bytes("hash"),
    ],
);
static EVENTS: Change = Change::insert("events", &[int("row"), bytes("bytes")]);

fn write_entries<'v>(transaction: &mut Transaction<'_, 'v>, entries: &'v [EntryRow]) -> Result<(), StoreError> {
    let rows = entries.iter().map(|EntryRow { row, entity, previous_row, profile, hash, entry, .. }| {
        values![
            *row,
            *entity,
            entry.sequence,
            entry.ordinal,
            entry.kind.as_str(),
            entry.release,
            *profile,
            entry.now,
            &entry.event_id,
            &entry.correlation_id,
            Value::json(&entry.input),
            entry.verdict.map(Verdict::as_str),
            entry.state.as_deref().map(Value::json),
            Value::json(&entry.output),
            entry.event_hash.as_ref(),
            *previous_row,
            hash,
        ]
    });
    transaction.change(&ENTRIES, rows)?;
    transaction.change(&EVENTS, entries.iter().filter_map(|entry| Some(values![entry.row, &**entry.event.as_ref()?])))
}

static INTENTS: Change = Change::insert("outbox", &[int("entity"), int("sequence"), int("position"), int("row"), text("effect")]);
static CHANGED_INTENTS: Change =
    Change::update("outbox", &[text("status"), int("attempts"), text("reason")], &[int("entity"), int("sequence"), int("position")]);
static CONCLUDED_INTENTS: Change = Change::delete("outbox", &[int("entity"), int("sequence"), int("position")]);
static GONE_TIMERS: Change = Change::delete("timers", &[int("entity"), text("name")]);
static TIMERS: Change = Change::replace(
    "timers",
    &[int("due"), int("sequence"), int("position"), text("correlation_id"), boolean("waits"), int("workflow")],
    &[int("entity"), text("name")],
);

fn write_intents<'v>(transaction: &mut Transaction<'_, 'v>, batch: &'v Batch) -> Result<(), StoreError> {
    let added = batch.outbox_added.iter().map(|o| values![o.key.entity, o.key.sequence, o.key.index, o.row, &o.effect]);
    transaction.change(&INTENTS, added)?;
    let changed =
        batch.outbox_changed.iter().map(|c| values![c.status.as_str(), c.attempts, &c.reason, c.key.entity, c.key.sequence, c.key.index]);
    transaction.change(&CHANGED_INTENTS, changed)?;
    transaction.change(&CONCLUDED_INTENTS, batch.outbox_removed.iter().map(|key| values![key.entity, key.sequence, key.index]))?;
    transaction.change(&GONE_TIMERS, batch.timers_removed.iter().map(|(entity, name)| values![*entity, name]))?;
    let set =
        batch.timers_set.iter().map(|t| values![t.due, t.sequence, t.index, &t.correlation_id, t.waits, t.workflow, t.entity, &t.name]);
    transaction.change(&TIMERS, set)
}

static DELIVERIES: Change = Change::insert(
    "deliveries",
    &[
        int("id"),
        text("workflow"),
        text("key"),
        text("input"),
        text("payload"),
        int("now"),
        text("sender"),
        int("sequence"),
        int("position"),
        text("event_id"),
        text("correlation_id"),
        int("shard"),
    ],
);
static DELIVERED: Change = Change::delete("deliveries", &[int("id")]);
static WAITING: Change = Change::insert(
    "inbox",
    &[
        int("id"),
        int("entity"),
        text("origin"),
        int("sequence"),
        int("position"),
        int("now"),
        text("event_id"),
        text("correlation_id"),
        text("input"),
        bytes("bytes"),
    ],
);
static WAITED: Change = Change::delete("inbox", &[int("id")]);

fn write_inputs<'v>(transaction: &mut Transaction<'_, 'v>, batch: &'v Batch) -> Result<(), StoreError> {
    let delivered = batch.deliveries_added.iter().map(|d| {
        let payload = Value::json(&d.payload);
        let (asked, id) = ((d.sequence, d.index), &d.event_id);
        values![d.id, &d.workflow, &d.key, &d.input, payload, d.now, &d.sender, asked.0, asked.1, id, &d.correlation_id, shard_of(&d.key)]
    });
    transaction.change(&DELIVERIES, delivered)?;
    transaction.change(&DELIVERED, batch.deliveries_removed.iter().map(|id| values![*id]))?;
    let waiting = batch.inbox_added.iter().map(|i| {
        let (input, event) = (Value::json(&i.input), i.bytes.as_deref());
        values![i.id, i.entity, i.origin, i.sequence, i.index, i.now, &i.event_id, &i.correlation_id, input, event]
    });
    transaction.change(&WAITING, waiting)?;
    transaction.change(&WAITED, batch.inbox_removed.iter().map(|id| values![*id]))
}

static ACCEPTED: Change =
    Change::insert("accepted", &[int("row"), int("source"), int("line"), bytes("fingerprint"), int("shard"), int("now")]);
static DEAD_LETTERS: Change = Change::insert(
    "dead_letters",
    &[
        int("workflow"),
        int("source"),
        int("line"),
        text("event_id"),
        text("code"),
        text("path"),
        text("reason"),
        bytes("bytes"),
        text("key"),
        int("now"),
    ],
);
static GONE_DEAD_LETTERS: Change = Change::delete("dead_letters", &[int("id")]);
static SOURCES: Change = Change::update(
    "sources",
    &[int("next_offset"), int("next_line"), int("read_line"), bytes("tail"), int("duplicates"), text("log")],
    &[int("id"), int("next_line")],
);
static CLOCKS: Change = Change::update("workflows", &[int("clock")], &[int("id")]);

/// A source whose position is set goes on under another name, as what it was until now.
const SET_ASIDE: &str = "UPDATE sources SET name = name || '@' || generation, next_line = read_line WHERE id = ?";

/// And another one takes its name.
const BEGIN_ANEW: &str = "INSERT INTO sources (workflow, name, next_offset, next_line, read_line, tail, duplicates, generation) \
                          SELECT workflow, substr(name, 1, length(name) - length('@' || generation)), 0, ?2, ?2, ?3, 0, generation + 1 \
                          FROM sources WHERE id = ?1";

/// What lies after the position is still needed to know what is done there.
const FORGET_ACCEPTED: &str =
    "DELETE FROM accepted WHERE row <= ? AND line <= (SELECT next_line FROM sources WHERE sources.id = accepted.source)";

/// The same of several hosts, each of its own shards.
const FORGET_OWNED: &str = "DELETE FROM accepted WHERE row <= ? AND line <= (SELECT next_line FROM sources WHERE sources.id = accepted.source) \
                            AND (shard IS NULL OR shard IN (SELECT shard FROM shards WHERE epoch = ?))";

/// After what is erased: a letter that comes in the same commit was not there when its entity's letters were asked to go.
fn write_letters<'v>(transaction: &mut Transaction<'_, 'v>, batch: &'v Batch) -> Result<(), StoreError> {
    let dead = batch.dead_letters.iter().map(|d| {
        let (event_id, key) = (d.event_id.as_ref(), d.key.as_ref());
        values![d.workflow, d.source, d.line, event_id, d.code, &d.path, &d.reason, &*d.bytes, key, d.now]
    });
    transaction.change(&DEAD_LETTERS, dead)
}

fn write_sources<'v>(transaction: &mut Transaction<'_, 'v>, batch: &'v Batch, epoch: u64) -> Result<(), StoreError> {
    let accepted = batch.accepted.iter().map(|a| values![a.row, a.source, a.line, a.fingerprint, a.shard, a.now]);
    transaction.change(&ACCEPTED, accepted)?;
    if let Some(row) = batch.forget_accepted {
        match epoch {
            0 => transaction.execute(FORGET_ACCEPTED, values![row])?,
            epoch => transaction.execute(FORGET_OWNED, values![row, epoch])?,
        }
    }
    transaction.change(&GONE_DEAD_LETTERS, batch.dead_letters_removed.iter().map(|id| values![*id]))?;
    let read = batch
        .sources
        .iter()
        .map(|s| values![s.next_offset, s.next_line, s.read_line, &s.tail, s.duplicates, &s.log, s.id, s.expected_line]);
    if let Some(overtaken) = transaction.change_all(&SOURCES, read)?.and_then(|index| batch.sources.get(index)) {
        return Err(StoreError::PositionMoved { source_id: overtaken.id, expected: overtaken.expected_line });
    }
    for SourceReset { source, line } in &batch.sources_reset {
        // Nothing of it will be read again: what it was known by may be forgotten in its time.
        transaction.execute(SET_ASIDE, values![*source])?;
        let nothing: &'static EntryHash = &[0; 32];
        transaction.execute(BEGIN_ANEW, values![*source, *line, nothing])?;
    }
    transaction.change(&CLOCKS, batch.clocks.iter().map(|(workflow, now)| values![*now, *workflow]))
}
