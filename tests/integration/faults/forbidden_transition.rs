//! A transition that the declared machine forbids is faulted, like a trap.

use crate::place::Place;
use crate::wire::Node;

const CORRELATION: &str = "eeeeeeee-0000-4000-8000-000000000007";

#[test]
fn a_forbidden_transition_faults_and_parks_the_entity() {
    let place = Place::registration();
    place.mend("\"awaiting-ack\" = [\"active\", \"ack-timed-out\", \"rejected\"]", "\"awaiting-ack\" = [\"ack-timed-out\", \"rejected\"]");
    let (node, other) = (Node::new(1, "effect"), Node::new(2, "effect"));
    place.stream([node.introspection(0.0, CORRELATION), node.ack(1.0, CORRELATION), other.introspection(2.0, CORRELATION)]);
    let summary = place.run_as_far_as_the_stream();
    assert_eq!((&summary["faulted"], &summary["parked"]), (&1.into(), &1.into()), "{summary}");

    let fault = place.value("registration.db", "SELECT entity || ' ' || output FROM entries WHERE verdict = 'faulted'");
    assert!(fault.starts_with(&format!("{} {{\"code\":\"machine\"", node.id)), "{fault}");
    assert!(fault.contains("awaiting-ack") && fault.contains("active"), "the phases are named: {fault}");
    assert_eq!(place.state("registration.db", &node.id)["phase"], "awaiting_ack", "nothing changed");
    assert_eq!(place.published("events.jsonl").iter().filter(|event| event["type"].as_str().unwrap().contains("became-active")).count(), 0);
    assert_eq!(place.state("registration.db", &other.id)["dual"], "complete", "others go on");
    place.verifies();
}
