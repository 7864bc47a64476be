//! Reducers: core modules by cargo, components by the host.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::host::{self, Profile};
use crate::process;
use crate::toolchain::WASM_TARGET;
use crate::workspace::Workspace;

/// Folders under `reducers/` that hold no reducer: the library that reducers link, and the fixtures.
const NOT_REDUCERS: &[&str] = &["fixtures", "guest"];

/// The reducers of the repository by name, in order.
///
/// # Errors
/// Where the folder cannot be listed.
pub(crate) fn names(workspace: &Workspace) -> Result<Vec<String>> {
    let names: Vec<String> =
        crates(&workspace.root.join("reducers"))?.into_iter().filter(|name| !NOT_REDUCERS.contains(&name.as_str())).collect();
    ensure!(!names.is_empty(), "there is no reducer under reducers/");
    Ok(names)
}

/// The bad reducers that are written in Rust, by name, in order.
///
/// # Errors
/// Where the folder cannot be listed.
pub(crate) fn fixture_names(workspace: &Workspace) -> Result<Vec<String>> {
    crates(&fixtures_folder(workspace))
}

/// The workspace of the bad reducers.
pub(crate) fn fixtures_folder(workspace: &Workspace) -> PathBuf {
    workspace.root.join("reducers/fixtures")
}

fn crates(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Leaves every reducer's component at `target/reducers/<name>.wasm`.
///
/// # Errors
/// Where one does not build or makes no component.
pub(crate) fn build(workspace: &Workspace, profile: Profile) -> Result<()> {
    let names = names(workspace)?;
    println!("building the reducers: {}", names.join(", "));
    let mut cargo = process::cargo(&workspace.root);
    cargo.args(["build", "--profile", "reducer", "--target", WASM_TARGET, "--message-format", "json-render-diagnostics"]);
    for name in &names {
        cargo.args(["--package", name]);
    }
    let messages = process::output(&mut cargo).context("the reducers were not built")?;
    componentize(workspace, profile, &core_modules(&messages), &names, &workspace.reducers(), Admission::Required)
}

/// Leaves the component of every bad reducer written in Rust at `target/fixtures/<name>.wasm`.
///
/// # Errors
/// Where one does not build or makes no component: they are bad in what they do, not in how they are built.
pub(crate) fn build_fixtures(workspace: &Workspace, profile: Profile) -> Result<()> {
    let names = fixture_names(workspace)?;
    println!("building the deliberately bad reducers: {}", names.join(", "));
    let mut cargo = process::cargo(&fixtures_folder(workspace));
    cargo.args(["build", "--workspace", "--profile", "reducer", "--target", WASM_TARGET, "--message-format", "json-render-diagnostics"]);
    cargo.arg("--target-dir").arg(fixtures_target(workspace));
    let messages = process::output(&mut cargo).context("the deliberately bad reducers were not built")?;
    componentize(workspace, profile, &core_modules(&messages), &names, &workspace.fixtures(), Admission::Denied)
}

/// Where the bad reducers are built: apart, because their workspace has profiles and features of its own.
pub(crate) fn fixtures_target(workspace: &Workspace) -> PathBuf {
    workspace.fixtures().join("build")
}

/// From cargo's messages, the core module of each crate by the name of the crate's folder.
fn core_modules(messages: &str) -> BTreeMap<String, PathBuf> {
    let artifact = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let module = message["filenames"].as_array()?.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm"))?.into();
        let folder = Path::new(message["manifest_path"].as_str()?).parent()?.file_name()?.to_string_lossy().into_owned();
        Some((folder, module))
    };
    messages.lines().filter_map(artifact).collect()
}

/// What the host may say of a component that it makes.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Admission {
    /// Nothing: it is what a reducer must be.
    Required,
    /// Whatever it likes; tests look at what it is.
    Denied,
}

/// Makes components of core modules by the host, and leaves them in the folder `into`.
///
/// # Errors
/// Where one makes no component, or none that is admitted and must be.
pub(crate) fn componentize(
    workspace: &Workspace,
    profile: Profile,
    modules: &BTreeMap<String, PathBuf>,
    names: &[String],
    into: &Path,
    admission: Admission,
) -> Result<()> {
    fs::create_dir_all(into).with_context(|| format!("cannot create {}", into.display()))?;
    let host = host::programs(workspace, profile, &["purefold"])?.join("purefold");
    for name in names {
        let module = modules.get(name).with_context(|| format!("{name} made no module: its manifest needs `crate-type = [\"cdylib\"]`"))?;
        let (draft, path) = (into.join(name).with_extension("draft"), into.join(name).with_extension("wasm"));
        let made = process::silent(Command::new(&host).arg("component").arg(module).arg("--output").arg(&draft))?;
        if !draft.is_file() || (!made.success && admission == Admission::Required) {
            bail!("{name} is no component that the host admits:\n{}", made.text.trim_end());
        }
        let changed = replace_if_changed(&path, &draft).with_context(|| format!("cannot write {}", path.display()))?;
        println!(
            "{} {} ({} KiB)",
            if changed { "built" } else { "unchanged" },
            workspace.shown(&path),
            fs::metadata(&path)?.len().div_ceil(1024)
        );
    }
    Ok(())
}

/// Puts `draft` in the place of `path`, unless both are the same: then the file and its time stay, and the draft goes.
/// A host that runs and reads the file meanwhile sees one or the other as a whole. True where it changed.
fn replace_if_changed(path: &Path, draft: &Path) -> io::Result<bool> {
    let new = fs::read(draft)?;
    if fs::read(path).is_ok_and(|present| present == new) {
        fs::remove_file(draft)?;
        return Ok(false);
    }
    fs::rename(draft, path)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so and stop")]

    use std::fs;
    use std::path::Path;

    use super::{core_modules, crates, replace_if_changed};

    #[test]
    fn modules_are_found_among_the_messages_of_cargo() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","manifest_path":"/r/reducers/guest/Cargo.toml","filenames":["/t/libguest.rlib"]}"#,
            "\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/r/reducers/my-orders/Cargo.toml","filenames":["/t/my_orders.wasm","/t/libmy_orders.rlib"]}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let modules = core_modules(messages);
        assert_eq!(modules.into_iter().collect::<Vec<_>>(), [("my-orders".to_owned(), Path::new("/t/my_orders.wasm").to_path_buf())]);
    }

    #[test]
    fn only_folders_with_a_manifest_are_crates() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b", "a", "notes"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("a/Cargo.toml"), "").unwrap();
        fs::write(folder.path().join("b/Cargo.toml"), "").unwrap();
        fs::write(folder.path().join("README.md"), "").unwrap();
        assert_eq!(crates(folder.path()).unwrap(), ["a", "b"]);
    }

    #[test]
    fn a_file_is_replaced_only_where_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (path, draft) = (folder.path().join("one.wasm"), folder.path().join("one.draft"));
        for (bytes, changes) in [("one", true), ("one", false), ("two", true)] {
            fs::write(&draft, bytes).unwrap();
            assert_eq!(replace_if_changed(&path, &draft).unwrap(), changes, "{bytes}");
            assert_eq!(fs::read_to_string(&path).unwrap(), bytes);
            assert!(!draft.exists(), "no draft is left");
        }
    }
}
