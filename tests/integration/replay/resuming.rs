//! A `verify` that was cut off goes on; nothing that is wrong is forgotten.

use serde_json::Value;

use super::{STORE, alter, copy, counts};
use crate::place::Place;
use crate::program::Done;
use crate::repository::root;

fn verify(place: &Place, file: &str) -> Done {
    let file = place.path(file);
    place.ask("verify", &["--json", "--resume", file.to_str().expect("a path of text")])
}

fn checked(done: &Done) -> (u64, u64) {
    let counts = counts(done);
    (counts["entries"].as_u64().expect("a count"), counts["already"].as_u64().expect("a count"))
}

#[test]
fn only_what_was_added_is_checked_again_and_pending_work_is_carried_over() {
    let place = Place::registration();
    let events = std::fs::read_to_string(root().join("demo/events.jsonl")).unwrap();
    let (first, second): (Vec<_>, Vec<_>) = events.lines().zip(0..).partition(|(_, line)| *line < 400);
    place.stream(first.iter().map(|(line, _)| line));
    place.run_as_far_as_the_stream();
    let (entries, already) = checked(&verify(&place, "checked.db").well());
    assert!(entries > 500 && already == 0, "{entries} {already}");
    place.append(second.iter().map(|(line, _)| line));
    place.run().well();
    let (added, known) = checked(&verify(&place, "checked.db").well());
    assert_eq!(known, entries - 1, "the workflow's own chain is checked each time");
    let (all, _) = checked(&place.ask("verify", &["--json"]).well());
    assert_eq!(added + known, all);
}

#[test]
fn what_is_wrong_is_told_each_time() {
    let place = copy();
    alter(&place, STORE, "UPDATE journal SET output = '[]' WHERE row = (SELECT max(row) FROM journal WHERE output LIKE '[{%')");
    for _ in 0..2 {
        let done = verify(&place, "checked.db").exits(1);
        assert!(done.json().iter().any(|line| line["what"] == "decision"), "{}", done.out);
    }
}

#[test]
fn a_pending_timer_that_is_taken_away_after_all_was_checked_is_missed() {
    let place = copy();
    verify(&place, "checked.db").well();
    alter(&place, STORE, "DELETE FROM timers WHERE entity = (SELECT min(entity) FROM timers)");
    let done = verify(&place, "checked.db").exits(1);
    assert!(done.json().iter().any(|line| line["what"] == "tables"), "{}", done.out);
}

#[test]
fn the_file_of_another_journal_is_refused() {
    let place = copy();
    verify(&place, "checked.db").well();
    alter(&place, "checked.db", "UPDATE about SET text = 'another'");
    let done = verify(&place, "checked.db").exits(2);
    assert!(done.err.contains("delete it to begin anew"), "{}", done.err);
    let done = verify(&place, STORE).exits(2);
    assert!(done.err.contains("something else") || done.err.contains("version"), "{}", done.err);
}

#[test]
fn each_release_is_held_to_its_own_routes() {
    let place = Place::registration();
    let events = std::fs::read_to_string(root().join("demo/events.jsonl")).unwrap();
    let lines: Vec<&str> = events.lines().collect();
    place.stream(&lines[..300]);
    place.run_as_far_as_the_stream();
    // The same but for its digest.
    place.mend("name = \"registration\"", "name = \"registration\" # again");
    place.append(&lines[300..]);
    place.run_as_far_as_the_stream();
    place.verifies();
    alter(&place, STORE, "DELETE FROM timers WHERE entity = (SELECT min(entity) FROM timers)");
    let done = place.ask("verify", &["--json"]).exits(1);
    let told: Vec<Value> = done.json();
    assert!(told.iter().any(|line| line["what"] == "tables"), "{}", done.out);
}
