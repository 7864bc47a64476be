//! Engines that follow each other in one process, each with what it owns for its whole life.
//!
//! What an engine owns never changes under it: where the partitions that this host reads do, the engine ends in good order
//! and the next one starts on the new ones, from the store, as after a restart. The store's lock, the effects, the figures
//! and the client of the source outlive them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tokio::runtime::Runtime;

use super::ground::{Ground, standard_loader};
use super::handle::SourceHandle;
use super::run::{Ended, Ending, Message};
use super::start::{MOST_LINE_BATCHES, Opened, Parts, Surroundings, channel, read_source, runtime, start_effects};
use super::summary::{Progress, Summary};
use super::{Clock, EngineError, Options};
use crate::hosts::{Change, Membership, Wish};
use crate::observe::Observed;
use crate::sandbox::Sandbox;
use crate::source::{Assignment, Feed, Group, Notice, Partition, Positions, ReadFrom, Reading, Started, topic_of};
use crate::store::{SourceRow, Store};
use crate::time::{HostClock, SystemClock};
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

/// Runs engines one after the other: on what a consumer group assigns to this host, and on the shards that it owns where
/// several share the store.
pub struct Sessions {
    ground: Ground,
    options: Options,
    runtime: Runtime,
    /// Where partitions are read.
    group: Option<Group>,
    /// Where the store is shared. It ends after all that uses the shards.
    membership: Option<Membership>,
    stopper: Stopper,
    /// The start of the process, where engines are told of it.
    started: Option<Started>,
    /// Is told the address that the source listens on, once.
    listens: Option<Box<dyn FnOnce(SocketAddr) + Send>>,
    /// What the engines before did.
    summary: Summary,
}

/// By what shards are chosen for a host that reads this.
fn wish(options: &Options, assignment: &Assignment) -> Wish {
    match (&options.feed, options.clock) {
        (_, Clock::Event) => Wish::All,
        (Some(Feed::Kafka(settings)), Clock::Arrival) => {
            let first = settings.topics.first();
            let read = assignment.partitions.iter().filter(|partition| first.is_some_and(|first| **first == *partition.topic));
            Wish::Partitions(read.filter_map(|partition| u32::try_from(partition.number).ok()).collect(), assignment.count)
        }
        (_, Clock::Arrival) => Wish::Part,
    }
}

impl Sessions {
    /// Opens the store that `workflows` share, starts the effects and joins the group, if there is one, and the hosts of the
    /// store as `name`, which no other process has.
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
        name: String,
        listens: impl FnOnce(SocketAddr) + Send + 'static,
    ) -> Result<(Self, Stopper), EngineError> {
        let listens: Option<Box<dyn FnOnce(SocketAddr) + Send>> = Some(Box::new(listens));
        let clock: Arc<dyn HostClock> = Arc::new(SystemClock::new());
        let (random, loader) = ((rand::random(), rand::random()), standard_loader(&options));
        let settings = workflows.first().map(|workflow| workflow.manifest.store.clone());
        let (ground, membership) = match settings.filter(|settings| settings.location.can_be_shared()) {
            Some(settings) => {
                let store = Store::join(&settings.location, settings.id, random)?;
                let mut names: Vec<&str> = workflows.iter().map(|workflow| &*workflow.name).collect();
                names.sort_unstable();
                let member = (name, names.join(", "));
                let membership = Membership::join(store.writer()?, member, wish(&options, &Assignment::default()), clock.clone())?;
                let first = Options { share: membership.epoch()?, ..options.clone() };
                (Ground::on(store, workflows, sandbox, &first, (clock, loader))?, Some(membership))
            }
            None => (Ground::open(workflows, sandbox, &options, (clock, loader), random)?, None),
        };
        let runtime = runtime()?;
        if options.perform {
            start_effects(runtime.handle(), &ground.plans.now())?;
        }
        let group = match &options.feed {
            Some(Feed::Kafka(settings)) => Some(Group::join(settings, ground.clock.clone())?),
            _ => None,
        };
        if let Some(group) = &group {
            ground.observed.reads_kafka(group.status());
        }
        let stopper = Stopper::of(None);
        let (started, summary) = (None, Summary::default());
        let sessions = Sessions { ground, options, runtime, group, membership, stopper: stopper.clone(), started, listens, summary };
        Ok((sessions, stopper))
    }

    /// How the host is doing, now and while engines run.
    #[must_use]
    pub fn observed(&self) -> Arc<Observed> {
        self.ground.observed.clone()
    }

    /// Has workflows that take it be told of the start of the process; see [`super::Engine::host_started`].
    pub fn host_started(&mut self, started: Started) {
        self.started = Some(started);
    }

    /// Runs until everything is read and idle, where that was asked for, or until stopped.
    ///
    /// # Errors
    /// Where the host cannot go on. What was committed stays; a restart goes on from there.
    pub fn run(mut self, mut progress: impl FnMut(Progress)) -> Result<Summary, EngineError> {
        let ended = self.engines(&mut progress);
        if let Some(group) = self.group.take() {
            group.leave();
        }
        self.runtime.shutdown_timeout(Duration::from_secs(1));
        // No attempt is under way any more: backends close their files.
        for plan in &**self.ground.plans.now() {
            plan.all_terms().into_iter().for_each(|terms| terms.stop());
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
            let ended = match self.engine(&assignment, progress) {
                Ok(Ending { summary, ended, untold }) => {
                    self.summary = summary;
                    if untold == 0 {
                        // The events that engines recognise again are a window: later ones are not asked.
                        self.started = None;
                    }
                    ended
                }
                // What it had not committed is decided anew by whoever owns it now.
                Err(EngineError::Store(error)) if error.is_overtaken() && self.membership.is_some() => {
                    tracing::warn!(%error, "this engine is overtaken; another one begins with what this host owns then");
                    Ended::GaveWay
                }
                // Between engines too the store may go away at any moment; the next one waits for it.
                Err(EngineError::Store(error)) if error.is_passing() && self.is_followed() && !self.stopper.is_stopped() => {
                    tracing::warn!(%error, "the store failed as an engine began or ended; another one begins when it can be used");
                    Ended::GaveWay
                }
                Err(error @ EngineError::NumbersUsedUp { .. }) => {
                    tracing::warn!(%error);
                    Ended::GaveWay
                }
                Err(error) => return Err(error),
            };
            if let Some(group) = &self.group {
                group.halted();
            }
            if ended == Ended::Over || self.stopper.is_stopped() {
                return Ok(());
            }
            assignment = match self.assigned(None)? {
                Some(assignment) => assignment,
                None => return Ok(()),
            };
        }
    }

    /// Whether one engine follows another here, and reads on where that one was.
    fn is_followed(&self) -> bool {
        self.group.is_some() || self.membership.is_some()
    }

    /// The next assignment; none where it does not come in time, or the host is to stop.
    fn assigned(&self, patience: Option<Duration>) -> Result<Option<Assignment>, EngineError> {
        let Ground { clock, observed, .. } = &self.ground;
        let Some(group) = &self.group else { return Ok(Some(Assignment::default())) };
        let began = clock.elapsed();
        loop {
            match group.assignments().recv_timeout(WAIT_INTERVAL) {
                Ok(mut assignment) => {
                    // Only the last one holds.
                    while let Ok(later) = group.assignments().try_recv() {
                        assignment = later;
                    }
                    return Ok(Some(assignment));
                }
                Err(RecvTimeoutError::Timeout) => {}
                // The client has ended, and says why.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(WAIT_INTERVAL),
            }
            if let Ok(error) = group.failed().try_recv() {
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
        let Some(membership) = self.membership.take() else { return self.engine_on(assignment, None, progress) };
        membership.wish(wish(&self.options, assignment));
        let owned = self.retried(|| membership.share(|| !self.stopper.is_stopped()));
        let ran = owned.and_then(|share| {
            let epoch = share.epoch;
            self.ground.observed.owns(share.shards.len());
            self.options.share = share;
            let ran = self.engine_on(assignment, Some(&membership), progress);
            self.ground.observed.owns(0);
            membership.ended(epoch);
            ran
        });
        self.membership = Some(membership);
        ran
    }

    fn engine_on(
        &mut self,
        assignment: &Assignment,
        membership: Option<&Membership>,
        progress: &mut impl FnMut(Progress),
    ) -> Result<Ending, EngineError> {
        let parts = match &self.group {
            Some(_) => {
                let names = assignment.partitions.iter().map(Partition::name).collect();
                Parts { names, log: assignment.cluster.clone() }
            }
            None => Parts::of_feed(self.options.feed.as_ref()),
        };
        self.retried(|| self.ground.catch_up(self.options.perform.then(|| self.runtime.handle())))?;
        let opened = self.retried(|| Opened::on(&self.ground, &self.options, &parts, self.summary))?;
        let (to_engine, messages): (Sender<Message>, Receiver<Message>) = channel();
        if let Some(membership) = membership {
            let told = to_engine.clone();
            membership.runs(self.options.share.clone(), move |change| {
                // Nobody listens where the engine has ended by itself.
                let _ = told.send(match change {
                    Change::Other => Message::GiveWay,
                    Change::Lost(what) => Message::Overtaken(what),
                });
            });
        }
        let (source, reading) = match &self.group {
            Some(_) => {
                let (source, reading) = self.reading(&opened, assignment, &to_engine)?;
                (Some(source), Some(reading))
            }
            None => (read_source(&opened, &self.options, &to_engine)?, None),
        };
        let on = Surroundings::of_threads(&opened, &self.options, self.runtime.handle(), source, (&to_engine, messages))?;
        let mut engine = opened.engine(on)?;
        if let (Some(address), Some(Feed::Http(settings))) = (engine.listens_on(), &mut self.options.feed) {
            // The next engine listens there too, whoever chose the port.
            settings.listen = address;
            if let Some(listens) = self.listens.take() {
                listens(address);
            }
        }
        if let Some(started) = &self.started {
            engine.host_started(started);
        }
        self.stopper.runs(to_engine);
        if let (Some(group), Some(reading)) = (&self.group, reading) {
            group.begin(reading);
        }
        engine.run_on(progress)
    }

    /// What the group's member is to read for an engine, and how the engine has it.
    fn reading(
        &self,
        opened: &Opened,
        assignment: &Assignment,
        to_engine: &Sender<Message>,
    ) -> Result<(SourceHandle, Reading), EngineError> {
        let (send, lines) = bounded(MOST_LINE_BATCHES);
        let positions = Arc::new(Positions::new(&opened.read_up_to()));
        let plans = self.ground.plans.now();
        let limits = plans.iter().map(|plan| plan.workflow.manifest.limits.event_bytes);
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
        Ok((SourceHandle::of_parts(lines, positions, self.group.as_ref().map(Group::status)), reading))
    }

    /// Does `work` again while the store cannot be used for a while.
    fn retried<T>(&self, work: impl Fn() -> Result<T, EngineError>) -> Result<T, EngineError> {
        let observed = &self.ground.observed;
        loop {
            match work() {
                Err(EngineError::Store(error)) if error.is_passing() && !self.stopper.is_stopped() => {
                    observed.store_fails(format!("the store cannot be used: {error}"));
                    observed.turned(self.ground.clock.elapsed());
                    std::thread::sleep(RETRY_INTERVAL);
                }
                opened => {
                    if opened.is_ok() {
                        observed.store_works();
                    }
                    return opened;
                }
            }
        }
    }
}
