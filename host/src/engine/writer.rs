//! The writer: commits batches in order, on a thread of its own, and does not give one up while the store may recover.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::EngineError;
use super::run::Message;
use crate::store::{Batch, Store, StoreError, Writer};

/// Batches handed over and not yet committed: one being synced, one ready behind it.
pub(super) const MOST_BATCHES: usize = 2;

const FIRST_RETRY: Duration = Duration::from_millis(50);
const MOST_RETRY: Duration = Duration::from_secs(5);

/// A handle to the writing thread.
pub(super) struct WriterThread {
    batches: Sender<Batch>,
    ending: Arc<AtomicBool>,
    // Ended by the channel's end.
    thread: Option<JoinHandle<()>>,
}

impl WriterThread {
    pub(super) fn start(store: &Store, engine: Sender<Message>) -> Result<Self, EngineError> {
        let writer = store.writer()?;
        let (batches, todo) = bounded(MOST_BATCHES);
        let ending = Arc::new(AtomicBool::new(false));
        let asked_to_end = ending.clone();
        let thread = std::thread::Builder::new()
            .name("commit".into())
            .spawn(move || commit_all(writer, &todo, &engine, &asked_to_end))
            .map_err(|source| EngineError::Thread { source })?;
        Ok(WriterThread { batches, ending, thread: Some(thread) })
    }

    pub(super) fn send(&self, batch: Batch) -> Result<(), EngineError> {
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

fn commit_all(mut writer: Writer, todo: &Receiver<Batch>, engine: &Sender<Message>, ending: &AtomicBool) {
    for batch in todo {
        let message = match commit(&mut writer, &batch, engine, ending) {
            Ok(()) => Message::Committed(batch.number),
            Err(error) => Message::CommitFailed(error),
        };
        let failed = matches!(message, Message::CommitFailed(_));
        if engine.send(message).is_err() || failed {
            break;
        }
    }
}

/// Commits `batch`, again and again while the failure may pass: nobody else writes this store, so the batch stays right.
fn commit(writer: &mut Writer, batch: &Batch, engine: &Sender<Message>, ending: &AtomicBool) -> Result<(), StoreError> {
    let mut delay = FIRST_RETRY;
    let mut told = false;
    loop {
        match writer.commit(batch) {
            Ok(()) => {
                if told {
                    tracing::info!("the store works again");
                }
                return Ok(());
            }
            Err(error) if error.is_passing() => {
                if !told {
                    tracing::error!(%error, "the store does not take the commit; no events are taken until it does");
                    told = true;
                    if engine.send(Message::StoreDown).is_err() {
                        return Err(error);
                    }
                }
                // The process is to end: the batch is not durable, and its inputs will be decided again.
                if ending.load(Ordering::Acquire) {
                    return Err(error);
                }
                std::thread::sleep(delay);
                delay = (delay * 2).min(MOST_RETRY);
            }
            Err(error) => return Err(error),
        }
    }
}
