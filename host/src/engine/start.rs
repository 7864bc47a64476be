//! Starting: the store opened, releases compared, outstanding work found again.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use purefold_wit::Contract;
use tokio::sync::mpsc;

use super::assemble::{Rows, tasks_of};
use super::entity::Entity;
use super::erasing::Erasing;
use super::fold::Ids;
use super::input::EntityName;
use super::intake::{Intake, Taker};
use super::pauses::Pauses;
use super::plan::{EarlierRelease, Plan};
use super::planted::{Mistake, planted};
use super::run::{Course, Message, SourceHandle, State};
use super::spans::Spans;
use super::workers::{Shared, Workers};
use super::writer::{Committer, WriterThread};
use super::{Engine, EngineError, dispatch};
use crate::journal::{Entry, Kind};
use crate::observe::{Decisions, Observed};
use crate::sandbox::{DecisionCodec, Sandbox};
use crate::source::{Decoder, Feed, LineSource, Listener};
use crate::store::{Batch, EntityRow, EntryRow, NO_SOURCE, NewRelease, Reader, Release, SourceRow, Store, Writer};
use crate::time::{HostClock, SystemClock};
use crate::trace::Traces;
use crate::workflow::Workflow;

/// Batches of lines between the source's thread and the engine.
const MOST_LINE_BATCHES: usize = 4;

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
}

impl Default for Options {
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).min(MOST_WORKERS);
        Options { clock: Clock::Arrival, advance: Duration::ZERO, until_idle: false, perform: true, feed: None, workers, traces: None }
    }
}

/// Reducing workers of one engine; with `verify` and tests beside them they stay below the sandbox's pool.
const MOST_WORKERS: usize = 16;

/// Asks a running engine to finish what is in flight and end.
#[derive(Clone)]
pub struct Stopper(Sender<Message>);

impl Stopper {
    /// Asks once more is as good as once.
    pub fn stop(&self) {
        // Nobody listens where the engine has ended already.
        let _ = self.0.send(Message::Stop);
    }
}

/// Opens the store that `workflows` share and readies everything to run.
///
/// # Errors
/// Where the store, the source or an effect cannot be used, or a changed workflow cannot take over.
///
/// # Panics
/// Where `workflows` is empty.
pub fn start(workflows: Vec<Workflow>, sandbox: &Sandbox, options: &Options) -> Result<(Engine, Stopper), EngineError> {
    let opened = Opened::open(workflows, sandbox, options, Arc::new(SystemClock::new()), (rand::random(), rand::random()))?;
    let plans = &opened.shared.plans;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("effects")
        .enable_all()
        .build()
        .map_err(|cause| EngineError::Thread { cause })?;
    if options.perform {
        start_effects(&runtime, plans)?;
    }
    // No bound of its own: commits, attempts under way and the source's one last word bound it.
    let (to_engine, messages) = unbounded();
    let source = read_source(&opened, options, &to_engine)?;
    let (orders, received) = mpsc::unbounded_channel();
    runtime.spawn(dispatch::run(plans.clone(), to_engine.clone(), received, Box::new(rand::random), dispatch::Bounds::STANDARD));
    let writer = Box::new(WriterThread::start(&opened.store, to_engine.clone())?);
    let workers = options.workers.clamp(1, MOST_WORKERS);
    let engine = opened.engine(Surroundings { workers, writer, messages, source, orders, runtime: Some(runtime) })?;
    Ok((engine, Stopper(to_engine)))
}

/// A store with its workflows in force, before anything runs.
pub(super) struct Opened {
    pub(super) shared: Arc<Shared>,
    pub(super) store: Store,
    reader: Reader,
    course: Course,
    pub(super) decoder: Decoder,
    pub(super) clock: Arc<dyn HostClock>,
    observed: Arc<Observed>,
    intake: Intake,
    rows: Rows,
    /// How far each workflow has read the source.
    pub(super) positions: Vec<SourceRow>,
}

/// What an engine runs on: threads in a host, the scheduler in a simulation.
pub(super) struct Surroundings {
    pub(super) workers: usize,
    pub(super) writer: Box<dyn Committer>,
    pub(super) messages: Receiver<Message>,
    pub(super) source: Option<SourceHandle>,
    pub(super) orders: mpsc::UnboundedSender<dispatch::Order>,
    pub(super) runtime: Option<tokio::runtime::Runtime>,
}

impl Opened {
    /// Opens the store, brings `workflows` into force and reads how far everything got. `random` is a new journal's id
    /// where the manifest names none.
    pub(super) fn open(
        workflows: Vec<Workflow>,
        sandbox: &Sandbox,
        options: &Options,
        clock: Arc<dyn HostClock>,
        random: (u64, u64),
    ) -> Result<Self, EngineError> {
        assert!(!workflows.is_empty(), "an engine runs at least one workflow");
        let settings = workflows[0].manifest.store.clone();
        let store = Store::open(&settings.location, settings.id, random)?;
        let mut writer = store.writer()?;
        let journal_clock = writer.clock(options.clock.name())?;
        if journal_clock != options.clock.name() {
            return Err(EngineError::OtherClock { journal: journal_clock, asked: options.clock.name().into() });
        }
        let reader = store.reader()?;
        let mut rows = Rows { entity: reader.last("entities", "id")?, entry: reader.last("journal", "row")? };
        let wall = (options.clock == Clock::Arrival).then(|| clock.wall());
        let mut plans = Vec::with_capacity(workflows.len());
        for workflow in workflows {
            let mut plan = plan(workflow, sandbox, &store, &mut writer, &reader, &mut rows, wall)?;
            plan.traces.clone_from(&options.traces);
            plans.push(Arc::new(plan));
        }
        let ids = Ids { delivery: AtomicI64::new(reader.last("deliveries", "id")?), inbox: AtomicI64::new(reader.last("inbox", "id")?) };
        let decoder = Decoder::new(plans.clone(), options.clock == Clock::Event);
        let (intake, positions) = intake(&plans, &writer, &reader, options)?;
        let most = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let course = Course {
            event_clock: options.clock == Clock::Event,
            until_idle: options.until_idle,
            advance: most(options.advance),
            perform: options.perform,
            delivers: plans.iter().any(|plan| plan.delivers()),
            timer_wait: plans.iter().map(|plan| most(plan.workflow.manifest.source.timer_wait)).max().unwrap_or(0),
        };
        let decisions = plans.iter().map(|plan| Decisions::new(plan.workflow.name.clone(), plan.reducer.spent().clone())).collect();
        let effects = plans.iter().flat_map(|plan| plan.effects.iter().cloned()).collect();
        let observed = Observed::new(clock.clone(), decisions, effects, options.traces.as_ref().map(|traces| traces.counts()));
        let observed = Arc::new(observed);
        let shared = Arc::new(Shared { plans, ids });
        Ok(Opened { shared, store, reader, course, decoder, clock, observed, intake, rows, positions })
    }

    /// The engine, with what an earlier run left taken up again.
    pub(super) fn engine(self, on: Surroundings) -> Result<Engine, EngineError> {
        let spans = self.shared.plans.first().and_then(|plan| Spans::of(plan));
        let mut engine = Engine {
            workers: Workers::start(self.shared.clone(), &self.store, on.workers)?,
            writer: on.writer,
            shared: self.shared,
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
            state: State::new(&self.rows),
            rows: self.rows,
        };
        engine.state.reading_since = engine.clock.elapsed();
        engine.state.pauses = Pauses::load(&engine.reader, &engine.shared.plans)?;
        engine.state.erasing = Erasing::load(&engine.reader)?;
        for plan in &engine.shared.plans {
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

fn start_effects(runtime: &tokio::runtime::Runtime, plans: &[Arc<Plan>]) -> Result<(), EngineError> {
    for plan in plans {
        for (name, effect) in &plan.workflow.effects {
            runtime
                .block_on(effect.start())
                .map_err(|error| EngineError::Effect { effect: name.to_string(), reason: plan.workflow.hide(&error.to_string()) })?;
        }
    }
    Ok(())
}

/// The intake, and how far each workflow has read the source.
fn intake(plans: &[Arc<Plan>], writer: &Writer, reader: &Reader, options: &Options) -> Result<(Intake, Vec<SourceRow>), EngineError> {
    let name = options.feed.as_ref().map_or_else(|| NO_SOURCE.to_owned(), Feed::name);
    let mut takers = Vec::with_capacity(plans.len());
    let mut positions = Vec::with_capacity(plans.len());
    let mut clock = 0;
    for plan in plans {
        clock = clock.max(reader.workflow(&plan.workflow.name)?.map_or(0, |(_, clock)| clock));
        let max_skew = u64::try_from(plan.workflow.manifest.source.max_skew.as_micros()).unwrap_or(u64::MAX);
        let row = writer.source(plan.id, &name)?;
        positions.push(row.clone());
        takers.push(Taker { workflow: plan.id, row, max_skew, anew: options.feed == Some(Feed::Stdin) });
    }
    let window = plans.iter().map(|plan| plan.workflow.manifest.source.dedupe).max().unwrap_or(0);
    Ok((Intake::new(takers, reader, window, options.clock == Clock::Event, clock)?, positions))
}

/// Reads the source on a thread of its own, or listens.
fn read_source(opened: &Opened, options: &Options, to_engine: &Sender<Message>) -> Result<Option<SourceHandle>, EngineError> {
    let Some(feed) = &options.feed else { return Ok(None) };
    let Opened { shared, decoder, clock, positions, .. } = opened;
    let most_bytes = shared.plans.iter().map(|plan| plan.workflow.manifest.limits.event_bytes).max().unwrap_or(0);
    if let Feed::Http(settings) = feed {
        let (listener, lines) = Listener::start(settings, most_bytes, decoder.clone(), clock.clone())?;
        return Ok(Some(SourceHandle::of_requests(listener, lines)));
    }
    let source = LineSource::open(feed, positions, most_bytes, decoder.clone(), clock.clone())?;
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
            tasks.extend(tasks_of(&plans[workflow], &name, &entity));
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

fn plan(
    workflow: Workflow,
    sandbox: &Sandbox,
    store: &Store,
    writer: &mut Writer,
    reader: &Reader,
    rows: &mut Rows,
    wall: Option<u64>,
) -> Result<Plan, EngineError> {
    let id = writer.workflow(&workflow.name)?;
    let releases = reader.releases(id)?;
    let mut plan = Plan::new(workflow, sandbox, id, store.journal())?;
    plan.profile_id = writer.profile(&plan.profile)?;
    plan.release = match releases.last() {
        Some(last) if is_in_force(&plan, last) => last.generation,
        last => release(&plan, last, writer, reader, rows, wall)?,
    };
    plan.earlier = earlier(&plan, sandbox, reader, &reader.releases(id)?)?;
    Ok(plan)
}

fn is_in_force(plan: &Plan, release: &Release) -> bool {
    *release.component == *plan.workflow.component_digest && *release.manifest == *plan.workflow.manifest_digest
}

/// Brings the loaded workflow into force and journals it, at the time `wall` or, without one, of the virtual clock.
fn release(
    plan: &Plan,
    last: Option<&Release>,
    writer: &mut Writer,
    reader: &Reader,
    rows: &mut Rows,
    wall: Option<u64>,
) -> Result<u64, EngineError> {
    let contract = &plan.workflow.contract;
    let release = Release {
        generation: last.map_or(0, |last| last.generation) + 1,
        component: plan.workflow.component_digest.to_string(),
        manifest: plan.workflow.manifest_digest.to_string(),
        contract: contract.fingerprint(),
        state_type: contract.state_fingerprint(),
    };
    if let Some(last) = last {
        may_take_over(plan, contract, last, &release, reader)?;
    }
    let virtual_clock = reader.workflow(&plan.workflow.name)?.map_or(0, |(_, clock)| clock);
    let now = wall.unwrap_or(virtual_clock);
    let mut batch = Batch { number: 0, ..Batch::default() };
    let before = reader.entity(plan.id, "")?;
    let previous = before.clone().unwrap_or_else(|| {
        rows.entity += 1;
        EntityRow { id: rows.entity, ..Entity::unknown(plan, "".into()).row }
    });
    let text = serde_json::json!({ "component": release.component, "generation": release.generation, "manifest": release.manifest });
    let entry = Entry {
        sequence: 0,
        ordinal: previous.ordinal + 1,
        kind: Kind::Released,
        release: release.generation,
        now: now.max(previous.now),
        event_id: "".into(),
        correlation_id: "".into(),
        input: text.to_string().into_bytes().into(),
        verdict: None,
        state: None,
        output: Box::default(),
        event_hash: None,
    };
    let hash = entry.hash(&previous.head, &plan.workflow.name, "", &plan.profile);
    rows.entry += 1;
    let row = EntityRow { ordinal: entry.ordinal, now: entry.now, head: hash, head_row: rows.entry, ..previous.clone() };
    batch.entities.push(row);
    batch.entries.push(EntryRow {
        row: rows.entry,
        entity: previous.id,
        previous_row: previous.head_row,
        profile: plan.profile_id,
        hash,
        entry,
        event: None,
    });
    let generation = release.generation;
    batch.release = Some(NewRelease {
        workflow: plan.id,
        release,
        component: plan.workflow.component.clone(),
        manifest: plan.workflow.manifest.text.as_str().into(),
    });
    writer.commit(&batch)?;
    Ok(generation)
}

/// Whether the states, and the work under way, of the release before can go on under this one.
fn may_take_over(plan: &Plan, contract: &Contract, last: &Release, new: &Release, reader: &Reader) -> Result<(), EngineError> {
    let refuse =
        |reason: String| Err(EngineError::Release { workflow: plan.workflow.name.to_string(), generation: new.generation, reason });
    if new.state_type != last.state_type {
        match contract.migrates_from() {
            None => {
                return refuse(format!(
                    "its state's type differs from that of release {} and the component exports no `migrate`; export one, or keep the state's type",
                    last.generation
                ));
            }
            Some(from) if from != last.state_type => {
                return refuse(format!("its `migrate` takes over another type than the state of release {}", last.generation));
            }
            Some(_) => {}
        }
    }
    if new.contract != last.contract {
        let outstanding = reader.count_with_outstanding(plan.id)?;
        let waiting = reader.count_parked(plan.id)? + reader.resuming(plan.id)?.len() as u64;
        if outstanding + waiting > 0 {
            return refuse(format!(
                "its contract differs, and {outstanding} entities have intents without a conclusion and {waiting} have inputs waiting; \
                 run release {} until these are done",
                last.generation
            ));
        }
    }
    Ok(())
}

/// What is needed to read states that earlier releases wrote.
fn earlier(plan: &Plan, sandbox: &Sandbox, reader: &Reader, releases: &[Release]) -> Result<Vec<EarlierRelease>, EngineError> {
    let mut earlier = Vec::new();
    for release in releases.iter().filter(|release| release.generation != plan.release) {
        let (reducer, codec) = if *release.component == *plan.workflow.component_digest {
            (plan.reducer.clone(), plan.codec.clone())
        } else if releases.iter().all(|other| other.state_type == release.state_type) {
            // All of one type: nothing is ever taken over, and each can read the others' states.
            (plan.reducer.clone(), plan.codec.clone())
        } else {
            let component = reader.component(&release.component)?;
            let contract = Contract::read(&component).map_err(|findings| EngineError::Stored {
                what: "component",
                reason: findings.first().map(ToString::to_string).unwrap_or_default(),
            })?;
            let limits = *plan.reducer.limits();
            let codec = DecisionCodec::new(&contract, &limits);
            (sandbox.load(&component, Arc::new(contract), limits)?, codec)
        };
        earlier.push(EarlierRelease { generation: release.generation, reducer, codec, state_type: release.state_type.clone() });
    }
    Ok(earlier)
}
