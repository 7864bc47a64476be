//! The source gate: clippy with the lints that tell a reducer what it must not name. What that is, and why, stands in
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

/// The gate's lints. They are forced to warn, which no attribute in a reducer's source can turn off, and whatever they
/// warn of is an error here. To forbid them would do the same, were it not that generated bindings allow all of clippy.
const LINTS: &[&str] =
    &["clippy::disallowed_methods", "clippy::disallowed_types", "clippy::disallowed_macros", "unsafe_code", "static_mut_refs"];

/// The library that reducers link has the one allocator, which cannot do without unsafe code.
const UNSAFE_ALLOWED_IN: &str = "guest";

/// Checks the library of every reducer as it is compiled for the sandbox; tests may do what they like.
///
/// # Errors
/// Where one names what it must not: what, in which crate and line.
pub(crate) fn check_reducers(workspace: &Workspace) -> Result<()> {
    let names = reducers::names(workspace)?;
    println!("the source gate: {}", names.join(", "));
    let mut cargo = process::cargo(&workspace.root);
    cargo.args(CLIPPY);
    for name in &names {
        cargo.args(["--package", name]);
    }
    let found = found(&mut cargo)?;
    let offences: Vec<String> =
        found.iter().flat_map(|(name, found)| found.iter().map(move |found| format!("{name}: {}: {}", found.place, found.lint))).collect();
    if offences.is_empty() {
        return Ok(());
    }
    for found in found.values().flatten() {
        eprintln!("{}", found.rendered);
    }
    bail!(
        "source-impure: reducers name what a reducer must not:\n{}\nreducers/clippy.toml says why, and what to use instead",
        offences.join("\n")
    );
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
    cargo.args(CLIPPY).arg("--workspace").arg("--target-dir").arg(reducers::fixtures_target(workspace));
    let wrong = judge(&expected, &found(&mut cargo)?);
    if !wrong.is_empty() {
        bail!("the source gate judges {} of the bad reducers otherwise than their manifests say:\n{}", wrong.len(), wrong.join("\n"));
    }
    Ok(())
}

/// The profile is that of the reducers' build, so that the macros which make bindings are not built a second time.
const CLIPPY: [&str; 8] = ["clippy", "--quiet", "--lib", "--profile", "reducer", "--target", WASM_TARGET, "--message-format=json"];

/// Something that the gate found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    lint: String,
    /// File and line.
    place: String,
    /// As the compiler tells it.
    rendered: String,
}

/// What the gate finds in the crates that `cargo` names, by crate.
fn found(cargo: &mut Command) -> Result<BTreeMap<String, Vec<Found>>> {
    cargo.arg("--");
    for lint in LINTS {
        cargo.args(["--force-warn", lint]);
    }
    let (succeeded, messages) = process::attempt(cargo)?;
    if !succeeded {
        for line in messages.lines() {
            let message: Value = serde_json::from_str(line).unwrap_or_default();
            if message["message"]["level"] == "error" {
                eprintln!("{}", message["message"]["rendered"].as_str().unwrap_or_default());
            }
        }
        bail!("clippy could not look at the reducers: they do not compile");
    }
    Ok(read(&messages))
}

/// What the gate's lints say among the messages of cargo, by the name of the crate's folder.
fn read(messages: &str) -> BTreeMap<String, Vec<Found>> {
    let mut found = BTreeMap::<String, Vec<Found>>::new();
    for message in messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let diagnostic = &message["message"];
        let (Some(manifest), Some(lint)) = (message["manifest_path"].as_str(), diagnostic["code"]["code"].as_str()) else { continue };
        let name =
            Path::new(manifest).parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !LINTS.contains(&lint) || (name == UNSAFE_ALLOWED_IN && lint == "unsafe_code") {
            continue;
        }
        let span = diagnostic["spans"].as_array().and_then(|spans| spans.iter().find(|span| span["is_primary"] == true));
        let place =
            span.map(|span| format!("{}:{}", span["file_name"].as_str().unwrap_or_default(), span["line_start"])).unwrap_or_default();
        let rendered = diagnostic["rendered"].as_str().unwrap_or_default().to_owned();
        found.entry(name).or_default().push(Found { lint: lint.to_owned(), place, rendered });
    }
    found
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

/// What the gate should have found and did not, or found and should not; prints what it rightly found.
fn judge(expected: &BTreeMap<String, Option<String>>, found: &BTreeMap<String, Vec<Found>>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, lint) in expected {
        let found = found.get(name).map(Vec::as_slice).unwrap_or_default();
        let told: Vec<String> = found.iter().map(|found| format!("{}: {}", found.place, found.lint)).collect();
        // In a line of its own: the reader must be led to the crate that did it, not into a library.
        let own = format!("{name}/src/");
        let caught = found.iter().find(|found| Some(&found.lint) == lint.as_ref() && found.place.contains(&own));
        match (lint, caught) {
            (Some(lint), Some(found)) => println!("caught {name}: {}: {lint}", found.place),
            (Some(lint), None) => wrong.push(format!("{name}: {lint} should have caught it in a line of its own; found {told:?}")),
            (None, _) if found.is_empty() => {}
            (None, _) => wrong.push(format!("{name}: is for another gate and should pass this one; found {told:?}")),
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{expectations, judge, read};

    const MESSAGES: &str = concat!(
        r#"{"reason":"compiler-message","manifest_path":"/r/fixtures/clock/Cargo.toml","message":{"level":"warning","code":{"code":"clippy::disallowed_methods"},"spans":[{"is_primary":true,"file_name":"clock/src/lib.rs","line_start":12}]}}"#,
        "\n",
        r#"{"reason":"compiler-message","manifest_path":"/r/fixtures/clock/Cargo.toml","message":{"level":"warning","code":null,"spans":[]}}"#,
        "\n",
        r#"{"reason":"compiler-message","manifest_path":"/r/fixtures/tidy/Cargo.toml","message":{"level":"warning","code":{"code":"dead_code"},"spans":[]}}"#,
        "\n",
        r#"{"reason":"compiler-message","manifest_path":"/r/reducers/guest/Cargo.toml","message":{"level":"warning","code":{"code":"unsafe_code"},"spans":[]}}"#,
        "\nwarning: `clock` generated 1 warning",
    );

    fn judged(packages: &serde_json::Value) -> Vec<String> {
        judge(&expectations(&json!({"packages": packages})), &read(MESSAGES))
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
