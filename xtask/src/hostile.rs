//! `cargo xtask hostile`: mutated inputs by the million for whatever reads foreign bytes.

use std::process::Command;

use anyhow::{Context, Result};

use crate::host::{self, Profile};
use crate::process;
use crate::workspace::Workspace;

/// How many of each target, and from which seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inputs {
    pub(crate) count: u64,
    pub(crate) seed: u64,
}

impl Default for Inputs {
    fn default() -> Self {
        Inputs { count: 3_000_000, seed: 1 }
    }
}

/// Runs the mutating runner in a release build, with a cache of compiled code that goes with it.
///
/// # Errors
/// At the first input that panics, hangs or makes the memory grow; what is printed says where it lies.
pub(crate) fn run(workspace: &Workspace, inputs: Inputs) -> Result<()> {
    let runner = host::programs(workspace, Profile::Release, &["hostile"])?.join("hostile");
    let cache = workspace.target.join("hostile-cache");
    let mut command = Command::new(runner);
    command.arg("--inputs").arg(inputs.count.to_string()).arg("--seed").arg(inputs.seed.to_string()).env("PUREFOLD_CACHE", &cache);
    let ran = process::run(&mut command).context("an input was not borne");
    if cache.exists() {
        std::fs::remove_dir_all(&cache).with_context(|| format!("cannot remove {}", cache.display()))?;
    }
    ran
}
