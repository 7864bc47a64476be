//! Building a reducer, in a child process that ends with the command.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use purefold_wit::component::componentize;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;

/// How long a build may take.
const BUILD_MOST: Duration = Duration::from_mins(10);

/// What of a build's output is shown: the first errors are what helps.
const OUTPUT_BYTES_MOST: u64 = 64 << 10;

/// What a build may say of what it made.
const MESSAGES_BYTES_MOST: u64 = 64 << 20;

/// How often it is looked whether a build has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// What reducers in Rust are built for.
const TARGET: &str = "wasm32-unknown-unknown";

/// How a reducer is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Build {
    /// By cargo, in the folder of a project that `purefold new` made, or one like it.
    Cargo(PathBuf),
    /// By a line for the shell, in this folder. It leaves the component where the manifest looks for it.
    Line(PathBuf, String),
    /// By somebody else: the component is watched.
    Elsewhere,
}

/// What came of a build.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Built {
    /// A component.
    Component(Vec<u8>),
    /// Whatever lies where the component is looked for.
    InPlace,
    /// It failed; its own words were shown, and this is what more there is to say.
    Failed(String),
    /// The command is to end.
    Stopped,
}

impl Build {
    /// How the reducer of a manifest in `folder` is built: by `line`, where there is one.
    pub(super) fn of(folder: &Path, line: Option<&str>) -> Self {
        match line {
            Some(line) => Build::Line(folder.to_path_buf(), line.to_owned()),
            None if folder.join("Cargo.toml").is_file() => Build::Cargo(folder.to_path_buf()),
            None => Build::Elsewhere,
        }
    }

    /// Builds it, unless `is_stopped`.
    pub(super) fn run(&self, is_stopped: &mut dyn FnMut() -> bool) -> io::Result<Built> {
        match self {
            Build::Elsewhere => Ok(Built::InPlace),
            Build::Line(folder, line) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", line]).current_dir(folder);
                Ok(match ended(shell, &|_| None, is_stopped)? {
                    Ended::With(status, _) if status.success() => Built::InPlace,
                    Ended::With(status, _) => Built::Failed(format!("`{line}` ended with {status}")),
                    Ended::Late => Built::Failed(late()),
                    Ended::Stopped => Built::Stopped,
                })
            }
            Build::Cargo(folder) => {
                let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
                cargo.args(["build", "--release", "--target", TARGET, "--message-format=json-render-diagnostics"]).current_dir(folder);
                let manifest = folder.join("Cargo.toml").canonicalize()?;
                Ok(match ended(cargo, &|line| module(line, &manifest), is_stopped)? {
                    Ended::With(status, Some(core)) if status.success() => component(&core)?,
                    Ended::With(status, _) if status.success() => {
                        Built::Failed("cargo made no module; `crate-type` in Cargo.toml must name \"cdylib\"".into())
                    }
                    Ended::With(status, _) => Built::Failed(format!("cargo ended with {status}")),
                    Ended::Late => Built::Failed(late()),
                    Ended::Stopped => Built::Stopped,
                })
            }
        }
    }
}

fn late() -> String {
    format!("it did not end within {} s", BUILD_MOST.as_secs())
}

fn component(core: &Path) -> io::Result<Built> {
    let core = std::fs::read(core)?;
    Ok(match componentize(&core) {
        Ok(component) => Built::Component(component),
        Err(error) => Built::Failed(format!("no component can be made of it: {error}")),
    })
}

/// The module of the project with that manifest, where this line of cargo's tells of it.
fn module(line: &[u8], manifest: &Path) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        reason: String,
        manifest_path: Option<PathBuf>,
        #[serde(default)]
        filenames: Vec<PathBuf>,
    }
    let message: Message = serde_json::from_slice(line).ok()?;
    let is_ours = message.reason == "compiler-artifact" && message.manifest_path.as_deref() == Some(manifest);
    message.filenames.into_iter().find(|file| is_ours && file.extension().is_some_and(|ending| ending == "wasm"))
}

/// How a child ended.
enum Ended {
    /// By itself; with what its output was searched for.
    With(ExitStatus, Option<PathBuf>),
    /// It took too long.
    Late,
    /// It was not waited for.
    Stopped,
}

/// A child with all that it starts.
struct Group(Child);

impl Group {
    fn kill(&self) {
        // Whoever has ended needs no signal.
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        // It ends by that.
        let _ = self.0.wait();
    }
}

/// Runs a command to its end. Its lines on standard output are searched, what it says on standard error is shown.
fn ended(
    mut command: Command,
    search: &(dyn Fn(&[u8]) -> Option<PathBuf> + Sync),
    is_stopped: &mut dyn FnMut() -> bool,
) -> io::Result<Ended> {
    // A group of its own, so that what it starts ends with it.
    let child = command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("cannot run {}: {error}", command.get_program().display())))?;
    let mut group = Group(child);
    let (stdout, stderr) = (group.0.stdout.take(), group.0.stderr.take());
    std::thread::scope(|scope| {
        let found = scope.spawn(move || stdout.and_then(|stdout| searched(stdout, search)));
        scope.spawn(move || stderr.map(shown));
        let began = Instant::now();
        let ended = loop {
            if let Some(status) = group.0.try_wait()? {
                break Some(status);
            }
            if is_stopped() {
                group.kill();
                return Ok(Ended::Stopped);
            }
            if began.elapsed() > BUILD_MOST {
                break None;
            }
            std::thread::sleep(LOOK_INTERVAL);
        };
        // What it left running holds its output open.
        group.kill();
        let found = found.join().ok().flatten();
        Ok(ended.map_or(Ended::Late, |status| Ended::With(status, found)))
    })
}

/// The last line that `search` finds something in. Everything is read, so that nobody waits for a reader.
fn searched(from: impl Read, search: &dyn Fn(&[u8]) -> Option<PathBuf>) -> Option<PathBuf> {
    let mut lines = BufReader::new(from.take(MESSAGES_BYTES_MOST));
    let (mut line, mut found) = (Vec::new(), None);
    while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        found = search(&line).or(found);
        line.clear();
    }
    let mut rest = lines.into_inner().into_inner();
    let _ = io::copy(&mut rest, &mut io::sink());
    found
}

/// Copies the beginning to standard error as it comes, and reads the rest.
fn shown(mut from: impl Read) {
    // Nobody may look at it, and the build goes on.
    let copied = io::copy(&mut (&mut from).take(OUTPUT_BYTES_MOST), &mut io::stderr());
    let rest = io::copy(&mut from, &mut io::sink());
    if copied.is_ok() && rest.is_ok_and(|rest| rest > 0) {
        let _ = writeln!(io::stderr(), "… more of the build's output is left out");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn line(text: &str, is_stopped: &mut dyn FnMut() -> bool) -> (tempfile::TempDir, Built) {
        let folder = tempfile::tempdir().unwrap();
        let built = Build::of(folder.path(), Some(text)).run(is_stopped).unwrap();
        (folder, built)
    }

    #[test]
    fn a_line_is_run_in_the_folder() {
        let (folder, built) = line("echo well > here; echo words; echo more >&2", &mut || false);
        assert_eq!(built, Built::InPlace);
        assert_eq!(std::fs::read_to_string(folder.path().join("here")).unwrap(), "well\n");
        let (_, built) = line("exit 3", &mut || false);
        assert!(matches!(built, Built::Failed(reason) if reason.contains("exit status: 3")));
    }

    #[test]
    fn what_a_build_leaves_running_ends_with_it() {
        let began = Instant::now();
        let (_, built) = line("sleep 100 & exit 0", &mut || false);
        assert_eq!(built, Built::InPlace);
        let (_, built) = line("sleep 100; echo", &mut || began.elapsed() > Duration::from_millis(100));
        assert_eq!(built, Built::Stopped);
        assert!(began.elapsed() < Duration::from_secs(50), "nobody waits for who sleeps");
    }

    #[test]
    fn how_a_project_is_built_is_seen_by_its_files() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Build::of(folder.path(), None), Build::Elsewhere);
        std::fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        assert_eq!(Build::of(folder.path(), None), Build::Cargo(folder.path().to_path_buf()));
    }

    #[test]
    fn the_module_is_that_of_the_project_itself() {
        let told = |manifest: &str, file: &str| {
            format!(r#"{{"reason":"compiler-artifact","manifest_path":"{manifest}","filenames":["/t/a.rlib","{file}"]}}"#).into_bytes()
        };
        let ours = Path::new("/p/Cargo.toml");
        assert_eq!(module(&told("/p/Cargo.toml", "/t/a.wasm"), ours), Some("/t/a.wasm".into()));
        assert_eq!(module(&told("/q/Cargo.toml", "/t/a.wasm"), ours), None);
        assert_eq!(module(&told("/p/Cargo.toml", "/t/a.so"), ours), None);
        assert_eq!(module(b"{\"reason\":\"build-finished\",\"success\":true}", ours), None);
        assert_eq!(module(b"words", ours), None);
    }
}
