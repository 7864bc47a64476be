//! `cargo xtask simulate`: the simulation, over as many seeds as one likes.

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

/// The tests that run the seeds.
const OF_ONE_HOST: &str = "engine::simulation::tests::whatever_fails_nothing_is_lost_repeated_or_left_hanging";
const OF_SEVERAL_HOSTS: &str = "engine::simulation::tests::whatever_happens_to_several_hosts_they_decide_as_one";

/// Which seeds to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seeds {
    pub(crate) first: u64,
    pub(crate) count: u64,
    /// Whether it is the runs of several hosts on one store; else those of one host.
    pub(crate) shared: bool,
}

impl Default for Seeds {
    fn default() -> Self {
        Seeds { first: 1, count: 10_000, shared: false }
    }
}

/// Runs `seeds` in a release build, on all processors. The simulated components are built already.
///
/// # Errors
/// Where a seed goes wrong: what is printed says which and how to run it again.
pub(crate) fn run(workspace: &Workspace, seeds: Seeds) -> Result<()> {
    let Seeds { first, count, shared } = seeds;
    println!("simulating {count} seeds from {first} on{}", if shared { ", of several hosts each" } else { "" });
    let test = if shared { OF_SEVERAL_HOSTS } else { OF_ONE_HOST };
    let mut cargo = process::cargo(&workspace.root);
    cargo.args(["test", "--release", "--quiet", "--workspace", "--lib", "--"]);
    cargo.args(["--exact", test, "--nocapture"]);
    cargo.env("PUREFOLD_SIMULATION_FIRST", first.to_string()).env("PUREFOLD_SIMULATION_SEEDS", count.to_string());
    process::run(&mut cargo).context("the simulation found something")
}
