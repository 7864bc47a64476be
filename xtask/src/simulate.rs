//! `cargo xtask simulate`: the simulation, over as many seeds as one likes.

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

/// Which seeds to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seeds {
    pub(crate) first: u64,
    pub(crate) count: u64,
}

impl Default for Seeds {
    fn default() -> Self {
        Seeds { first: 1, count: 10_000 }
    }
}

/// Runs `seeds` in a release build, on all processors. The simulated components are built already.
///
/// # Errors
/// Where a seed goes wrong: what is printed says which and how to run it again.
pub(crate) fn run(workspace: &Workspace, seeds: Seeds) -> Result<()> {
    println!("simulating {} seeds from {} on", seeds.count, seeds.first);
    let mut cargo = process::cargo(&workspace.root);
    cargo.args(["test", "--release", "--quiet", "--workspace", "--lib", "--"]);
    cargo.args(["--exact", "engine::simulation::tests::whatever_fails_nothing_is_lost_repeated_or_left_hanging", "--nocapture"]);
    cargo.env("PUREFOLD_SIMULATION_FIRST", seeds.first.to_string()).env("PUREFOLD_SIMULATION_SEEDS", seeds.count.to_string());
    process::run(&mut cargo).context("the simulation found something")
}
