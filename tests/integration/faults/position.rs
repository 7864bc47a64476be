//! A position beyond the log's end is refused with an explanation, never read as duplicates.

use crate::place::Place;
use crate::program::Done;
use crate::traces::Traces;
use crate::wire::Node;

const CORRELATION: &str = "eeeeeeee-0000-4000-8000-000000000009";

fn run(place: &Place) -> Done {
    place.running(&["--clock", "event", "--until-idle"]).output().unwrap().into()
}

#[test]
fn a_stream_that_became_shorter_is_refused() {
    let place = Place::registration();
    place.stream(Node::of_each_type().iter().map(|node| node.introspection(0.0, CORRELATION)));
    run(&place).well();
    let before = Traces::of_registration(&place);
    place.cut_stream(100);
    let refused = run(&place).exits(2);
    assert!(refused.err.contains("100") && refused.err.contains("stream.jsonl"), "{}", refused.err);
    assert!(refused.out.is_empty(), "{}", refused.out);
    Traces::of_registration(&place).assert_same(&before, "a refused run changes nothing");
}

#[test]
fn a_stream_that_was_replaced_is_refused() {
    let place = Place::registration();
    place.stream([Node::new(1, "effect").introspection(0.0, CORRELATION)]);
    run(&place).well();
    let other = |number| Node::new(number, "orchestrator").introspection(0.0, CORRELATION);
    place.stream([other(7), other(8)]);
    let refused = run(&place).exits(2);
    assert!(refused.err.contains("stream.jsonl"), "{}", refused.err);
}

#[test]
fn a_stream_that_is_not_there_is_refused() {
    let place = Place::registration();
    let refused = run(&place).exits(2);
    assert!(refused.err.contains("stream.jsonl"), "{}", refused.err);
}
