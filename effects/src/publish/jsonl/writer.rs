//! The thread that owns a file of events: gathers what waits, appends it, syncs once, answers all.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::log::{AppendError, Log};
use crate::EffectError;

/// Events that may wait for the thread. A sender beyond that waits, which is the backpressure.
const QUEUE_EVENTS_MAX: usize = 4_096;

/// Events of one sync at most.
const BATCH_EVENTS_MAX: usize = 1_024;

/// Bytes written at once, give or take one line.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

type Answer = Result<(), EffectError>;

struct Job {
    line: Vec<u8>,
    reply: oneshot::Sender<Answer>,
}

/// The handle of one file.
pub(super) struct Writer {
    path: PathBuf,
    open: tokio::sync::Mutex<()>,
    running: Mutex<Option<Running>>,
}

struct Running {
    queue: mpsc::Sender<Job>,
    thread: JoinHandle<()>,
}

impl Writer {
    pub(super) fn new(path: PathBuf) -> Writer {
        Writer { path, open: tokio::sync::Mutex::new(()), running: Mutex::new(None) }
    }

    /// Opens the file, once.
    pub(super) async fn start(&self) -> Answer {
        let _one_at_a_time = self.open.lock().await;
        if self.queue().is_some() {
            return Ok(());
        }
        let (queue, jobs) = mpsc::channel(QUEUE_EVENTS_MAX);
        let (opened, answer) = oneshot::channel();
        let path = self.path.clone();
        let thread = std::thread::Builder::new().name("effects-jsonl".to_owned());
        let thread = thread.spawn(move || match Log::open(&path) {
            Ok(log) => {
                let _ = opened.send(Ok(()));
                run(log, &path, jobs);
            }
            Err(error) => {
                let _ = opened.send(Err(error));
            }
        });
        let thread = thread.map_err(|error| self.not_done("start the writer of", &error))?;
        match answer.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(self.not_done("open", &error)),
            Err(_) => return Err(self.not_done("open", &"its writer has ended")),
        }
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(Running { queue, thread });
        Ok(())
    }

    /// Appends one line, durably, before it answers.
    pub(super) async fn append(&self, line: Vec<u8>) -> Answer {
        let queue = self.queue().ok_or_else(|| self.not_done("write to", &"it is not open"))?;
        let (reply, answer) = oneshot::channel();
        queue.send(Job { line, reply }).await.map_err(|_| self.not_done("write to", &"its writer has ended"))?;
        answer
            .await
            .unwrap_or_else(|_| Err(EffectError::Unknown(format!("the writer of {} ended before it answered", self.path.display()))))
    }

    fn queue(&self) -> Option<mpsc::Sender<Job>> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().map(|running| running.queue.clone()).filter(|queue| !queue.is_closed())
    }

    fn not_done(&self, attempted: &str, reason: &dyn std::fmt::Display) -> EffectError {
        EffectError::NotDone { reason: format!("cannot {attempted} {}: {reason}", self.path.display()), retry_after: None }
    }
}

impl Drop for Writer {
    /// Waits until the file is closed, so that whoever opens it next finds it free.
    fn drop(&mut self) {
        if let Some(Running { queue, thread }) = self.running.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            drop(queue);
            let _ = thread.join();
        }
    }
}

/// Ends when the last sender is gone and everything sent is written.
fn run(mut log: Log, path: &Path, mut queue: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(BATCH_EVENTS_MAX);
    let mut lines = Vec::new();
    while queue.blocking_recv_many(&mut jobs, BATCH_EVENTS_MAX) > 0 {
        let mut waiting = Vec::with_capacity(jobs.len());
        let mut jobs = jobs.drain(..).peekable();
        while let Some(job) = jobs.next() {
            // An abandoned attempt that has not begun need not begin.
            if !job.reply.is_closed() {
                lines.extend_from_slice(&job.line);
                waiting.push(job.reply);
            }
            if lines.len() < BATCH_BYTES_MAX && jobs.peek().is_some() {
                continue;
            }
            let answer = if waiting.is_empty() { Ok(()) } else { log.append(&lines).map_err(|error| failure(path, error)) };
            if let Err(error) = &answer {
                tracing::warn!(file = %path.display(), events = waiting.len(), %error, "events not published");
            }
            for reply in waiting.drain(..) {
                let _ = reply.send(answer.clone());
            }
            lines.clear();
            lines.shrink_to(BATCH_BYTES_MAX);
        }
    }
}

fn failure(path: &Path, error: AppendError) -> EffectError {
    let path = path.display();
    match error {
        AppendError::NotWritten(error) => EffectError::NotDone { reason: format!("cannot write to {path}: {error}"), retry_after: None },
        AppendError::NotSynced(error) => EffectError::Unknown(format!("cannot sync {path}: {error}")),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::{File, OpenOptions};

    use super::*;

    /// What becomes of an event on this file.
    fn published(file: File) -> Answer {
        let (queue, jobs) = mpsc::channel(1);
        let (reply, answer) = oneshot::channel();
        queue.try_send(Job { line: b"{}\n".to_vec(), reply }).map_err(|_| "full").unwrap();
        drop(queue);
        run(Log::over(file), Path::new("events.jsonl"), jobs);
        answer.blocking_recv().unwrap()
    }

    #[test]
    fn a_full_disk_and_a_file_that_may_not_be_written_are_not_done() {
        let full = published(OpenOptions::new().append(true).open("/dev/full").unwrap());
        assert!(matches!(&full, Err(EffectError::NotDone { reason, .. }) if reason.contains("No space left")), "{full:?}");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("events.jsonl"), "").unwrap();
        let forbidden = published(File::open(folder.path().join("events.jsonl")).unwrap());
        assert!(matches!(&forbidden, Err(EffectError::NotDone { reason, .. }) if reason.contains("cannot write")), "{forbidden:?}");
    }

    #[test]
    fn what_cannot_be_synced_is_unknown() {
        // It takes whatever is written and has no disk to sync it to.
        let lost = published(OpenOptions::new().append(true).open("/dev/null").unwrap());
        assert!(matches!(&lost, Err(EffectError::Unknown(reason)) if reason.contains("cannot sync")), "{lost:?}");
    }
}
