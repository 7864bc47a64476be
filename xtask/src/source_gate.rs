//! The source gate: clippy with the lints that forbid a reducer what it must not name. What is forbidden, and why, stands in
//! `reducers/clippy.toml`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process;
use crate::reducers;
use crate::toolchain::WASM_TARGET;
use crate::workspace::Workspace;

/// The gate's lints. Forbidden, not denied, so that no attribute in a reducer's source can allow them again.
const FORBIDDEN: &[&str] = &["clippy::disallowed_methods", "clippy::disallowed_types", "clippy::disallowed_macros"];

/// Lints of the gate that generated bindings and the allocator need to allow where they say so.
const DENIED: &[&str] = &["unsafe_code", "static_mut_refs"];

/// Checks the library of every reducer as it is compiled for the sandbox; tests may do what they like.
///
/// # Errors
/// Where one names what it must not; the compiler has said what, in which crate and line.
pub(crate) fn check_reducers(workspace: &Workspace) -> Result<()> {
    let names = reducers::names(workspace)?;
    println!("the source gate: {}", names.join(", "));
    let mut cargo = process::cargo(&workspace.root);
    // The profile of the build before, so that the macros that make bindings are not built a second time.
    cargo.args(["clippy", "--quiet", "--profile", "reducer", "--target", WASM_TARGET, "--lib"]);
    for name in &names {
        cargo.args(["--package", name]);
    }
    process::run(with_lints(&mut cargo)).context("a reducer does not pass the source gate")
}

fn with_lints(cargo: &mut Command) -> &mut Command {
    cargo.arg("--");
    for lint in FORBIDDEN {
        cargo.args(["--forbid", lint]);
    }
    for lint in DENIED {
        cargo.args(["--deny", lint]);
    }
    cargo
}

/// Checks that the gate catches every bad reducer that says so in its manifest, by the lint that it names there, and that it
/// lets the others pass:
///
/// ```toml
/// [package.metadata.purefold]
/// gate = "source"
/// lint = "clippy::disallowed_methods"
/// ```
///
/// # Errors
/// Every bad reducer that the gate judges otherwise than its manifest says.
pub(crate) fn check_fixtures(workspace: &Workspace) -> Result<()> {
    let folder = reducers::fixtures_folder(workspace);
    let metadata = process::output(process::cargo(&folder).args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let expected = expectations(&serde_json::from_str(&metadata).context("cannot read what `cargo metadata` printed")?);
    let mut cargo = process::cargo(&folder);
    cargo.args([
        "clippy",
        "--quiet",
        "--workspace",
        "--lib",
        "--keep-going",
        "--profile",
        "reducer",
        "--target",
        WASM_TARGET,
        "--message-format",
        "json",
    ]);
    cargo.arg("--target-dir").arg(reducers::fixtures_target(workspace));
    // It fails, as it should: what it found is in its messages.
    let found = errors(&process::silent(with_lints(&mut cargo))?.text);
    let wrong = judge(&expected, &found);
    if !wrong.is_empty() {
        bail!("the source gate judges {} of the bad reducers otherwise than their manifests say:\n{}", wrong.len(), wrong.join("\n"));
    }
    Ok(())
}

/// An error that the gate found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    lint: String,
    /// File and line.
    place: String,
}

/// For each crate, the lint by which the gate must catch it, if the gate is the one to do so.
fn expectations(metadata: &Value) -> BTreeMap<String, Option<String>> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let expectation = |package: &Value| {
        let purefold = &package["metadata"]["purefold"];
        let lint = purefold["lint"].as_str().filter(|_| purefold["gate"] == "source");
        Some((package["name"].as_str()?.to_owned(), lint.map(str::to_owned)))
    };
    packages.iter().filter_map(expectation).collect()
}

/// The errors among the messages of cargo, by crate.
fn errors(messages: &str) -> BTreeMap<String, Vec<Found>> {
    let mut found = BTreeMap::<String, Vec<Found>>::new();
    for message in messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let diagnostic = &message["message"];
        let (Some(manifest), "error") = (message["manifest_path"].as_str(), diagnostic["level"].as_str().unwrap_or_default()) else {
            continue;
        };
        let span = diagnostic["spans"].as_array().and_then(|spans| spans.iter().find(|span| span["is_primary"] == true));
        let place = span.map(|span| format!("{}:{}", span["file_name"].as_str().unwrap_or_default(), span["line_start"]));
        // The closing "aborting due to 2 errors" has no code.
        let Some(lint) = diagnostic["code"]["code"].as_str() else { continue };
        let name = Path::new(manifest).parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        found.entry(name.unwrap_or_default()).or_default().push(Found { lint: lint.to_owned(), place: place.unwrap_or_default() });
    }
    found
}

/// What the gate should have found and did not, or found and should not; prints what it rightly found.
fn judge(expected: &BTreeMap<String, Option<String>>, found: &BTreeMap<String, Vec<Found>>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, lint) in expected {
        let errors = found.get(name).map(Vec::as_slice).unwrap_or_default();
        let caught = errors.iter().find(|error| Some(&error.lint) == lint.as_ref() && !error.place.is_empty());
        match (lint, caught) {
            (Some(lint), Some(error)) => println!("caught {name}: {} by {lint}", error.place),
            (Some(lint), None) => wrong.push(format!("{name}: {lint} should have caught it in a line of its own; found {errors:?}")),
            (None, _) if errors.is_empty() => {}
            (None, _) => wrong.push(format!("{name}: is for another gate and should pass this one; found {errors:?}")),
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{errors, expectations, judge};

    const MESSAGES: &str = concat!(
        r#"{"reason":"compiler-message","manifest_path":"/r/fixtures/clock/Cargo.toml","message":{"level":"error","code":{"code":"clippy::disallowed_methods"},"spans":[{"is_primary":true,"file_name":"clock/src/lib.rs","line_start":12}]}}"#,
        "\n",
        r#"{"reason":"compiler-message","manifest_path":"/r/fixtures/clock/Cargo.toml","message":{"level":"error","code":null,"spans":[]}}"#,
        "\n",
        r#"{"reason":"compiler-message","manifest_path":"/r/fixtures/tidy/Cargo.toml","message":{"level":"warning","code":{"code":"dead_code"},"spans":[]}}"#,
        "\nerror: could not compile `clock`",
    );

    fn judged(packages: &serde_json::Value) -> Vec<String> {
        judge(&expectations(&json!({"packages": packages})), &errors(MESSAGES))
    }

    fn package(name: &str, purefold: &serde_json::Value) -> serde_json::Value {
        json!({"name": name, "metadata": {"purefold": purefold}})
    }

    #[test]
    fn the_gate_is_right_where_it_finds_what_manifests_say() {
        let clock = package("clock", &json!({"gate": "source", "lint": "clippy::disallowed_methods"}));
        let tidy = package("tidy", &json!({"gate": "component"}));
        assert_eq!(judged(&json!([clock, tidy])), [""; 0]);
    }

    #[test]
    fn what_another_lint_or_none_finds_is_not_what_was_said() {
        let other = package("clock", &json!({"gate": "source", "lint": "clippy::disallowed_types"}));
        let silent = package("tidy", &json!({"gate": "source", "lint": "clippy::disallowed_types"}));
        let wrong = judged(&json!([other, silent]));
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].starts_with("clock: clippy::disallowed_types should") && wrong[0].contains("clock/src/lib.rs:12"), "{wrong:?}");
    }

    #[test]
    fn what_is_for_another_gate_must_pass() {
        let wrong = judged(&json!([package("clock", &json!(null))]));
        assert!(wrong.len() == 1 && wrong[0].contains("another gate"), "{wrong:?}");
    }
}
