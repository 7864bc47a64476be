//! The handle of one database file: what the effects of this process send their changes to.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rusqlite::types::Value;
use tokio::sync::{mpsc, oneshot};

use super::lane::{Lane, Owner};
use super::worker::{self, Job};
use crate::by_path::ByPath;
use crate::{Call, EffectError, Reply};

/// Calls that may wait for the thread of one file. A sender beyond that waits, which is the backpressure.
const QUEUE_CALLS_MAX: usize = 8_192;

static OPEN: ByPath<Database> = ByPath::new();

/// One database file. Effects that name the same file share it.
pub(crate) struct Database {
    path: PathBuf,
    running: Mutex<Option<Running>>,
}

struct Running {
    queue: mpsc::Sender<Job>,
    thread: JoinHandle<()>,
}

/// What one intent changes: one statement.
pub(crate) struct Change {
    pub(crate) sql: Arc<str>,
    pub(crate) values: Vec<Value>,
    pub(crate) on_no_row: OnNoRow,
}

/// What it means that the statement changed no row.
#[derive(Clone)]
pub(crate) enum OnNoRow {
    /// There was nothing to do.
    Success,
    /// A condition did not hold: refused, with this text.
    Refuse(Arc<str>),
}

impl Database {
    /// The database at `path`. Touches nothing yet.
    pub(crate) fn at(path: &Path) -> Arc<Database> {
        OPEN.get_or(path, |path| Database { path, running: Mutex::new(None) })
    }

    /// Opens the file (once), creates what `definitions` define, and compiles `statements` to see that they can be performed.
    pub(crate) async fn start(&self, definitions: Vec<String>, statements: Vec<Arc<str>>) -> Result<(), EffectError> {
        let queue = self.queue()?;
        let (reply, answer) = oneshot::channel();
        let job = Job::Prepare { definitions, statements, reply };
        queue.send(job).await.map_err(|_| self.stopped())?;
        answer.await.map_err(|_| self.stopped())?
    }

    /// Makes one change in the name of `effect`, durably, before it answers.
    pub(crate) async fn change(&self, effect: Arc<str>, call: &Call, change: Change) -> Result<Reply, EffectError> {
        let sequence = i64::try_from(call.sequence)
            .map_err(|_| EffectError::Refused(format!("sequence {} is past what SQLite's integers hold", call.sequence)))?;
        let queue = self.running().as_ref().map(|running| running.queue.clone()).ok_or_else(|| self.stopped())?;
        let lane = Lane {
            owner: Owner { journal: Arc::clone(&call.journal), workflow: Arc::clone(&call.workflow), effect },
            entity: Arc::clone(&call.entity),
            sequence,
            index: i64::from(call.index),
        };
        let (reply, answer) = oneshot::channel();
        queue.send(Job::Change { lane, change, reply }).await.map_err(|_| self.stopped())?;
        match answer.await {
            Ok(Ok(())) => Ok(None),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(EffectError::Unknown(format!("the writer of {} ended before it answered", self.path.display()))),
        }
    }

    /// Waits until everything sent is done and the file is closed, and with that its log folded in. Another user of the same
    /// file finds it not open.
    pub(crate) fn stop(&self) {
        let running = self.running().take();
        if let Some(Running { queue, thread }) = running {
            drop(queue);
            // A panic of the thread was told by its hook.
            let _ = thread.join();
        }
    }

    /// The queue of the thread that runs, or of one started now.
    fn queue(&self) -> Result<mpsc::Sender<Job>, EffectError> {
        let mut guard = self.running();
        if let Some(running) = guard.as_ref().filter(|running| !running.queue.is_closed()) {
            return Ok(running.queue.clone());
        }
        let (queue, jobs) = mpsc::channel(QUEUE_CALLS_MAX);
        let thread = worker::spawn(self.path.clone(), jobs)?;
        *guard = Some(Running { queue: queue.clone(), thread });
        Ok(queue)
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> EffectError {
        EffectError::NotDone { reason: format!("{} is not open", self.path.display()), retry_after: None }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.stop();
    }
}
