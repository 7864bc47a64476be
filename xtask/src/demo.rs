//! The demo: a program of its own, because it knows the reference domain and is built together with the host in release.

use std::process::Command;

use anyhow::{Context, Result};

use crate::host::Profile;
use crate::process;
use crate::services::Starting;
use crate::workspace::Workspace;

/// Where the committed stream lies.
const EVENTS: &str = "demo/events.jsonl";

/// Runs the demo on what was built.
///
/// # Errors
/// Where it fails; it has said why.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let release = workspace.target.join("release");
    let mut demo = Command::new(release.join("purefold-demo"));
    demo.current_dir(&workspace.root).arg("run");
    demo.arg("--host").arg(release.join("purefold"));
    demo.arg("--manifest").arg("reducers/registration/registration.toml");
    demo.arg("--component").arg(workspace.reducers().join("registration.wasm"));
    demo.arg("--events").arg(EVENTS);
    demo.arg("--folder").arg(workspace.target.join("demo"));
    process::run(demo.args(arguments)).context("the demo failed")
}

/// Runs the demo on real services, which end with it.
///
/// # Errors
/// Where a service cannot be had, or the demo fails; it has said why.
pub(crate) fn run_real(workspace: &Workspace, profile: Profile, arguments: &[String]) -> Result<()> {
    let services = Starting::begin(workspace).ready()?;
    let release = workspace.target.join(profile.folder());
    let mut demo = Command::new(release.join("purefold-demo"));
    demo.current_dir(&workspace.root).arg("real");
    demo.arg("--host").arg(release.join("purefold"));
    demo.arg("--manifests").arg("reducers");
    demo.arg("--reducers").arg(workspace.reducers());
    demo.arg("--folder").arg(workspace.target.join("demo-real"));
    demo.envs(services.variables().iter().map(|(name, address)| (name, address)));
    process::run(demo.args(arguments)).context("the demo failed")
}

/// Makes the committed stream anew.
///
/// # Errors
/// Where the generator cannot be built or the file not be written.
pub(crate) fn write_events(workspace: &Workspace) -> Result<()> {
    let events = process::output(process::cargo(&workspace.root).args(["run", "--quiet", "--package", "purefold-demo", "--", "events"]))?;
    std::fs::write(workspace.root.join(EVENTS), &events).with_context(|| format!("cannot write {EVENTS}"))?;
    println!("{EVENTS}: {} events", events.lines().count());
    Ok(())
}
