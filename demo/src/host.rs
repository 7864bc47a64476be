//! The host, as a user starts it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::options::Options;

/// Virtual time that passes after the stream's end: enough for the last silent node to be timed out, too little for the
/// others to be missed.
const ADVANCE: &str = "10s";

/// The program `purefold` and the workflow that it is to run.
pub(crate) struct Host {
    program: PathBuf,
    manifest: PathBuf,
    events: PathBuf,
}

impl Host {
    pub(crate) fn new(options: &Options, manifest: PathBuf) -> Self {
        Host { program: options.host.clone(), manifest, events: options.events.clone() }
    }

    /// The folder in which the workflow's effects leave their files.
    pub(crate) fn folder(&self) -> &Path {
        self.manifest.parent().unwrap_or(Path::new("."))
    }

    /// Runs the workflow over the stream. The host's own progress line and summary go to the terminal.
    pub(crate) fn run(&self) -> Result<()> {
        let (events, manifest) = (self.events.to_string_lossy(), self.manifest.to_string_lossy());
        let arguments = ["run", &*manifest, "--events", &*events, "--clock", "event", "--advance", ADVANCE, "--until-idle"];
        println!("\n$ {}", self.line(&arguments));
        let begun = Instant::now();
        let status = Command::new(&self.program).args(arguments).status().with_context(|| self.cannot_start())?;
        if !status.success() {
            bail!("`{}` failed ({status})", self.line(&arguments));
        }
        println!("ten minutes of virtual time in {:.1} s", begun.elapsed().as_secs_f64());
        Ok(())
    }

    /// Runs a command whose result, and whose verdict by its exit code, is for the reader.
    pub(crate) fn show(&self, arguments: &[&str]) -> Result<bool> {
        println!("$ {}", self.line(arguments));
        let status = Command::new(&self.program).args(arguments).status().with_context(|| self.cannot_start())?;
        Ok(status.success())
    }

    /// The lines of JSON that a command prints.
    pub(crate) fn json(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let output = Command::new(&self.program)
            .args(arguments)
            .arg("--json")
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| self.cannot_start())?;
        if !output.status.success() {
            bail!("`{}` failed ({})", self.line(arguments), output.status);
        }
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(|line| {
                serde_json::from_str(line).with_context(|| format!("`{}` printed a line that is not JSON: {line}", self.line(arguments)))
            })
            .collect()
    }

    /// The manifest's path, as commands take it.
    pub(crate) fn workflow(&self) -> String {
        shown(&self.manifest)
    }

    /// A command as it would be typed.
    pub(crate) fn line(&self, arguments: &[&str]) -> String {
        let arguments = arguments.iter().map(|argument| shown(Path::new(argument)));
        std::iter::once(shown(&self.program)).chain(arguments).collect::<Vec<_>>().join(" ")
    }

    fn cannot_start(&self) -> String {
        format!("cannot start {}", self.program.display())
    }
}

/// A path relative to the current folder, where it lies below.
fn shown(path: &Path) -> String {
    let current = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&current).unwrap_or(path).display().to_string()
}
