//! What operators' commands look at, page by page, and how they ask for a change beside a running host.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::write::int;
use super::{EntityId, IntentKey, OutboxStatus, Reader, Row, StoreError, Writer};
use crate::journal::{Kind, UnknownName, Verdict};

/// One entry of an entity's chain without its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its row.
    pub row: Row,
    /// The entity's entry before; 0 for the first.
    pub previous_row: Row,
    /// The decision's number.
    pub sequence: u64,
    /// What happened.
    pub kind: Kind,
    /// How a decision came out.
    pub verdict: Option<Verdict>,
    /// Generation of the release.
    pub release: u64,
    /// Whether it holds a state.
    pub has_state: bool,
    /// Whether an event led to it: not an outcome, a timer or a delivery.
    pub from_event: bool,
}

/// An entity's entries from its latest to its first.
pub struct Chain<'r> {
    reader: &'r Reader,
    next: Row,
}

/// While it lives, everything that its reader reads is of one moment.
pub struct Snapshot<'r> {
    // Held, not used: its end is the snapshot's.
    _transaction: Transaction<'r>,
}

/// How an intent stands that has no conclusion yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether it is tried, held, or to be concluded as refused.
    pub status: OutboxStatus,
    /// Attempts that were noted.
    pub attempts: u32,
    /// Why the last noted one failed.
    pub reason: Option<String>,
}

/// An intent without a conclusion, with what its line on the command line is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxLine {
    /// Which intent.
    pub key: IntentKey,
    /// The entity's key.
    pub entity: Arc<str>,
    /// How it stands.
    pub standing: Standing,
    /// Generation of the release that emitted it.
    pub release: u64,
    /// All intents of the asking decision, as JSON.
    pub intents: Vec<u8>,
}

/// An input that waits behind a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingInput {
    /// Its id: ascending in the order in which the inputs wait.
    pub id: i64,
    /// `event`, `outcome`, `timer` or `delivery`.
    pub origin: String,
    /// The time that it carries.
    pub now: u64,
    /// The event's or the asking intent's id.
    pub event_id: Arc<str>,
    /// Carried through.
    pub correlation_id: Arc<str>,
    /// The input, as JSON.
    pub input: Vec<u8>,
}

impl Iterator for Chain<'_> {
    type Item = Result<Link, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next <= 0 {
            return None;
        }
        let link = self.reader.link(self.next);
        // Rows only descend, so that a damaged chain has an end too.
        self.next = match &link {
            Ok(link) if link.previous_row < link.row => link.previous_row,
            Ok(link) => {
                let reason = format!("the entry in row {} follows row {}, which was not written before it", link.row, link.previous_row);
                self.next = 0;
                return Some(Err(StoreError::Corrupt(reason)));
            }
            Err(_) => 0,
        };
        Some(link)
    }
}

impl Reader {
    /// Makes everything that is read until the snapshot is dropped of one moment.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn snapshot(&self) -> Result<Snapshot<'_>, StoreError> {
        Ok(Snapshot { _transaction: self.connection().unchecked_transaction()? })
    }

    /// The entries of an entity from `head_row` back to its first.
    #[must_use]
    pub fn chain(&self, head_row: Row) -> Chain<'_> {
        Chain { reader: self, next: head_row }
    }

    fn link(&self, row: Row) -> Result<Link, StoreError> {
        let query = "SELECT row, previous_row, sequence, kind, verdict, release, state IS NOT NULL, event_hash IS NOT NULL FROM journal WHERE row = ?";
        let unknown =
            |column, error: UnknownName| rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error));
        let found = self.connection().prepare_cached(query)?.query_row([row], |r| {
            let (kind, verdict): (String, Option<String>) = (r.get(3)?, r.get(4)?);
            Ok(Link {
                row: r.get(0)?,
                previous_row: r.get(1)?,
                sequence: r.get(2)?,
                kind: kind.parse().map_err(|error| unknown(3, error))?,
                verdict: verdict.map(|name| name.parse()).transpose().map_err(|error| unknown(4, error))?,
                release: r.get(5)?,
                has_state: r.get(6)?,
                from_event: r.get(7)?,
            })
        });
        found.optional()?.ok_or_else(|| StoreError::Corrupt(format!("the journal has no entry in row {row}")))
    }

    /// Up to `limit` intents of a workflow without a conclusion that come after `after`, in the order of their keys.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn outbox_after(&self, workflow: i64, after: IntentKey, limit: u32) -> Result<Vec<OutboxLine>, StoreError> {
        // The order of the joins is said, so that the outbox is read in the order of its key.
        let query = "SELECT outbox.entity, outbox.sequence, outbox.position, status, attempts, reason, release, output, key \
                     FROM outbox CROSS JOIN entities ON entities.id = outbox.entity CROSS JOIN journal ON journal.row = outbox.row \
                     WHERE (outbox.entity, outbox.sequence, outbox.position) > (?, ?, ?) AND workflow = ? \
                     ORDER BY outbox.entity, outbox.sequence, outbox.position LIMIT ?";
        let mut statement = self.connection().prepare_cached(query)?;
        let rows = statement.query_map(params![after.entity, int(after.sequence), after.index, workflow, limit], |row| {
            Ok(OutboxLine {
                key: IntentKey { entity: row.get(0)?, sequence: row.get(1)?, index: row.get(2)? },
                entity: row.get(8)?,
                standing: standing(row, 3)?,
                release: row.get(6)?,
                intents: row.get_ref(7)?.as_bytes()?.to_vec(),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How the intents of an entity stand that have no conclusion, by decision and index.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn standings(&self, entity: EntityId) -> Result<HashMap<(u64, u32), Standing>, StoreError> {
        let mut statement =
            self.connection().prepare_cached("SELECT sequence, position, status, attempts, reason FROM outbox WHERE entity = ?")?;
        let rows = statement.query_map([entity], |row| Ok(((row.get(0)?, row.get(1)?), standing(row, 2)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The text of the manifest of that digest, as it was written.
    ///
    /// # Errors
    /// Where the store fails or has no such manifest.
    pub fn manifest(&self, digest: &str) -> Result<String, StoreError> {
        self.connection()
            .query_row("SELECT text FROM manifests WHERE digest = ?", [digest], |row| row.get(0))
            .optional()?
            .ok_or_else(|| StoreError::Corrupt(format!("manifest {digest} is missing")))
    }

    /// Ids of up to `limit` dead letters of a workflow that come after `id`, oldest first.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn dead_letter_ids_after(&self, workflow: i64, id: i64, limit: u32) -> Result<Vec<i64>, StoreError> {
        let mut statement =
            self.connection().prepare_cached("SELECT id FROM dead_letters WHERE id > ? AND workflow = ? ORDER BY id LIMIT ?")?;
        let rows = statement.query_map(params![id, workflow, limit], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Keys of up to `limit` entities of a workflow that wait for an operator and come after `key`, in order.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn parked_keys_after(&self, workflow: i64, key: &str, limit: u32) -> Result<Vec<Arc<str>>, StoreError> {
        let mut statement =
            self.connection().prepare_cached("SELECT key FROM entities WHERE workflow = ? AND key > ? AND parked ORDER BY key LIMIT ?")?;
        let rows = statement.query_map(params![workflow, key, limit], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Up to `limit` inputs of an entity's inbox that wait behind the one of that id, in order.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn waiting_after(&self, entity: EntityId, id: i64, limit: u32) -> Result<Vec<WaitingInput>, StoreError> {
        let query = "SELECT id, origin, now, event_id, correlation_id, input FROM inbox WHERE entity = ? AND id > ? ORDER BY id LIMIT ?";
        let mut statement = self.connection().prepare_cached(query)?;
        let rows = statement.query_map(params![entity, id, limit], |row| {
            Ok(WaitingInput {
                id: row.get(0)?,
                origin: row.get(1)?,
                now: row.get(2)?,
                event_id: row.get(3)?,
                correlation_id: row.get(4)?,
                input: row.get_ref(5)?.as_bytes()?.to_vec(),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn standing(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Standing> {
    let status: String = row.get(first)?;
    Ok(Standing {
        status: OutboxStatus::from_name(&status).ok_or(rusqlite::Error::InvalidQuery)?,
        attempts: row.get(first + 1)?,
        reason: row.get(first + 2)?,
    })
}

impl Writer {
    /// Asks the host that has the store at `path`, or the next one, for `command` on each of `subjects`; gives the
    /// commands' ids in order. Needs no lock: it adds to the table of commands, which no host numbers rows of.
    ///
    /// # Errors
    /// Where nothing was asked.
    pub fn ask_beside(path: &Path, workflow: &str, command: &str, subjects: &[String]) -> Result<Vec<i64>, StoreError> {
        let mut connection = Connection::open(path).map_err(|error| StoreError::open(path, &error))?;
        super::configure(&connection).map_err(|error| StoreError::open(path, &error))?;
        super::journal_id(&connection, path)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut ids = Vec::with_capacity(subjects.len());
        for subject in subjects {
            transaction.execute("INSERT INTO commands (workflow, command, subject) VALUES (?, ?, ?)", [workflow, command, subject])?;
            ids.push(transaction.last_insert_rowid());
        }
        transaction.commit()?;
        Ok(ids)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::Store;

    const ENTRY: &str =
        "INSERT INTO journal VALUES (?, 1, ?, 0, 'decided', 1, 1, 0, 'e', 'c', '{}', 'accepted', '{}', '[]', NULL, ?, x'00')";

    fn store(folder: &Path) -> (Store, Connection) {
        let path = folder.join("test.db");
        let store = Store::open(&path, None, (1, 2)).unwrap();
        (store, Connection::open(path).unwrap())
    }

    #[test]
    fn a_chain_leads_back_to_the_first_entry() {
        let folder = tempfile::tempdir().unwrap();
        let (store, connection) = store(folder.path());
        for (row, sequence, previous) in [(3, 1, 0), (7, 2, 3), (8, 3, 7)] {
            connection.execute(ENTRY, [row, sequence, previous]).unwrap();
        }
        let reader = store.reader().unwrap();
        let sequences: Vec<u64> = reader.chain(8).map(|link| link.unwrap().sequence).collect();
        assert_eq!(sequences, [3, 2, 1]);
        assert_eq!(reader.chain(0).count(), 0);
    }

    #[test]
    fn a_damaged_chain_is_told_and_ends() {
        let folder = tempfile::tempdir().unwrap();
        let (store, connection) = store(folder.path());
        connection.execute(ENTRY, [3, 1, 4]).unwrap();
        connection.execute(ENTRY, [4, 2, 3]).unwrap();
        let links: Vec<_> = store.reader().unwrap().chain(4).collect();
        assert!(matches!(&links[..], [Ok(_), Err(StoreError::Corrupt(reason))] if reason.contains("row 3 follows row 4")), "{links:?}");
        let missing: Vec<_> = store.reader().unwrap().chain(9).collect();
        assert!(matches!(&missing[..], [Err(StoreError::Corrupt(_))]), "{missing:?}");
    }

    #[test]
    fn a_snapshot_does_not_see_what_is_committed_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let (store, connection) = store(folder.path());
        let reader = store.reader().unwrap();
        let snapshot = reader.snapshot().unwrap();
        assert!(reader.commands().unwrap().is_empty());
        connection.execute("INSERT INTO commands (workflow, command, subject) VALUES ('w', 'c', 's')", []).unwrap();
        assert!(reader.commands().unwrap().is_empty());
        drop(snapshot);
        assert_eq!(reader.commands().unwrap().len(), 1);
    }

    #[test]
    fn a_host_can_be_asked_while_it_has_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = store(folder.path());
        let ids = Writer::ask_beside(store.path(), "w", "parked redrive", &["a".to_owned(), "b".to_owned()]).unwrap();
        let asked = store.reader().unwrap().commands().unwrap();
        assert_eq!(asked.iter().map(|command| command.id).collect::<Vec<_>>(), ids);
        assert_eq!(asked.iter().map(|command| command.subject.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(asked.iter().all(|command| command.answer.is_none()));
    }
}
