//! A release is refused beyond a budget: of decisions that history would have had otherwise, and of states that cannot be taken over.

use serde_json::{Value, json};

use crate::deploying::{STORE, arrival, begun, deploy, step};
use crate::place::Place;
use crate::program::{Done, fixture};
use crate::releases::{add, first_release};
use crate::verification::{copy_of, demo};

/// The gate of that name, as the report has it.
#[track_caller]
fn gate(done: &Done, name: &str) -> Value {
    let found = done.json().into_iter().find(|line| line["gate"] == name);
    found.unwrap_or_else(|| panic!("no gate {name}: {}", done.out))
}

fn generations(place: &Place) -> usize {
    place.ask("releases", &["--json"]).well().json().len()
}

#[test]
fn history_decides_whether_a_release_comes_into_force() {
    let place = copy_of(demo());
    let refused = deploy(&place, "registration-tagged", &["--json"]).exits(1);
    let shadow = gate(&refused, "shadow");
    assert_eq!((&shadow["verdict"], &shadow["findings"][0]["code"]), (&json!("refused"), &json!("release-differs")));
    let kinds = shadow["shadow"]["kinds"].as_object().expect("kinds");
    assert_eq!(kinds.keys().collect::<Vec<_>>(), ["intents.register_service.tags"], "{shadow}");
    assert!(shadow["shadow"]["decisions"].as_u64() > Some(50), "{shadow}");
    assert_eq!(generations(&place), 1);
    let told = deploy(&place, "registration-tagged", &[]).exits(1).out;
    for part in
        ["intents.register_service.tags", "  candidate: ", "NOT within bounds", "release-differs", "refused: nothing has come into force"]
    {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }

    let sampled = deploy(&place, "registration-tagged", &["--sample", "1", "--dry-run", "--json"]);
    assert_eq!(gate(&sampled, "shadow")["shadow"]["entities"], 1);
    deploy(&place, "registration-tagged", &["--allow", "1%"]).exits(1);
    let expected = deploy(&place, "registration-tagged", &["--expect", "intents.register-service.tags", "--json"]).well();
    assert_eq!(gate(&expected, "shadow")["verdict"], "passed");
    assert_eq!(generations(&place), 2);
    // Back without a look at history: it was decided otherwise, which is why somebody goes back.
    let back = place.ask("rollback", &["--json"]).well();
    assert!(back.json().iter().all(|line| line["gate"] != "shadow"), "{}", back.out);
    deploy(&place, "registration-tagged", &["--allow", "100%"]).well();
    place.verifies();
}

#[test]
fn a_store_without_history_has_nothing_to_compare() {
    let place = begun();
    let empty = Place::new(crate::deploying::MANIFEST, &fixture("simulated-v1"));
    empty.stream::<&str>([]);
    arrival(&empty).well();
    let done = deploy(&empty, "simulated-v3", &["--json"]).well();
    assert_eq!(gate(&done, "shadow")["told"], json!(["there is no history to replay"]));
    // Where there is some, what the other release counts is another state.
    deploy(&place, "simulated-v3", &[]).exits(1);
    let untried = deploy(&place, "simulated-v3", &["--sample", "0", "--json"]).well();
    assert_eq!(gate(&untried, "shadow")["told"], json!(["no history is replayed, as was asked"]));
}

#[test]
fn states_that_cannot_be_taken_over_are_named_before_anything_comes_into_force() {
    let place = first_release();
    place.append([add("c", 3, 13), add("d", 4, 13)]);
    place.run_as_far_as_the_stream();
    let wanted = ["--expect", "state.additions", "--json"];
    let refused = deploy(&place, "migrate-v2", &wanted).exits(1);
    let migration = gate(&refused, "migration");
    assert_eq!((&migration["verdict"], &migration["findings"][0]["code"]), (&json!("refused"), &json!("release-unmigrated")));
    let found = &migration["migration"];
    assert_eq!((&found["states"], &found["migrated"], &found["failed"]), (&json!(4), &json!(2), &json!(2)));
    assert_eq!(found["failures"]["c"], json!({ "release": 1, "code": "migrate-refused", "reason": "13 is nothing to build on" }));
    assert_eq!(generations(&place), 1);
    let told = deploy(&place, "migrate-v2", &[]).exits(1).out;
    assert!(told.contains("  c, of release 1: migrate-refused: 13 is nothing to build on"), "{told}");

    deploy(&place, "migrate-v2", &[&wanted[..], &["--allow-unmigrated", "49%"]].concat()).exits(1);
    deploy(&place, "migrate-v2", &[&wanted[..], &["--allow-unmigrated", "50%"]].concat()).well();
    place.append([add("a", 5, 1), add("c", 6, 1)]);
    place.run_as_far_as_the_stream();
    assert_eq!(place.rows("adding.db", "SELECT key FROM entities WHERE parked"), ["c"]);
    place.verifies();
}

#[test]
fn a_dry_run_tells_whose_next_step_would_be_another_one_and_changes_nothing() {
    let place = begun();
    place.ask("pause", &["--effect", "first"]).well();
    let alarm = step(1, 4, 0).replace("\"alarm\":null", "\"alarm\":3600000");
    place.append([step(0, 3, 1), alarm]);
    arrival(&place).well();
    assert_eq!(place.value(STORE, "SELECT count(*) FROM outbox"), "1");

    let dry = deploy(&place, "simulated-v3", &["--sample", "0", "--dry-run", "--json"]).well();
    let lines = dry.json();
    let probes = |entity: &str| {
        let mut probes: Vec<&str> =
            lines.iter().filter(|line| line["entity"] == entity).filter_map(|line| line["probe"].as_str()).collect();
        probes.dedup();
        probes
    };
    let outcomes = ["refused", "exhausted", "unknown", "unreadable_reply"].map(|failure| format!("outcome call {failure}"));
    let outcomes: Vec<&str> = outcomes.iter().map(String::as_str).collect();
    assert_eq!(probes("account-0"), [&["outcome call ok"], &*outcomes, &["input moved"]].concat());
    assert_eq!(probes("account-1"), ["timer alarm", "input moved"]);
    let report = lines.last().expect("a report");
    assert_eq!((&report["radius"]["entities"], &report["radius"]["affected"]), (&json!(2), &json!(2)), "{report}");
    assert_eq!(report["generation"], Value::Null);
    assert_eq!(generations(&place), 1);

    let same = deploy(&place, "simulated-v3", &["--expect", "state.turns", "--dry-run"]).well().out;
    assert!(same.contains("0 of 2 entities would go another way") && same.ends_with("nothing has come into force\n"), "{same}");
    // What a gate refuses, a dry run refuses too.
    deploy(&place, "simulated-v3", &["--dry-run"]).exits(1);
    // The next release is held against the one in force, and what that one asked for against both.
    deploy(&place, "simulated-v3", &["--expect", "state.turns"]).well();
    let back = place.ask("rollback", &["--dry-run"]).well().out;
    assert!(back.contains("account-0, outcome call ok: state.turns"), "{back}");
    assert_eq!(generations(&place), 2);
}
