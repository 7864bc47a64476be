//! A manifest with ten mistakes gets ten errors in one run, each with code, place and way out.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::place::Place;
use crate::program::fixture;
use crate::repository::root;

/// Code, place, and something that the way out says.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("key-field-missing", "inputs.", "reducer.key"),
    ("input-unknown", "inputs", "poke"),
    ("machine-field-unknown", "machine.field", ""),
    ("setting-unknown", "store.flush", ""),
    ("capability-unknown", "effects.mail", ""),
    ("setting-range", "intents.note.operation", "upsert"),
    ("key-field-missing", "intents.note.key", ""),
    ("outcome-unknown", "intents.note.outcome", ""),
    ("intent-unknown", "intents.nod", "note"),
    ("setting-type", "limits.intents", "number"),
];

fn wrong() -> Place {
    let text = fs::read_to_string(root().join("reducers/fixtures/manifests/ten-mistakes.toml")).expect("the fixture can be read");
    Place::new(&text, &fixture("misbehaving"))
}

#[test]
fn ten_mistakes_are_ten_errors_in_one_run() {
    let place = wrong();
    let done = place.ask("check", &["--format", "json"]).exits(2);
    let mut found = done.json();
    assert_eq!(found.pop().expect("a count")["findings"], 10, "{}", done.out);
    let text = |finding: &Value, part: &str| finding[part].as_str().unwrap_or_default().to_owned();
    for (code, place, help) in MISTAKES {
        let index = found.iter().position(|finding| text(finding, "code") == *code && text(finding, "place").contains(place));
        let finding = found.remove(index.unwrap_or_else(|| panic!("{code} at {place} is not among\n{}", done.out)));
        assert!(!text(&finding, "cause").is_empty(), "{finding}");
        assert!(!text(&finding, "help").is_empty() && text(&finding, "help").contains(help), "{finding}");
    }
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn every_code_has_its_page() {
    let codes: BTreeSet<&str> = MISTAKES.iter().map(|(code, ..)| *code).collect();
    for code in codes {
        let page = root().join("docs/errors").join(code).with_extension("md");
        let text = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        assert!(text.contains(code) && text.lines().count() >= 5, "{}", page.display());
    }
}

#[test]
fn people_are_told_the_same() {
    let place = wrong();
    let done = place.ask("check", &[]).exits(2);
    let told = format!("{}{}", done.out, done.err);
    for (code, ..) in MISTAKES {
        assert!(told.contains(code), "{code} is not in\n{told}");
    }
    assert!(told.contains("help:"), "{told}");
    assert!(!place.files().contains(&"misbehaving.db".to_owned()), "checking begins nothing");
}
