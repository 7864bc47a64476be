//! Reducers in JavaScript: their tools by npm, in a copy of the sources below the target folder, so that nothing is left among
//! the sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use purefold_services::debian;

use super::{CONTRACT, DEPTH_MOST, copy, is_fresh};
use crate::host::{self, Profile};
use crate::process;
use crate::workspace::Workspace;

/// Where the sources are.
const SOURCES: &str = "reducers/languages/javascript";

/// What npm makes, and is kept.
const INSTALLED: &str = "node_modules";

/// The lock file, a copy of which tells what is installed.
const LOCK: &str = "package-lock.json";

/// Builds the reducer, and the one that reaches for what it must not have, which belongs to the fixtures.
pub(super) fn build(workspace: &Workspace, profile: Profile) -> Result<()> {
    let sources = workspace.root.join(SOURCES);
    let (contract, impure) = (workspace.root.join(CONTRACT), sources.join("impure/wit"));
    let made = [
        ("orders/reduce.js", contract, workspace.reducers().join("orders-javascript.wasm")),
        ("impure/reduce.js", impure, workspace.fixtures().join("javascript-impure.wasm")),
    ];
    let written = parts(&sources)?;
    let mut tools = None;
    for (source, contract, component) in &made {
        if is_fresh(component, written.iter().chain([contract]))? {
            println!("unchanged {}", workspace.shown(component));
            continue;
        }
        let (folder, host) = match &tools {
            Some(tools) => tools,
            None => tools.insert((installed(workspace)?, host::programs(workspace, profile, &["purefold"])?.join("purefold"))),
        };
        println!("building a reducer in JavaScript: {source}");
        if let Some(folder) = component.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let draft = component.with_extension("draft");
        process::run(Command::new("node").current_dir(folder).arg("build.js").arg(source).arg(contract).arg(&draft))?;
        let told = process::silent(Command::new(host).arg("check").arg(&draft))?;
        if !told.success {
            bail!("{source} is no component that the host admits:\n{}", told.text.trim_end());
        }
        fs::rename(&draft, component).with_context(|| format!("cannot write {}", component.display()))?;
        println!("built {} ({} KiB)", workspace.shown(component), fs::metadata(component)?.len().div_ceil(1024));
    }
    Ok(())
}

/// Runs the tests of the reducers, and those of their source gate.
pub(super) fn test(workspace: &Workspace) -> Result<()> {
    let folder = installed(workspace)?;
    process::run(Command::new("npm").current_dir(folder).args(["test", "--silent"]))
}

/// A copy of the sources with their tools, which are fetched where they are missing or others than the lock file's.
fn installed(workspace: &Workspace) -> Result<PathBuf> {
    ensure_node()?;
    let (sources, folder) = (workspace.root.join(SOURCES), workspace.target.join("languages/javascript"));
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for of_last_time in parts(&folder)? {
        let removed = if of_last_time.is_dir() { fs::remove_dir_all(&of_last_time) } else { fs::remove_file(&of_last_time) };
        removed.with_context(|| format!("cannot remove {}", of_last_time.display()))?;
    }
    for part in parts(&sources)? {
        copy(&part, &folder.join(part.file_name().unwrap_or_default()), DEPTH_MOST)?;
    }
    let lock = fs::read(folder.join(LOCK)).with_context(|| format!("cannot read {LOCK}"))?;
    let installed = folder.join(INSTALLED).join(LOCK);
    if fs::read(&installed).is_ok_and(|installed| installed == lock) {
        return Ok(folder);
    }
    println!("fetching the tools for reducers in JavaScript: npm ci (about 200 MB in {})", workspace.shown(&folder));
    process::run(Command::new("npm").current_dir(&folder).args(["ci", "--no-audit", "--no-fund"]))
        .context("the tools for reducers in JavaScript come from an npm registry: give npm the way to one, and run this again")?;
    fs::write(&installed, lock).with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(folder)
}

/// What is in a folder, but for the tools: they are fetched, not written.
fn parts(folder: &Path) -> Result<Vec<PathBuf>> {
    let listed = || format!("cannot list {}", folder.display());
    let mut parts = Vec::new();
    for entry in fs::read_dir(folder).with_context(listed)? {
        let path = entry.with_context(listed)?.path();
        if !path.ends_with(INSTALLED) {
            parts.push(path);
        }
    }
    Ok(parts)
}

fn ensure_node() -> Result<()> {
    let missing: Vec<&str> = [("node", "nodejs"), ("npm", "npm")]
        .into_iter()
        .filter(|(program, _)| !process::answers(program, "--version"))
        .map(|(_, package)| package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    debian::install("reducers in JavaScript are built by Node.js with npm, and one of them is not there", &missing)
}
