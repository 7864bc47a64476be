//! The program `purefold` as a user starts it, and the components that were built to run in it.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};
use std::{env, fs};

use serde_json::Value;

use crate::repository::root;

/// Names the program to test, instead of the one that is built beside the tests.
const PROGRAM_VARIABLE: &str = "PUREFOLD_PROGRAM";

/// How long a host may take to end, on a machine that is busy with other tests.
const LONGEST_END: Duration = Duration::from_secs(180);

/// What the program is built from.
const SOURCES: &[&str] = &["wit", "effects", "host"];

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// The program, built where it is missing or older than its sources.
pub(crate) fn program() -> &'static Path {
    PROGRAM.get_or_init(|| {
        if let Some(named) = env::var_os(PROGRAM_VARIABLE) {
            return PathBuf::from(named);
        }
        let program = profile_folder().join(format!("purefold{}", env::consts::EXE_SUFFIX));
        if !is_fresh(&program) {
            build();
        }
        assert!(program.is_file(), "{} is not there; `cargo build --workspace --bin purefold` makes it", program.display());
        program
    })
}

/// The component of a reducer of this repository.
pub(crate) fn reducer(name: &str) -> PathBuf {
    component("reducers", name, "cargo xtask build")
}

/// The component of a fixture that is written in Rust.
pub(crate) fn fixture(name: &str) -> PathBuf {
    component("fixtures", name, "cargo xtask test reducers")
}

/// The component `name` among what is built to `folder`, and how it is made where it is not there.
pub(crate) fn component(folder: &str, name: &str, make: &str) -> PathBuf {
    let path = target_folder().join(folder).join(name).with_extension("wasm");
    assert!(path.is_file(), "{} is not there; `{make}` makes it", path.display());
    path
}

/// Where cargo builds to.
pub(crate) fn target_folder() -> PathBuf {
    profile_folder().parent().expect("a profile's folder lies in the target folder").to_path_buf()
}

/// `target/debug` or `target/release`: this test program lies in its `deps`.
pub(crate) fn profile_folder() -> PathBuf {
    let me = env::current_exe().expect("a running program has a path");
    me.parent().and_then(Path::parent).expect("cargo puts tests into deps").to_path_buf()
}

fn is_fresh(program: &Path) -> bool {
    let Ok(built) = fs::metadata(program).and_then(|metadata| metadata.modified()) else { return false };
    SOURCES.iter().all(|folder| newest(&root().join(folder)) <= built)
}

fn newest(folder: &Path) -> SystemTime {
    let entries = fs::read_dir(folder).expect("a folder of sources can be listed");
    let times = entries.map(|entry| entry.expect("a folder of sources can be listed").path()).filter_map(|path| {
        if path.is_dir() {
            // Tests beside the sources are no part of the program.
            return path.file_name().is_some_and(|name| name != "tests").then(|| newest(&path));
        }
        let counts = path.extension().is_some_and(|extension| ["rs", "toml", "sql", "wit"].iter().any(|known| extension == *known));
        let is_test = path.file_name().is_some_and(|name| name == "tests.rs");
        (counts && !is_test).then(|| fs::metadata(&path).and_then(|metadata| metadata.modified()).expect("a file has a time"))
    });
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The whole workspace is selected, as the tests themselves are: with another selection cargo unites other features and
/// builds the libraries a second time.
fn build() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--workspace", "--bin", "purefold", "--target-dir"]).arg(target_folder()).current_dir(root());
    if profile_folder().ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("cargo can be started");
    assert!(status.success(), "purefold was not built ({status})");
}

/// A command of the program that has ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// Its exit code; none where a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Done {
    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Done {
        assert_eq!(self.code, Some(code), "exit code\n{}\n{}", self.out, self.err);
        self
    }

    /// Asserts success.
    #[track_caller]
    pub(crate) fn well(self) -> Done {
        self.exits(0)
    }

    /// Standard output as lines of JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Done {
        Done {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("output is text"),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The program with arguments, ready to start.
pub(crate) fn purefold<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end, with `input` on its standard input.
pub(crate) fn with_input(mut command: Command, input: Vec<u8>) -> Done {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("purefold can be started");
    let mut stdin = child.stdin.take().expect("standard input is piped");
    // On a thread of its own: whoever writes everything before reading anything waits for a full pipe for ever.
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let done = end(child);
    writer.join().expect("the writer ends").expect("the program reads its input to the end");
    done
}

/// Waits for a process and takes what it printed. One that does not end is killed.
pub(crate) fn end(child: Child) -> Done {
    let id = child.id();
    let (done, still_waiting) = std::sync::mpsc::channel::<()>();
    // A host that does not end fails its test by what it says until then, and does not hold up all the others.
    let watchdog = std::thread::spawn(move || {
        if still_waiting.recv_timeout(LONGEST_END) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let _ = Command::new("kill").args(["-s", "KILL", &id.to_string()]).status();
        }
    });
    let ended = child.wait_with_output().expect("purefold can be waited for").into();
    drop(done);
    watchdog.join().expect("the watchdog does not fail");
    ended
}

/// Sends a signal by its name.
pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().expect("kill can be started");
    assert!(status.success(), "SIG{name} was not sent");
}
