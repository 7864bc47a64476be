//! The writer: commits batches in order, on a thread of its own, and does not give one up while the store may recover.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::EngineError;
use super::planted::{Mistake, planted};
use super::run::Message;
use crate::store::{Batch, Store, StoreError, Writer};

/// Batches handed over and not yet committed: one being synced, one ready behind it, or sent already.
pub(super) const MOST_BATCHES: usize = 2;

pub(super) const FIRST_RETRY: Duration = Duration::from_millis(50);
pub(super) const MOST_RETRY: Duration = Duration::from_secs(5);

/// How long a store that looks damaged is waited for: it may be a disk that cannot be read for a while.
pub(super) const DAMAGE_WAIT: Duration = Duration::from_secs(60);

/// Takes batches, commits them in order and tells the engine of each.
pub(super) trait Committer: Send {
    /// Hands over the next batch. At most [`MOST_BATCHES`] wait to become durable.
    ///
    /// # Errors
    /// Where no commit is to be expected any more.
    fn hand_over(&mut self, batch: Batch) -> Result<(), EngineError>;
}

/// What commits.
pub(super) trait Commit: Send {
    /// As [`Writer::commit`].
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError>;
}

impl Commit for Writer {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        Writer::commit(self, batch)
    }
}

/// What became of an attempt to commit.
pub(super) enum Attempt {
    /// It is durable.
    Done,
    /// The store does not take it now; it may after this time.
    Again(Duration),
    /// The store will never take it.
    Failed(StoreError),
}

/// Commits batches one by one, each again and again while its failure may pass: nobody else writes this store, so the
/// batch stays right.
pub(super) struct Commits<S> {
    store: S,
    engine: Sender<Message>,
    delay: Duration,
    /// Whether the engine was told of the failure.
    told: bool,
    /// How long what looks like damage has been waited for.
    doubted: Duration,
}

impl<S: Commit> Commits<S> {
    pub(super) fn new(store: S, engine: Sender<Message>) -> Self {
        Commits { store, engine, delay: FIRST_RETRY, told: false, doubted: Duration::ZERO }
    }

    /// Tries to commit `batch`. Tells the engine what came of it, and of a failure that may pass once.
    pub(super) fn attempt(&mut self, batch: &Batch) -> Attempt {
        match self.store.commit(batch) {
            Ok(()) => {
                (self.told, self.delay, self.doubted) = (false, FIRST_RETRY, Duration::ZERO);
                self.tell(Message::Committed(batch.number));
                Attempt::Done
            }
            Err(error) if error.is_passing() || (error.looks_like_damage() && self.doubted < DAMAGE_WAIT) => {
                if planted(Mistake::RefusedCommitTaken) {
                    self.tell(Message::Committed(batch.number));
                    return Attempt::Done;
                }
                if !std::mem::replace(&mut self.told, true) {
                    self.tell(Message::StoreDown(error.to_string()));
                }
                let delay = self.delay;
                self.delay = (delay * 2).min(MOST_RETRY);
                if error.looks_like_damage() {
                    self.doubted += delay;
                }
                Attempt::Again(delay)
            }
            Err(error) => Attempt::Failed(error),
        }
    }

    pub(super) fn tell(&self, message: Message) {
        // The engine is gone only when the process ends: what is durable will be found again.
        let _ = self.engine.send(message);
    }
}

/// A handle to the writing thread.
pub(super) struct WriterThread {
    batches: Sender<Batch>,
    ending: Arc<AtomicBool>,
    // Ended by the channel's end.
    thread: Option<JoinHandle<()>>,
}

impl WriterThread {
    /// `epoch` is the engine's, where several share the store.
    pub(super) fn start(store: &Store, epoch: u64, engine: Sender<Message>) -> Result<Self, EngineError> {
        let commits = Commits::new(store.writer()?.of_epoch(epoch)?, engine);
        // One is being committed, the others wait here.
        let (batches, todo) = bounded(MOST_BATCHES);
        let ending = Arc::new(AtomicBool::new(false));
        let asked_to_end = ending.clone();
        let thread = std::thread::Builder::new()
            .name("commit".into())
            .spawn(move || commit_all(commits, &todo, &asked_to_end))
            .map_err(|cause| EngineError::Thread { cause })?;
        Ok(WriterThread { batches, ending, thread: Some(thread) })
    }
}

impl Committer for WriterThread {
    fn hand_over(&mut self, batch: Batch) -> Result<(), EngineError> {
        self.batches.send(batch).map_err(|_| EngineError::WriterGone)
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        let (nobody, _) = bounded(0);
        self.batches = nobody;
        if let Some(thread) = self.thread.take() {
            // A panic of the writer was told by its hook.
            let _ = thread.join();
        }
    }
}

fn commit_all(mut commits: Commits<Writer>, todo: &Receiver<Batch>, ending: &AtomicBool) {
    let mut waiting: VecDeque<Batch> = VecDeque::with_capacity(MOST_BATCHES);
    let mut is_open = true;
    loop {
        let Some(first) = waiting.front() else {
            let Ok(batch) = todo.recv() else { return };
            commits.store.send(&batch);
            waiting.push_back(batch);
            continue;
        };
        // What comes while a batch is on its way is sent behind it.
        if is_open
            && waiting.len() < MOST_BATCHES
            && let Some(answered) = commits.store.answered()
        {
            let next = select! {
                recv(todo) -> next => Some(next),
                recv(answered) -> _ => None,
            };
            match next {
                Some(Ok(batch)) => {
                    commits.store.send(&batch);
                    waiting.push_back(batch);
                    continue;
                }
                Some(Err(_)) => is_open = false,
                None => {}
            }
        }
        match commits.attempt(first) {
            Attempt::Done => drop(waiting.pop_front()),
            Attempt::Failed(error) => return commits.tell(Message::CommitFailed(error)),
            // The process is to end: the batch is not durable, and its inputs will be decided again.
            Attempt::Again(_) if ending.load(Ordering::Acquire) => return,
            Attempt::Again(delay) => std::thread::sleep(delay),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]

    use crossbeam_channel::unbounded;
    use rusqlite::ffi;

    use super::*;

    struct Failing(i32);

    impl Commit for Failing {
        fn commit(&mut self, _: &Batch) -> Result<(), StoreError> {
            Err(rusqlite::Error::SqliteFailure(ffi::Error::new(self.0), None).into())
        }
    }

    /// How long a store that fails with `code` is waited for, up to ten minutes.
    fn waited(code: i32) -> Duration {
        let mut commits = Commits::new(Failing(code), unbounded().0);
        let mut waited = Duration::ZERO;
        while waited < Duration::from_secs(600) {
            match commits.attempt(&Batch::default()) {
                Attempt::Again(delay) => waited += delay,
                Attempt::Failed(_) => break,
                Attempt::Done => panic!("nothing can be done"),
            }
        }
        waited
    }

    #[test]
    fn a_disk_that_fails_is_waited_for_and_damage_for_a_minute() {
        assert!(waited(ffi::SQLITE_IOERR) >= Duration::from_secs(600));
        let damage = waited(ffi::SQLITE_CORRUPT);
        assert!(damage >= DAMAGE_WAIT && damage < DAMAGE_WAIT + MOST_RETRY, "{damage:?}");
        assert_eq!(waited(ffi::SQLITE_ERROR), Duration::ZERO);
    }
}
