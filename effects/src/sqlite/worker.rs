//! The thread that owns a file's connection: gathers what waits, performs it in one transaction, commits, answers all.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, params_from_iter};
use tokio::sync::{mpsc, oneshot};

use super::database::{Change, OnNoRow};
use super::failure::{classify, classify_commit};
use super::lane::{self, Lane, Owners, Standing};
use crate::EffectError;

/// Calls in one transaction at most: what waits while the transaction before is synced. A page that several of them
/// change is written once.
const BATCH_CALLS_MAX: usize = 4_096;

/// Pages kept in memory, in KiB: the rows and marks of some ten thousand entities.
const CACHE_KIB: i64 = 16 * 1024;

/// Pages in the log before they are folded into the file: 32 MiB, so that a page which changes often is folded once.
const LOG_PAGES: i64 = 8 * 1024;

/// How long a batch waits for another process that is writing to the same file.
const BUSY_WAIT: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 5_000 });

/// Statements kept compiled: far more than one file's routes.
const STATEMENTS_CACHED_MAX: usize = 256;

type Answer = Result<(), EffectError>;

/// What the thread is asked to do.
pub(super) enum Job {
    /// Make the file ready.
    Prepare { definitions: Vec<String>, statements: Vec<Arc<str>>, reply: oneshot::Sender<Answer> },
    /// Make one change.
    Change { lane: Lane, change: Change, reply: oneshot::Sender<Answer> },
}

struct Pending {
    lane: Lane,
    change: Change,
    reply: oneshot::Sender<Answer>,
}

/// Starts the thread. It ends when the last sender is gone and everything sent is done.
pub(super) fn spawn(path: PathBuf, mut queue: mpsc::Receiver<Job>) -> Result<JoinHandle<()>, EffectError> {
    let place = path.display().to_string();
    let thread = std::thread::Builder::new().name("effects-sqlite".to_owned());
    let spawned = thread.spawn(move || match open(&path) {
        Ok(connection) => Worker { connection, path, owners: Owners::default() }.run(queue),
        Err(error) => {
            let error = EffectError::NotDone { reason: format!("cannot open the database {}: {error}", path.display()), retry_after: None };
            // Whoever started the thread sends at once; nobody may be left without an answer.
            let mut next = queue.blocking_recv();
            queue.close();
            while let Some(Job::Prepare { reply, .. } | Job::Change { reply, .. }) = next {
                let _ = reply.send(Err(error.clone()));
                next = queue.blocking_recv();
            }
        }
    });
    spawned.map_err(|error| EffectError::NotDone { reason: format!("cannot start the writer of {place}: {error}"), retry_after: None })
}

fn open(path: &Path) -> Result<Connection, Box<dyn std::error::Error>> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED_MAX);
    // Statements stay prepared, whatever their parameters are.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

struct Worker {
    connection: Connection,
    path: PathBuf,
    owners: Owners,
}

impl Worker {
    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(BATCH_CALLS_MAX);
        while queue.blocking_recv_many(&mut jobs, BATCH_CALLS_MAX) > 0 {
            let mut batch = Vec::with_capacity(jobs.len());
            for job in jobs.drain(..) {
                match job {
                    // An abandoned attempt that has not begun need not begin.
                    Job::Change { reply, .. } if reply.is_closed() => {}
                    Job::Change { lane, change, reply } => batch.push(Pending { lane, change, reply }),
                    Job::Prepare { definitions, statements, reply } => {
                        let _ = reply.send(self.prepare(&definitions, &statements));
                    }
                }
            }
            self.perform(batch);
        }
    }

    fn prepare(&self, definitions: &[String], statements: &[Arc<str>]) -> Answer {
        let place = self.path.display();
        let transaction = self.connection.unchecked_transaction().map_err(|error| classify(&error, &format!("cannot prepare {place}")))?;
        for definition in std::iter::once(lane::DEFINITION).chain(definitions.iter().map(String::as_str)) {
            transaction.execute_batch(definition).map_err(|error| classify(&error, &format!("cannot create a table in {place}")))?;
        }
        transaction.commit().map_err(|error| classify(&error, &format!("cannot prepare {place}")))?;
        for statement in statements {
            // What was bound does not fit the table: somebody else has made it since, and differently.
            self.connection.prepare(statement).map_err(|error| {
                EffectError::Refused(format!("{place} has changed since it was checked: {error}; run `purefold check` again"))
            })?;
        }
        Ok(())
    }

    /// All of the batch in one transaction; where that is not possible, each call in its own.
    fn perform(&mut self, batch: Vec<Pending>) {
        if batch.is_empty() {
            return;
        }
        match self.transact(&batch) {
            Ok(answers) => {
                for (pending, answer) in batch.into_iter().zip(answers) {
                    let _ = pending.reply.send(answer);
                }
            }
            // One call's fault took the transaction of all with it. Alone, it fails alone.
            Err(EffectError::Refused(_)) if batch.len() > 1 => {
                for pending in batch {
                    let answer = self.transact(std::slice::from_ref(&pending)).map(|mut answers| answers.pop().unwrap_or(Ok(())));
                    let _ = pending.reply.send(answer.flatten());
                }
            }
            Err(error) => {
                tracing::debug!(database = %self.path.display(), calls = batch.len(), %error, "batch not committed");
                for pending in batch {
                    let _ = pending.reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// One transaction. The outer error: nothing of it stands.
    fn transact(&mut self, batch: &[Pending]) -> Result<Vec<Answer>, EffectError> {
        let attempted = format!("cannot write to {}", self.path.display());
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| classify(&error, &attempted))?;
        let result = self.apply(batch, &attempted).and_then(|answers| {
            self.connection.execute_batch("COMMIT").map_err(|error| classify_commit(&error, &attempted))?;
            Ok(answers)
        });
        if result.is_err() {
            self.owners.forget();
            if !self.connection.is_autocommit()
                && let Err(error) = self.connection.execute_batch("ROLLBACK")
            {
                tracing::error!(database = %self.path.display(), %error, "cannot roll back");
            }
        }
        result
    }

    fn apply(&mut self, batch: &[Pending], attempted: &str) -> Result<Vec<Answer>, EffectError> {
        let mut answers = Vec::with_capacity(batch.len());
        for Pending { lane, change, .. } in batch {
            let standing = lane.standing(&self.connection, &mut self.owners).map_err(|error| classify(&error, attempted))?;
            if standing == Standing::Behind {
                answers.push(Ok(()));
                continue;
            }
            // A statement that fails undoes itself and leaves the transaction, unless the failure ended that too.
            match self.execute(change) {
                Ok(0) if let OnNoRow::Refuse(reason) = &change.on_no_row => answers.push(Err(EffectError::Refused(reason.to_string()))),
                Ok(_) => {
                    lane.advance(&self.connection, standing).map_err(|error| classify(&error, attempted))?;
                    answers.push(Ok(()));
                }
                Err(error) if self.connection.is_autocommit() => return Err(classify(&error, attempted)),
                Err(error) => answers.push(Err(classify(&error, attempted))),
            }
        }
        Ok(answers)
    }

    fn execute(&self, change: &Change) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(&change.sql)?.execute(params_from_iter(&change.values))
    }
}
