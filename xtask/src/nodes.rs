//! The simulated nodes: a program of its own, because it knows the reference domain.

use std::process::Command;

use anyhow::{Context, Result};

use crate::host::{self, Profile};
use crate::process;
use crate::workspace::Workspace;

/// Builds the program and runs it with these arguments.
///
/// # Errors
/// Where it cannot be built, or fails; it has said why.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let folder = host::programs(workspace, Profile::Dev, &["purefold-nodes"]).context("the nodes were not built")?;
    process::run(Command::new(folder.join("purefold-nodes")).args(arguments)).context("the nodes failed")
}
