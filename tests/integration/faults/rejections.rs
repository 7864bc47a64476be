//! A typed rejection is journaled and changes nothing.

use crate::place::Place;
use crate::wire::Node;

const CORRELATION: &str = "eeeeeeee-0000-4000-8000-000000000006";

#[test]
fn a_rejection_is_journaled_and_changes_nothing() {
    let place = Place::registration();
    let (known, stranger) = (Node::new(1, "effect"), Node::new(2, "effect"));
    place.stream([known.introspection(0.0, CORRELATION), stranger.ack(1.0, CORRELATION), known.introspection(2.0, CORRELATION)]);
    let summary = place.run_as_far_as_the_stream();
    assert_eq!((&summary["rejected"], &summary["faulted"], &summary["parked"]), (&2.into(), &0.into(), &0.into()), "{summary}");
    let rejected =
        "SELECT entity, sequence, verdict, coalesce(state, 'no state'), output FROM entries WHERE verdict = 'rejected' ORDER BY entity";
    assert_eq!(
        place.rows("registration.db", rejected),
        [
            format!("{} | 4 | rejected | no state | {{\"blocked\":\"awaiting_ack\"}}", known.id),
            format!("{} | 1 | rejected | no state | \"unknown_node\"", stranger.id),
        ]
    );
    assert_eq!(place.rows("registration.db", "SELECT entity FROM states"), [known.id]);
    place.verifies();
}
