//! One batch, one transaction.

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::{Batch, EntityRow, EntryRow, StoreError};

/// The one connection that writes.
pub struct Writer {
    connection: Connection,
}

/// SQLite's integers are signed; instants, sequences and offsets stay far below the sign bit.
#[allow(clippy::cast_possible_wrap)]
pub(super) fn int(number: u64) -> i64 {
    number as i64
}

/// JSON and event ids are UTF-8 by construction; SQLite stores the bytes as they are.
fn text(bytes: &[u8]) -> rusqlite::types::ToSqlOutput<'_> {
    rusqlite::types::ToSqlOutput::Borrowed(rusqlite::types::ValueRef::Text(bytes))
}

impl Writer {
    pub(super) fn new(connection: Connection) -> Self {
        Writer { connection }
    }

    /// Commits `batch`, all or none, and returns when it is durable.
    ///
    /// # Errors
    /// Where nothing was committed. [`StoreError::is_passing`] tells whether the same batch may succeed later.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        super::erase::before(&self.connection, batch)?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(release) = &batch.release {
            super::release::write(&transaction, release)?;
        }
        write_entities(&transaction, &batch.entities)?;
        write_entries(&transaction, &batch.entries)?;
        write_intents(&transaction, batch)?;
        write_inputs(&transaction, batch)?;
        write_sources(&transaction, batch)?;
        super::operate::write(&transaction, batch)?;
        super::erase::write(&transaction, batch)?;
        let truncated = super::retain::write(&transaction, batch)?;
        super::tally::write(&transaction, batch, &truncated)?;
        transaction.commit()?;
        // It is durable: what is left to do about the log must not have it committed once more.
        if let Err(error) = super::erase::after(&self.connection, batch) {
            tracing::debug!(%error, "the log could not be cleared of what was erased");
        }
        Ok(())
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }
}

fn write_entities(transaction: &Transaction<'_>, entities: &[EntityRow]) -> Result<(), StoreError> {
    let mut insert = transaction.prepare_cached("INSERT INTO entities VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    let mut update = transaction.prepare_cached(
        "UPDATE entities SET sequence = ?, ordinal = ?, now = ?, head = ?, head_row = ?, state_row = ?, parked = ? WHERE id = ? AND head_row = ?",
    )?;
    for e in entities {
        if e.expected_head_row == 0 {
            insert.execute(params![
                e.id,
                e.workflow,
                e.key,
                int(e.sequence),
                e.ordinal,
                int(e.now),
                e.head,
                e.head_row,
                e.state_row,
                e.parked
            ])?;
        } else {
            let changed = update.execute(params![
                int(e.sequence),
                e.ordinal,
                int(e.now),
                e.head,
                e.head_row,
                e.state_row,
                e.parked,
                e.id,
                e.expected_head_row
            ])?;
            if changed != 1 {
                return Err(StoreError::Conflict { key: e.key.to_string() });
            }
        }
    }
    Ok(())
}

fn write_entries(transaction: &Transaction<'_>, entries: &[EntryRow]) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    let mut event = transaction.prepare_cached("INSERT INTO events VALUES (?, ?)")?;
    for EntryRow { row, entity, previous_row, profile, hash, entry, event: bytes } in entries {
        insert.execute(params![
            row,
            entity,
            int(entry.sequence),
            entry.ordinal,
            entry.kind.as_str(),
            int(entry.release),
            profile,
            int(entry.now),
            entry.event_id,
            entry.correlation_id,
            text(&entry.input),
            entry.verdict.map(crate::journal::Verdict::as_str),
            entry.state.as_deref().map(text),
            text(&entry.output),
            entry.event_hash,
            previous_row,
            hash
        ])?;
        if let Some(bytes) = bytes {
            event.execute(params![row, bytes])?;
        }
    }
    Ok(())
}

fn write_intents(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    let mut add = transaction.prepare_cached("INSERT INTO outbox (entity, sequence, position, row, effect) VALUES (?, ?, ?, ?, ?)")?;
    for intent in &batch.outbox_added {
        add.execute(params![intent.key.entity, int(intent.key.sequence), intent.key.index, intent.row, intent.effect])?;
    }
    let mut change = transaction
        .prepare_cached("UPDATE outbox SET status = ?, attempts = ?, reason = ? WHERE entity = ? AND sequence = ? AND position = ?")?;
    for c in &batch.outbox_changed {
        change.execute(params![c.status.as_str(), c.attempts, c.reason, c.key.entity, int(c.key.sequence), c.key.index])?;
    }
    let mut remove = transaction.prepare_cached("DELETE FROM outbox WHERE entity = ? AND sequence = ? AND position = ?")?;
    for key in &batch.outbox_removed {
        remove.execute(params![key.entity, int(key.sequence), key.index])?;
    }
    let mut unset = transaction.prepare_cached("DELETE FROM timers WHERE entity = ? AND name = ?")?;
    for (entity, name) in &batch.timers_removed {
        unset.execute(params![entity, name])?;
    }
    let mut set = transaction.prepare_cached(
        "INSERT INTO timers VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (entity, name) DO UPDATE SET due = excluded.due, \
         sequence = excluded.sequence, position = excluded.position, correlation_id = excluded.correlation_id, waits = excluded.waits",
    )?;
    for timer in &batch.timers_set {
        set.execute(params![
            timer.entity,
            timer.name,
            int(timer.due),
            int(timer.sequence),
            timer.index,
            timer.correlation_id,
            timer.waits,
            timer.workflow
        ])?;
    }
    Ok(())
}

fn write_inputs(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    let mut deliver = transaction.prepare_cached("INSERT INTO deliveries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    for d in &batch.deliveries_added {
        deliver.execute(params![
            d.id,
            d.workflow,
            d.key,
            d.input,
            text(&d.payload),
            int(d.now),
            d.sender,
            int(d.sequence),
            d.index,
            d.event_id,
            d.correlation_id
        ])?;
    }
    let mut delivered = transaction.prepare_cached("DELETE FROM deliveries WHERE id = ?")?;
    for id in &batch.deliveries_removed {
        delivered.execute([id])?;
    }
    let mut wait = transaction.prepare_cached("INSERT INTO inbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    for i in &batch.inbox_added {
        wait.execute(params![
            i.id,
            i.entity,
            i.origin,
            int(i.sequence),
            i.index,
            int(i.now),
            i.event_id,
            i.correlation_id,
            text(&i.input),
            i.bytes
        ])?;
    }
    let mut waited = transaction.prepare_cached("DELETE FROM inbox WHERE id = ?")?;
    for id in &batch.inbox_removed {
        waited.execute([id])?;
    }
    Ok(())
}

fn write_sources(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    let mut accept = transaction.prepare_cached("INSERT INTO accepted VALUES (?, ?, ?, ?)")?;
    for a in &batch.accepted {
        accept.execute(params![a.row, a.source, int(a.line), a.fingerprint.to_be_bytes()])?;
    }
    if let Some(row) = batch.forget_accepted {
        // What lies after the position is still needed to know what is done there.
        let forget = "DELETE FROM accepted WHERE row <= ? AND line <= (SELECT next_line FROM sources WHERE sources.id = accepted.source)";
        transaction.prepare_cached(forget)?.execute([row])?;
    }
    let mut bury = transaction.prepare_cached(
        "INSERT INTO dead_letters (workflow, source, line, event_id, code, path, reason, bytes, key, now) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    for d in &batch.dead_letters {
        bury.execute(params![d.workflow, d.source, int(d.line), d.event_id, d.code, d.path, d.reason, d.bytes, d.key, int(d.now)])?;
    }
    let mut unbury = transaction.prepare_cached("DELETE FROM dead_letters WHERE id = ?")?;
    for id in &batch.dead_letters_removed {
        unbury.execute([id])?;
    }
    let mut source = transaction
        .prepare_cached("UPDATE sources SET next_offset = ?, next_line = ?, read_line = ?, tail = ?, duplicates = ? WHERE id = ?")?;
    for s in &batch.sources {
        source.execute(params![int(s.next_offset), int(s.next_line), int(s.read_line), s.tail, int(s.duplicates), s.id])?;
    }
    let mut clock = transaction.prepare_cached("UPDATE workflows SET clock = ? WHERE id = ?")?;
    for (workflow, now) in &batch.clocks {
        clock.execute(params![int(*now), workflow])?;
    }
    Ok(())
}
