//! A fleet of simulated nodes against real brokers: `cargo xtask nodes --count 20 --behaviour mixed`.

#![allow(clippy::print_stdout, reason = "what the fleet did is this program's result")]

mod options;

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use purefold_nodes::random::Random;
use purefold_nodes::{Behaviour, Bus, Fleet, Plan, READ_BY_NODES, Topics};

use crate::options::Options;

/// Longest wait for something to hear, so that nothing that falls due is late by much.
const HEAR_MAX: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    let options = match options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{}", options::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("nodes: {error:#}\n\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nodes: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let topics = Topics::new(&options.prefix);
    if options.make_topics {
        topics.make(&options.brokers, options.partitions)?;
    }
    let behaviours = Behaviour::assign(&options.behaviours, options.count, &mut Random::new(options.seed))?;
    let bus = Bus::connect(&options.brokers, topics, &READ_BY_NODES)?;
    let mut fleet = Fleet::new(&Plan { behaviours, seed: options.seed, pace: options.pace }, now());
    eprintln!("{} nodes, seed {}, for {} s", options.count, options.seed, options.length.as_secs());
    let begun = Instant::now();
    while begun.elapsed() < options.length {
        for outgoing in fleet.advance(now())? {
            bus.send(&outgoing)?;
        }
        let mut wait = fleet.next_due().map_or(HEAR_MAX, |due| Duration::from_micros(due.saturating_sub(now())).min(HEAR_MAX));
        while let Some(received) = bus.hear(wait) {
            fleet.hear(&received, now());
            wait = Duration::ZERO;
        }
    }
    bus.flush()?;
    println!("{}", fleet.summary());
    Ok(())
}

/// Microseconds since the epoch.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
