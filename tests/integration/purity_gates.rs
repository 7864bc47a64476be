//! Every bad reducer of `reducers/fixtures/` is caught by the gate that `fixtures.toml` names, with the code that it names.

mod componentized;
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::place::Place;
use crate::program::{Done, fixture, purefold, with_input};
use crate::repository::root;
use crate::tables;

/// One entry of `fixtures.toml`, which says what each of these is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    name: String,
    kind: String,
    path: String,
    gate: String,
    lint: Option<String>,
    code: Option<String>,
    #[serde(default)]
    codes: Vec<String>,
    #[serde(default)]
    names: Vec<String>,
    input: Option<String>,
    times: Option<usize>,
    state: Option<String>,
    database: Option<String>,
    sql: Option<String>,
}

impl Fixture {
    /// All that a gate must catch.
    fn of_gate(gate: &str) -> Vec<Fixture> {
        let found: Vec<Fixture> = all().into_iter().filter(|fixture| fixture.gate == gate).collect();
        assert!(!found.is_empty(), "no fixture is for the gate {gate:?}");
        found
    }

    fn file(&self) -> PathBuf {
        folder().join(&self.path)
    }

    /// Whether among the findings is the one that is to be: by its code, and naming what it is to name.
    fn is_among(&self, findings: &[Value]) -> bool {
        let Some(code) = &self.code else { return true };
        findings.iter().filter(|finding| finding["code"] == **code).any(|finding| {
            let text = format!("{} {}", finding["place"].as_str().unwrap_or_default(), finding["cause"].as_str().unwrap_or_default());
            self.names.iter().all(|name| text.contains(name))
        })
    }
}

fn folder() -> PathBuf {
    root().join("reducers/fixtures")
}

fn all() -> Vec<Fixture> {
    #[derive(Deserialize)]
    struct File {
        fixture: Vec<Fixture>,
    }
    let text = fs::read_to_string(folder().join("fixtures.toml")).expect("fixtures.toml can be read");
    toml::from_str::<File>(&text).expect("fixtures.toml says what it should").fixture
}

/// The findings of `purefold check`; exit code 2, and nothing but findings and their count.
#[track_caller]
fn findings(done: Done) -> Vec<Value> {
    let mut lines = done.exits(2).json();
    let count = lines.pop().expect("a count");
    assert_eq!(count["findings"], lines.len(), "{count}");
    for finding in &lines {
        for part in ["code", "place", "cause", "help", "page"] {
            assert!(finding[part].as_str().is_some_and(|text| !text.is_empty()), "{part} of {finding}");
        }
        let page = finding["page"].as_str().unwrap_or_default();
        assert!(root().join(page).is_file(), "{page} is not there");
    }
    lines
}

fn check(file: &Path) -> Done {
    let mut command = purefold(["check", "--format", "json"]);
    command.arg(file);
    with_input(command, Vec::new())
}

#[test]
fn every_fixture_is_for_a_gate_that_is_tested_and_every_file_is_a_fixture() {
    let gates: BTreeSet<String> = all().into_iter().map(|fixture| fixture.gate).collect();
    assert_eq!(gates.into_iter().collect::<Vec<_>>(), ["component", "decision", "manifest", "run", "source"]);
    let paths: BTreeSet<String> = all().into_iter().map(|fixture| fixture.path).collect();
    for kind in ["components", "contracts", "bytes", "manifests"] {
        for entry in fs::read_dir(folder().join(kind)).unwrap() {
            let path = format!("{kind}/{}", entry.unwrap().file_name().to_string_lossy());
            assert!(paths.contains(&path) || path == "manifests/misbehaving.toml", "{path} is no fixture of fixtures.toml");
        }
    }
}

#[test]
fn the_component_gate_names_every_import_feature_and_violation() {
    let scratch = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for bad in Fixture::of_gate("component") {
        let file = match bad.kind.as_str() {
            "bytes" => bad.file(),
            kind => {
                let bytes = match kind {
                    "wat" => wat::parse_file(bad.file()).unwrap_or_else(|error| panic!("{}: {error}", bad.name)),
                    "wit" => componentized::contract(&bad.file()),
                    other => panic!("{}: what is a {other}?", bad.name),
                };
                let file = scratch.path().join(&bad.name).with_extension("wasm");
                fs::write(&file, bytes).unwrap();
                file
            }
        };
        let found = findings(check(&file));
        if !bad.is_among(&found) {
            wrong.push(format!("{}: {:?} naming {:?} is not among {found:?}", bad.name, bad.code, bad.names));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_manifest_gate_names_what_fits_no_route() {
    for bad in Fixture::of_gate("manifest") {
        let place = Place::new(&fs::read_to_string(bad.file()).unwrap(), &fixture("misbehaving"));
        if let (Some(database), Some(sql)) = (&bad.database, &bad.sql) {
            tables::change(&place.path(database), sql);
        }
        let found = findings(place.ask("check", &["--format", "json"]));
        assert!(bad.is_among(&found), "{}: {:?} naming {:?} is not among {found:?}", bad.name, bad.code, bad.names);
        let mut codes: Vec<&str> = found.iter().filter_map(|finding| finding["code"].as_str()).collect();
        for code in &bad.codes {
            let index = codes.iter().position(|found| found == code);
            codes.remove(index.unwrap_or_else(|| panic!("{}: {code} is not (or not often enough) among {found:?}", bad.name)));
        }
        assert!(bad.codes.is_empty() || codes.is_empty(), "{}: more was found than is wrong: {codes:?}", bad.name);
    }
    // The one that the others are compared with.
    Place::misbehaving().ask("check", &["--format", "json"]).well();
}

/// Decides the fixture's input so many times, one process.
fn decide(bad: &Fixture, times: usize) -> Vec<Value> {
    let input: Value = serde_json::from_str(bad.input.as_deref().expect("an input")).expect("the input is JSON");
    let context =
        json!({"now": "2026-02-13T12:00:00Z", "entity": "a", "sequence": 1, "event_id": "e", "correlation_id": "c", "seed": [1, 2]});
    let line = format!("{}\n", json!({"context": context, "state": null, "input": input}));
    let mut command = purefold(["reduce"]);
    command.arg(fixture(&bad.path));
    with_input(command, line.repeat(times).into_bytes()).well().json()
}

#[test]
fn the_sandbox_ends_what_breaks_a_limit() {
    for bad in Fixture::of_gate("run") {
        let answers = decide(&bad, 1);
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0]["faulted"]["code"].as_str(), bad.code.as_deref(), "{}: {answers:?}", bad.name);
        assert!(answers[0]["faulted"]["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{}", bad.name);
    }
}

#[test]
fn the_sandbox_makes_harmless_what_no_gate_must_catch() {
    for bad in Fixture::of_gate("decision") {
        let times = bad.times.expect("how often");
        let state: Value = serde_json::from_str(bad.state.as_deref().expect("a state")).expect("the state is JSON");
        let answers = decide(&bad, times);
        assert_eq!(answers.len(), times);
        for answer in answers {
            let found = &answer["accepted"]["state"];
            for (field, value) in state.as_object().expect("a record") {
                assert_eq!(found[field], *value, "{}.{field}: {answer}", bad.name);
            }
        }
    }
}

#[test]
fn a_component_with_an_import_does_not_link_either() {
    use purefold::sandbox::{Limits, Sandbox};
    let sandbox = Sandbox::new().expect("there is a sandbox");
    let contract = std::sync::Arc::new(purefold_wit::Contract::read(&fs::read(fixture("misbehaving")).unwrap()).expect("a contract"));
    for name in ["wasi-clock", "wasi-random", "own-interface-import"] {
        let component = wat::parse_file(folder().join("components").join(name).with_extension("wat")).unwrap();
        let error = sandbox.load(&component, contract.clone(), Limits::default()).err().expect("nothing answers its import");
        assert!(error.to_string().contains("import"), "{name}: {error}");
    }
}

#[test]
fn every_real_reducer_passes() {
    for name in ["registration", "registry", "orders"] {
        check(&crate::program::reducer(name)).well();
    }
}
