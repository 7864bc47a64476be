//! `cargo xtask chaos`: hosts and services in trouble at random, as long as one likes.

use std::hash::{BuildHasher, Hasher, RandomState};

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

/// The test that makes it.
const TEST: &str = "chaos::whatever_happens_to_hosts_and_services_all_that_is_left_agrees";

/// Which trouble, how much of it, and of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// 0: one that nobody had.
    pub(crate) seed: u64,
    pub(crate) minutes: u64,
    pub(crate) hosts: u64,
    /// Events a second.
    pub(crate) rate: u64,
}

impl Default for Trouble {
    fn default() -> Self {
        Trouble { seed: 0, minutes: 10, hosts: 3, rate: 60 }
    }
}

/// Runs the test that makes trouble. The reducers are built already.
///
/// # Errors
/// Where what is left does not agree; the test says with what.
pub(crate) fn run(workspace: &Workspace, trouble: Trouble) -> Result<()> {
    let Trouble { seed, minutes, hosts, rate } = trouble;
    // The standard library's keys for hash maps are the chance in it.
    let seed = if seed == 0 { RandomState::new().build_hasher().finish() } else { seed };
    println!("{minutes} minutes of trouble for {hosts} hosts and their services, {rate} events a second, seed {seed}");
    let mut cargo = process::cargo(&workspace.root);
    cargo.args(["test", "--quiet", "--workspace", "--test", "integration", "--", "--exact", TEST, "--nocapture"]);
    let seconds = minutes.saturating_mul(60);
    for (name, number) in [("SEED", seed), ("SECONDS", seconds), ("HOSTS", hosts), ("RATE", rate)] {
        cargo.env(format!("PUREFOLD_CHAOS_{name}"), number.to_string());
    }
    process::run(&mut cargo).with_context(|| format!("what is left does not agree; --seed {seed} makes the same trouble again"))
}
