//! A5: the same input gives the same output, byte for byte. Nothing is normalised away: clock and ids are inputs here.

use super::run_by_library;
use crate::place::Place;
use crate::program::{purefold, reducer, with_input};
use crate::repository::root;
use crate::traces::Traces;
use crate::vectors::{Decider, recorded_lines};

#[test]
fn two_processes_answer_every_recorded_case_byte_for_byte_alike() {
    let lines: String = recorded_lines().iter().map(|line| format!("{line}\n")).collect();
    let run = || {
        let mut command = purefold(["reduce"]);
        command.arg(reducer("registration"));
        with_input(command, lines.clone().into_bytes()).well().out
    };
    let first = run();
    assert!(first.lines().count() > 400);
    assert_eq!(first, run());
}

#[test]
fn what_was_decided_before_leaves_no_mark_on_a_decision() {
    let lines = recorded_lines();
    let (forward, backward) = (Decider::new(), Decider::new());
    let first: Vec<_> = lines.iter().map(|line| forward.decide(line)).collect();
    let mut second: Vec<_> = lines.iter().rev().map(|line| backward.decide(line)).collect();
    second.reverse();
    assert_eq!(first, second);
}

#[test]
fn a_run_is_a_function_of_its_stream_whatever_the_workers() {
    let traces = |workers| {
        let place = Place::registration();
        place.stream_from(&root().join("demo/events.jsonl"));
        run_by_library(&place, true, workers);
        Traces::of_registration(&place)
    };
    let one = traces(1);
    assert!(one.count("journal") > 500 && one.count("dead letters") > 5 && one.count("events.jsonl") > 100);
    traces(2).assert_same(&one, "two workers and one");
    traces(7).assert_same(&one, "seven workers and one");
}

#[test]
fn a_run_in_pieces_is_the_run_as_a_whole() {
    let stream = std::fs::read_to_string(root().join("demo/events.jsonl")).unwrap();
    let lines: Vec<&str> = stream.lines().collect();
    let whole = Place::registration();
    whole.stream(&lines);
    whole.run().well();

    let pieces = Place::registration();
    pieces.stream(&lines[..0]);
    for piece in lines.chunks(97) {
        pieces.append(piece);
        pieces.run_as_far_as_the_stream();
    }
    pieces.run().well();
    Traces::of_registration(&pieces).assert_same(&Traces::of_registration(&whole), "in pieces and as a whole");
}
