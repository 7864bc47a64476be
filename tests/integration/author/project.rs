//! `purefold new`: what it makes builds, tests and passes the gates.

use std::path::Path;
use std::process::Command;

use crate::program::{Done, purefold, target_folder};
use crate::repository::root;

/// A command of cargo in the project, on what this workspace's crates have brought already.
pub(super) fn cargo(folder: &Path, arguments: &[&str]) -> Done {
    let mut cargo = Command::new(env!("CARGO"));
    // Kept from run to run: what the project links is compiled once.
    cargo.args(arguments).arg("--offline").current_dir(folder).env("CARGO_TARGET_DIR", target_folder().join("new-project"));
    cargo.output().expect("cargo can be started").into()
}

fn run(folder: &Path, arguments: &[&str]) -> Done {
    purefold(arguments).current_dir(folder).output().expect("purefold can be started").into()
}

#[test]
fn a_new_project_builds_tests_and_passes_the_gates() {
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let guest = root().join("reducers/guest");
    let guest = guest.to_str().expect("a path of text");
    run(place.path(), &["new", "to-do", "--guest", guest]).well();
    let folder = place.path().join("to-do");

    // In the profile of the build, so that macros are compiled once.
    cargo(&folder, &["test", "--release"]).well();
    cargo(&folder, &["build", "--release", "--target", "wasm32-unknown-unknown"]).well();
    let module = target_folder().join("new-project/wasm32-unknown-unknown/release/to_do.wasm");
    run(&folder, &["component", module.to_str().expect("a path of text"), "--output", "to-do.wasm"]).well();
    run(&folder, &["check", "to-do.toml"]).well();
    run(&folder, &["test", "to-do.toml", "--require-coverage", "80%"]).well();
    run(&folder, &["explore", "to-do.toml", "--depth", "5"]).well();
    run(&folder, &["fuzz", "to-do.toml", "--runs", "100", "--seed", "1"]).well();
    let ran = run(&folder, &["run", "to-do.toml", "--clock", "event", "--advance", "1h", "--until-idle"]).well();
    assert!(!ran.err.contains("dead letter") || ran.err.contains("0 dead letters"), "{}", ran.err);
    let states = run(&folder, &["state", "to-do.toml", "--json"]).well().json();
    let phases: Vec<_> = states.iter().map(|line| (line["entity"].clone(), line["state"]["phase"].clone())).collect();
    assert_eq!(phases, [("plants".into(), "done".into()), ("post".into(), "overdue".into())]);
    run(&folder, &["verify", "to-do.toml"]).well();
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    run(place.path(), &["new", "to-do"]).well();
    let done = run(place.path(), &["new", "to-do"]).exits(2);
    assert!(done.err.contains("there is something called to-do here already"), "{}", done.err);
    let done = run(place.path(), &["new", "../to-do"]).exits(2);
    assert!(done.err.contains("is no name for a project"), "{}", done.err);
}
