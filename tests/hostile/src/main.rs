//! `hostile`: reads mutated inputs by the million, and stops at the first that panics, hangs or makes the memory grow.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use purefold_hostile::{Mutator, Target, seeds};

/// Inputs of one mutator, after which another seed begins: a failing input is found again by its seed and number.
const INPUTS_OF_A_SEED: u64 = 1000;

/// An input that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// Growth of the resident memory, after the first tenth of the inputs, that is no leak.
const MOST_GROWTH_KIB: u64 = 96 << 10;

const USAGE: &str = "usage: hostile [--inputs N] [--seed SEED] [codec|event|manifest|component]...";

fn main() -> Result<()> {
    let (mut inputs, mut seed, mut targets) = (1_000_000, 1, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number =
            || arguments.next().and_then(|text| text.parse().ok()).with_context(|| format!("{argument} needs a number\n{USAGE}"));
        match argument.as_str() {
            "--inputs" => inputs = number()?,
            "--seed" => seed = number()?,
            name => targets.push(Target::named(name).with_context(|| format!("nothing is called {name:?}\n{USAGE}"))?),
        }
    }
    if targets.is_empty() {
        targets = Target::ALL.to_vec();
    }
    for target in targets {
        run(target, inputs, seed)?;
    }
    Ok(())
}

/// What a worker is at: the input's number plus one, and since when, in milliseconds.
#[derive(Default)]
struct At {
    input: AtomicU64,
    since: AtomicU64,
}

fn run(target: Target, inputs: u64, seed: u64) -> Result<()> {
    let seeds = seeds(target);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let at: Vec<At> = (0..threads).map(|_| At::default()).collect();
    let (next, began, done) = (AtomicU64::new(0), Instant::now(), AtomicU64::new(0));
    let warm = AtomicU64::new(0);
    let now = || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let blocks = inputs.div_ceil(INPUTS_OF_A_SEED);
    let failed = std::thread::scope(|scope| {
        let workers: Vec<_> = at
            .iter()
            .map(|at| {
                let (next, seeds, done, warm) = (&next, &seeds, &done, &warm);
                scope.spawn(move || {
                    loop {
                        let block = next.fetch_add(1, Ordering::Relaxed);
                        if block >= blocks {
                            at.input.store(0, Ordering::Relaxed);
                            return None;
                        }
                        let mut mutator = Mutator::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ block);
                        for number in 0..INPUTS_OF_A_SEED.min(inputs - block * INPUTS_OF_A_SEED) {
                            let bytes = mutator.next(seeds);
                            at.since.store(now(), Ordering::Relaxed);
                            at.input.store(block * INPUTS_OF_A_SEED + number + 1, Ordering::Relaxed);
                            if std::panic::catch_unwind(AssertUnwindSafe(|| target.read(&bytes))).is_err() {
                                next.store(blocks, Ordering::Relaxed);
                                return Some((block * INPUTS_OF_A_SEED + number, bytes));
                            }
                        }
                        if block == blocks / 10 {
                            warm.store(resident_kib(), Ordering::Relaxed);
                        }
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        while !workers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            std::thread::sleep(Duration::from_millis(50));
            for at in &at {
                let (input, since) = (at.input.load(Ordering::Relaxed), at.since.load(Ordering::Relaxed));
                if input > 0 && now().saturating_sub(since) > u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX) {
                    // Nothing can end a thread that hangs but the process's end.
                    eprintln!("{}: input {} of seed {seed} takes longer than {PATIENCE:?}", target.name(), input - 1);
                    std::process::exit(1);
                }
            }
        }
        workers.into_iter().find_map(|worker| worker.join().ok().flatten())
    });
    if let Some((number, bytes)) = failed {
        let path = std::env::temp_dir().join(format!("hostile-{}-{number}", target.name()));
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        bail!("{}: input {number} of seed {seed} is not borne; it lies in {}", target.name(), path.display());
    }
    let grown = resident_kib().saturating_sub(warm.into_inner());
    ensure!(grown < MOST_GROWTH_KIB, "{}: the memory grew by {grown} KiB", target.name());
    let seconds = began.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss)]
    let rate = inputs as f64 / seconds;
    eprintln!("{}: {inputs} inputs borne, {seconds:.1} s, {rate:.0}/s, memory grew by {grown} KiB", target.name());
    Ok(())
}

/// The resident memory, where the system tells.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Target, run};

    /// A short run of everything; `cargo xtask hostile` runs as many as one likes.
    #[test]
    fn hostile_input_is_borne() {
        for (target, inputs) in
            [(Target::Codec, 200_000), (Target::Event, 200_000), (Target::Manifest, 100_000), (Target::Component, 50_000)]
        {
            let borne = run(target, inputs, 1);
            assert!(borne.is_ok(), "{borne:?}");
        }
    }
}
