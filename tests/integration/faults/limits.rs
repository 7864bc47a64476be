//! What breaks off or breaks a limit is journaled as faulted, with its code, and parks the entity.

use serde_json::json;

use crate::place::Place;
use crate::wire::event;

/// A misdeed of the fixture and the code of the fault that ends it.
const MISDEEDS: &[(&str, &str)] = &[
    ("panic", "trap"),
    ("endless_loop", "fuel"),
    ("memory_hog", "memory"),
    ("deep_recursion", "stack"),
    ("huge_output", "output-size"),
    ("too_many_intents", "too-many-intents"),
    ("instant_past_9999", "output-not-json"),
    ("key_twice", "output-not-json"),
];

/// An event that has the fixture commit a misdeed.
pub(crate) fn poke(entity: &str, number: u32, misdeed: &str) -> String {
    let data = json!({"id": entity, "misdeed": misdeed, "value": f64::from(number)});
    event("fixture.poke.v1", &format!("{entity}-{number}"), "/pokes", f64::from(number), None, &data)
}

#[test]
fn every_fault_is_journaled_with_its_code_and_parks_only_its_entity() {
    let place = Place::misbehaving();
    let mut lines: Vec<String> = MISDEEDS.iter().map(|(misdeed, _)| poke(misdeed, 1, misdeed)).collect();
    lines.push(poke("innocent", 1, "none"));
    place.stream(&lines);
    let summary = place.run_as_far_as_the_stream();
    let count = MISDEEDS.len();
    assert_eq!((&summary["faulted"], &summary["parked"], &summary["accepted"]), (&count.into(), &count.into(), &1.into()), "{summary}");

    for (misdeed, code) in MISDEEDS {
        let entries = format!(
            "SELECT sequence, ordinal, kind, coalesce(verdict, ''), json_extract(output, '$.code'), length(json_extract(output, '$.reason')) > 0, coalesce(state, '')
             FROM entries WHERE entity = '{misdeed}' ORDER BY sequence, ordinal"
        );
        assert_eq!(
            place.rows("misbehaving.db", &entries),
            [format!("1 | 0 | decided | faulted | {code} | 1 | "), format!("1 | 1 | parked |  | {code} | 1 | ")],
            "{misdeed}"
        );
    }
    assert_eq!(place.rows("notes.db", "SELECT id FROM notes"), ["innocent"]);
    place.verifies();
}
