//! Other programs, started so that what they print streams through and what fails is named.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// `cargo`, to be run in `folder`.
///
/// `cargo run` tells this program about its own package in variables. Handed on, they would differ from what a user's
/// shell has, and build scripts that watch them (ring's does) would build everything behind them a second time.
pub(crate) fn cargo(folder: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text.starts_with("CARGO_BIN_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs `command`, its output going where this program's goes.
///
/// # Errors
/// Where it cannot be started or fails; the error names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs `command` and returns whether it succeeded and what it printed. Its errors and progress go to the terminal.
///
/// # Errors
/// Where it cannot be started.
pub(crate) fn attempt(command: &mut Command) -> Result<(bool, String)> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start `{}`", shown(command)))?;
    Ok((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Runs `command` and returns what it printed. Its errors and progress still go to the terminal.
///
/// # Errors
/// Where it cannot be started or fails; the error names the command.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !output.status.success() {
        bail!("`{}` failed ({})", shown(command), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{}` printed something that is not text", shown(command)))
}

/// What a silent run of a command came to.
pub(crate) struct Silent {
    pub(crate) success: bool,
    /// What it printed, results and errors one after the other.
    pub(crate) text: String,
}

/// Runs `command` without showing anything of it.
///
/// # Errors
/// Where it cannot be started.
pub(crate) fn silent(command: &mut Command) -> Result<Silent> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{}`", shown(command)))?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok(Silent { success: output.status.success(), text })
}

/// True where `program` can be started and answers `argument` well.
pub(crate) fn answers(program: impl AsRef<OsStr>, argument: &str) -> bool {
    let status = Command::new(program).arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// The command as it would be typed, its program without folders.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    std::iter::once(program).chain(command.get_args()).map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so and stop")]

    use std::path::Path;
    use std::process::Command;

    use super::{answers, cargo, output, run, silent};

    #[test]
    fn a_failure_names_the_command() {
        let error = run(Command::new("/bin/sh").args(["-c", "exit 7"])).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c exit 7` failed (exit status: 7)");
        let error = run(&mut Command::new("no-such-program")).unwrap_err();
        assert_eq!(error.to_string(), "cannot start `no-such-program`");
    }

    #[test]
    fn output_is_what_was_printed() {
        assert_eq!(output(Command::new("sh").args(["-c", "echo one"])).unwrap(), "one\n");
        let silent = silent(Command::new("sh").args(["-c", "echo one; echo two >&2; exit 1"])).unwrap();
        assert_eq!((silent.success, silent.text.as_str()), (false, "one\ntwo\n"));
    }

    #[test]
    fn programs_that_are_missing_do_not_answer() {
        assert!(answers("cargo", "--version"));
        assert!(!answers("no-such-program", "--version"));
    }

    #[test]
    fn cargo_gets_nothing_of_this_package() {
        // Under `cargo test` this process has these variables, as under `cargo run`.
        assert!(std::env::var_os("CARGO_PKG_NAME").is_some());
        let command = cargo(Path::new("."));
        assert!(command.get_envs().any(|(name, value)| name == "CARGO_PKG_NAME" && value.is_none()));
    }
}
