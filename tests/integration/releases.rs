//! Releases: another component or manifest raises the generation; states of another type are migrated, or the release is refused.

use serde_json::json;

use crate::place::Place;
use crate::program::{Done, fixture};
use crate::wire::event;

const MANIFEST: &str = r#"
name = "adding"

[reducer]
component = "adding.wasm"
key = "id"

[inputs]
"fixture.add.v1" = "add"

[store]
sqlite = "adding.db"

[effects.events]
capability = "publish"
jsonl = "events.jsonl"

[intents.note]
effect = "events"
topic = "fixture.noted.v1"
"#;

pub(crate) fn add(entity: &str, number: u32, amount: u32) -> String {
    let data = json!({"id": entity, "amount": amount});
    event("fixture.add.v1", &format!("{entity}-{number}"), "/adders", f64::from(number), None, &data)
}

/// The first release, after it has added 5 to `a` and 7 to `b`.
pub(crate) fn first_release() -> Place {
    let place = Place::new(MANIFEST, &fixture("migrate-v1"));
    place.stream([add("a", 1, 5), add("b", 2, 7)]);
    place.run_as_far_as_the_stream();
    place
}

fn run(place: &Place) -> Done {
    place.running(&["--clock", "event", "--until-idle"]).output().unwrap().into()
}

fn entries(place: &Place, entity: &str) -> Vec<String> {
    let sql = format!(
        "SELECT sequence, ordinal, kind, release, coalesce(state, '') FROM entries WHERE entity = '{entity}' AND kind <> 'concluded' ORDER BY sequence, ordinal"
    );
    place.rows("adding.db", &sql)
}

fn released(place: &Place) -> Vec<String> {
    place.rows("adding.db", "SELECT kind, release FROM entries WHERE entity = '' ORDER BY ordinal")
}

#[test]
fn the_same_component_and_manifest_stay_the_same_release() {
    let place = first_release();
    place.append([add("a", 3, 1)]);
    place.run_as_far_as_the_stream();
    assert_eq!(released(&place), ["released | 1"]);
}

#[test]
fn another_manifest_is_another_release_and_nothing_is_migrated() {
    let place = first_release();
    place.mend("topic = \"fixture.noted.v1\"", "topic = \"fixture.noted.v2\"");
    place.append([add("a", 3, 1)]);
    place.run_as_far_as_the_stream();
    assert_eq!(released(&place), ["released | 1", "released | 2"]);
    assert_eq!(entries(&place, "a"), [r#"1 | 0 | decided | 1 | {"total":5}"#, r#"2 | 0 | decided | 2 | {"total":6}"#]);
    let topics: Vec<String> = place.published("events.jsonl").iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(topics, ["fixture.noted.v1", "fixture.noted.v1", "fixture.noted.v2"]);
    place.verifies();
}

#[test]
fn a_state_of_another_type_is_migrated_when_its_entity_is_next_decided() {
    let place = first_release();
    place.install(&fixture("migrate-v2"));
    place.append([add("a", 3, 1)]);
    place.run_as_far_as_the_stream();
    assert_eq!(released(&place), ["released | 1", "released | 2"]);
    let of_a = entries(&place, "a");
    assert_eq!(
        (of_a[0].as_str(), of_a[1].split(" | ").skip(2).collect::<Vec<_>>(), of_a[2].as_str()),
        (
            r#"1 | 0 | decided | 1 | {"total":5}"#,
            vec!["migrated", "2", r#"{"total":5,"additions":1}"#],
            r#"2 | 0 | decided | 2 | {"total":6,"additions":2}"#
        )
    );
    assert_eq!(entries(&place, "b"), [r#"1 | 0 | decided | 1 | {"total":7}"#], "migrated lazily");
    place.verifies();
}

#[test]
fn migrations_are_chained_through_releases_that_an_entity_slept_through() {
    let place = first_release();
    for (release, number) in [("migrate-v2", 3), ("migrate-v3", 4)] {
        place.install(&fixture(release));
        place.append([add("a", number, 1)]);
        place.run_as_far_as_the_stream();
    }
    place.append([add("b", 5, 2)]);
    place.run_as_far_as_the_stream();
    let of_b: Vec<String> = entries(&place, "b").iter().map(|row| row.splitn(3, " | ").nth(2).unwrap().to_owned()).collect();
    assert_eq!(
        of_b,
        [
            r#"decided | 1 | {"total":7}"#,
            r#"migrated | 2 | {"total":7,"additions":1}"#,
            r#"migrated | 3 | {"total":7,"additions":1,"largest":null}"#,
            r#"decided | 3 | {"total":9,"additions":2,"largest":2}"#,
        ]
    );
    place.verifies();
}

#[test]
fn a_state_of_another_type_without_a_migration_is_refused() {
    let place = first_release();
    let before = (released(&place), entries(&place, "a"));
    place.install(&fixture("migrate-missing"));
    place.append([add("a", 3, 1)]);
    let refused = run(&place).exits(2);
    assert!(refused.err.contains("migrate") && refused.err.contains("adding"), "{}", refused.err);
    assert_eq!((released(&place), entries(&place, "a")), before);

    // The release before goes on where it was.
    place.install(&fixture("migrate-v1"));
    place.run_as_far_as_the_stream();
    assert_eq!(place.state("adding.db", "a"), json!({"total": 6}));
    assert_eq!(released(&place), ["released | 1"]);
}

#[test]
fn a_migration_from_another_type_than_the_last_is_refused() {
    let place = first_release();
    place.install(&fixture("migrate-v3"));
    let refused = run(&place).exits(2);
    assert!(refused.err.contains("migrate"), "{}", refused.err);
    assert_eq!(released(&place), ["released | 1"]);
}

#[test]
fn a_state_that_migrate_will_not_take_over_parks_its_entity_alone() {
    let place = Place::new(MANIFEST, &fixture("migrate-v1"));
    place.stream([add("unlucky", 1, 13), add("lucky", 2, 7)]);
    place.run_as_far_as_the_stream();
    place.install(&fixture("migrate-v2"));
    place.append([add("unlucky", 3, 1), add("lucky", 4, 1)]);
    let summary = place.run_as_far_as_the_stream();
    assert_eq!((&summary["parked"], &summary["accepted"]), (&1.into(), &1.into()), "{summary}");
    let why = place.value("adding.db", "SELECT output FROM entries WHERE entity = 'unlucky' AND kind = 'parked'");
    assert!(why.contains("13 is nothing to build on"), "{why}");
    assert_eq!(place.state("adding.db", "lucky"), json!({"total": 8, "additions": 2}));
    place.verifies();
}
