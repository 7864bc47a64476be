//! What must be installed before anything can be built: made sure of here, and said so.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use purefold_services::debian;

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

/// Makes sure of a C compiler, which SQLite, TLS and the Kafka client are built with, and of what the last takes besides.
///
/// # Errors
/// Where something is missing and cannot be installed.
pub(crate) fn ensure_c_compiler() -> Result<()> {
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    if !process::answers(&compiler, "--version") {
        let missing = format!("no C compiler: `{}` does not start, and SQLite and TLS are built with it", compiler.to_string_lossy());
        debian::install(&missing, &["gcc", "libc6-dev"])?;
    }
    ensure_kafka_headers(&compiler)
}

/// What librdkafka, which is built from source, takes from the system: compression and TLS.
const KAFKA_HEADERS: [(&str, &str); 2] = [("zlib.h", "zlib1g-dev"), ("openssl/ssl.h", "libssl-dev")];

/// Makes sure of what the Kafka client is built with besides a C compiler.
fn ensure_kafka_headers(compiler: &OsStr) -> Result<()> {
    let lacking: Vec<(&str, &str)> = KAFKA_HEADERS.into_iter().filter(|(header, _)| !has_header(compiler, header)).collect();
    let mut packages: Vec<&str> = lacking.iter().map(|(_, package)| *package).collect();
    let mut missing: Vec<&str> = lacking.iter().map(|(header, _)| *header).collect();
    for tool in ["make", "pkg-config"] {
        if !process::answers(tool, "--version") {
            packages.push(tool);
            missing.push(tool);
        }
    }
    if packages.is_empty() {
        return Ok(());
    }
    debian::install(&format!("the Kafka client is built with what is missing here: {}", missing.join(", ")), &packages)
}

/// Whether the compiler finds a header.
fn has_header(compiler: &OsStr, header: &str) -> bool {
    let mut command = Command::new(compiler);
    command.args(["-E", "-include", header, "-x", "c", "/dev/null"]);
    process::silent(&mut command).is_ok_and(|answer| answer.success)
}
