//! What CI runs of the simulation, and what `cargo xtask simulate` asks of it.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::hosts;
use super::run::{Ran, run};
use super::scenario::Scenario;
use crate::engine::planted::Mistake;
use crate::engine::planted::tests::plant;
use crate::sandbox::Sandbox;
use crate::store::trial::Trial;

/// Seeds of one test run, where `PUREFOLD_SIMULATION_SEEDS` does not say.
const DEFAULT_SEEDS: u64 = 2400;

/// How long one seed may run. The longest take some seconds, unoptimised and beside other tests.
const MOST_TIME: Duration = Duration::from_secs(600);

/// Seeds within which every planted mistake must be found.
const SEEDS_TO_FIND: u64 = 1000;

/// Seeds of one test run on PostgreSQL: every commit there is a real one.
const POSTGRES_SEEDS: u64 = 16;

/// Seeds that found something once.
const KEPT: &[u64] = &[1, 9, 20, 80, 126, 143, 357, 1636, 1848, 18473, 37829, 57960];

/// The same of several hosts.
const KEPT_SHARED: &[u64] = &[8, 11, 71, 100, 102, 156];

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

/// Seeds of several hosts, where `PUREFOLD_SIMULATION_SEEDS` does not say.
const DEFAULT_SHARED_SEEDS: u64 = 400;

fn simulate(seed: u64, sandbox: &Sandbox) -> Ran {
    let scenario = Scenario::draw(seed);
    caught(|folder| run(&scenario, sandbox, folder))
}

/// Several hosts on one store.
fn simulate_shared(seed: u64, sandbox: &Sandbox) -> Ran {
    let scenario = Scenario::draw_shared(seed);
    caught(|folder| hosts::run(&scenario, sandbox, folder))
}

fn caught(run: impl Fn(&Path) -> Ran) -> Ran {
    // Memory, where there is such a folder: what is durable is simulated, the disk's own time is not.
    let memory = std::path::Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder");
    std::panic::catch_unwind(AssertUnwindSafe(|| run(folder.path()))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        let violations = vec![format!("a panic: {}", text.unwrap_or_default())];
        Ran { violations, journal: String::new(), crashes: 0, steps: 0 }
    })
}

/// Runs `seeds`, on all processors. Gives the failing ones, each with what went wrong, and how much happened.
fn simulate_all(seeds: impl Iterator<Item = u64>, simulate: fn(u64, &Sandbox) -> Ran) -> (Vec<(u64, Vec<String>)>, String) {
    let sandbox = Sandbox::new().expect("a sandbox");
    let seeds: Vec<u64> = seeds.collect();
    let (next, began) = (AtomicU64::new(0), Instant::now());
    let (crashes, steps) = (AtomicU64::new(0), AtomicU64::new(0));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let under_way = UnderWay::default();
    let mut failed = std::thread::scope(|scope| {
        let work = || {
            let mut failed = Vec::new();
            while let Some(seed) = seeds.get(usize::try_from(next.fetch_add(1, Ordering::Relaxed)).expect("an index")) {
                under_way.begins(*seed);
                let ran = simulate(*seed, &sandbox);
                under_way.ends(*seed);
                crashes.fetch_add(u64::from(ran.crashes), Ordering::Relaxed);
                steps.fetch_add(u64::from(ran.steps), Ordering::Relaxed);
                if !ran.violations.is_empty() {
                    failed.push((*seed, ran.violations));
                }
            }
            failed
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let watch = scope.spawn(|| under_way.watch());
        let ended: Vec<_> = workers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        under_way.over.store(true, Ordering::Relaxed);
        watch.thread().unpark();
        ended.into_iter().flat_map(|failed| failed.expect("no panic")).collect::<Vec<_>>()
    });
    failed.sort();
    let told = format!(
        "{} seeds: {} steps, {} crashes, {:.1} s",
        seeds.len(),
        steps.into_inner(),
        crashes.into_inner(),
        began.elapsed().as_secs_f64()
    );
    (failed, told)
}

/// The seeds that are running, and since when: one that hangs must tell its number before everything ends.
#[derive(Default)]
struct UnderWay {
    seeds: Mutex<BTreeMap<u64, Instant>>,
    over: AtomicBool,
}

impl UnderWay {
    fn begins(&self, seed: u64) {
        self.seeds.lock().expect("no panic").insert(seed, Instant::now());
    }

    fn ends(&self, seed: u64) {
        self.seeds.lock().expect("no panic").remove(&seed);
    }

    /// Those that have run for longer than a seed may.
    fn hanging(&self, most: Duration) -> Vec<u64> {
        let seeds = self.seeds.lock().expect("no panic");
        seeds.iter().filter(|(_, began)| began.elapsed() > most).map(|(seed, _)| *seed).collect()
    }

    /// Ends the process where a seed hangs: its threads cannot be ended otherwise.
    fn watch(&self) {
        while !self.over.load(Ordering::Relaxed) {
            let hanging = self.hanging(MOST_TIME);
            if !hanging.is_empty() {
                #[allow(clippy::print_stderr, reason = "nothing else is left to tell it")]
                {
                    eprintln!("the seeds {hanging:?} have not ended after {MOST_TIME:?}; `cargo xtask simulate` runs one again");
                }
                std::process::abort();
            }
            std::thread::park_timeout(Duration::from_secs(1));
        }
    }
}

#[test]
fn a_seed_that_hangs_is_told() {
    let under_way = UnderWay::default();
    under_way.begins(7);
    under_way.begins(8);
    under_way.ends(7);
    assert!(under_way.hanging(Duration::from_secs(60)).is_empty());
    assert_eq!(under_way.hanging(Duration::ZERO), [8]);
}

#[test]
fn whatever_fails_nothing_is_lost_repeated_or_left_hanging() {
    let count = number("PUREFOLD_SIMULATION_SEEDS").unwrap_or(DEFAULT_SEEDS);
    let first = number("PUREFOLD_SIMULATION_FIRST").unwrap_or(1);
    let (failed, told) = simulate_all((first..first + count).chain(KEPT.iter().copied()), simulate);
    tell(&failed, &told, "");
}

#[test]
fn whatever_happens_to_several_hosts_they_decide_as_one() {
    let count = number("PUREFOLD_SIMULATION_SEEDS").unwrap_or(DEFAULT_SHARED_SEEDS);
    let first = number("PUREFOLD_SIMULATION_FIRST").unwrap_or(1);
    let (failed, told) = simulate_all((first..first + count).chain(KEPT_SHARED.iter().copied()), simulate_shared);
    tell(&failed, &told, " --hosts");
}

/// `option` is what `cargo xtask simulate` is to be given besides, to run such seeds.
fn tell(failed: &[(u64, Vec<String>)], told: &str, option: &str) {
    #[allow(clippy::print_stdout, reason = "how much was tried is the result of `cargo xtask simulate`")]
    {
        println!("{told}");
    }
    let shown: Vec<String> = failed.iter().take(5).map(|(seed, wrong)| format!("seed {seed}: {}", wrong.join("\n    "))).collect();
    assert!(
        failed.is_empty(),
        "{} of the seeds went wrong; `cargo xtask simulate{option} --first SEED --seeds 1` runs one again\n{}",
        failed.len(),
        shown.join("\n")
    );
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    let sandbox = Sandbox::new().expect("a sandbox");
    for seed in 1..=8 {
        for simulate in [simulate, simulate_shared] {
            let (once, again) = (simulate(seed, &sandbox), simulate(seed, &sandbox));
            assert!(!once.journal.is_empty(), "seed {seed} leaves a journal");
            assert_eq!((once.steps, once.crashes, once.journal), (again.steps, again.crashes, again.journal), "seed {seed}");
        }
    }
}

/// On the events' own clock the journal is a function of the input alone: trouble leaves no trace in it.
#[test]
fn on_virtual_time_trouble_leaves_no_trace() {
    let sandbox = Sandbox::new().expect("a sandbox");
    let mut compared = 0;
    for seed in (1..200).filter(|seed| Scenario::draw(*seed).event_clock).take(20) {
        let troubled = simulate(seed, &sandbox);
        let mut calm = Scenario::draw(seed);
        (calm.crashes, calm.refusals, calm.failures, calm.troubled_steps) = (0, 0, 0, u32::MAX);
        (calm.acts, calm.read_failures, calm.swaps) = (0, 0, 0);
        let folder = tempfile::tempdir().expect("a folder");
        let undisturbed = run(&calm, &sandbox, folder.path());
        assert_eq!(undisturbed.crashes, 0);
        assert_eq!(troubled.journal, undisturbed.journal, "seed {seed}");
        compared += 1;
    }
    assert_eq!(compared, 20);
}

/// The same histories on PostgreSQL: nothing is lost, repeated or left hanging there either, and where the journal is a
/// function of the input alone it is the same one.
#[test]
fn on_postgresql_a_history_ends_as_on_sqlite() {
    let sandbox = Sandbox::new().expect("a sandbox");
    let seeds: Vec<u64> = (1..=number("PUREFOLD_SIMULATION_POSTGRES_SEEDS").unwrap_or(POSTGRES_SEEDS)).collect();
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for seed in seeds {
        let trial = Trial::postgres();
        let scenario = Scenario { store: trial.setting().to_owned(), ..Scenario::draw(seed) };
        let ran = run(&scenario, &sandbox, trial.folder());
        wrong.extend(ran.violations.into_iter().map(|violation| format!("seed {seed}: {violation}")));
        if scenario.event_clock {
            compared += 1;
            let on_sqlite = simulate(seed, &sandbox).journal;
            // The workflow's own entries, which have no key, name the manifest, and that says where the store is.
            let entries =
                |journal: &str| -> Vec<String> { journal.lines().filter(|line| !line.starts_with(' ')).map(str::to_owned).collect() };
            let (one, other) = (entries(&ran.journal), entries(&on_sqlite));
            let differing = one.iter().zip(&other).find(|(one, other)| one != other);
            if one != other {
                wrong.push(format!("seed {seed}: {} entries on PostgreSQL, {} on SQLite: {differing:?}", one.len(), other.len()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 0, "no history was compared");
}

/// The same of several hosts: here they really share it.
#[test]
fn on_postgresql_several_hosts_decide_as_one() {
    let sandbox = Sandbox::new().expect("a sandbox");
    let mut wrong = Vec::new();
    for seed in 1..=number("PUREFOLD_SIMULATION_POSTGRES_SEEDS").unwrap_or(POSTGRES_SEEDS) {
        let trial = Trial::postgres();
        let scenario = Scenario { store: trial.setting().to_owned(), ..Scenario::draw_shared(seed) };
        let ran = hosts::run(&scenario, &sandbox, trial.folder());
        wrong.extend(ran.violations.into_iter().map(|violation| format!("seed {seed}: {violation}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The simulation finds what it is there to find.
#[test]
fn every_planted_mistake_is_found() {
    let sandbox = Sandbox::new().expect("a sandbox");
    // Without a mistake nothing is found: else whatever is found says nothing.
    assert_eq!(simulate(1, &sandbox).violations, Vec::<String>::new());
    assert_eq!(simulate_shared(1, &sandbox).violations, Vec::<String>::new());
    let next = AtomicU64::new(0);
    let work = || {
        let mut missed = Vec::new();
        while let Some(mistake) = Mistake::ALL.get(usize::try_from(next.fetch_add(1, Ordering::Relaxed)).expect("an index")) {
            plant(*mistake);
            let simulate = if Mistake::OF_SEVERAL.contains(mistake) { simulate_shared } else { simulate };
            let found = (1..=SEEDS_TO_FIND).find(|seed| !simulate(*seed, &sandbox).violations.is_empty());
            match found {
                #[allow(clippy::print_stdout, reason = "how soon it was found is the result")]
                Some(seed) => println!("{mistake:?}: found by seed {seed}"),
                None => missed.push(*mistake),
            }
        }
        missed
    };
    // Threads of their own: a mistake is planted in a thread.
    let missed: Vec<Mistake> = std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
    });
    assert!(missed.is_empty(), "not found within {SEEDS_TO_FIND} seeds: {missed:?}");
}
