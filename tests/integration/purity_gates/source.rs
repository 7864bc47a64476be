//! The source gate: clippy with `reducers/clippy.toml`, over all bad crates at once.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Fixture, folder};
use crate::program::target_folder;

/// Forced to warn, which no attribute in a reducer's source can turn off; `reducers/README.md` says how to use them.
const LINTS: &[&str] =
    &["clippy::disallowed_methods", "clippy::disallowed_types", "clippy::disallowed_macros", "unsafe_code", "static_mut_refs"];

/// What the gate says of one crate: lint, file and line, text.
struct Said {
    lint: String,
    place: String,
    text: String,
}

fn gate() -> BTreeMap<String, Vec<Said>> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(folder()).stdin(Stdio::null());
    cargo.args(["clippy", "--quiet", "--workspace", "--lib", "--keep-going", "--profile", "reducer", "--target", "wasm32-unknown-unknown"]);
    cargo.args(["--message-format", "json", "--target-dir"]).arg(target_folder().join("fixtures/build")).arg("--");
    for lint in LINTS {
        cargo.args(["--force-warn", lint]);
    }
    let output = cargo.output().expect("cargo can be started");
    let mut said: BTreeMap<String, Vec<Said>> = BTreeMap::new();
    for message in String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let (Some(name), diagnostic) = (message["target"]["name"].as_str(), &message["message"]) else { continue };
        let Some(lint) = diagnostic["code"]["code"].as_str().filter(|lint| LINTS.contains(lint)) else { continue };
        let span = diagnostic["spans"].as_array().and_then(|spans| spans.iter().find(|span| span["is_primary"] == true));
        let place = span.map(|span| format!("{}:{}", span["file_name"].as_str().unwrap_or_default(), span["line_start"]));
        let text = diagnostic["rendered"].as_str().unwrap_or_default().to_owned();
        said.entry(name.replace('_', "-")).or_default().push(Said { lint: lint.to_owned(), place: place.unwrap_or_default(), text });
    }
    assert!(!said.is_empty(), "the gate said nothing: {}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn the_source_gate_names_line_and_crate_of_every_impure_call() {
    let said = gate();
    let bad = Fixture::of_gate("source");
    let mut wrong = Vec::new();
    for bad in &bad {
        let lint = bad.lint.as_deref().expect("a lint");
        let of_crate = said.get(&bad.path).map(Vec::as_slice).unwrap_or_default();
        let named = |said: &&Said| said.lint == lint && bad.names.iter().all(|name| said.text.contains(name));
        match of_crate.iter().find(named) {
            Some(said) if said.place.starts_with(&format!("{}/src/", bad.path)) => {}
            Some(said) => wrong.push(format!("{}: found at {}, which is no line of its own", bad.name, said.place)),
            None => wrong.push(format!(
                "{}: {lint} does not name {:?}; it said {:?}",
                bad.name,
                bad.names,
                of_crate.iter().map(|said| &said.text).collect::<Vec<_>>()
            )),
        }
    }
    for (name, of_crate) in &said {
        // The library that reducers link holds the one allocator, which cannot do without unsafe code.
        let is_allocator = name == "purefold-guest" && of_crate.iter().all(|said| said.lint == "unsafe_code");
        if !is_allocator && !bad.iter().any(|bad| bad.path == *name) {
            wrong.push(format!("{name} is for another gate and should pass this one: {}", of_crate[0].text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
