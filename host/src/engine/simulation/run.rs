//! One simulated run: the scheduler.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::super::run::Turn;
use super::clock::SimulatedClock;
use super::disk;
use super::host::{Host, REFUSALS, ReadTrouble, Seat};
use super::operators::{self, Look};
use super::releases::Deployer;
use super::scenario::Scenario;
use super::senders::Senders;
use super::world::Shared;
use super::{model, remains};
use crate::sandbox::Sandbox;
use crate::store::Location;
use crate::time::HostClock;

/// Steps after which a run that has not come to rest is stuck.
pub(super) const MOST_STEPS: u32 = 60_000;

/// How long a host that died stays away at most, in milliseconds.
const LONGEST_OUTAGE: u64 = 30_000;

/// Releases of the simulated workflow: the second bears what the first faults on.
pub(super) const FIRST: &str = "simulated-v1";
pub(super) const MENDED: &str = "simulated-v2";

/// The one that sets no alarms.
pub(super) const WITHOUT_ALARMS: &str = "simulated-v4";

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
    senders: Senders,
    deployer: Deployer,
    /// Whether the loop has turned since the effects had their turn.
    turned: bool,
    violations: Vec<String>,
}

/// Runs `scenario` in `folder`, which is empty.
pub(super) fn run(scenario: &Scenario, sandbox: &Sandbox, folder: &Path) -> Ran {
    let clock: Arc<SimulatedClock> = Arc::default();
    let world = Shared::of(scenario, &clock);
    let mut rng = StdRng::seed_from_u64(scenario.seed ^ 0x5eed);
    let mut run = Run {
        scenario,
        sandbox,
        senders: Senders::of(scenario, &mut rng),
        rng,
        world,
        clock,
        turned: false,
        deployer: Deployer::of(scenario),
        folder,
        lives: 0,
        release: FIRST,
        calm: false,
        violations: Vec::new(),
    };
    let (store, steps) = run.live();
    let mut violations = run.violations;
    violations.append(&mut run.world.lock().violations);
    let Some(store) = store else { return Ran { violations, journal: String::new(), crashes: run.lives - 1, steps } };
    let journal = judge(scenario, (sandbox, folder, run.release), &store, &run.world, &run.senders, &mut violations);
    Ran { violations, journal, crashes: run.lives - 1, steps }
}

/// Holds what is left in `store` to the model, and has it verified where nothing is wrong so far. Gives the journal's text.
pub(super) fn judge(
    scenario: &Scenario,
    (sandbox, folder, release): (&Sandbox, &Path, &'static str),
    store: &Location,
    world: &Shared,
    senders: &Senders,
    violations: &mut Vec<String>,
) -> String {
    let (found, journal) = model::check(scenario, store, &world.lock(), senders);
    violations.extend(found);
    let now = world.lock().clock.wall();
    violations.extend(remains::check(scenario, store, &world.lock().knowledge, now));
    if violations.is_empty() {
        violations.extend(model::verify(scenario, folder, release, world, sandbox, store));
    }
    journal
}

impl Run<'_> {
    /// Steps until everything is done. Gives the last store, where the last start had one, and the steps.
    fn live(&mut self) -> (Option<Location>, u32) {
        let Some(mut host) = self.start(None) else { return (None, 0) };
        for step in 0..MOST_STEPS {
            if step == self.scenario.troubled_steps {
                self.calm = true;
                self.world.lock().failures = 0;
                // A new start is a new chance for what is held, and brings the mended release.
                let Some(again) = self.restart(host) else { return (None, step) };
                host = again;
            }
            if !self.calm && self.chance(self.scenario.crashes) {
                let Some(again) = self.restart(host) else { return (None, step) };
                host = again;
                continue;
            }
            match self.step(&mut host, step) {
                Ok(false) => {}
                Ok(true) => return (Some(host.store.clone()), step),
                Err(violation) => {
                    self.violations.push(violation);
                    return (Some(host.store.clone()), step);
                }
            }
            if let Some(excess) = host.excess() {
                self.violations.push(excess);
                return (Some(host.store.clone()), step);
            }
        }
        self.violations.push(format!("not at rest after {MOST_STEPS} steps"));
        (Some(host.store.clone()), MOST_STEPS)
    }

    fn chance(&mut self, in_a_thousand: u32) -> bool {
        self.rng.random_range(0..1000) < in_a_thousand
    }

    /// One step. Gives whether everything is done.
    fn step(&mut self, host: &mut Host, step: u32) -> Result<bool, String> {
        match self.rng.random_range(0..10) {
            0..4 => {
                if !self.calm && self.chance(self.scenario.read_failures) {
                    host.trouble_reads(ReadTrouble::draw(&mut self.rng));
                }
                self.turned = true;
                let turn = host.turn().map_err(|error| format!("the engine failed: {error}"))?;
                match turn {
                    Turn::Worked => {}
                    Turn::Over => return Ok(true),
                    Turn::Idle(timeout) => self.idle(host, timeout),
                }
            }
            4 | 5 => self.perform(host),
            6 | 7 => {
                let refusal = !self.calm && self.chance(self.scenario.refusals);
                let refusal = refusal.then(|| REFUSALS[self.rng.random_range(0..REFUSALS.len())]);
                if host.commit(refusal).map_err(|error| format!("the store failed: {error}"))? {
                    self.world.lock().committed();
                }
            }
            8 => {
                let most = self.rng.random_range(1..5);
                self.feed(host, most);
            }
            _ => {
                let small = Duration::from_micros(self.rng.random_range(0..20_000));
                host.advance(small);
                if !self.calm && self.chance(self.scenario.jumps) {
                    self.clock.jump(self.rng.random_range(-30_000_000..60_000_000));
                }
            }
        }
        if self.calm && step % 256 == 255 {
            host.trouble_reads(ReadTrouble::default());
            Look::at(&host.store).mend(&host.store);
            if !self.scenario.event_clock {
                self.deployer.mend(self.scenario, &host.store, &self.world.lock().knowledge);
            }
        }
        if !self.calm && self.chance(self.scenario.acts) {
            self.operate(host);
        }
        if !self.calm {
            self.deployer.act(self.scenario, &host.store);
        }
        Ok(self.calm && !self.scenario.event_clock && self.is_done(host))
    }

    fn perform(&mut self, host: &Host) {
        host.perform();
        self.world.lock().round += u64::from(std::mem::take(&mut self.turned));
    }

    /// Nothing to do: time goes on.
    fn idle(&mut self, host: &mut Host, timeout: Duration) {
        self.perform(host);
        let most = if self.rng.random_ratio(1, 8) { timeout * 20 } else { timeout };
        let by = most.mul_f64(self.rng.random_range(0.1..1.0));
        host.advance(by);
        self.feed(host, 4);
    }

    /// Events come.
    fn feed(&mut self, host: &mut Host, most: usize) {
        if !self.scenario.requests {
            host.read(self.scenario, most);
            return;
        }
        self.violations.extend(self.senders.go_on(host, self.scenario, &self.world, &mut self.rng));
    }

    /// An operator does something.
    fn operate(&mut self, host: &Host) {
        // On the events' own clock nothing may depend on when an operator comes; what a sweep forgets leaves no trace.
        if self.scenario.event_clock {
            return operators::truncate(&host.store);
        }
        let given_up = Look::at(&host.store).act(&host.store, &mut self.rng);
        self.world.lock().giving_up.extend(given_up);
    }

    fn is_done(&self, host: &mut Host) -> bool {
        let read = if self.scenario.requests { self.senders.is_done() } else { host.has_read_all(self.scenario) };
        read && host.is_quiet() && self.world.lock().knowledge.is_at_rest()
    }

    /// The first life, or the next one in the folder of the store that the one before left.
    fn start(&mut self, before: Option<PathBuf>) -> Option<Host> {
        self.lives += 1;
        let folder = before.unwrap_or_else(|| self.folder.join("1"));
        std::fs::create_dir_all(&folder).expect("a folder");
        if self.calm {
            self.release = if self.scenario.event_clock { FIRST } else { MENDED };
        }
        self.world.forget(0);
        let jitter = self.rng.random();
        self.world.lock().starts.push(self.clock.wall());
        let host = Host::start(&folder, self.release, self.scenario, &self.world, self.sandbox, &self.clock, Seat::alone(jitter));
        match host {
            Ok(host) => {
                self.world.lock().started(&host.store);
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
        let in_commit = host.has_batches() && self.rng.random_ratio(2, 3);
        match host.store.clone() {
            Location::Sqlite(path) => disk::keep(&path, &folder, &mut self.rng, in_commit.then_some(&mut host)),
            // A server keeps what it has when a host dies.
            Location::Postgres(_) if in_commit => drop(host.commit(None)),
            Location::Postgres(_) => {}
        }
        drop(host);
        if self.rng.random_ratio(1, 3) {
            // Meanwhile events come and timers fall due.
            self.clock.advance(Duration::from_millis(self.rng.random_range(0..LONGEST_OUTAGE)));
        }
        self.start(Some(folder))
    }
}
