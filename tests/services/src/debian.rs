//! Packages of Debian and its kind: installed where the user is root, named where not.

use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, bail};

use crate::program;

/// One installation at a time: apt does not wait for its own lock.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Installs packages, and says so, where this is Debian (or one of its kind) and the user is root.
///
/// # Errors
/// Where it is not, or the packages cannot be installed: `missing`, which says what is missing and for what, and how
/// `packages` are installed.
pub fn install(missing: &str, packages: &[&str]) -> Result<()> {
    let _alone = INSTALLING.lock();
    let arguments = [&["install", "--yes", "--no-install-recommends"], packages].concat();
    let line = format!("apt-get {}", arguments.join(" "));
    if !program::is_root() || program::on_the_path(&["apt-get"]).is_none() {
        bail!("{missing}. On Debian or Ubuntu: `{line}`; elsewhere install the like and put it on the PATH");
    }
    eprintln!("{missing}; installing Debian packages: {line}");
    run(Command::new("apt-get").args(["update", "--quiet"]), &line)?;
    run(Command::new("apt-get").args(arguments), &line)
}

fn run(command: &mut Command, line: &str) -> Result<()> {
    let status = command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).status().context("cannot start `apt-get`")?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}
