//! One simulated run: the scheduler.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::super::run::Turn;
use super::clock::SimulatedClock;
use super::host::{Host, REFUSALS};
use super::knowledge::Knowledge;
use super::model;
use super::scenario::Scenario;
use super::world::Shared;
use crate::journal::Warrant;
use crate::sandbox::Sandbox;
use crate::store::{Question, Writer};
use crate::time::HostClock;

/// Steps after which a run that has not come to rest is stuck.
const MOST_STEPS: u32 = 60_000;

/// How long a host that died stays away at most, in milliseconds.
const LONGEST_OUTAGE: u64 = 30_000;

/// Releases of the simulated workflow: the second bears what the first faults on.
const FIRST: &str = "simulated-v1";
const MENDED: &str = "simulated-v2";

/// What a run left.
pub(super) struct Ran {
    /// What went against the promise; empty where all is well.
    pub(super) violations: Vec<String>,
    /// The journal as text: what two runs of one seed are compared by.
    pub(super) journal: String,
    /// How often the host died.
    pub(super) crashes: u32,
    pub(super) steps: u32,
}

struct Run<'a> {
    scenario: &'a Scenario,
    sandbox: &'a Sandbox,
    rng: StdRng,
    world: Shared,
    clock: Arc<SimulatedClock>,
    folder: &'a Path,
    lives: u32,
    release: &'static str,
    /// Whether nothing fails any more.
    calm: bool,
    violations: Vec<String>,
}

/// Runs `scenario` in `folder`, which is empty.
pub(super) fn run(scenario: &Scenario, sandbox: &Sandbox, folder: &Path) -> Ran {
    let world = Shared::default();
    {
        let mut world = world.lock();
        world.seed = scenario.seed;
        world.failures = scenario.failures;
        world.steadfast = scenario.event_clock;
    }
    let mut run = Run {
        scenario,
        sandbox,
        rng: StdRng::seed_from_u64(scenario.seed ^ 0x5eed),
        world,
        clock: Arc::default(),
        folder,
        lives: 0,
        release: FIRST,
        calm: false,
        violations: Vec::new(),
    };
    let (store, steps) = run.live();
    let mut violations = run.violations;
    violations.append(&mut run.world.lock().violations);
    let (found, journal) = model::check(scenario, &store, &run.world.lock());
    violations.extend(found);
    if violations.is_empty() {
        violations.extend(model::verify(scenario, folder, run.release, &run.world, sandbox, &store));
    }
    Ran { violations, journal, crashes: run.lives - 1, steps }
}

impl Run<'_> {
    /// Steps until everything is done. Gives the last store, and the steps.
    fn live(&mut self) -> (PathBuf, u32) {
        let Some(mut host) = self.start(None) else { return (self.folder.join("1/store.db"), 0) };
        for step in 0..MOST_STEPS {
            if step == self.scenario.troubled_steps {
                self.calm = true;
                self.world.lock().failures = 0;
                // A new start is a new chance for what is held, and brings the mended release.
                let Some(again) = self.restart(host) else { return (self.last_store(), step) };
                host = again;
            }
            if !self.calm && self.chance(self.scenario.crashes) {
                let Some(again) = self.restart(host) else { return (self.last_store(), step) };
                host = again;
                continue;
            }
            match self.step(&mut host, step) {
                Ok(false) => {}
                Ok(true) => return (host.store.clone(), step),
                Err(violation) => {
                    self.violations.push(violation);
                    return (host.store.clone(), step);
                }
            }
            for (what, held, bound) in host.bounds() {
                if held > bound {
                    self.violations.push(format!("{held} {what} are held in memory; the bound is {bound}"));
                    return (host.store.clone(), step);
                }
            }
        }
        self.violations.push(format!("not at rest after {MOST_STEPS} steps"));
        (host.store.clone(), MOST_STEPS)
    }

    fn chance(&mut self, in_a_thousand: u32) -> bool {
        self.rng.random_range(0..1000) < in_a_thousand
    }

    /// One step. Gives whether everything is done.
    fn step(&mut self, host: &mut Host, step: u32) -> Result<bool, String> {
        match self.rng.random_range(0..10) {
            0..4 => {
                let turn = host.turn().map_err(|error| format!("the engine failed: {error}"))?;
                match turn {
                    Turn::Worked => {}
                    Turn::Over => return Ok(true),
                    Turn::Idle(timeout) => self.idle(host, timeout),
                }
            }
            4 | 5 => host.perform(),
            6 | 7 => {
                let refusal = !self.calm && self.chance(self.scenario.refusals);
                let refusal = refusal.then(|| REFUSALS[self.rng.random_range(0..REFUSALS.len())]);
                if host.commit(refusal).map_err(|error| format!("the store failed: {error}"))? {
                    self.world.lock().knowledge.refresh();
                }
            }
            8 => {
                let most = self.rng.random_range(1..5);
                host.read(self.scenario, most);
            }
            _ => {
                let small = Duration::from_micros(self.rng.random_range(0..20_000));
                host.advance(small);
                if !self.calm && self.chance(self.scenario.jumps) {
                    self.clock.jump(self.rng.random_range(-30_000_000..60_000_000));
                }
            }
        }
        if step % 256 == 255 && self.chance(if self.calm { 1000 } else { 300 }) && !self.scenario.event_clock {
            self.operate(host);
        }
        Ok(self.calm && !self.scenario.event_clock && self.is_done(host))
    }

    /// Nothing to do: time goes on.
    fn idle(&mut self, host: &mut Host, timeout: Duration) {
        host.perform();
        let most = if self.rng.random_ratio(1, 8) { timeout * 20 } else { timeout };
        let by = most.mul_f64(self.rng.random_range(0.1..1.0));
        host.advance(by);
        host.read(self.scenario, 4);
    }

    /// Redrives what is parked.
    fn operate(&mut self, host: &Host) {
        for key in model::parked(&host.store) {
            let question = Question { command: "parked redrive", subjects: &[key], warrant: &Warrant::default() };
            Writer::ask_beside(&host.store, "simulated", &question).expect("the command can be asked");
        }
    }

    fn is_done(&self, host: &mut Host) -> bool {
        host.has_read_all(self.scenario) && host.is_quiet() && model::is_at_rest(&host.store)
    }

    /// The first life, or the next one in the folder of the store that the one before left.
    fn start(&mut self, before: Option<PathBuf>) -> Option<Host> {
        self.lives += 1;
        let folder = before.unwrap_or_else(|| self.folder.join("1"));
        std::fs::create_dir_all(&folder).expect("a folder");
        if self.calm {
            self.release = if self.scenario.event_clock { FIRST } else { MENDED };
        }
        self.world.forget_told();
        let jitter = self.rng.random();
        self.world.lock().starts.push(self.clock.wall());
        let host = Host::start(&folder, self.release, self.scenario, &self.world, self.sandbox, &self.clock, jitter);
        match host {
            Ok(host) => {
                self.world.lock().knowledge = Knowledge::of(&host.store);
                Some(host)
            }
            Err(error) => {
                self.violations.push(format!("the host does not start again: {error}"));
                None
            }
        }
    }

    /// The host dies, perhaps in the middle of a commit, and starts again on what the disk kept.
    fn restart(&mut self, mut host: Host) -> Option<Host> {
        let folder = self.folder.join((self.lives + 1).to_string());
        std::fs::create_dir_all(&folder).expect("a folder");
        let log = host.store.with_extension("db-wal");
        let length = |path: &Path| std::fs::metadata(path).map_or(0, |data| data.len());
        let before = length(&log);
        let in_commit = host.has_batches() && self.rng.random_ratio(2, 3);
        if in_commit {
            // Durable or not, the engine never hears of it.
            let _ = host.commit(None);
        }
        for file in [&host.store, &log] {
            if file.exists() {
                std::fs::copy(file, folder.join(file.file_name().expect("a name"))).expect("a copy");
            }
        }
        let after = length(&log);
        if in_commit && after > before && self.rng.random_ratio(2, 3) {
            self.tear(&folder.join(log.file_name().expect("a name")), before, after);
        }
        drop(host);
        if self.rng.random_ratio(1, 3) {
            // Meanwhile events come and timers fall due.
            self.clock.advance(Duration::from_millis(self.rng.random_range(0..LONGEST_OUTAGE)));
        }
        self.start(Some(folder))
    }

    /// Of what was written since the last sync, only a part reached the disk, and not all of that whole.
    fn tear(&mut self, log: &Path, synced: u64, written: u64) {
        let mut bytes = std::fs::read(log).expect("the log can be read");
        let cut = self.rng.random_range(synced..=written);
        bytes.truncate(usize::try_from(cut).expect("a length"));
        let from = usize::try_from(synced).expect("a length");
        if self.rng.random_ratio(1, 2) && bytes.len() > from {
            let sector = self.rng.random_range(from..bytes.len());
            let end = (sector + 512).min(bytes.len());
            bytes[sector..end].fill(0);
        }
        std::fs::write(log, bytes).expect("the log can be written");
    }

    fn last_store(&self) -> PathBuf {
        self.folder.join(self.lives.to_string()).join("store.db")
    }
}
