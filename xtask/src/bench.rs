//! `cargo xtask bench`: the figures that the documentation tells, measured anew.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::host::{self, Profile};
use crate::process;
use crate::workspace::Workspace;

/// Nodes that are active before the measurement begins.
const NODES: &str = "10000";

/// Heartbeats that are measured: several seconds of them.
const HEARTBEATS: &str = "300000";

/// Measures the durable pipeline, then one decision taken apart. The host and the reducers are built already.
///
/// # Errors
/// Where a part of it cannot be built or fails.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let programs = host::programs(workspace, Profile::Release, &["purefold", "load"])?;
    let folder = workspace.target.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let (nodes, heartbeats) = (folder.join("nodes.jsonl"), folder.join("heartbeats.jsonl"));
    stream(&programs.join("load"), &["nodes", NODES], &nodes)?;
    stream(&programs.join("load"), &["heartbeats", NODES, HEARTBEATS], &heartbeats)?;

    println!("\nthe durable pipeline: {HEARTBEATS} heartbeats of {NODES} active nodes, their intents performed");
    let mut bench = Command::new(programs.join("purefold"));
    bench.current_dir(&workspace.root).args(["bench", "reducers/registration/registration.toml", "--perform"]);
    bench.arg("--setup").arg(&nodes).arg("--events").arg(&heartbeats).arg("--folder").arg(&folder);
    process::run(&mut bench)?;

    println!("\none decision, taken apart");
    process::run(process::cargo(&workspace.root).args(["bench", "--workspace", "--bench", "decision"]))
}

/// Writes what `load` makes of `arguments` to a file.
fn stream(load: &Path, arguments: &[&str], path: &Path) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    process::run(Command::new(load).args(arguments).stdout(file))
}
