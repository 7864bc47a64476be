//! What operators' commands look at, page by page.

use std::collections::HashMap;
use std::sync::Arc;

use super::connection::View;
use super::value::{Columns, Json, values};
use super::{EntityId, IntentKey, OutboxStatus, Reader, Row, StoreError};
use crate::journal::{Kind, Verdict};

/// One entry of an entity's chain without its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its row.
    pub row: Row,
    /// The entity's entry before; 0 for the first.
    pub previous_row: Row,
    /// The decision's number.
    pub sequence: u64,
    /// The decision's `now`, or the entity's latest.
    pub now: u64,
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
    /// Those that were read and not given yet.
    page: std::vec::IntoIter<Result<Link, StoreError>>,
}

/// Entries of a chain that are read together.
const LINKS_TOGETHER: u32 = 128;

/// The chain from the row `?1` back, `?2` entries of it. Rows only descend, so that a damaged one has an end too.
pub(super) const CHAIN: &str = "WITH RECURSIVE chain (row, previous_row, depth) AS (\
                                SELECT row, previous_row, 1 FROM journal WHERE row = ?1 \
                                UNION ALL SELECT journal.row, journal.previous_row, chain.depth + 1 \
                                FROM chain CROSS JOIN journal ON journal.row = chain.previous_row \
                                WHERE chain.previous_row < chain.row AND chain.depth < ?2)";

/// Its entries, in its order.
pub(super) const OF_CHAIN: &str = "FROM chain CROSS JOIN journal ON journal.row = chain.row ORDER BY depth";

/// While it lives, everything that its reader reads is of one moment.
pub struct Snapshot<'r> {
    // Held, not used: its end is the snapshot's.
    _view: View<'r>,
}

/// An entry that no chain leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// Its entity's workflow, where there is such an entity.
    pub workflow: Option<i64>,
    /// Its entity's key, where there is such an entity.
    pub key: Option<String>,
    /// The decision's number.
    pub sequence: u64,
    /// Its ordinal.
    pub ordinal: u32,
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

/// How an intent was concluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The entity's key.
    pub entity: Arc<str>,
    /// The entity's decision that took the outcome, or its last one before the conclusion.
    pub sequence: u64,
    /// Whether the reducer was told.
    pub is_outcome: bool,
    /// The outcome's input, else the result.
    pub json: Vec<u8>,
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
        let link = self.link();
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

impl Chain<'_> {
    fn link(&mut self) -> Result<Link, StoreError> {
        if self.page.len() == 0 {
            self.page = self.reader.links(self.next)?.into_iter();
        }
        self.page.next().unwrap_or_else(|| Err(StoreError::Corrupt(format!("the journal has no entry in row {}", self.next))))
    }
}

impl Reader {
    /// Makes everything that is read until the snapshot is dropped of one moment.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn snapshot(&self) -> Result<Snapshot<'_>, StoreError> {
        Ok(Snapshot { _view: self.connection().view()? })
    }

    /// Makes everything that is read from now on of one moment, for as long as the reader lives; called again, of a later one.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn stay(&self) -> Result<(), StoreError> {
        self.connection().stay()?;
        // The moment is that of the first read.
        self.last_entry()?;
        Ok(())
    }

    /// Rows and entities of up to `limit` entries after `row`.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn rows_after(&self, row: Row, limit: u32) -> Result<Vec<(Row, EntityId)>, StoreError> {
        let query = "SELECT row, entity FROM journal WHERE row > ? ORDER BY row LIMIT ?";
        self.rows(query, &values![row, limit], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Where an entry stands that no chain leads to.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn orphan(&self, row: Row) -> Result<Option<Orphan>, StoreError> {
        let query = "SELECT workflow, key, journal.sequence, journal.ordinal FROM journal \
                     LEFT JOIN entities ON entities.id = journal.entity WHERE row = ?";
        self.row(query, &values![row], |row| {
            Ok(Orphan { workflow: row.get(0)?, key: row.get(1)?, sequence: row.get(2)?, ordinal: row.get(3)? })
        })
    }

    /// The entries of an entity from `head_row` back to its first.
    #[must_use]
    pub fn chain(&self, head_row: Row) -> Chain<'_> {
        Chain { reader: self, next: head_row, page: Vec::new().into_iter() }
    }

    /// Entries of a chain from `row` back. One that is damaged keeps nobody from those before it.
    fn links(&self, row: Row) -> Result<Vec<Result<Link, StoreError>>, StoreError> {
        let query = format!(
            "{CHAIN} SELECT journal.row, journal.previous_row, sequence, kind, verdict, release, state IS NOT NULL, \
             event_hash IS NOT NULL, now {OF_CHAIN}"
        );
        let link = |r: &Columns<'_>| {
            let verdict: Option<Arc<str>> = r.get(4)?;
            Ok(Link {
                row: r.get(0)?,
                previous_row: r.get(1)?,
                sequence: r.get(2)?,
                kind: r.named(3, |name| name.parse().ok())?,
                verdict: verdict.map(|_| r.named(4, |name| name.parse().ok())).transpose()?,
                release: r.get(5)?,
                has_state: r.get(6)?,
                from_event: r.get(7)?,
                now: r.get(8)?,
            })
        };
        self.rows(&query, &values![row, LINKS_TOGETHER], |row| Ok(link(row)))
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
        self.rows(query, &values![after.entity, after.sequence, after.index, workflow, limit], |row| {
            Ok(OutboxLine {
                key: IntentKey { entity: row.get(0)?, sequence: row.get(1)?, index: row.get(2)? },
                entity: row.get(8)?,
                standing: standing(row, 3)?,
                release: row.get(6)?,
                intents: row.get::<Json>(7)?.0.into(),
            })
        })
    }

    /// How the intents of an entity stand that have no conclusion, by decision and index.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn standings(&self, entity: EntityId) -> Result<HashMap<(u64, u32), Standing>, StoreError> {
        let query = "SELECT sequence, position, status, attempts, reason FROM outbox WHERE entity = ?";
        let found = self.rows(query, &values![entity], |row| Ok(((row.get(0)?, row.get(1)?), standing(row, 2)?)))?;
        Ok(found.into_iter().collect())
    }

    /// How the intent of that id was concluded; none where no entry and no waiting input says so. Looks through the whole
    /// journal.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn conclusion(&self, workflow: i64, intent_id: &str) -> Result<Option<Ended>, StoreError> {
        let query = "SELECT key, journal.sequence, kind = 'decided', CASE kind WHEN 'decided' THEN input ELSE output END \
                     FROM journal JOIN entities ON entities.id = journal.entity \
                     WHERE event_id = ?1 AND kind IN ('decided', 'concluded') AND event_hash IS NULL AND workflow = ?2 \
                     UNION ALL SELECT key, entities.sequence, true, input FROM inbox JOIN entities ON entities.id = inbox.entity \
                     WHERE event_id = ?1 AND origin = 'outcome' AND workflow = ?2 LIMIT 1";
        self.row(query, &values![intent_id, workflow], |row| {
            Ok(Ended { entity: row.get(0)?, sequence: row.get(1)?, is_outcome: row.get(2)?, json: row.get::<Json>(3)?.0.into() })
        })
    }

    /// The text of the manifest of that digest, as it was written.
    ///
    /// # Errors
    /// Where the store fails or has no such manifest.
    pub fn manifest(&self, digest: &str) -> Result<String, StoreError> {
        self.row("SELECT text FROM manifests WHERE digest = ?", &values![digest], |row| row.get(0))?
            .ok_or_else(|| StoreError::Corrupt(format!("manifest {digest} is missing")))
    }

    /// Ids of up to `limit` dead letters of a workflow that come after `id`, oldest first.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn dead_letter_ids_after(&self, workflow: i64, id: i64, limit: u32) -> Result<Vec<i64>, StoreError> {
        let query = "SELECT id FROM dead_letters WHERE id > ? AND workflow = ? ORDER BY id LIMIT ?";
        self.rows(query, &values![id, workflow, limit], |row| row.get(0))
    }

    /// Keys of up to `limit` entities of a workflow that wait for an operator and come after `key`, in order.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn parked_keys_after(&self, workflow: i64, key: &str, limit: u32) -> Result<Vec<Arc<str>>, StoreError> {
        let query = "SELECT key FROM entities WHERE workflow = ? AND key > ? AND parked ORDER BY key LIMIT ?";
        self.rows(query, &values![workflow, key, limit], |row| row.get(0))
    }

    /// Up to `limit` inputs of an entity's inbox that wait behind the one of that id, in order.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn waiting_after(&self, entity: EntityId, id: i64, limit: u32) -> Result<Vec<WaitingInput>, StoreError> {
        let query = "SELECT id, origin, now, event_id, correlation_id, input FROM inbox WHERE entity = ? AND id > ? ORDER BY id LIMIT ?";
        self.rows(query, &values![entity, id, limit], |row| {
            Ok(WaitingInput {
                id: row.get(0)?,
                origin: row.get(1)?,
                now: row.get(2)?,
                event_id: row.get(3)?,
                correlation_id: row.get(4)?,
                input: row.get::<Json>(5)?.0.into(),
            })
        })
    }
}

fn standing(row: &Columns<'_>, first: usize) -> Result<Standing, StoreError> {
    Ok(Standing { status: row.named(first, OutboxStatus::from_name)?, attempts: row.get(first + 1)?, reason: row.get(first + 2)? })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::Store;
    use crate::store::trial::{Prompt, Trial, on_each};

    fn store(trial: &Trial) -> (Store, Prompt) {
        let store = Store::open(&trial.location, None, (1, 2)).unwrap();
        (store, Prompt::at(&trial.location))
    }

    /// Adds an entry in `row` that follows the one in `previous`.
    fn add(prompt: &Prompt, row: i64, sequence: i64, previous: i64) {
        let entry = "INSERT INTO journal VALUES (?, 1, ?, 0, 'decided', 1, 1, 0, 'e', 'c', '{}', 'accepted', '{}', '[]', NULL, ?, ?)";
        prompt.execute(entry, &values![row, sequence, previous, &[0; 32]]);
    }

    #[test]
    fn a_chain_leads_back_to_the_first_entry() {
        on_each(|trial| {
            let (store, prompt) = store(trial);
            for (row, sequence, previous) in [(3, 1, 0), (7, 2, 3), (8, 3, 7)] {
                add(&prompt, row, sequence, previous);
            }
            let reader = store.reader().unwrap();
            let sequences: Vec<u64> = reader.chain(8).map(|link| link.unwrap().sequence).collect();
            assert_eq!(sequences, [3, 2, 1]);
            assert_eq!(reader.chain(0).count(), 0);
        });
    }

    #[test]
    fn a_damaged_chain_is_told_and_ends() {
        on_each(|trial| {
            let (store, prompt) = store(trial);
            add(&prompt, 3, 1, 4);
            add(&prompt, 4, 2, 3);
            let links: Vec<_> = store.reader().unwrap().chain(4).collect();
            assert!(matches!(&links[..], [Ok(_), Err(StoreError::Corrupt(reason))] if reason.contains("row 3 follows row 4")), "{links:?}");
            let missing: Vec<_> = store.reader().unwrap().chain(9).collect();
            assert!(matches!(&missing[..], [Err(StoreError::Corrupt(_))]), "{missing:?}");
        });
    }

    #[test]
    fn a_snapshot_does_not_see_what_is_committed_meanwhile() {
        on_each(|trial| {
            let (store, prompt) = store(trial);
            let reader = store.reader().unwrap();
            let snapshot = reader.snapshot().unwrap();
            assert_eq!(reader.last_entry().unwrap(), 0);
            add(&prompt, 3, 1, 0);
            assert_eq!(reader.last_entry().unwrap(), 0);
            drop(snapshot);
            assert_eq!(reader.last_entry().unwrap(), 3);
        });
    }
}
