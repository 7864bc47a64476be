//! Commits: each batch in one round trip, counted, so that one whose answer was lost is known to stand or not.

use std::collections::{BTreeMap, VecDeque};

use crossbeam_channel::Receiver;

use super::session::{Answers, Session};
use super::transaction::Transaction as Pipeline;
use crate::store::change::{Change, int};
use crate::store::connection::Transaction;
use crate::store::tally::Tally;
use crate::store::value::values;
use crate::store::{Batch, StoreError};

/// The commit's number, which is the next one of this host.
static NUMBER: Change = Change::update("hosts", &[int("commits")], &[int("epoch"), int("commits")]);

/// Does all that a batch says, for the engine of that epoch.
type Write = for<'v> fn(&mut Transaction<'_, 'v>, &'v Batch, u64, &mut BTreeMap<i64, Tally>) -> Result<(), StoreError>;

/// What one host commits through.
pub(in crate::store) struct Commits {
    /// Under which it commits.
    epoch: u64,
    /// Of the last one that is known to stand.
    number: u64,
    /// Of the last one that was tried: those up to it may stand.
    tried: u64,
    /// Batches that are on their way, by their own numbers, in order: each is tried as the next one after those before it.
    sent: VecDeque<(u64, Answers)>,
    /// The workflows' tallies as of the last one that was sent: nobody else changes them.
    tallies: BTreeMap<i64, Tally>,
}

impl Commits {
    pub(in crate::store) fn new(session: &Session, epoch: u64) -> Result<Self, StoreError> {
        let number = stands(session, epoch)?;
        Ok(Commits { epoch, number, tried: number, sent: VecDeque::new(), tallies: BTreeMap::new() })
    }

    /// Sends `batch` behind those that are on their way; [`Commits::commit`] waits for it. It stands only if all of them do:
    /// its own number follows theirs. Nothing is sent while something else may have to be tried again.
    pub(in crate::store) fn send(&mut self, session: &Session, batch: &Batch, write: (Write, u64)) {
        if self.tried != self.number + self.sent.len() as u64 {
            return;
        }
        match self.attempt(session, batch, write) {
            Ok(answers) => self.sent.push_back((batch.number, answers)),
            Err(error) => {
                // It is tried again when its turn comes, and what is wrong is told then.
                tracing::debug!(%error, batch = batch.number, "a batch could not be sent ahead");
                self.tallies.clear();
            }
        }
    }

    /// Closed as soon as the oldest batch on its way is answered; none where nothing is.
    pub(in crate::store) fn answered(&self) -> Option<&Receiver<()>> {
        self.sent.front().map(|(_, answers)| answers.are_there())
    }

    /// Commits `batch`, or waits for it where it was sent. After a failure that may pass only the same batch may be tried.
    pub(in crate::store) fn commit(&mut self, session: &Session, batch: &Batch, write: (Write, u64)) -> Result<(), StoreError> {
        let sent = self.sent.pop_front_if(|(number, _)| *number == batch.number);
        if sent.is_none() && self.tried > self.number && self.stands_already(session)? {
            return Ok(());
        }
        let answers = sent.map_or_else(|| self.attempt(session, batch, write), |(_, answers)| Ok(answers));
        match answers.and_then(|answers| answers.wait(session)) {
            Ok(_) => {
                self.number += 1;
                Ok(())
            }
            Err(error) => {
                // What was sent behind it cannot stand without it.
                self.sent.clear();
                self.tallies.clear();
                session.give_up();
                match error {
                    // The attempt before may have come to stand only now.
                    StoreError::Overtaken { .. } if self.stands_already(session)? => Ok(()),
                    StoreError::Overtaken { .. } => {
                        self.tried = self.number;
                        Err(self.overtaken(session, batch))
                    }
                    error => Err(error),
                }
            }
        }
    }

    /// Sends `batch` as the next one after those that are on their way.
    fn attempt(&mut self, session: &Session, batch: &Batch, (write, epoch): (Write, u64)) -> Result<Answers, StoreError> {
        let mut pipeline = Transaction::Postgres(Pipeline::begin(session));
        let before = self.number + self.sent.len() as u64;
        self.tried = self.tried.max(before + 1);
        // First of all: an attempt before that is still under way is waited for here.
        pipeline.change_all(&NUMBER, [values![before + 1, self.epoch, before]])?;
        write(&mut pipeline, batch, epoch, &mut self.tallies)?;
        match pipeline {
            Transaction::Postgres(pipeline) => pipeline.hand_over(),
            Transaction::Sqlite(_) => Err(StoreError::Missing { store: session.place().told.clone() }),
        }
    }

    /// Whether the commit stands whose answer was lost. Those behind it may stand too: each is asked about in its turn.
    fn stands_already(&mut self, session: &Session) -> Result<bool, StoreError> {
        let stands = stands(session, self.epoch)? > self.number;
        if stands {
            tracing::info!(commit = self.number + 1, "a commit stands whose answer was lost");
            self.number += 1;
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
