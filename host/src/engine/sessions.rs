//! Engines that follow each other in one process, each with what it owns for its whole life.
//!
//! What an engine owns never changes under it: where the partitions that this host reads do, the engine ends in good order
//! and the next one starts on the new ones, from the store, as after a restart. The store's lock, the effects, the figures
//! and the client of the source outlive them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tokio::runtime::Runtime;

use super::ground::Ground;
use super::run::{Ended, Ending, Message, SourceHandle};
use super::start::{MOST_LINE_BATCHES, Opened, Parts, Surroundings, channel, runtime, start_effects};
use super::summary::{Progress, Summary};
use super::{EngineError, Options};
use crate::observe::Observed;
use crate::sandbox::Sandbox;
use crate::source::{Assignment, Group, KafkaSettings, Notice, Partition, Positions, ReadFrom, Reading, Started, topic_of};
use crate::store::SourceRow;
use crate::time::SystemClock;
use crate::workflow::Workflow;

/// How long the first partitions are waited for before an engine starts without any: timers, effects and operators do not
/// wait for brokers that are away.
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// How often whoever waits for partitions says that it lives, and hears that it is to stop.
const WAIT_INTERVAL: Duration = Duration::from_millis(100);

/// How often a store that cannot be read for a while is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Asks the engine that runs to finish what is in flight and end.
#[derive(Clone)]
pub struct Stopper(Arc<Running>);

struct Running {
    stopped: AtomicBool,
    engine: Mutex<Option<Sender<Message>>>,
}

impl Stopper {
    pub(super) fn of(engine: Option<Sender<Message>>) -> Self {
        Stopper(Arc::new(Running { stopped: AtomicBool::new(false), engine: Mutex::new(engine) }))
    }

    /// Asks once more is as good as once.
    pub fn stop(&self) {
        let engine = self.engine();
        self.0.stopped.store(true, Ordering::Release);
        if let Some(engine) = &*engine {
            // Nobody listens where the engine has ended already.
            let _ = engine.send(Message::Stop);
        }
    }

    fn engine(&self) -> MutexGuard<'_, Option<Sender<Message>>> {
        self.0.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Acquire)
    }

    /// The engine that runs from now on.
    fn runs(&self, new: Sender<Message>) {
        let mut engine = self.engine();
        if self.is_stopped() {
            let _ = new.send(Message::Stop);
        }
        *engine = Some(new);
    }
}

/// Runs engines on what a consumer group assigns to this host, one after the other.
pub struct Sessions {
    ground: Ground,
    options: Options,
    runtime: Runtime,
    group: Group,
    stopper: Stopper,
    /// This start of the host, where workflows are to be told of it.
    started: Option<Started>,
    /// What the engines before did.
    summary: Summary,
}

impl Sessions {
    /// Opens the store that `workflows` share, starts the effects and joins the group.
    ///
    /// # Errors
    /// As [`super::start`].
    ///
    /// # Panics
    /// Where `workflows` is empty.
    pub fn start(
        workflows: Vec<Workflow>,
        sandbox: &Sandbox,
        options: Options,
        settings: &KafkaSettings,
    ) -> Result<(Self, Stopper), EngineError> {
        let ground = Ground::open(workflows, sandbox, &options, Arc::new(SystemClock::new()), (rand::random(), rand::random()))?;
        let runtime = runtime()?;
        if options.perform {
            start_effects(&runtime, &ground.plans)?;
        }
        let group = Group::join(settings, ground.clock.clone())?;
        ground.observed.reads_kafka(group.status());
        let stopper = Stopper::of(None);
        Ok((Sessions { ground, options, runtime, group, stopper: stopper.clone(), started: None, summary: Summary::default() }, stopper))
    }

    /// How the host is doing, now and while engines run.
    #[must_use]
    pub fn observed(&self) -> Arc<Observed> {
        self.ground.observed.clone()
    }

    /// Has each engine told of this start of the host, as [`super::Engine::host_started`] says: the first one that commits it
    /// is the one that takes it.
    pub fn host_started(&mut self, started: Started) {
        self.started = Some(started);
    }

    /// Runs until everything is read and idle, where that was asked for, or until stopped.
    ///
    /// # Errors
    /// Where the host cannot go on. What was committed stays; a restart goes on from there.
    pub fn run(mut self, mut progress: impl FnMut(Progress)) -> Result<Summary, EngineError> {
        let ended = self.engines(&mut progress);
        self.group.leave();
        self.runtime.shutdown_timeout(Duration::from_secs(1));
        // No attempt is under way any more: backends close their files.
        for plan in &self.ground.plans {
            plan.workflow.effects.iter().for_each(|(_, effect)| effect.stop());
        }
        ended.map(|()| self.summary)
    }

    /// One engine after the other.
    fn engines(&mut self, progress: &mut impl FnMut(Progress)) -> Result<(), EngineError> {
        let mut assignment = match self.assigned(Some(FIRST_WAIT))? {
            Some(assignment) => assignment,
            None if self.stopper.is_stopped() => return Ok(()),
            // The first partitions come to a running engine, as others do later.
            None => Assignment::default(),
        };
        loop {
            let Ending { summary, ended, untold } = self.engine(&assignment, progress)?;
            self.summary = summary;
            if untold == 0 {
                // The events that engines recognise again are a window: later ones are not asked.
                self.started = None;
            }
            self.group.halted();
            if ended == Ended::Over {
                return Ok(());
            }
            assignment = match self.assigned(None)? {
                Some(assignment) => assignment,
                None => return Ok(()),
            };
        }
    }

    /// The next assignment; none where it does not come in time, or the host is to stop.
    fn assigned(&self, patience: Option<Duration>) -> Result<Option<Assignment>, EngineError> {
        let Ground { clock, observed, .. } = &self.ground;
        let began = clock.elapsed();
        loop {
            match self.group.assignments().recv_timeout(WAIT_INTERVAL) {
                Ok(mut assignment) => {
                    // Only the last one holds.
                    while let Ok(later) = self.group.assignments().try_recv() {
                        assignment = later;
                    }
                    return Ok(Some(assignment));
                }
                Err(RecvTimeoutError::Timeout) => {}
                // The client has ended, and says why.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(WAIT_INTERVAL),
            }
            if let Ok(error) = self.group.failed().try_recv() {
                return Err(error.into());
            }
            let now = clock.elapsed();
            observed.turned(now);
            if self.stopper.is_stopped() || patience.is_some_and(|patience| now >= began + patience) {
                return Ok(None);
            }
        }
    }

    /// Runs one engine on `assignment` until it is over or gives way to another one.
    fn engine(&mut self, assignment: &Assignment, progress: &mut impl FnMut(Progress)) -> Result<Ending, EngineError> {
        let names = assignment.partitions.iter().map(Partition::name).collect();
        let opened = self.open(&Parts { names, log: assignment.cluster.clone() })?;
        let (to_engine, messages): (Sender<Message>, Receiver<Message>) = channel();
        let (send, lines) = bounded(MOST_LINE_BATCHES);
        let positions = Arc::new(Positions::new(&opened.read_up_to()));
        let limits = self.ground.plans.iter().map(|plan| plan.workflow.manifest.limits.event_bytes);
        let rows_of = |part: usize| opened.positions.iter().map(|rows| rows[part].clone()).collect::<Vec<SourceRow>>();
        let parts = assignment.partitions.iter().enumerate();
        let read = opened.sources_read()?;
        let is_new = |partition: &Partition| !read.iter().filter_map(|name| topic_of(name)).any(|topic| *topic == *partition.topic);
        let told = to_engine.clone();
        let reading = Reading {
            parts: parts.map(|(part, partition)| ReadFrom::of(partition.clone(), &rows_of(part), is_new(partition))).collect(),
            lines: send,
            decoder: opened.decoder.clone(),
            positions: positions.clone(),
            most_bytes: limits.max().unwrap_or(0),
            until_end: self.options.until_idle,
            tell: Box::new(move |notice| {
                // Nobody listens where the engine has ended by itself.
                let _ = told.send(match notice {
                    Notice::Changes => Message::GiveWay,
                    Notice::Ended(result) => Message::SourceEnded(result),
                });
            }),
        };
        let source = SourceHandle::of_parts(lines, positions);
        let on = Surroundings::of_threads(&opened, &self.options, self.runtime.handle(), Some(source), (&to_engine, messages))?;
        let mut engine = opened.engine(on)?;
        if let Some(started) = &self.started {
            engine.host_started(started);
        }
        self.stopper.runs(to_engine);
        self.group.begin(reading);
        engine.run_on(progress)
    }

    fn open(&self, parts: &Parts) -> Result<Opened, EngineError> {
        let mut told = false;
        loop {
            match Opened::on(&self.ground, &self.options, parts, self.summary) {
                Err(EngineError::Store(error)) if error.is_passing() && !self.stopper.is_stopped() => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::error!(%error, "the store cannot be used; the next engine starts when it can");
                    }
                    self.ground.observed.turned(self.ground.clock.elapsed());
                    std::thread::sleep(RETRY_INTERVAL);
                }
                opened => return opened,
            }
        }
    }
}
