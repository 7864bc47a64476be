//! The same stream and the same commands, on both.

use serde_json::Value;

use super::{database, demo, demo_in};
use crate::place::Place;
use crate::program::Done;
use crate::traces::Traces;
use crate::wire::Node;

/// What of an answer does not tell which store it is of.
pub(super) fn told(done: &Done) -> Vec<String> {
    let keep = |line: &str| match serde_json::from_str::<Value>(line) {
        Ok(mut value) => {
            // The manifest says where the journal is, and rows are counted in either.
            strip(&mut value);
            value.to_string()
        }
        Err(_) => line.to_owned(),
    };
    done.out.lines().map(keep).collect()
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for name in ["manifest", "hash", "store"] {
                fields.remove(name);
            }
            fields.values_mut().for_each(strip);
        }
        Value::Array(values) => values.iter_mut().for_each(strip),
        _ => {}
    }
}

/// Asks the same of both, and expects the same of both.
pub(super) fn ask(places: &[Place; 2], command: &str, rest: &[&str]) -> Done {
    let [sqlite, postgres] = places;
    let (one, other) = (sqlite.ask(command, rest), postgres.ask(command, rest));
    assert_eq!(one.code, other.code, "{command} {rest:?}\n{}\n{}\n{}\n{}", one.out, one.err, other.out, other.err);
    assert_eq!(told(&one), told(&other), "{command} {rest:?}");
    one
}

#[test]
fn the_demo_ends_as_on_sqlite() {
    let places = [demo(), demo_in(database())];
    for place in &places {
        place.run().well();
        place.verifies();
    }
    let of = |place: &Place| Traces::of_registration(place).without_the_workflows_own();
    of(&places[0]).assert_same(&of(&places[1]), "on PostgreSQL");
    // Nothing is left to be done, and a second run finds so.
    places[1].run().well();
    of(&places[0]).assert_same(&of(&places[1]), "on PostgreSQL, once more");

    let state = ask(&places, "state", &["--json"]).well();
    let entity = state.json()[0]["entity"].as_str().expect("an entity").to_owned();
    ask(&places, "state", &[&entity, "--json"]).well();
    // All of it comes in the order of commits, which is another one in each run.
    let [one, other] = [0, 1].map(|index: usize| {
        let mut lines = told(&places[index].ask("journal", &["--json"]).well());
        lines.sort();
        lines
    });
    assert_eq!(one, other);
    ask(&places, "journal", &[&entity, "--json"]).well();
    ask(&places, "intents", &["list", "--all", "--json"]);
    ask(&places, "dead-letters", &["list", "--json"]);
    ask(&places, "parked", &["list", "--json"]);
}

#[test]
fn what_operators_do_is_done_as_on_sqlite() {
    let node = Node::new(1, "effect");
    let places = [Place::registration(), {
        let mut place = Place::registration();
        place.keep_journal_in(database());
        place
    }];
    for place in &places {
        let garbage = "no event".to_owned();
        place.stream([node.introspection(0.0, "c0000000-0000-4000-8000-000000000001"), garbage, node.heartbeat(2.0)]);
        place.run_as_far_as_the_stream();
    }
    let by = ["--by", "ann", "--reason", "to try it"];
    let with = |rest: &[&'static str]| [rest, &by[..]].concat();
    ask(&places, "pause", &with(&["--effect", "records"]));
    ask(&places, "status", &[]);
    ask(&places, "resume", &with(&["--effect", "records"]));
    ask(&places, "dead-letters", &["list", "--json"]);
    ask(&places, "dead-letters", &with(&["drop", "1"]));
    for (command, rest) in [("erase", vec![&*node.id, "--keep-state"]), ("erase", vec![&*node.id]), ("truncate", vec![])] {
        let rest: Vec<&str> = rest.into_iter().chain(by).collect();
        ask(&places, command, &rest);
    }
    for place in &places {
        place.verifies();
    }
    let of = |place: &Place| Traces::of_registration(place).without_the_workflows_own();
    of(&places[0]).assert_same(&of(&places[1]), "on PostgreSQL");
}
