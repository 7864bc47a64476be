//! What must be installed before anything can be built: made sure of here, and said so.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// What reducers are compiled for: no operating system, and so nothing to import.
pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// Adds the reducers' target to the toolchain where it is missing.
///
/// # Errors
/// Where it is missing and cannot be added; the error says how to get it.
pub(crate) fn ensure_wasm_target(workspace: &Workspace) -> Result<()> {
    let folder =
        process::output(Command::new("rustc").current_dir(&workspace.root).args(["--print", "target-libdir", "--target", WASM_TARGET]))?;
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    rustup(workspace, &["target", "add", WASM_TARGET], &format!("the target {WASM_TARGET}"))
}

/// Adds clippy and rustfmt to the toolchain where they are missing.
///
/// # Errors
/// Where one is missing and cannot be added; the error says how to get it.
pub(crate) fn ensure_components(workspace: &Workspace) -> Result<()> {
    for (command, component) in [("clippy", "clippy"), ("fmt", "rustfmt")] {
        if !process::silent(process::cargo(&workspace.root).args([command, "--version"]))?.success {
            rustup(workspace, &["component", "add", component], &format!("the component {component}"))?;
        }
    }
    Ok(())
}

fn rustup(workspace: &Workspace, arguments: &[&str], what: &str) -> Result<()> {
    let line = format!("rustup {}", arguments.join(" "));
    if !process::answers("rustup", "--version") {
        bail!(
            "the Rust toolchain lacks {what}, and there is no rustup to add it: install rustup and run `{line}`, or install {what} the way the toolchain was installed"
        );
    }
    println!("the Rust toolchain lacks {what}; adding it: {line}");
    process::run(Command::new("rustup").current_dir(&workspace.root).args(arguments))
        .with_context(|| format!("cannot add {what}: run `{line}` in the repository once the network allows it"))
}

/// Makes sure of a C compiler, which SQLite and the TLS library are built with.
///
/// # Errors
/// Where there is none and it cannot be installed.
pub(crate) fn ensure_c_compiler() -> Result<()> {
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    if process::answers(&compiler, "--version") {
        return Ok(());
    }
    let missing = format!("no C compiler: `{}` does not start, and SQLite and TLS are built with it", compiler.to_string_lossy());
    debian(&missing, &["gcc", "libc6-dev"])
}

/// Installs Debian packages where this is Debian (or one of its kind) and the user is root.
fn debian(missing: &str, packages: &[&str]) -> Result<()> {
    let install = [&["install", "--yes", "--no-install-recommends"], packages].concat();
    let line = format!("apt-get {}", install.join(" "));
    let root = process::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !root || !process::answers("apt-get", "--version") {
        bail!("{missing}. On Debian or Ubuntu: `{line}`; elsewhere install the like and set CC if it is not called cc");
    }
    println!("{missing}; installing Debian packages: {line}");
    process::run(Command::new("apt-get").args(["update", "--quiet"]))?;
    process::run(Command::new("apt-get").args(install).env("DEBIAN_FRONTEND", "noninteractive"))
}
