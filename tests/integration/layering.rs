//! The layering, held by a check instead of goodwill: `wit` ← `effects` ← `host`, guests beside them, and no word of
//! a domain below a reducer.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::repository::{Source, root, rust_files};

/// What each crate of the workspace may depend on of the workspace. Guests (everything under `reducers/`) are not listed:
/// they may depend on [`GUEST`] alone.
const ARROWS: &[(&str, &[&str])] = &[
    ("purefold-wit", &[]),
    ("purefold-effects", &["purefold-wit"]),
    // Its tests try the store on a PostgreSQL of their own.
    ("purefold", &["purefold-effects", "purefold-services", "purefold-wit"]),
    ("purefold-benches", &["orders", "purefold", "purefold-effects", "purefold-guest", "purefold-nodes", "purefold-wit", "registration"]),
    ("purefold-c-bindings", &[]),
    ("purefold-demo", &["purefold-nodes"]),
    ("purefold-hostile", &["purefold", "purefold-wit"]),
    ("purefold-nodes", &["purefold-wit"]),
    ("purefold-services", &[]),
    (
        "purefold-tests",
        &[
            "orders",
            "purefold",
            "purefold-effects",
            "purefold-guest",
            "purefold-nodes",
            "purefold-services",
            "purefold-wit",
            "registration",
        ],
    ),
    ("xtask", &["purefold-services"]),
];

/// What guests are built on.
const GUEST: &str = "purefold-guest";

/// Libraries, whose errors are enums that a caller can tell apart.
const WITHOUT_ANYHOW: &[&str] = &["purefold-wit", "purefold-effects", GUEST];

/// Crates that must hold the workspace's lints, `unsafe_code = "forbid"` among them.
const SAFE: &[&str] = &[
    "purefold-wit",
    "purefold-effects",
    "purefold",
    "purefold-benches",
    "purefold-c-bindings",
    "purefold-demo",
    "purefold-hostile",
    "purefold-nodes",
    "purefold-services",
    "purefold-tests",
    "xtask",
];

/// Words of the reducers' domains. Host and effects serve any domain, so none of these has a place there.
const DOMAIN_WORDS: &[&str] = &[
    // node registration
    "registration",
    "introspect",
    "heartbeat",
    "liveness",
    "orchestrator",
    "onex.",
    "onex-",
    "onex_",
    "node_id",
    "node-id",
    "deregister_service",
    "awaiting",
    "dual_status",
    // orders
    "order_id",
    "order-id",
    "stock_id",
    "stock-id",
    "shipment",
    "refund",
    "parcel",
    "payment",
    "customer",
    "warehouse",
];

/// Words that a capability has a right to, by the folder of that capability: a service registry takes registrations.
const RIGHTFUL_WORDS: &[(&str, &str)] = &[("effects/src/service_registry/", "registration"), ("host/src/source/kafka/", "heartbeat")];

/// Crates that a domain's words must not reach.
const DOMAIN_FREE: &[&str] = &["host/src", "effects/src"];

/// The one place that may build a linker.
const SANDBOX: &str = "host/src/sandbox/";

/// Past this many lines a file should be asked what it is two of; it is reported.
const LINES_LONG: usize = 400;

/// Past this many lines a file is refused.
const LINES_MOST: usize = 800;

/// Names of modules that say nothing of what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "misc", "manager"];

#[test]
fn arrows_never_turn() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let packages = packages();
    let members: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut wrong = Vec::new();
    for package in &packages {
        let may: &[&str] = match allowed.get(package.name.as_str()) {
            Some(may) => may,
            None if package.name == GUEST => &[],
            None if package.manifest.starts_with("reducers/") => &[GUEST],
            None => {
                wrong.push(format!("{} has no place in the layering: give it one in ARROWS", package.name));
                continue;
            }
        };
        for dependency in &package.dependencies {
            if members.contains(dependency.as_str()) && !may.contains(&dependency.as_str()) && *dependency != package.name {
                wrong.push(format!("{} depends on {dependency} ({}); it may depend on {may:?}", package.name, package.manifest));
            }
        }
    }
    assert!(wrong.is_empty(), "the layering is broken:\n{}", wrong.join("\n"));
}

#[test]
fn libraries_do_not_use_anyhow() {
    let wrong: Vec<String> = packages()
        .into_iter()
        .filter(|package| WITHOUT_ANYHOW.contains(&package.name.as_str()) && package.dependencies.contains("anyhow"))
        .map(|package| package.manifest)
        .collect();
    assert!(wrong.is_empty(), "a library's errors are enums of thiserror; anyhow is named in {wrong:?}");
}

#[test]
fn crates_hold_the_workspace_lints() {
    let wrong: Vec<String> = packages()
        .into_iter()
        .filter(|package| SAFE.contains(&package.name.as_str()))
        .filter(|package| {
            let manifest: toml::Table = std::fs::read_to_string(root().join(&package.manifest)).unwrap().parse().unwrap();
            manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool) != Some(true)
        })
        .map(|package| package.manifest)
        .collect();
    assert!(wrong.is_empty(), "these lack `[lints] workspace = true`: {wrong:?}");
    let workspace: toml::Table = std::fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    assert_eq!(
        workspace["workspace"]["lints"]["rust"]["unsafe_code"].as_str(),
        Some("forbid"),
        "unsafe code is forbidden in the workspace"
    );
}

#[test]
fn host_and_effects_know_no_domain() {
    let mut wrong = Vec::new();
    for source in DOMAIN_FREE.iter().flat_map(|folder| rust_files(folder)).filter(|source| !source.is_test()) {
        for (number, line) in source.lines_without_tests() {
            for word in domain_words(line).filter(|word| !is_rightful(&source.path, word)) {
                wrong.push(format!("{}:{number}: `{word}` in: {}", source.path, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "words of a domain in crates that serve any domain:\n{}", wrong.join("\n"));
}

#[test]
fn only_the_sandbox_builds_a_linker() {
    let mut places: Vec<String> = Vec::new();
    for source in ["wit", "effects", "host/src"].iter().flat_map(|folder| rust_files(folder)) {
        let number = source.lines_without_tests().find(|(_, line)| builds_a_linker(line)).map(|(number, _)| number);
        places.extend(number.map(|number| format!("{}:{number}", source.path)));
    }
    assert_eq!(places.len(), 1, "one place builds the linker: {places:?}");
    assert!(places[0].starts_with(SANDBOX), "the linker is built in {}, not in {SANDBOX}", places[0]);
}

#[test]
fn files_are_about_one_thing() {
    let sources: Vec<Source> =
        ["wit", "effects", "host", "reducers", "benches", "demo", "tests", "xtask"].iter().flat_map(|folder| rust_files(folder)).collect();
    let mut long: Vec<(usize, &str)> =
        sources.iter().map(|source| (source.text.lines().count(), source.path.as_str())).filter(|(lines, _)| *lines > LINES_LONG).collect();
    long.sort_unstable_by(|a, b| b.cmp(a));
    for (lines, path) in &long {
        eprintln!("{path} has {lines} lines: what is it two of?");
    }
    let refused: Vec<_> = long.iter().filter(|(lines, _)| *lines > LINES_MOST).collect();
    assert!(refused.is_empty(), "files of more than {LINES_MOST} lines: {refused:?}");

    let nameless: Vec<&str> = sources
        .iter()
        .map(|source| source.path.as_str())
        .filter(|path| path.trim_end_matches(".rs").split('/').any(|part| EMPTY_NAMES.contains(&part)))
        .collect();
    assert!(nameless.is_empty(), "names that say nothing of what is inside: {nameless:?}");
}

#[test]
fn the_checks_see_what_they_look_for() {
    let found: Vec<&str> = domain_words("let x = HeartbeatState::new(); // awaitingAck, node-id").collect();
    assert_eq!(found, ["heartbeat", "node-id", "awaiting"]);
    assert_eq!(domain_words("in order of arrival, awaits nothing").count(), 0);
    assert!(builds_a_linker("let linker = Linker::new(&engine);"));
    assert!(builds_a_linker("let mut l = component::Linker::<Limits>::new(&engine);"));
    assert!(!builds_a_linker("/// `Linker::new` stands in one place."));
    let source = Source { path: "host/src/x.rs".into(), text: "a\n#[cfg(test)]\nmod tests {\n heartbeat\n}\n".into() };
    assert_eq!(source.lines_without_tests().collect::<Vec<_>>(), [(1, "a")]);
}

fn domain_words(line: &str) -> impl Iterator<Item = &'static str> {
    let line = line.to_lowercase();
    DOMAIN_WORDS.iter().copied().filter(move |word| line.contains(word))
}

fn is_rightful(path: &str, word: &str) -> bool {
    RIGHTFUL_WORDS.iter().any(|(folder, rightful)| path.starts_with(folder) && *rightful == word)
}

fn builds_a_linker(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.contains("Linker::new") || (code.contains("Linker::<") && code.contains("::new("))
}

struct Package {
    name: String,
    /// Its manifest, relative to the repository's folder.
    manifest: String,
    /// Of every kind: normal, build and development.
    dependencies: BTreeSet<String>,
}

fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let root = metadata["workspace_root"].as_str().expect("a workspace has a root").to_owned();
    let list = |value: &Value, key: &str| value[key].as_array().expect("an array").clone();
    list(&metadata, "packages")
        .iter()
        .map(|package| Package {
            name: package["name"].as_str().expect("a name").to_owned(),
            manifest: package["manifest_path"].as_str().expect("a path").trim_start_matches(&root).trim_start_matches('/').to_owned(),
            dependencies: list(package, "dependencies")
                .iter()
                .map(|dependency| dependency["name"].as_str().expect("a name").to_owned())
                .collect(),
        })
        .collect()
}
