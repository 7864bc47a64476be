//! Dead letters of lines that are read a second time are buried once.

use crate::place::{Place, Running};
use crate::program::{Done, with_input};
use crate::tables::number;
use crate::wire::Node;

const CORRELATION: &str = "eeeeeeee-0000-4000-8000-0000000000ae";
const LETTERS: &str = "SELECT count(*) FROM dead_letters";

fn from_standard_input(place: &Place, lines: &[&str]) -> serde_json::Value {
    let command = place.command("run", &["--events", "-", "--clock", "event", "--until-idle", "--json"]);
    let done: Done = with_input(command, format!("{}\n", lines.join("\n")).into_bytes());
    done.well().json().pop().expect("a summary")
}

#[test]
fn a_stream_from_standard_input_that_is_read_twice_buries_its_letters_once() {
    let place = Place::registration();
    let good = Node::new(1, "effect").introspection(0.0, CORRELATION);
    let first = from_standard_input(&place, &["garbage", &good, "more garbage", "garbage"]);
    assert_eq!((&first["dead_letters"], &first["duplicates"]), (&2.into(), &1.into()), "{first}");
    let second = from_standard_input(&place, &["garbage", &good, "more garbage", "other garbage"]);
    assert_eq!((&second["dead_letters"], &second["duplicates"]), (&1.into(), &3.into()), "{second}");
    assert_eq!(place.value("registration.db", LETTERS), "3");

    place.ask("dead-letters", &["drop", "--reason", "seen", "1"]).well();
    assert_eq!(from_standard_input(&place, &["garbage"])["dead_letters"], 0, "dropped is dropped");
    assert_eq!(place.value("registration.db", LETTERS), "2");
}

#[test]
fn a_letter_that_was_dropped_before_the_position_came_to_it_stays_dropped() {
    // The first event's entity waits for its effects, which are locked out: the position stays before it.
    let place = Place::registration();
    let node = Node::new(1, "effect");
    place.stream([""; 0]);
    let journal = place.path("registration.db");
    let follow = || Running::start(place.running(&["--clock", "event", "--follow"]));
    let mut running = follow();
    let busy = place.path("records.db");
    // The last effect to be made ready: the tables of the others are there.
    let last = place.path("events.jsonl");
    running.until("the effects", || last.exists() && number(&journal, "SELECT count(*) FROM sources") == 1);
    let lock = crate::tables::Locked::take(&busy);
    place.append([node.introspection(0.0, CORRELATION), node.heartbeat(1.0), "garbage".into()]);
    running.until("the letter", || number(&journal, LETTERS) == 1);
    place.ask("dead-letters", &["drop", "--reason", "seen", "1"]).well();
    running.kill();
    assert!(number(&journal, "SELECT next_line FROM sources") < 3, "the position is before the letter");
    lock.release();
    let mut running = follow();
    running.until("the end", || number(&journal, "SELECT next_line FROM sources") == 3);
    running.kill();
    assert_eq!(place.value("registration.db", LETTERS), "0");
}
