//! A4: the same event again leaves the state as it is and asks for nothing; of a partial failure only the failed half is retried.

use super::decisions;
use crate::place::{Place, Running};
use crate::tables::{Locked, number};
use crate::wire::Node;

const CORRELATION: &str = "dddddddd-0000-4000-8000-000000000004";

#[test]
fn the_same_event_again_is_counted_and_not_decided() {
    let place = Place::registration();
    let node = Node::new(1, "reducer");
    let event = node.introspection(0.0, CORRELATION);
    place.stream([&event]);
    place.run_as_far_as_the_stream();
    let (state, decided, published) =
        (place.state("registration.db", &node.id), decisions(&place, &node.id), place.published("events.jsonl").len());

    place.append([&event, &event]);
    let summary = place.run_as_far_as_the_stream();
    assert_eq!((&summary["duplicates"], &summary["accepted"], &summary["concluded"]), (&2.into(), &0.into(), &0.into()), "{summary}");
    assert_eq!(place.state("registration.db", &node.id), state);
    assert_eq!(decisions(&place, &node.id), decided);
    assert_eq!(place.published("events.jsonl").len(), published);
}

#[test]
fn the_same_announcement_under_another_id_changes_nothing() {
    let place = Place::registration();
    let node = Node::new(1, "reducer");
    place.stream([node.introspection(0.0, CORRELATION)]);
    place.run_as_far_as_the_stream();
    let state = place.state("registration.db", &node.id);
    place.append([node.introspection(1.0, CORRELATION)]);
    let summary = place.run_as_far_as_the_stream();
    assert_eq!((&summary["rejected"], &summary["concluded"]), (&1.into(), &0.into()), "{summary}");
    assert_eq!(place.state("registration.db", &node.id), state);
    assert_eq!(decisions(&place, &node.id).last().unwrap(), r#"introspected: rejected: {"blocked":"awaiting_ack"}"#);
}

#[test]
fn after_a_partial_failure_only_the_failed_half_is_tried_again() {
    let place = Place::registration();
    let node = Node::new(1, "effect");
    // Another node first, so that both backends have their files.
    place.stream([Node::new(2, "effect").introspection(0.0, CORRELATION)]);
    place.run_as_far_as_the_stream();

    place.append([node.introspection(1.0, CORRELATION)]);
    let catalogue = Locked::take(&place.path("services.db"));
    let mut running = Running::start(place.running(&["--clock", "event", "--until-idle"]));
    let journal = place.path("registration.db");
    // While the catalogue takes nothing, the row is written and the reducer knows.
    let partial = format!("SELECT count(*) FROM states WHERE entity = '{}' AND json_extract(state, '$.dual') = 'partial'", node.id);
    running.until("the record stored", || number(&journal, &partial) == 1);
    assert_eq!(place.value("records.db", "SELECT count(*) FROM registration_projections"), "2");
    let state = place.state("registration.db", &node.id);
    assert_eq!((&state["record"], &state["service"]), (&"done".into(), &"asked".into()));

    catalogue.release();
    running.end().well();
    assert_eq!(place.state("registration.db", &node.id)["dual"], "complete");
    assert_eq!(place.value("services.db", "SELECT count(*) FROM services"), "2");
    assert_eq!(
        decisions(&place, &node.id),
        [
            "introspected: accepted: initiated accepted upsert_record register_service timer",
            "record_stored: accepted",
            "service_registered: accepted: registration_result",
        ]
    );
}
