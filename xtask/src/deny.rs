//! cargo-deny: licences, banned and doubled crates, sources, and known vulnerabilities where their data base can be had.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

/// The version that `deny.toml` is written for.
const VERSION: &str = "0.20.2";

/// Checks everything that `deny.toml` declares.
///
/// # Errors
/// Where a check fails or cargo-deny cannot be had.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let program = program(workspace)?;
    let deny = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.current_dir(&workspace.root).args(arguments);
        command
    };
    process::run(&mut deny(&["check", "bans", "licenses", "sources"]))?;
    let fetched = process::silent(&mut deny(&["fetch", "db"]))?;
    if fetched.success {
        process::run(&mut deny(&["check", "--disable-fetch", "advisories"]))
    } else {
        println!(
            "skipped: known vulnerabilities (advisories), because their data base cannot be fetched here; `cargo deny check advisories` checks them"
        );
        Ok(())
    }
}

/// The cargo-deny of [`VERSION`]: the one on the PATH, else one of our own, built where it is missing.
fn program(workspace: &Workspace) -> Result<PathBuf> {
    let tools = workspace.target.join("tools");
    let own = tools.join("bin/cargo-deny");
    for candidate in [PathBuf::from("cargo-deny"), own.clone()] {
        let answer = process::silent(Command::new(&candidate).arg("--version"));
        if answer.is_ok_and(|answer| answer.success && answer.text.trim() == format!("cargo-deny {VERSION}")) {
            return Ok(candidate);
        }
    }
    println!(
        "cargo-deny {VERSION} is missing; installing it under {} (under a minute: a debug build, which is enough here)",
        workspace.shown(&tools)
    );
    let mut install = process::cargo(&workspace.root);
    install.args(["install", "cargo-deny", "--locked", "--debug", "--version", VERSION, "--root"]).arg(&tools);
    // 43 seconds on two cores, where a release build takes over three minutes for a check of one second. A folder of its
    // own, removed afterwards, keeps its artifacts apart from the workspace's.
    install.env_remove("CARGO_TARGET_DIR").env("CARGO_PROFILE_DEV_DEBUG", "0");
    process::run(&mut install)
        .with_context(|| format!("cannot install cargo-deny {VERSION}; where the network forbids it, put that version on the PATH"))?;
    Ok(own)
}
