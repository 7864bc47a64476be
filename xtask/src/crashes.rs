//! `cargo xtask crashes`: the real program killed at random moments, as often as one likes.

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

/// How often, and which moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kills {
    pub(crate) count: u64,
    pub(crate) seed: u64,
}

impl Default for Kills {
    fn default() -> Self {
        Kills { count: 500, seed: 1 }
    }
}

/// How often a release comes into force, and at which moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Swaps {
    pub(crate) count: u64,
    pub(crate) seed: u64,
}

impl Default for Swaps {
    fn default() -> Self {
        Swaps { count: 1000, seed: 1 }
    }
}

/// Runs the tests that swap releases under load, of one host and of several, with kills between. The reducers are built already.
///
/// # Errors
/// Where something was lost or repeated; the test says what.
pub(crate) fn swap(workspace: &Workspace, swaps: Swaps) -> Result<()> {
    println!("bringing {} releases into force, seed {}", swaps.count, swaps.seed);
    let mut cargo = process::cargo(&workspace.root);
    cargo.args([
        "test",
        "--quiet",
        "--workspace",
        "--test",
        "integration",
        "--",
        "swaps::under_load",
        "--nocapture",
        "--test-threads",
        "1",
    ]);
    cargo.env("PUREFOLD_SWAPS", swaps.count.to_string()).env("PUREFOLD_SWAP_SEED", swaps.seed.to_string());
    process::run(&mut cargo).context("a swap lost or repeated something")
}

/// Runs the tests that kill, one after the other. The reducers are built already.
///
/// # Errors
/// Where something was lost or repeated; the test says what.
pub(crate) fn run(workspace: &Workspace, kills: Kills) -> Result<()> {
    println!("killing the living host {} times between its first commit and its last, seed {}", kills.count, kills.seed);
    let mut cargo = process::cargo(&workspace.root);
    cargo.args(["test", "--quiet", "--workspace", "--test", "integration", "--", "crashes::kills_", "--nocapture", "--test-threads", "1"]);
    cargo.env("PUREFOLD_CRASH_KILLS", kills.count.to_string()).env("PUREFOLD_CRASH_SEED", kills.seed.to_string());
    process::run(&mut cargo).context("a kill lost or repeated something")
}
