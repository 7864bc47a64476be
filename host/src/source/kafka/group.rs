//! The one client of the process, and what engines and its threads tell each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::context::Context;
use super::member::Member;
use super::status::KafkaStatus;
use super::watch::Watch;
use super::{KafkaSettings, Partition, Positions};
use crate::journal::EntryHash;
use crate::source::{Decoder, SourceError, Taken};
use crate::store::SourceRow;
use crate::time::HostClock;

/// How long the end of the client is waited for: brokers that are away cannot be told good-bye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The partitions that this host is to read now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// The partitions, in order.
    pub partitions: Vec<Partition>,
    /// The cluster's id, where it is known.
    pub cluster: Arc<str>,
    /// How many partitions the first topic has.
    pub count: u32,
}

/// What an engine reads, and how it is told.
pub struct Reading {
    /// Where each partition of the assignment is read on.
    pub parts: Vec<ReadFrom>,
    /// Where records go.
    pub lines: Sender<Vec<Taken>>,
    /// What they mean.
    pub decoder: Decoder,
    /// How far everything is decided: what the group is told.
    pub positions: Arc<Positions>,
    /// Bytes of the largest record that is taken.
    pub most_bytes: usize,
    /// Whether to tell when everything that there was at the beginning has been handed on.
    pub until_end: bool,
    /// How the engine is told.
    pub tell: Box<dyn Fn(Notice) + Send>,
}

/// What an engine is told besides records.
#[derive(Debug)]
pub enum Notice {
    /// The assignment changes: it is to end in good order, and says so by [`Group::halted`].
    Changes,
    /// Everything was read that was asked for, or nothing more can be.
    Ended(Result<(), SourceError>),
}

/// Where a partition is read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFrom {
    /// Which.
    pub partition: Partition,
    /// How far each workflow is that has read of it.
    pub(super) positions: Vec<u64>,
    /// Whether there is a workflow that has not.
    pub(super) has_new: bool,
    /// Whether such a one may begin with what comes: it has read nothing of the topic.
    pub(super) may_skip: bool,
    /// The last records that were read: offset and hash.
    pub(super) tails: Vec<(u64, EntryHash)>,
    /// The clusters that they were read from.
    pub(super) logs: Vec<Arc<str>>,
    /// How often an operator has set the position.
    pub(super) generation: u64,
}

impl ReadFrom {
    /// From the positions of all workflows of the host. `may_skip` says that none of the topic's partitions was ever read: a
    /// partition that the topic gets later is read from its beginning, whatever the settings say of topics that are new.
    #[must_use]
    pub fn of(partition: Partition, rows: &[SourceRow], may_skip: bool) -> Self {
        let (positions, tails, logs) = (Vec::new(), Vec::new(), Vec::new());
        let mut from = ReadFrom { partition, positions, has_new: false, may_skip, tails, logs, generation: 0 };
        for row in rows {
            if row.log.is_empty() && row.generation == 0 && row.next_line == 0 {
                from.has_new = true;
            } else {
                from.positions.push(row.next_line);
            }
            if row.next_offset > 0 {
                from.tails.push((row.next_offset - 1, row.tail));
            }
            from.logs.push(row.log.clone());
            from.generation = from.generation.max(row.generation);
        }
        from
    }
}

/// What the client's thread is asked.
pub(super) enum Request {
    /// An engine is there.
    Begin(Reading),
    /// No engine reads any more.
    Halted,
    /// It is over.
    Close,
}

/// A member of a consumer group; it outlives engines.
pub struct Group {
    status: Arc<KafkaStatus>,
    requests: Sender<Request>,
    assignments: Receiver<Assignment>,
    failed: Receiver<SourceError>,
    stop: Arc<AtomicBool>,
    ended: Receiver<()>,
    // Joined where they end in time.
    threads: Vec<JoinHandle<()>>,
}

impl Group {
    /// Joins the group. Brokers that are away are waited for.
    ///
    /// # Errors
    /// Where no client can be made from the settings.
    pub fn join(settings: &KafkaSettings, clock: Arc<dyn HostClock>) -> Result<Self, SourceError> {
        let status = Arc::new(KafkaStatus::default());
        let stop = Arc::new(AtomicBool::new(false));
        let consumer = Context::consumer(settings, status.clone())?;
        let (requests, asked) = unbounded();
        let (assigned, assignments) = unbounded();
        let (fails, failed) = bounded(1);
        let (end, ended) = bounded::<()>(0);
        let watch = Arc::new(Watch::new(consumer.clone(), status.clone(), clock.clone(), stop.clone()));
        let member = Member::new(settings.clone(), consumer, watch.clone(), status.clone(), clock, (asked, assigned, fails));
        let start = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.into()).spawn(run).map_err(|cause| SourceError::Start { cause })
        };
        let other_end = end.clone();
        let member = start(
            "kafka",
            Box::new(move || {
                member.run();
                drop(end);
            }),
        )?;
        let watch = start(
            "kafka-watch",
            Box::new(move || {
                watch.run();
                drop(watch);
                drop(other_end);
            }),
        )?;
        Ok(Group { status, requests, assignments, failed, stop, ended, threads: vec![member, watch] })
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> Arc<KafkaStatus> {
        self.status.clone()
    }

    /// Where the partitions that are to be read arrive: the first ones when the group is joined, then after each end of an
    /// engine that was [told](Notice::Changes) to make room, or that [ended](Group::halted) by itself.
    #[must_use]
    pub fn assignments(&self) -> &Receiver<Assignment> {
        &self.assignments
    }

    /// Where it arrives that the member can never go on.
    #[must_use]
    pub fn failed(&self) -> &Receiver<SourceError> {
        &self.failed
    }

    /// An engine is there for the last assignment.
    pub fn begin(&self, reading: Reading) {
        // A member that cannot go on has said so.
        let _ = self.requests.send(Request::Begin(reading));
    }

    /// The engine has ended: partitions may go to others, and the next assignment may come.
    pub fn halted(&self) {
        let _ = self.requests.send(Request::Halted);
    }

    /// Leaves the group, but for a member with a name of its own, which keeps its place for a while.
    pub fn leave(self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.requests.send(Request::Close);
        // Nothing is ever sent: both threads are gone when it is disconnected.
        if self.ended.recv_timeout(CLOSE_TIMEOUT) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
            tracing::warn!("the Kafka client did not end in time; the group will miss this member");
            return;
        }
        for thread in self.threads {
            // A panic was told by its hook.
            let _ = thread.join();
        }
    }
}
