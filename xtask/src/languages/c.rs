//! Reducers in C: bindings by wit-bindgen, compiled by clang for a sandbox without a C library.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use purefold_services::debian;

use super::CONTRACT;
use crate::host::{self, Profile};
use crate::process;
use crate::reducers::{Admission, componentize};
use crate::workspace::Workspace;

/// Where the sources are.
const SOURCES: &str = "reducers/languages/c";

/// The reducer: the folder of its sources, and its component's name.
const REDUCER: (&str, &str) = ("orders", "orders-c");

const TARGET: &str = "--target=wasm32-unknown-unknown";

/// What every file is compiled with: no system, no C library, and copying of memory as one instruction.
const FLAGS: &[&str] = &[TARGET, "-std=c11", "-O2", "-ffreestanding", "-mbulk-memory"];

/// Generated code is not ours to mend.
const BINDINGS_FLAGS: &[&str] = &["-w"];

const SOURCE_FLAGS: &[&str] = &["-Wall", "-Wextra", "-Werror"];

/// As of reducers in Rust: a small stack below the data, so that a decision touches few pages of memory, and what overruns it ends.
const LINK_FLAGS: &[&str] = &["--no-entry", "--gc-sections", "--strip-debug", "--stack-first", "-z", "stack-size=16384"];

/// Builds what the host needs for a component.
pub(super) fn build(workspace: &Workspace, profile: Profile) -> Result<()> {
    let (folder, name) = REDUCER;
    println!("building a reducer in C: {name}");
    ensure_compiler()?;
    let work = workspace.target.join("languages/c");
    fs::create_dir_all(&work).with_context(|| format!("cannot create {}", work.display()))?;
    let generator = host::programs(workspace, profile, &["purefold", "purefold-c-bindings"])?.join("purefold-c-bindings");
    let module = module(workspace, &generator, folder, &work)?;
    let modules = BTreeMap::from([(name.to_owned(), module)]);
    componentize(workspace, profile, &modules, &[name.to_owned()], &workspace.reducers(), Admission::Required)
}

/// Makes sure of a compiler for the sandbox and of its linker.
fn ensure_compiler() -> Result<()> {
    let compiles = process::silent(Command::new("clang").arg("--print-targets")).is_ok_and(|told| told.text.contains("wasm32"));
    let missing: Vec<&str> = [("clang", compiles), ("lld", process::answers("wasm-ld", "--version"))]
        .into_iter()
        .filter(|(_, there)| !there)
        .map(|(package, _)| package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    debian::install("reducers in C are built by clang for wasm32 and linked by wasm-ld, and one of them is not there", &missing)
}

/// The core module of the sources in `folder`, made in `work`.
fn module(workspace: &Workspace, generator: &Path, folder: &str, work: &Path) -> Result<PathBuf> {
    let sources = workspace.root.join(SOURCES);
    let bindings = work.join("bindings");
    fs::create_dir_all(&bindings).with_context(|| format!("cannot create {}", bindings.display()))?;
    process::run(Command::new(generator).arg(workspace.root.join(CONTRACT)).arg(&bindings))?;

    // Among the bindings is the contract itself, as an object to link.
    let mut objects = files(&bindings, "o")?;
    for file in files(&bindings, "c")? {
        objects.push(compile(&file, &sources, work, BINDINGS_FLAGS)?);
    }
    for file in files(&sources.join("guest"), "c")?.into_iter().chain(files(&sources.join(folder), "c")?) {
        objects.push(compile(&file, &sources, work, SOURCE_FLAGS)?);
    }
    let module = work.join(folder).with_extension("core.wasm");
    process::run(Command::new("wasm-ld").args(LINK_FLAGS).arg("-o").arg(&module).args(objects))
        .context("it does not link: what is undefined is no part of a reducer, which has no library and no system")?;
    Ok(module)
}

/// The object of one file. Headers are in `sources` and among the bindings in `work`.
fn compile(file: &Path, sources: &Path, work: &Path, flags: &[&str]) -> Result<PathBuf> {
    let name = file.file_stem().and_then(OsStr::to_str).with_context(|| format!("{} has no name", file.display()))?;
    let folder = file.parent().and_then(Path::file_name).and_then(OsStr::to_str).unwrap_or_default();
    let object = work.join(format!("{folder}-{name}.o"));
    let mut clang = Command::new("clang");
    clang.args(FLAGS).args(flags).arg("-I").arg(sources.join("guest")).arg("-I").arg(work.join("bindings"));
    process::run(clang.arg("-c").arg(file).arg("-o").arg(&object))?;
    Ok(object)
}

/// The files of a kind in a folder, in order.
fn files(folder: &Path, kind: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == kind) {
            files.push(path);
        }
    }
    if files.is_empty() {
        bail!("there is no `.{kind}` in {}", folder.display());
    }
    files.sort();
    Ok(files)
}
