//! The tools that execute history again answer the same wherever it is kept.

use std::path::Path;

use serde_json::Value;

use super::same::{ask, told};
use super::{database, demo, demo_in};
use crate::place::Place;
use crate::program::{Done, fixture, purefold, reducer};

/// A node that registers, sends one sign of life and falls silent.
const SILENT: &str = "9ce05a5a-11b3-4a89-962f-19103dc5fae4";

/// The reference workflow after its demo, in a file and in a database.
fn places() -> [Place; 2] {
    let places = [demo(), demo_in(database())];
    for place in &places {
        place.run_as_far_as_the_stream();
    }
    places
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

#[test]
fn history_is_executed_again_as_on_sqlite() {
    let places = places();
    let counts = ask(&places, "verify", &["--json"]).well().json().pop().expect("counts");
    assert!(counts["decisions"].as_u64().is_some_and(|decisions| decisions > 700) && counts["mismatches"] == 0, "{counts}");

    let (same, tagged, renamed) = (reducer("registration"), fixture("registration-tagged"), fixture("registration-renamed"));
    ask(&places, "replay", &["--with", text(&same), "--json"]).well();
    ask(&places, "replay", &["--with", text(&tagged), "--json"]).exits(1);
    ask(&places, "replay", &["--with", text(&tagged), "--expect", "intents.register-service.tags"]).well();
    ask(&places, "replay", &["--with", text(&renamed), "--json"]).exits(1);
    ask(&places, "replay", &["--with", text(&renamed), "--sample", "10", "--json"]).exits(1);
    ask(&places, "replay", &["--with", text(&tagged), "--entity", SILENT, "--json"]).exits(1);
    ask(&places, "replay", &["--with", text(&tagged), "--radius", "--json"]).exits(1);
}

#[test]
fn questions_about_history_are_answered_as_on_sqlite() {
    let places = places();
    for at in ["4", "2026-02-13T12:02:00Z", "2026-02-13T13:02:16.047303+01:00"] {
        ask(&places, "state", &[SILENT, "--at", at, "--json"]).well();
    }
    ask(&places, "state", &[SILENT, "--at", "2026-02-13T12:00:00Z"]).exits(1);
    ask(&places, "explain", &[SILENT, "--json"]).well();
    ask(&places, "explain", &[SILENT, "--field", "phase"]).well();
    let found = ask(&places, "bisect", &["--where", "phase == \"active\"", "--json"]).well();
    assert!(found.json().last().is_some_and(|counts| counts["ever"].as_u64() > counts["still"].as_u64()), "{}", found.out);
    ask(&places, "bisect", &["--where", "node_version.major == 99", "--json"]).exits(1);
    ask(&places, "what-if", &[SILENT, "--drop", "2", "--json"]).well();
    ask(&places, "minimise", &[SILENT, "--where", "phase == \"active\"", "--json"]).well();
    ask(&places, "minimise", &[SILENT, "--intent", "deregister-service"]).well();
}

#[test]
fn a_history_that_was_altered_is_found_as_on_sqlite() {
    let places = places();
    let statement = "UPDATE journal SET now = now + 1 WHERE kind = 'decided' AND sequence = 4 AND entity = \
                     (SELECT id FROM entities WHERE key = '9ce05a5a-11b3-4a89-962f-19103dc5fae4')";
    assert_eq!(crate::tables::change(&places[0].path("registration.db"), statement), 1);
    places[1].journal().execute(statement);
    let found = ask(&places, "verify", &["--json"]).exits(1);
    assert!(found.json().iter().any(|line| line["entity"] == SILENT && line["sequence"] == 4), "{}", found.out);
}

#[test]
fn bundles_and_certificates_say_the_same_of_both() {
    let places = places();
    let bundles = places.each_ref().map(|place| {
        let bundle = place.path("all.bundle");
        let counts = place.ask("export", &["--bundle", text(&bundle), "--json"]).well().json().remove(0);
        (bundle, counts["entries"].clone(), counts["entities"].clone())
    });
    assert_eq!((&bundles[0].1, &bundles[0].2), (&bundles[1].1, &bundles[1].2));
    // The variable that says where the database is stands in the manifest of its bundle: any address will do.
    let alone = |arguments: &[&str]| -> Done {
        purefold(arguments).env("STORE_URL", "postgres://nobody@localhost:1/none").output().expect("purefold can be started").into()
    };
    let verified = bundles.each_ref().map(|(bundle, ..)| told(&alone(&["verify", "--bundle", text(bundle), "--json"]).well()));
    assert_eq!(verified[0], verified[1]);
    let folders = places.each_ref().map(|place| place.path("imported"));
    for ((bundle, ..), folder) in bundles.iter().zip(&folders) {
        alone(&["import", text(bundle), "--to", text(folder)]).well();
    }
    for (command, rest) in [
        ("verify", vec!["--json"]),
        ("state", vec!["--json"]),
        ("explain", vec![SILENT, "--json"]),
        ("bisect", vec!["--where", "phase == \"active\"", "--json"]),
    ] {
        let answers = folders.each_ref().map(|folder| {
            let manifest = folder.join("workflow.toml");
            told(&alone(&[&[command, text(&manifest)], &rest[..]].concat()).well())
        });
        assert_eq!(answers[0], answers[1], "{command}");
        assert_eq!(answers[0], told(&places[1].ask(command, &rest).well()), "{command}");
    }

    let certified = places.each_ref().map(|place| {
        place.ask("certify", &["--history", "--runs", "5"]).well();
        let text = std::fs::read_to_string(place.path("registration.wasm.certificate.json")).expect("a certificate");
        let mut statement: Value = serde_json::from_str(&text).expect("it is JSON");
        // The manifests say where the journals are, and the entries name the manifests.
        statement["manifest"].take();
        statement["histories"][0]["manifest"].take();
        statement["histories"][0]["heads"].take();
        statement
    });
    assert_eq!(certified[0], certified[1]);
    assert_eq!(certified[1]["histories"][0]["replayed"]["different"], 0);
}
