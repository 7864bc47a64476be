//! One life of the simulated host: the whole engine on one thread, from a start to its end or its death.

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded, unbounded};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rusqlite::ffi;
use tokio::sync::mpsc;

use super::super::ground::Ground;
use super::super::handle::{QUIET_SENDERS, SourceHandle};
use super::super::planted::{Mistake, planted};
use super::super::ready::{Job, Loader, Readying, Workshop};
use super::super::run::{Message, Turn};
use super::super::start::{Opened, Parts, Surroundings as On};
use super::super::writer::{Attempt, Commit, Commits, Committer};
use super::super::{Clock, Engine, EngineError, EventOrigin, Line, Options, Share, Spot, Summary, dispatch};
use super::clock::SimulatedClock;
use super::run::WITHOUT_ALARMS;
use super::scenario::Scenario;
use super::world::Shared;
use crate::journal::sha256;
use crate::sandbox::Sandbox;
use crate::source::{Decoded, Decoder, Feed, HttpSettings, Taken, TakenLine, Undecodable};
use crate::store::faults::tests::set_before_read;
use crate::store::{Batch, Location, StoreError, Writer};
use crate::time::HostClock;
use crate::workflow::{Surroundings, Workflow, load_in, load_release_in};

/// Lines that the source hands on together, at most.
const LINES_TOGETHER: usize = 4;

/// Events that wait for an entity that stands still, at most.
pub(super) const INBOX: u64 = 6;

/// Attempts of an effect at a time.
const PARALLEL: usize = 3;

/// Intents of one decision, at most.
const MOST_ASKED: usize = 8;

/// How far the virtual clock goes on after the input.
const ADVANCE: Duration = Duration::from_secs(300);

type Queue = Arc<Mutex<VecDeque<Batch>>>;

/// Batches wait here for the scheduler.
struct Handover(Queue);

impl Committer for Handover {
    fn hand_over(&mut self, batch: Batch) -> Result<(), EngineError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(batch);
        Ok(())
    }
}

type Jobs = Arc<Mutex<VecDeque<Job>>>;

/// Releases to make ready wait here for the scheduler.
struct Waits(Jobs);

impl Readying for Waits {
    fn begin(&mut self, job: Job) -> Result<(), EngineError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(job);
        Ok(())
    }
}

/// Has releases with the simulated effects.
fn loader(world: &Shared) -> Arc<Loader> {
    let world = world.clone();
    Arc::new(move |path: &Path, text: &str, component: &Arc<[u8]>| {
        let world = world.clone();
        let open = move |_: &str, settings: &toml::Table, _: &Path| Ok(world.effect(settings));
        let surroundings = Surroundings { environment: &|_| None, current: PathBuf::new(), open: &open, topics: &|_, _| Vec::new() };
        load_release_in(path, text, component, &surroundings)
    })
}

/// A store that refuses when it is told to.
struct Unsteady {
    writer: Writer,
    refusal: Arc<Mutex<Option<i32>>>,
}

impl Commit for Unsteady {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        match self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(code) => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()),
            None => self.writer.commit(batch),
        }
    }
}

/// Codes with which SQLite refuses a commit that may succeed later.
pub(super) const REFUSALS: [i32; 4] = [ffi::SQLITE_FULL, ffi::SQLITE_IOERR, ffi::SQLITE_READONLY, ffi::SQLITE_BUSY];

/// Codes with which SQLite refuses a read that may succeed later.
const READ_REFUSALS: [i32; 5] = [ffi::SQLITE_IOERR, ffi::SQLITE_BUSY, ffi::SQLITE_LOCKED, ffi::SQLITE_CANTOPEN, ffi::SQLITE_NOMEM];

/// What is wrong with the reads of the store that follow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReadTrouble {
    /// Reads that succeed first.
    pub(super) spared: u32,
    /// Reads that fail then, with this code; each takes so long.
    pub(super) failing: u32,
    pub(super) code: i32,
    pub(super) takes: Duration,
}

impl ReadTrouble {
    pub(super) fn draw(rng: &mut StdRng) -> Self {
        let slow = rng.random_ratio(1, 3);
        let takes = if slow { Duration::from_millis(rng.random_range(0..2000)) } else { Duration::ZERO };
        let code = if slow && rng.random_ratio(1, 2) { 0 } else { READ_REFUSALS[rng.random_range(0..READ_REFUSALS.len())] };
        ReadTrouble { spared: rng.random_range(0..6), failing: rng.random_range(1..8), code, takes }
    }
}

/// The host while it lives.
pub(super) struct Host {
    engine: Engine,
    /// Releases to make ready.
    jobs: Jobs,
    workshop: Workshop,
    queue: Queue,
    commits: Commits<Unsteady>,
    refusal: Arc<Mutex<Option<i32>>>,
    /// No commit is tried before.
    patience: Duration,
    runtime: tokio::runtime::Runtime,
    lines: Sender<Vec<Taken>>,
    waiting: Rc<Waiting>,
    decoder: Decoder,
    to_engine: Sender<Message>,
    clock: Arc<SimulatedClock>,
    source_ended: bool,
    /// Which part of the lines it reads, of how many.
    part: (usize, usize),
    trouble: Rc<Cell<ReadTrouble>>,
    lanes: dispatch::Bounds,
    pub(super) store: Location,
}

/// A reader of lines, blocked where there is none: it wakes as soon as one comes, whenever it is let to hand it on.
struct Waiting {
    since: Arc<AtomicU64>,
    clock: Arc<SimulatedClock>,
    /// When each line comes. None where events are sent.
    lines: Vec<Duration>,
    /// Lines handed on.
    read: Cell<usize>,
}

impl Waiting {
    /// Lines that are there and were not handed on.
    fn available(&self) -> usize {
        let now = self.clock.elapsed();
        self.lines.iter().skip(self.read.get()).take_while(|available| **available <= now).count()
    }

    fn begin(&self) {
        self.since.store(self.clock.wall(), Ordering::Relaxed);
    }

    /// Time has gone on.
    fn heed(&self) {
        if self.available() > 0 {
            self.since.store(0, Ordering::Relaxed);
        }
    }
}

/// What of a shared store a host is to have, which part of the lines it reads, of how many, and the seed of its effects' jitter.
pub(super) struct Seat {
    pub(super) share: Share,
    pub(super) part: (usize, usize),
    pub(super) jitter: u64,
}

impl Seat {
    /// A store for itself.
    pub(super) fn alone(jitter: u64) -> Self {
        Seat { share: Share::default(), part: (0, 1), jitter }
    }
}

/// The workflow of `release`, over the store in `folder`.
pub(super) fn workflow(folder: &Path, release: &str, scenario: &Scenario, world: &Shared) -> Workflow {
    let path = folder.join("workflow.toml");
    std::fs::write(&path, manifest(release, scenario, "")).expect("the manifest can be written");
    let current = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/fixtures");
    let world = world.clone();
    let open = move |_: &str, settings: &toml::Table, _: &Path| Ok(world.effect(settings));
    load_in(&path, &Surroundings { environment: &|_| None, current, open: &open, topics: &|_, _| Vec::new() }).unwrap_or_else(|findings| {
        let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
        panic!("the simulated workflow does not load; `cargo xtask reducers --fixtures` makes its components: {}", told.join("; "))
    })
}

/// Where the component of that name lies.
pub(super) fn component(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/fixtures").join(name).with_extension("wasm")
}

/// The manifest of a release; its effects can be told from those of others by `tag`.
pub(super) fn manifest(release: &str, scenario: &Scenario, tag: &str) -> String {
    let retry = if scenario.event_clock {
        // Whatever the order of attempts, it ends the same.
        "retry = { attempts = 1000, first = '50ms', most = '1s', deadline = '100h' }"
    } else {
        "retry = { attempts = 4, first = '50ms', most = '2s', deadline = '20s' }"
    };
    let alarms =
        if release == WITHOUT_ALARMS { "" } else { "[intents.set-alarm]\neffect = 'timer'\n[intents.cancel-alarm]\neffect = 'timer'\n" };
    format!(
        "name = 'simulated'\n\
         [reducer]\ncomponent = '{}'\nkey = 'account'\n\
         [inputs]\n'move' = 'moved'\n\
         [source]\ntimer-wait = '2s'\ndedupe = {}\n\
         [limits]\ninbox = {INBOX}\nparallel = {PARALLEL}\n\
         [store]\n{}\nid = '51a1a7ed-0000-4000-8000-{:012x}'\n\
         [effects.first]\ncapability = 'simulated'\ntag = '{tag}'\n[effects.second]\ncapability = 'simulated'\ntag = '{tag}'\n\
         [intents.call]\neffect = 'first'\noutcome = 'called'\n{retry}\n\
         [intents.follow]\neffect = 'second'\nafter = ['call']\non-exhausted = 'hold'\n{retry}\n\
         {alarms}\
         [intents.pass]\neffect = 'deliver'\ninput = 'passed'\nkey = 'account'\n{}",
        component(release).display(),
        scenario.dedupe,
        scenario.store,
        scenario.seed & 0xffff_ffff_ffff,
        scenario.retention.text()
    )
}

fn before_read(trouble: Rc<Cell<ReadTrouble>>, waiting: Rc<Waiting>) -> impl Fn() -> rusqlite::Result<()> {
    move || {
        let now = trouble.get();
        if now.failing == 0 {
            return Ok(());
        }
        waiting.clock.advance(now.takes);
        waiting.heed();
        if now.spared > 0 {
            trouble.set(ReadTrouble { spared: now.spared - 1, ..now });
            return Ok(());
        }
        trouble.set(ReadTrouble { failing: now.failing - 1, ..now });
        // A code of 0 is a read that is only slow.
        if now.code == 0 { Ok(()) } else { Err(rusqlite::Error::SqliteFailure(ffi::Error::new(now.code), None)) }
    }
}

impl Host {
    pub(super) fn start(
        folder: &Path,
        release: &str,
        scenario: &Scenario,
        world: &Shared,
        sandbox: &Sandbox,
        clock: &Arc<SimulatedClock>,
        seat: Seat,
    ) -> Result<Self, EngineError> {
        let workflow = workflow(folder, release, scenario, world);
        let store = workflow.manifest.store.location.clone();
        let options = Options {
            clock: if scenario.event_clock { Clock::Event } else { Clock::Arrival },
            advance: if scenario.event_clock { ADVANCE } else { Duration::ZERO },
            until_idle: scenario.event_clock,
            perform: true,
            feed: Some(if scenario.requests {
                Feed::Http(HttpSettings::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))
            } else {
                Feed::File(format!("simulated-{}.jsonl", seat.part.0).into())
            }),
            workers: 0,
            traces: None,
            share: seat.share.clone(),
            ..Options::default()
        };
        let ground = Ground::open(vec![workflow], sandbox, &options, (clock.clone(), loader(world)), (0, 0))?;
        ground.catch_up(None)?;
        let opened = Opened::on(&ground, &options, &Parts::of_feed(options.feed.as_ref()), Summary::default())?;
        let refusal = Arc::new(Mutex::new(None));
        let (to_engine, messages) = unbounded();
        let writer = opened.store.writer()?.of_epoch(seat.share.epoch)?;
        let writer = if planted(Mistake::EpochUnheeded) { writer.of_epoch(0)? } else { writer };
        let commits = Commits::new(Unsteady { writer, refusal: refusal.clone() }, to_engine.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let (orders, received) = mpsc::unbounded_channel();
        let mut random = StdRng::seed_from_u64(seat.jitter);
        let jitter = move || random.random();
        let bounds = if scenario.seed.is_multiple_of(2) { dispatch::Bounds::TINY } else { dispatch::Bounds::STANDARD };
        runtime.spawn(dispatch::run(
            Vec::clone(&opened.shared.plans),
            to_engine.clone(),
            received,
            Box::new(jitter),
            bounds,
            seat.share.lease,
        ));
        let (lines, receiver) = bounded(2);
        let read = opened.positions.iter().flatten().map(|position| position.next_line).min().unwrap_or(0);
        let waiting = Rc::new(Waiting {
            since: Arc::default(),
            clock: clock.clone(),
            lines: if scenario.requests { Vec::new() } else { scenario.lines.iter().map(|line| line.available).collect() },
            read: Cell::new(usize::try_from(read).unwrap_or(usize::MAX)),
        });
        let mut source = SourceHandle::of_lines(receiver, waiting.since.clone(), None, Arc::default());
        if scenario.requests {
            source.quiet = QUIET_SENDERS;
            waiting.begin();
        }
        let queue = Queue::default();
        let decoder = opened.decoder.clone();
        let writer = Box::new(Handover(queue.clone()));
        let (jobs, workshop) = (Jobs::default(), opened.workshop.clone());
        let readying = Box::new(Waits(jobs.clone()));
        let engine = opened.engine(On { workers: 0, writer, messages, source: Some(source), orders, readying, runtime: None })?;
        let trouble = Rc::default();
        Ok(Host {
            engine,
            jobs,
            workshop,
            queue,
            commits,
            refusal,
            patience: Duration::ZERO,
            runtime,
            lines,
            waiting,
            decoder,
            to_engine,
            clock: clock.clone(),
            source_ended: false,
            part: seat.part,
            trouble,
            lanes: bounds,
            store,
        })
    }

    pub(super) fn turn(&mut self) -> Result<Turn, EngineError> {
        if self.trouble.get().failing > 0 {
            set_before_read(Some(Box::new(before_read(self.trouble.clone(), self.waiting.clone()))));
        }
        let turn = self.engine.turn(&mut |_| ());
        set_before_read(None);
        turn
    }

    /// Has the reads of the store fail that follow, or take their time.
    pub(super) fn trouble_reads(&self, trouble: ReadTrouble) {
        self.trouble.set(trouble);
    }

    /// Since the run began.
    pub(super) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    pub(super) fn decoded(&self, bytes: &Arc<[u8]>) -> Vec<(usize, Result<Decoded, Undecodable>)> {
        self.decoder.decode(bytes, EventOrigin::Request(0), self.clock.wall())
    }

    /// Hands on events that were sent. Gives whether there was room for them.
    pub(super) fn post(&self, batch: Vec<Taken>) -> bool {
        let taken = self.lines.try_send(batch).is_ok();
        if !taken {
            // Who was turned away comes back.
            self.waiting.begin();
        }
        taken
    }

    /// Makes a release ready that is asked for.
    fn ready(&self) {
        let Some(job) = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front() else { return };
        let _ = self.to_engine.send(Message::Readied(Box::new(self.workshop.readied(&job))));
    }

    /// Lets the effects get on with what they can do now.
    pub(super) fn perform(&self) {
        self.ready();
        self.runtime.block_on(async {
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
        });
    }

    pub(super) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.pass(by);
    }

    /// Time has gone on by so much.
    pub(super) fn pass(&self, by: Duration) {
        self.waiting.heed();
        self.runtime.block_on(tokio::time::advance(by));
    }

    /// Has the engine finish what is in flight and end.
    pub(super) fn stop(&self) {
        let _ = self.to_engine.send(Message::Stop);
    }

    /// Hands on lines that the source has by now. Gives whether there was one.
    pub(super) fn read(&mut self, scenario: &Scenario, most: usize) -> bool {
        let available = self.waiting.available();
        let read = self.waiting.read.get();
        if available == 0 {
            if self.waiting.since.load(Ordering::Relaxed) == 0 {
                self.waiting.begin();
            }
            if read >= scenario.lines.len() && !std::mem::replace(&mut self.source_ended, true) {
                let _ = self.to_engine.send(Message::SourceEnded(Ok(())));
            }
            return false;
        }
        self.waiting.since.store(0, Ordering::Relaxed);
        if self.lines.is_full() {
            return false;
        }
        let mut batch = Vec::new();
        for (line, number) in scenario.lines.iter().zip(1..).skip(read).take(available.min(most).min(LINES_TOGETHER)) {
            self.waiting.read.set(self.waiting.read.get() + 1);
            if (self.waiting.read.get() - 1) % self.part.1 != self.part.0 {
                continue;
            }
            let spot = Spot::of(Line(number));
            let taken = self.decoder.decode(&line.bytes, EventOrigin::Line(spot), self.clock.wall());
            let end = scenario.lines[..self.waiting.read.get()].iter().map(|line| line.bytes.len() as u64 + 1).sum();
            batch.push(Taken::Line(TakenLine { spot, end, hash: sha256(&line.bytes), bytes: line.bytes.clone(), taken }));
        }
        batch.is_empty() || self.lines.send(batch).is_ok()
    }

    /// Whether every line was handed on.
    pub(super) fn has_read_all(&self, scenario: &Scenario) -> bool {
        self.waiting.read.get() >= scenario.lines.len()
    }

    /// Tries to commit the oldest batch. Gives whether one became durable.
    pub(super) fn commit(&mut self, refusal: Option<i32>) -> Result<bool, StoreError> {
        if self.clock.elapsed() < self.patience {
            return Ok(false);
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(batch) = queue.front() else { return Ok(false) };
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
        match self.commits.attempt(batch) {
            Attempt::Done => {
                queue.pop_front();
                Ok(true)
            }
            Attempt::Again(delay) => {
                self.patience = self.clock.elapsed() + delay;
                Ok(false)
            }
            Attempt::Failed(error) => Err(error),
        }
    }

    pub(super) fn has_batches(&self) -> bool {
        !self.queue.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.lines.is_empty()
            && self.engine.is_quiet()
            && !self.engine.has_work()
            && self.engine.state.backlog.is_empty()
            && !self.has_batches()
    }

    /// What is held in memory beyond its bound.
    pub(super) fn excess(&self) -> Option<String> {
        let effects = self.engine.observed();
        let all = effects.effects();
        let of_effects = all.iter().flat_map(|effect| {
            [("intents of an effect", effect.in_memory(), self.lanes.most(MOST_ASKED)), ("attempts", effect.under_way(), PARALLEL)]
        });
        let mut held = self.engine.bounds().into_iter().chain(of_effects);
        let (what, held, bound) = held.find(|(_, held, bound)| held > bound)?;
        Some(format!("{held} {what} are held in memory; the bound is {bound}"))
    }
}
