//! The reference workflow on Kafka, Consul and PostgreSQL: both workflows in one host, simulated nodes, and what came of it.

mod database;
mod host;
mod http;
mod latency;
mod options;
mod show;
mod stage;

use std::time::Duration;

use anyhow::{Result, bail};
use purefold_nodes::random::Random;
use purefold_nodes::{Behaviour, Fleet, Pace, Plan};

pub(crate) use options::{Options, USAGE, parse};
use stage::{Stage, now};

/// How the nodes of the demo live: every way once, and some more that do what they should.
const NODES: usize = 24;

/// Faster than in life, so that something is to be seen within seconds.
const PACE: Pace = Pace {
    starts_within: Duration::from_secs(2),
    ack_after: Duration::from_millis(300),
    ack_late_after: Duration::from_secs(35),
    beat_every: Duration::from_secs(1),
    dead_for: Duration::from_secs(3),
};

/// Runs the demo, or measures.
///
/// # Errors
/// Where a service or the host does not do what it should, or `verify` finds something.
pub(crate) fn run(options: &Options) -> Result<()> {
    let stage = Stage::set(options)?;
    if let Some(rate) = options.rate {
        return latency::measure(&stage, rate, options.length);
    }
    let mut random = Random::new(options.seed);
    let mut behaviours = Behaviour::ALL.to_vec();
    behaviours.extend(Behaviour::assign(&["mixed".to_owned()], NODES - behaviours.len(), &mut random)?);
    let mut fleet = Fleet::new(&Plan { behaviours, seed: options.seed, pace: PACE }, now());
    let mut host = stage.start()?;
    println!("\n{NODES} nodes live for {} s, some of them badly", options.length.as_secs());
    stage.live(&mut fleet, options.length)?;
    host.settle()?;
    host.stop()?;
    show::heading("The nodes");
    println!("{}", fleet.summary());
    show::rows(&stage, options.all)?;
    show::services(&stage, options.all)?;
    show::topics(&stage)?;
    show::heading("Verification: every decision made again, and the chain of hashes");
    if !stage.verify()? {
        bail!("the journal is not what the reducers decide");
    }
    Ok(())
}
