//! Several hosts on one store, each of them the whole engine, on one thread: they die, stand still and wake when others have
//! their shards, and pass shards on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::super::run::Turn;
use super::super::{EngineError, Lease, Share};
use super::clock::SimulatedClock;
use super::disk;
use super::host::{Host, REFUSALS, ReadTrouble, Seat, workflow};
use super::operators::Look;
use super::releases::Deployer;
use super::run::{FIRST, MENDED, MOST_STEPS, Ran, judge};
use super::scenario::Scenario;
use super::senders::Senders;
use super::world::Shared;
use crate::hosts::{Wish, must_change, wanted};
use crate::sandbox::Sandbox;
use crate::store::{Location, Store, StoreError, Writer};
use crate::time::HostClock;

/// How long a host is believed alive after it said so.
const LEASE: Duration = Duration::from_secs(10);

/// How much earlier it stops believing so itself.
const CAUTION: Duration = Duration::from_secs(1);

/// How often it says so.
const RENEWAL: Duration = Duration::from_secs(2);

/// How long a host stays away or stands still at most, in milliseconds.
const LONGEST_ABSENCE: u64 = 25_000;

/// One of the hosts.
struct Member {
    name: String,
    /// Which part of the lines it reads.
    part: usize,
    clock: Arc<SimulatedClock>,
    host: Option<Host>,
    /// Of the engine that it has, or had last.
    share: Share,
    life: u32,
    renewed: Duration,
    /// It is away, or stands still, until then.
    absent_until: Duration,
    /// How long it has stood still.
    stood: Duration,
    stands: bool,
    /// It finishes what is in flight, to make way for an engine with another set of shards.
    stopping: bool,
}

struct Fleet<'a> {
    scenario: &'a Scenario,
    sandbox: &'a Sandbox,
    rng: StdRng,
    world: Shared,
    clock: Arc<SimulatedClock>,
    /// Where the machines' disks are kept, and the one that they use now.
    folder: &'a Path,
    disk: PathBuf,
    store: Location,
    /// Keeps the store from whoever would have it alone.
    shared: Store,
    leases: Writer,
    senders: Senders,
    members: Vec<Member>,
    lives: u32,
    release: &'static str,
    deployer: Deployer,
    calm: bool,
    violations: Vec<String>,
}

/// Runs `scenario` in `folder`, which is empty.
pub(super) fn run(scenario: &Scenario, sandbox: &Sandbox, folder: &Path) -> Ran {
    let clock: Arc<SimulatedClock> = Arc::default();
    let world = Shared::of(scenario, &clock);
    let mut rng = StdRng::seed_from_u64(scenario.seed ^ 0x4057);
    let senders = Senders::of(scenario, &mut rng);
    let (store, shared, leases) = join(folder, scenario, &world);
    let member = |part| Member {
        name: format!("host-{part}"),
        part,
        clock: Arc::new(clock.of_another_host()),
        host: None,
        share: Share::default(),
        life: 0,
        renewed: Duration::ZERO,
        absent_until: Duration::ZERO,
        stood: Duration::ZERO,
        stands: false,
        stopping: false,
    };
    let members = (0..scenario.hosts).map(member).collect();
    let mut fleet = Fleet {
        scenario,
        sandbox,
        rng,
        world,
        clock,
        folder,
        disk: folder.to_owned(),
        store,
        shared,
        leases,
        senders,
        members,
        lives: 0,
        release: FIRST,
        deployer: Deployer::of(scenario),
        calm: false,
        violations: Vec::new(),
    };
    let steps = fleet.live();
    let Fleet { mut violations, world, release, lives, members, disk, store, shared, leases, senders, .. } = fleet;
    drop((members, leases));
    violations.append(&mut world.lock().violations);
    let journal = judge(scenario, (sandbox, &disk, release), &store, &world, &senders, &mut violations);
    drop(shared);
    Ran { violations, journal, crashes: lives, steps }
}

/// The store in `disk`, as one of several hosts has it.
fn join(disk: &Path, scenario: &Scenario, world: &Shared) -> (Location, Store, Writer) {
    let settings = workflow(disk, FIRST, scenario, world).manifest.store;
    let shared = Store::join(&settings.location, settings.id, (0, 0)).expect("a store");
    let leases = shared.writer().expect("the store can be opened");
    (settings.location, shared, leases)
}

impl Fleet<'_> {
    /// Steps until everything is done.
    fn live(&mut self) -> u32 {
        for step in 0..MOST_STEPS {
            if step == self.scenario.troubled_steps {
                self.become_calm();
            }
            let at = self.rng.random_range(0..self.members.len());
            match self.step(at, step) {
                Ok(false) => {}
                Ok(true) => return step,
                Err(violation) => {
                    self.violations.push(violation);
                    return step;
                }
            }
        }
        let told: Vec<_> = self.members.iter().map(|member| (&member.name, member.host.is_some(), member.share.shards.len())).collect();
        self.violations.push(format!("not at rest after {MOST_STEPS} steps: {told:?}"));
        MOST_STEPS
    }

    fn chance(&mut self, in_a_thousand: u32) -> bool {
        self.rng.random_range(0..1000) < in_a_thousand
    }

    /// From now on nothing fails: all start anew, with the mended release.
    fn become_calm(&mut self) {
        self.calm = true;
        self.world.lock().failures = 0;
        self.release = MENDED;
        for at in 0..self.members.len() {
            self.die(at);
            (self.members[at].stands, self.members[at].absent_until) = (false, Duration::ZERO);
        }
    }

    /// One step of one host. Gives whether everything is done.
    fn step(&mut self, at: usize, step: u32) -> Result<bool, String> {
        let now = self.clock.elapsed();
        if now < self.members[at].absent_until {
            // Whoever is there goes on; where nobody is, time does.
            if self.members.iter().all(|member| now < member.absent_until) {
                self.pass(Duration::from_millis(500));
            }
            return Ok(false);
        }
        if std::mem::take(&mut self.members[at].stands) {
            let stood = std::mem::take(&mut self.members[at].stood);
            if let Some(host) = &self.members[at].host {
                host.pass(stood);
            }
            // What comes first when it wakes is open: what was on its way to the store, what is due to be tried, or anything.
            match self.rng.random_range(0..4) {
                0 => return self.wake(at).map(|()| false),
                1 | 2 => {
                    if let Some(host) = &self.members[at].host {
                        host.perform();
                    }
                    return Ok(false);
                }
                _ => {}
            }
        }
        if self.members[at].host.is_none() {
            return self.start(at).map(|()| false);
        }
        if now >= self.members[at].renewed + RENEWAL && self.rng.random_ratio(1, 2) {
            self.renew(at);
            return Ok(false);
        }
        if !self.calm && self.chance(self.scenario.crashes) {
            if self.rng.random_ratio(1, 8) {
                self.lose_power();
            } else {
                self.crash(at);
            }
            return Ok(false);
        }
        if !self.calm && self.chance(self.scenario.crashes) {
            let absence = Duration::from_millis(self.rng.random_range(0..LONGEST_ABSENCE));
            (self.members[at].stands, self.members[at].absent_until) = (true, now + absence);
            return Ok(false);
        }
        match self.act(at) {
            Ok(()) => {}
            Err(EngineError::Store(error)) if error.is_overtaken() => self.die(at),
            Err(error) => return Err(format!("the engine of {} failed: {error}", self.members[at].name)),
        }
        if let Some(excess) = self.members[at].host.as_ref().and_then(Host::excess) {
            return Err(excess);
        }
        if self.calm && step % 256 == 255 {
            for host in self.members.iter().filter_map(|member| member.host.as_ref()) {
                host.trouble_reads(ReadTrouble::default());
            }
            Look::at(&self.store).mend(&self.store);
            self.deployer.mend(self.scenario, &self.store, &self.world.lock().knowledge);
        }
        if !self.calm && self.chance(self.scenario.acts) {
            let given_up = Look::at(&self.store).act(&self.store, &mut self.rng);
            self.world.lock().giving_up.extend(given_up);
        }
        if !self.calm {
            self.deployer.act(self.scenario, &self.store);
        }
        Ok(self.calm && self.is_done())
    }

    /// A host that stood still has the store commit what it had decided before.
    fn wake(&mut self, at: usize) -> Result<(), String> {
        while let Some(host) = self.members[at].host.as_mut() {
            match host.commit(None) {
                Ok(true) => self.world.lock().committed(),
                Ok(false) => break,
                Err(error) if error.is_overtaken() => self.die(at),
                Err(error) => return Err(format!("the writer of {} failed: {error}", self.members[at].name)),
            }
        }
        Ok(())
    }

    /// Something that a host does.
    fn act(&mut self, at: usize) -> Result<(), EngineError> {
        let Some(mut host) = self.members[at].host.take() else { return Ok(()) };
        let done = self.act_of(&mut host, at);
        if matches!(done, Ok(true)) {
            // It has made way.
            drop(host);
            self.world.forget(self.members[at].life);
            self.members[at].stopping = false;
            let (name, epoch) = (self.members[at].name.clone(), self.members[at].share.epoch);
            self.leases.end_epoch(&name, epoch, false)?;
            return Ok(());
        }
        self.members[at].host = Some(host);
        done.map(drop)
    }

    /// Gives whether the engine has ended.
    fn act_of(&mut self, host: &mut Host, at: usize) -> Result<bool, EngineError> {
        match self.rng.random_range(0..10) {
            0..4 => {
                if !self.calm && self.chance(self.scenario.read_failures) {
                    host.trouble_reads(ReadTrouble { takes: Duration::ZERO, ..ReadTrouble::draw(&mut self.rng) });
                }
                match host.turn()? {
                    Turn::Worked => {}
                    Turn::Over => return Ok(true),
                    Turn::Idle(timeout) => {
                        host.perform();
                        let by = timeout.mul_f64(self.rng.random_range(0.1..1.0));
                        self.pass(by);
                        host.pass(by);
                        self.feed(host, at, 4);
                    }
                }
            }
            4 | 5 => host.perform(),
            6 | 7 => {
                let refusal = !self.calm && self.chance(self.scenario.refusals);
                let refusal = refusal.then(|| REFUSALS[self.rng.random_range(0..REFUSALS.len())]);
                if host.commit(refusal)? {
                    self.world.lock().committed();
                }
            }
            8 => {
                let most = self.rng.random_range(1..5);
                self.feed(host, at, most);
            }
            _ => {
                let small = Duration::from_micros(self.rng.random_range(0..20_000));
                self.pass(small);
                host.pass(small);
                if !self.calm && self.chance(self.scenario.jumps) {
                    self.members[at].clock.jump(self.rng.random_range(-30_000_000..60_000_000));
                }
            }
        }
        Ok(false)
    }

    /// Events come.
    fn feed(&mut self, host: &mut Host, at: usize, most: usize) {
        if self.members[at].stopping {
            return;
        }
        if !self.scenario.requests {
            host.read(self.scenario, most);
            return;
        }
        self.violations.extend(self.senders.go_on(host, self.scenario, &self.world, &mut self.rng));
    }

    /// Time goes on, for everybody but the host that is looked at.
    fn pass(&mut self, by: Duration) {
        self.clock.advance(by);
        for member in &mut self.members {
            match &member.host {
                Some(_) if member.stands => member.stood += by,
                Some(host) => host.pass(by),
                None => {}
            }
        }
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_micros()).expect("a time")
    }

    fn until(&self) -> u64 {
        self.micros() + u64::try_from(LEASE.as_micros()).expect("a time")
    }

    /// A new engine under a new epoch, on the shards that can be had.
    fn start(&mut self, at: usize) -> Result<(), String> {
        let told = |error: StoreError| format!("no epoch begins: {error}");
        let (name, part) = (self.members[at].name.clone(), self.members[at].part);
        let lease = Lease::new(self.clock.clone(), self.clock.elapsed() + LEASE - CAUTION);
        let epoch = self.leases.begin_epoch((&name, "w"), self.micros(), self.until()).map_err(told)?;
        let ownership = self.leases.ownership().map_err(told)?;
        let shards = self.leases.claim(epoch, &wanted(&Wish::Part, &name, &ownership.hosts)).map_err(told)?;
        let share = Share { epoch, shards, lease: Some(Arc::new(lease)) };
        self.lives += 1;
        let seat = Seat { share: share.clone(), part: (part, self.scenario.hosts), jitter: self.rng.random() };
        let world = self.world.of_life(self.lives);
        let clock = &self.members[at].clock;
        self.world.lock().starts.push(clock.wall());
        let started = Host::start(&self.disk, self.release, self.scenario, &world, self.sandbox, clock, seat);
        let renewed = self.clock.elapsed();
        match started {
            Ok(host) => {
                self.world.lock().started(&self.store);
                let member = &mut self.members[at];
                (member.host, member.share, member.life, member.renewed) = (Some(host), share, self.lives, renewed);
                member.stopping = false;
                Ok(())
            }
            Err(EngineError::Store(error)) if error.is_overtaken() => Ok(()),
            Err(error) => Err(format!("{name} does not start: {error}")),
        }
    }

    fn renew(&mut self, at: usize) {
        let (now, until) = (self.micros(), self.until());
        let lease_until = self.clock.elapsed() + LEASE - CAUTION;
        let name = self.members[at].name.clone();
        self.members[at].renewed = self.clock.elapsed();
        if !self.leases.renew(&name, now, until).expect("the store takes it") {
            // Others have its shards: what it has not committed was never decided.
            return self.die(at);
        }
        let member = &mut self.members[at];
        if let Some(lease) = &member.share.lease {
            lease.renew(lease_until);
        }
        let ownership = self.leases.ownership().expect("the store can be read");
        let wanted = wanted(&Wish::Part, &name, &ownership.hosts);
        if must_change(&member.share.shards, &wanted, &ownership)
            && !std::mem::replace(&mut member.stopping, true)
            && let Some(host) = &member.host
        {
            host.stop();
        }
    }

    /// The process dies, perhaps in the middle of a commit, and stays away for a while.
    fn crash(&mut self, at: usize) {
        let in_commit = self.rng.random_ratio(2, 3);
        if let Some(host) = self.members[at].host.as_mut().filter(|host| in_commit && host.has_batches()) {
            // Durable or not, the engine never hears of it.
            if host.commit(None).is_ok_and(|committed| committed) {
                self.world.lock().committed();
            }
        }
        self.die(at);
        if self.rng.random_ratio(1, 2) {
            let absence = Duration::from_millis(self.rng.random_range(0..LONGEST_ABSENCE));
            self.members[at].absent_until = self.clock.elapsed() + absence;
        }
    }

    /// All hosts die at once, perhaps in the middle of a commit, and start again on what the disk kept of their store.
    fn lose_power(&mut self) {
        // A server has a disk of its own.
        let Location::Sqlite(path) = self.store.clone() else { return };
        let disk = self.folder.join(format!("disk-{}", self.lives));
        std::fs::create_dir_all(&disk).expect("a folder");
        let committing = self.rng.random_range(0..self.members.len());
        let committing = self.members[committing].host.as_mut().filter(|host| host.has_batches());
        disk::keep(&path, &disk, &mut self.rng, committing);
        for at in 0..self.members.len() {
            self.die(at);
            self.members[at].stands = false;
            self.members[at].absent_until = Duration::ZERO;
        }
        let (store, shared, leases) = join(&disk, self.scenario, &self.world);
        (self.disk, self.store, self.shared, self.leases) = (disk, store, shared, leases);
    }

    /// The engine ends with all that it has not committed.
    fn die(&mut self, at: usize) {
        let member = &mut self.members[at];
        member.stopping = false;
        drop(member.host.take());
        self.world.forget(member.life);
    }

    fn is_done(&self) -> bool {
        let has_read = |host: &Host| if self.scenario.requests { self.senders.is_done() } else { host.has_read_all(self.scenario) };
        let all_read = self
            .members
            .iter()
            .all(|member| member.host.as_ref().is_some_and(|host| !member.stopping && has_read(host) && host.is_quiet()));
        all_read && self.world.lock().knowledge.is_at_rest()
    }
}
