//! Commits: each batch in one round trip, counted, so that one whose answer was lost is known to stand or not.

use std::collections::BTreeMap;

use super::session::Session;
use super::transaction::Transaction as Pipeline;
use crate::store::change::{Change, int};
use crate::store::connection::Transaction;
use crate::store::tally::Tally;
use crate::store::value::values;
use crate::store::{Batch, StoreError};

/// The commit's number, which is the next one of this host.
static NUMBER: Change = Change::update("hosts", &[int("commits")], &[int("epoch"), int("commits")]);

/// What one host commits through.
pub(in crate::store) struct Commits {
    /// Under which it commits.
    epoch: u64,
    /// Of the last one that is known to stand.
    number: u64,
    /// Whether the next one was tried and may stand.
    is_open: bool,
    /// The workflows' tallies as of the last one: nobody else changes them.
    tallies: BTreeMap<i64, Tally>,
}

impl Commits {
    pub(in crate::store) fn new(session: &Session, epoch: u64) -> Result<Self, StoreError> {
        let number = stands(session, epoch)?;
        Ok(Commits { epoch, number, is_open: false, tallies: BTreeMap::new() })
    }

    /// Commits `batch`. After a failure that may pass only the same batch may be tried.
    pub(in crate::store) fn commit(
        &mut self,
        session: &Session,
        batch: &Batch,
        write: impl for<'v> FnOnce(&mut Transaction<'_, 'v>, &'v Batch, &mut BTreeMap<i64, Tally>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if self.is_open && self.stands_already(session)? {
            return Ok(());
        }
        match self.attempt(session, batch, write) {
            Ok(()) => {
                self.number += 1;
                self.is_open = false;
                Ok(())
            }
            Err(error) => {
                self.is_open = true;
                self.tallies.clear();
                session.give_up();
                match error {
                    // The attempt before may have come to stand only now.
                    StoreError::Overtaken { .. } if self.stands_already(session)? => Ok(()),
                    StoreError::Overtaken { .. } => {
                        self.is_open = false;
                        Err(self.overtaken(session, batch))
                    }
                    error => Err(error),
                }
            }
        }
    }

    fn attempt(
        &mut self,
        session: &Session,
        batch: &Batch,
        write: impl for<'v> FnOnce(&mut Transaction<'_, 'v>, &'v Batch, &mut BTreeMap<i64, Tally>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut transaction = Transaction::Postgres(Pipeline::begin(session));
        let next = self.number + 1;
        // First of all: an attempt before that is still under way is waited for here.
        transaction.change_all(&NUMBER, [values![next, self.epoch, self.number]])?;
        write(&mut transaction, batch, &mut self.tallies)?;
        transaction.commit()
    }

    /// Whether the commit stands whose answer was lost.
    fn stands_already(&mut self, session: &Session) -> Result<bool, StoreError> {
        let stands = stands(session, self.epoch)? == self.number + 1;
        if stands {
            tracing::info!(commit = self.number + 1, "a commit stands whose answer was lost");
            self.number += 1;
            self.is_open = false;
        }
        Ok(stands)
    }

    /// Who or what was in the way.
    fn overtaken(&self, session: &Session, batch: &Batch) -> StoreError {
        if let Err(error) = stands(session, self.epoch) {
            return error;
        }
        for entity in &batch.entities {
            let query = "SELECT head_row, head FROM entities WHERE workflow = ? AND key = ?";
            let found = session.row(query, &values![entity.workflow, &entity.key], |row| Ok((row.get(0)?, row.get(1)?)));
            match found {
                Ok(found) if found.unwrap_or_default() == (entity.expected_head_row, entity.expected_head) => {}
                Ok(_) => {
                    return StoreError::Overtaken {
                        what: format!("entity {:?} was changed by somebody else between reading and committing", entity.key),
                    };
                }
                Err(error) => return error,
            }
        }
        StoreError::Overtaken { what: "rows of the batch were written by somebody else".into() }
    }
}

/// How many commits of this host stand.
fn stands(session: &Session, epoch: u64) -> Result<u64, StoreError> {
    let found = session.row("SELECT commits FROM hosts WHERE epoch = ?", &values![epoch], |row| row.get(0))?;
    found.map_or_else(|| Err(gone(session, epoch)), Ok)
}

/// Says who has taken over since: the youngest host that is there.
fn gone(session: &Session, epoch: u64) -> StoreError {
    let query = "SELECT name, epoch FROM hosts WHERE epoch > ? ORDER BY epoch DESC LIMIT 1";
    let by = session.row(query, &values![epoch], |row| Ok((row.get::<String>(0)?, row.get::<u64>(1)?)));
    let by = match by {
        Ok(Some((name, youngest))) => format!("{name} is there with epoch {youngest}"),
        _ => "no younger one is there".to_owned(),
    };
    StoreError::Overtaken { what: format!("epoch {epoch} of this host on {} is over; {by}", session.place().told) }
}
