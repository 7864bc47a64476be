//! Starting: the store opened, releases compared, outstanding work found again.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::mpsc;

use super::assemble::{Rows, tasks_of};
use super::entity::Entity;
use super::erasing::Erasing;
use super::fold::Ids;
use super::ground::{Ground, standard_loader};
use super::handle::SourceHandle;
use super::input::EntityName;
use super::intake::{Intake, Taker};
use super::pauses::Pauses;
use super::plan::{Plan, Plans};
use super::planted::{Mistake, planted};
use super::ready::{Readying, Threads, Workshop};
use super::run::{Course, Message};
use super::sessions::Stopper;
use super::share::Share;
use super::spans::Spans;
use super::state::State;
use super::summary::Summary;
use super::terms::Terms;
use super::workers::{Shared, Workers};
use super::writer::{Committer, WriterThread};
use super::{Engine, EngineError, dispatch};
use crate::deploy::Compiler;
use crate::observe::Observed;
use crate::sandbox::Sandbox;
use crate::source::{Decoder, Feed, LineSource, Listener, STARTED, SourceError};
use crate::store::{NO_SOURCE, Numbers, Reader, SHARDS, SourceRow, Store, TakenUp, Writer};
use crate::time::{HostClock, SystemClock};
use crate::trace::Traces;
use crate::workflow::Workflow;

/// Batches of lines between the source's thread and the engine.
pub(super) const MOST_LINE_BATCHES: usize = 4;

/// Deliveries that a start reads together.
const DELIVERIES_TOGETHER: u32 = 1000;

/// Entities with intents to perform that a start reads together.
const ENTITIES_TOGETHER: u32 = 256;

/// Which clock decisions see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// The wall's, when the host takes the input.
    #[default]
    Arrival,
    /// The events' own times: a run is a function of its input.
    Event,
}

impl Clock {
    /// The name on the command line and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Clock::Arrival => "arrival",
            Clock::Event => "event",
        }
    }

    /// The clock of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Clock::Arrival, Clock::Event].into_iter().find(|clock| clock.name() == name)
    }
}

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which clock holds.
    pub clock: Clock,
    /// How far the virtual clock goes on after the input.
    pub advance: Duration,
    /// Whether to end when everything is done.
    pub until_idle: bool,
    /// Whether to perform intents; else they stay in the outbox for the next run.
    pub perform: bool,
    /// Where events come from.
    pub feed: Option<Feed>,
    /// Reducing workers.
    pub workers: usize,
    /// Where spans are told, where they are.
    pub traces: Option<Arc<Traces>>,
    /// What of the store the engine owns.
    pub share: Share,
    /// How long a store is waited for that another process has: an operator's command has it for a moment.
    pub store_wait: Duration,
    /// Whether the releases in force go on whatever the manifests say: for whoever only does what operators ask.
    pub keeps_releases: bool,
    /// What compiles the components of releases that come into force later; without it the process itself does.
    pub compiler: Option<Compiler>,
}

impl Default for Options {
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).min(MOST_WORKERS);
        Options {
            clock: Clock::Arrival,
            advance: Duration::ZERO,
            until_idle: false,
            perform: true,
            feed: None,
            workers,
            traces: None,
            share: Share::default(),
            store_wait: Duration::ZERO,
            keeps_releases: false,
            compiler: None,
        }
    }
}

/// Reducing workers of one engine; with `verify` and tests beside them they stay below the sandbox's pool.
const MOST_WORKERS: usize = 16;

/// Opens the store that `workflows` share and readies everything to run.
///
/// # Errors
/// Where the store, the source or an effect cannot be used, or a changed workflow cannot take over.
///
/// # Panics
/// Where `workflows` is empty.
pub fn start(workflows: Vec<Workflow>, sandbox: &Sandbox, options: &Options) -> Result<(Engine, Stopper), EngineError> {
    let ground = Ground::open(
        workflows,
        sandbox,
        options,
        (Arc::new(SystemClock::new()), standard_loader(options)),
        (rand::random(), rand::random()),
    )?;
    let opened = Opened::on(&ground, options, &Parts::of_feed(options.feed.as_ref()), Summary::default())?;
    let runtime = runtime()?;
    if options.perform {
        start_effects(runtime.handle(), &ground.plans.now())?;
    }
    let (to_engine, messages) = channel();
    let source = read_source(&opened, options, &to_engine)?;
    let on = Surroundings::of_threads(&opened, options, runtime.handle(), source, (&to_engine, messages))?;
    let engine = opened.engine(Surroundings { runtime: Some(runtime), ..on })?;
    Ok((engine, Stopper::of(Some(to_engine))))
}

/// No bound of its own: commits, attempts under way and the source's one last word bound it.
pub(super) fn channel() -> (Sender<Message>, Receiver<Message>) {
    unbounded()
}

/// What effects run on.
pub(super) fn runtime() -> Result<Runtime, EngineError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("effects")
        .enable_all()
        .build()
        .map_err(|cause| EngineError::Thread { cause })
}

/// The parts of the source that an engine reads, for its whole life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// Their names in the store.
    pub(super) names: Vec<String>,
    /// What they are parts of, where names can come to mean other things.
    pub(super) log: Arc<str>,
}

impl Parts {
    /// The one part of a feed that has no others.
    pub(super) fn of_feed(feed: Option<&Feed>) -> Self {
        Parts { names: vec![feed.map_or_else(|| NO_SOURCE.to_owned(), Feed::name)], log: "".into() }
    }
}

/// A store with its workflows in force, before anything runs.
pub(super) struct Opened {
    pub(super) shared: Arc<Shared>,
    plans: Plans,
    pub(super) workshop: Workshop,
    pub(super) store: Arc<Store>,
    reader: Reader,
    course: Course,
    pub(super) decoder: Decoder,
    pub(super) clock: Arc<dyn HostClock>,
    observed: Arc<Observed>,
    intake: Intake,
    rows: Rows,
    share: Share,
    before: Summary,
    /// How far each workflow has read each part of the source.
    pub(super) positions: Vec<Vec<SourceRow>>,
}

/// What an engine runs on: threads in a host, the scheduler in a simulation.
pub(super) struct Surroundings {
    pub(super) workers: usize,
    pub(super) writer: Box<dyn Committer>,
    pub(super) messages: Receiver<Message>,
    pub(super) source: Option<SourceHandle>,
    pub(super) orders: mpsc::UnboundedSender<dispatch::Order>,
    pub(super) readying: Box<dyn Readying>,
    pub(super) runtime: Option<Runtime>,
}

impl Surroundings {
    /// Threads and tasks of their own, on `runtime`.
    pub(super) fn of_threads(
        opened: &Opened,
        options: &Options,
        runtime: &Handle,
        source: Option<SourceHandle>,
        (to_engine, messages): (&Sender<Message>, Receiver<Message>),
    ) -> Result<Self, EngineError> {
        let (orders, received) = mpsc::unbounded_channel();
        let (plans, lease) = (Vec::clone(&opened.shared.plans), opened.share.lease.clone());
        let (jitter, bounds) = (Box::new(rand::random), dispatch::Bounds::STANDARD);
        runtime.spawn(dispatch::run(plans, to_engine.clone(), received, jitter, bounds, lease));
        let writer = Box::new(WriterThread::start(&opened.store, opened.share.epoch, to_engine.clone())?);
        let workshop = Workshop { runtime: options.perform.then(|| runtime.clone()), ..opened.workshop.clone() };
        let readying = Box::new(Threads { workshop, to_engine: to_engine.clone() });
        Ok(Surroundings { workers: options.workers.clamp(1, MOST_WORKERS), writer, messages, source, orders, readying, runtime: None })
    }
}

impl Opened {
    /// Reads how far everything got, of `parts` of the source too. `before` is what earlier engines of this process did.
    pub(super) fn on(ground: &Ground, options: &Options, parts: &Parts, before: Summary) -> Result<Self, EngineError> {
        let Ground { workshop, plans: all, observed, clock } = ground;
        let (store, plans) = (&workshop.store, &all.now());
        let share = options.share.clone();
        if options.clock == Clock::Event && share.shards.len() < usize::from(SHARDS) {
            return Err(EngineError::SharedVirtualTime);
        }
        let (writer, reader) = (store.writer()?, store.reader()?.of_epoch(share.epoch, &share.shards));
        let rows = Rows {
            numbers: Numbers::of(share.epoch),
            entity: reader.numbered_to("entities", "id")?,
            entry: reader.numbered_to("journal", "row")?,
        };
        let ids = Ids {
            delivery: AtomicI64::new(reader.numbered_to("deliveries", "id")?),
            inbox: AtomicI64::new(reader.numbered_to("inbox", "id")?),
        };
        let decoder = Decoder::new(all.clone(), options.clock == Clock::Event);
        let (mut intake, positions) = intake(plans, &writer, &reader, options, parts)?;
        (intake.duplicates, intake.dead_letters) = (before.duplicates, before.dead_letters);
        let most = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let mut course = Course {
            event_clock: options.clock == Clock::Event,
            until_idle: options.until_idle,
            advance: most(options.advance),
            perform: options.perform,
            delivers: false,
            timer_wait: 0,
            outage_wait: Duration::ZERO,
        };
        course.follow(plans);
        let shared = Arc::new(Shared { plans: Arc::clone(plans), ids: Arc::new(ids) });
        let (store, observed, clock) = (store.clone(), observed.clone(), clock.clone());
        let (plans, workshop) = (all.clone(), workshop.clone());
        Ok(Opened { shared, plans, workshop, store, reader, course, decoder, clock, observed, intake, rows, share, before, positions })
    }

    /// Up to where every workflow has read each part of the source.
    pub(super) fn read_up_to(&self) -> Vec<u64> {
        self.intake.positions()
    }

    /// The names of sources that any workflow has read of.
    pub(super) fn sources_read(&self) -> Result<Vec<String>, EngineError> {
        let mut names = Vec::new();
        for plan in &*self.shared.plans {
            let sources = self.reader.sources(plan.id)?;
            names.extend(sources.into_iter().filter(|(_, row)| !row.log.is_empty()).map(|(name, _)| name));
        }
        Ok(names)
    }

    /// The engine, with what an earlier run left taken up again.
    pub(super) fn engine(self, on: Surroundings) -> Result<Engine, EngineError> {
        let spans = self.shared.plans.first().and_then(|plan| Spans::of(plan));
        let mut engine = Engine {
            workers: Workers::start(&self.store, on.workers)?,
            writer: on.writer,
            shared: self.shared,
            plans: self.plans,
            readying: on.readying,
            store: self.store,
            reader: self.reader,
            course: self.course,
            decoder: self.decoder,
            messages: on.messages,
            source: on.source,
            orders: on.orders,
            runtime: on.runtime,
            clock: self.clock,
            observed: self.observed,
            spans,
            intake: self.intake,
            share: self.share,
            state: State::new(&self.rows, self.before),
            rows: self.rows,
        };
        // Effects count on from one engine to the next.
        engine.state.emitted = engine.observed.effects().iter().map(|effect| effect.heard()).sum();
        engine.state.reading_since = engine.clock.elapsed();
        let plans = engine.shared.plans.clone();
        let begins = plans.iter().map(|plan| TakenUp { workflow: plan.id, generation: plan.release, begins: true });
        if engine.share.is_shared() {
            engine.state.draft.in_force.extend(begins);
        }
        engine.state.pauses = Pauses::load(&engine.reader, &engine.shared.plans)?;
        engine.state.erasing = Erasing::load(&engine.reader)?;
        for plan in &*engine.shared.plans {
            engine.state.own.extend(engine.reader.entity(plan.id, "")?);
        }
        let paused = if planted(Mistake::LanesUnpaused) { Vec::new() } else { engine.state.pauses.effects() };
        for (workflow, effect) in paused {
            engine.order(dispatch::Order::Pause { workflow, effect: Some(effect) });
        }
        recover(&mut engine)?;
        Ok(engine)
    }
}

pub(super) fn start_effects(runtime: &Handle, plans: &[Arc<Plan>]) -> Result<(), EngineError> {
    plans.iter().flat_map(|plan| plan.all_terms()).try_for_each(|terms| start_terms(runtime, terms))
}

pub(super) fn start_terms(runtime: &Handle, terms: &Terms) -> Result<(), EngineError> {
    terms.effects.iter().try_for_each(|(name, effect)| {
        let started = runtime.block_on(effect.start());
        started.map_err(|error| EngineError::Effect { effect: name.to_string(), reason: terms.hide(&error.to_string()) })
    })
}

/// The intake, and how far each workflow has read each part of the source.
fn intake(
    plans: &[Arc<Plan>],
    writer: &Writer,
    reader: &Reader,
    options: &Options,
    parts: &Parts,
) -> Result<(Intake, Vec<Vec<SourceRow>>), EngineError> {
    let mut takers = Vec::with_capacity(plans.len());
    let mut positions = Vec::with_capacity(plans.len());
    let mut clock = 0;
    for plan in plans {
        clock = clock.max(reader.workflow(&plan.workflow.name)?.map_or(0, |(_, clock)| clock));
        let max_skew = u64::try_from(plan.workflow.manifest.source.max_skew.as_micros()).unwrap_or(u64::MAX);
        let rows = parts.names.iter().map(|name| writer.source(plan.id, name)).collect::<Result<Vec<_>, _>>()?;
        positions.push(rows.clone());
        let takes_own = plan.workflow.inputs.contains_key(STARTED);
        let own = takes_own.then(|| writer.source(plan.id, NO_SOURCE)).transpose()?.map(|row| row.id);
        takers.push(Taker { workflow: plan.id, rows, max_skew, anew: options.feed == Some(Feed::Stdin), own });
    }
    let window = plans.iter().map(|plan| plan.workflow.manifest.source.dedupe).max().unwrap_or(0);
    let mut intake = Intake::new(takers, reader, window, options.clock == Clock::Event, clock, &options.share)?;
    intake.reads(&parts.log);
    Ok((intake, positions))
}

/// Reads the source on a thread of its own, or listens.
pub(super) fn read_source(opened: &Opened, options: &Options, to_engine: &Sender<Message>) -> Result<Option<SourceHandle>, EngineError> {
    let Some(feed) = &options.feed else { return Ok(None) };
    let Opened { shared, decoder, clock, positions, .. } = opened;
    let most_bytes = shared.plans.iter().map(|plan| plan.workflow.manifest.limits.event_bytes).max().unwrap_or(0);
    if let Feed::Http(settings) = feed {
        let (listener, lines) = Listener::start(settings, most_bytes, decoder.clone(), clock.clone())?;
        return Ok(Some(SourceHandle::of_requests(listener, lines)));
    }
    let positions: Vec<SourceRow> = positions.iter().flatten().cloned().collect();
    if let Feed::Kafka(_) = feed {
        return Err(EngineError::Source(SourceError::NeedsSessions));
    }
    let source = LineSource::open(feed, &positions, most_bytes, decoder.clone(), clock.clone())?;
    if let Some(lag) = source.lag() {
        opened.observed.reads(lag);
    }
    let (send, lines) = bounded(MOST_LINE_BATCHES);
    let handle = SourceHandle::of_lines(lines, source.waiting_since(), source.looked(), source.stop());
    let to_engine = to_engine.clone();
    std::thread::Builder::new()
        .name("source".into())
        .spawn(move || {
            let result = source.read(&send);
            // The engine is gone only when the process ends.
            let _ = to_engine.send(Message::SourceEnded(result));
        })
        .map_err(|cause| EngineError::Thread { cause })?;
    Ok(Some(handle))
}

/// Finds what an earlier run left: intents without a conclusion, inboxes to go on with, deliveries.
fn recover(engine: &mut Engine) -> Result<(), EngineError> {
    let plans = engine.shared.plans.clone();
    let mut after = 0;
    loop {
        let mut rows = engine.reader.entities_with_outstanding(after, ENTITIES_TOGETHER)?;
        let Some(last) = rows.last() else { break };
        after = last.id;
        // Those of other workflows wait for a host that runs them.
        rows.retain(|row| plans.iter().any(|plan| plan.id == row.workflow));
        let mut tasks = Vec::new();
        for loaded in engine.reader.load_rows(&rows)? {
            let Some(workflow) = plans.iter().position(|plan| plan.id == loaded.row.workflow) else { continue };
            let name = EntityName { workflow, key: loaded.row.key.clone() };
            let entity = Entity::of(&plans[workflow], loaded)?;
            tasks.extend(tasks_of(&name, &entity));
            engine.recovered(name, entity);
        }
        if planted(Mistake::RecoveredBackwards) {
            tasks.reverse();
        }
        engine.perform_again(tasks);
    }
    for (workflow, plan) in plans.iter().enumerate() {
        for key in engine.reader.resuming(plan.id)? {
            engine.resumes(EntityName { workflow, key });
        }
    }
    if engine.share.is_shared() {
        // Whoever committed them, they are found like those of others.
        return Ok(());
    }
    let mut last = 0;
    loop {
        let deliveries = engine.reader.deliveries_after(last, DELIVERIES_TOGETHER)?;
        let Some(end) = deliveries.last().filter(|_| !planted(Mistake::DeliveriesForgotten)) else { return Ok(()) };
        last = end.id;
        for delivery in deliveries {
            let workflow = engine.shared.plans.iter().position(|plan| plan.workflow.name == delivery.workflow);
            if let Some(workflow) = workflow {
                engine.delivery_found(EntityName { workflow, key: delivery.key.clone() }, delivery);
            }
        }
    }
}
