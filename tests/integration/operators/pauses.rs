//! A workflow, an effect or an entity stands still: what waits, what goes on, and that it survives the host.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use super::{acts, on_each_store};
use crate::faults::poke;
use crate::place::{Place, Running};
use crate::program::{Done, signal};
use crate::tables::number;

const STORE: &str = "misbehaving.db";

fn decided(place: &Place) -> Vec<String> {
    place.rows(STORE, "SELECT event_id FROM entries WHERE kind = 'decided' ORDER BY event_id")
}

fn status(place: &Place) -> Value {
    place.ask("status", &["--json"]).well().json().remove(0)
}

fn arrival(place: &Place) -> Done {
    place.running(&["--until-idle"]).output().expect("purefold can be started").into()
}

fn begun(place: Place) -> Place {
    place.stream([poke("a", 1, "none"), poke("b", 2, "none")]);
    place.run_as_far_as_the_stream();
    place
}

#[test]
fn a_paused_workflow_takes_no_events_until_it_is_resumed() {
    for place in on_each_store(Place::misbehaving).map(begun) {
        let paused = place.ask("pause", &["--reason", "we look at it", "--by", "ann", "--json"]).well().json();
        assert_eq!(paused, [json!({"scope": "workflow", "name": "", "answer": "paused: the workflow"})]);
        assert!(place.ask("pause", &[]).exits(1).out.contains("refused: the workflow is paused already"));
        place.append([poke("a", 3, "none")]);
        let summary = place.run_as_far_as_the_stream();
        assert_eq!((&summary["paused"], &summary["accepted"]), (&1.into(), &0.into()), "a run ends, and says so: {summary}");
        let told = status(&place);
        assert_eq!(
            told["paused"][0],
            json!({"scope": "workflow", "name": "", "since": "2026-02-13T12:00:02.000000Z", "by": "ann", "reason": "we look at it"})
        );
        assert_eq!(told["sources"][0], json!({"name": "stream.jsonl", "position": 2, "read": 2, "lag": null, "duplicates": 0}));
        assert!(
            place.ask("status", &[]).well().out.contains("PAUSED: the workflow, since 2026-02-13T12:00:02.000000Z by ann: we look at it")
        );
        place.verifies();

        place.ask("resume", &["--by", "bob"]).well();
        place.run_as_far_as_the_stream();
        assert_eq!(decided(&place), ["a-1", "a-3", "b-2"]);
        assert_eq!(acts(&place, STORE, ""), ["paused | ann | we look at it", "resumed | bob | "]);
        let refused = place.ask("resume", &[]).exits(1);
        assert!(refused.out.contains("the workflow is not paused") && refused.err.contains("nothing is paused"), "{refused:?}");
        place.verifies();
    }
}

#[test]
fn a_running_host_pauses_and_goes_on_where_it_stopped() {
    let place = Place::misbehaving();
    let mut host = Running::start({
        let mut command = place.command("run", &["--events", "-", "--clock", "event"]);
        command.stdin(Stdio::piped());
        command
    });
    let mut stream = host.child().stdin.take().unwrap();
    let store = place.path(STORE);
    let done = |id: &str| number(&store, &format!("SELECT count(*) FROM entries WHERE event_id = '{id}'")) == 1;
    writeln!(stream, "{}", poke("a", 1, "none")).unwrap();
    host.until("it runs", || done("a-1"));
    place.ask("pause", &["--reason", "wait"]).well();
    writeln!(stream, "{}", poke("b", 2, "none")).unwrap();
    place.ask("pause", &["--entity", "a"]).well();
    assert!(!done("b-2"));
    place.ask("resume", &[]).well();
    host.until("it goes on", || done("b-2"));
    signal(host.child(), "TERM");
    drop(stream);
    host.end().well();
    assert_eq!(acts(&place, STORE, "").len(), 3);
    place.verifies();
}

#[test]
fn a_paused_entity_keeps_its_inputs_in_order_and_others_go_on() {
    for place in on_each_store(Place::misbehaving).map(begun) {
        place.mend("[store]", "[limits]\ninbox = 2\n\n[store]");
        place.ask("pause", &["--entity", "a", "--reason", "odd", "--by", "ann"]).well();
        place.append([poke("a", 3, "none"), poke("b", 4, "none"), poke("a", 5, "none"), poke("a", 6, "none")]);
        place.run_as_far_as_the_stream();
        assert_eq!(decided(&place), ["a-1", "b-2", "b-4"]);
        assert_eq!(place.rows(STORE, "SELECT event_id FROM inbox ORDER BY id"), ["a-3", "a-5"]);
        assert_eq!(place.rows(STORE, "SELECT code, key FROM dead_letters"), ["inbox-full | a"]);
        assert_eq!(status(&place)["waiting"], 2);
        place.verifies();
        place.ask("resume", &["--entity", "a"]).well();
        place.run_as_far_as_the_stream();
        let order = place.rows(STORE, "SELECT event_id FROM entries WHERE entity = 'a' AND kind = 'decided' ORDER BY sequence");
        assert_eq!(order, ["a-1", "a-3", "a-5"]);
        assert!(place.ask("pause", &["--entity", "nobody"]).exits(1).out.contains("knows no entity \"nobody\""));
        place.verifies();
    }
}

#[test]
fn a_paused_effect_starts_no_attempts_and_the_run_ends() {
    for place in on_each_store(Place::misbehaving).map(begun) {
        place.ask("pause", &["--effect", "notes", "--by", "ann"]).well();
        place.append([poke("c", 3, "none"), poke("c", 4, "none")]);
        let summary = place.run_as_far_as_the_stream();
        assert_eq!(summary["paused"], 1, "{summary}");
        assert_eq!(place.rows("notes.db", "SELECT id FROM notes ORDER BY id"), ["a", "b"]);
        assert_eq!(decided(&place), ["a-1", "b-2", "c-3"], "on virtual time the entity waits for the outcome");
        assert_eq!(status(&place)["outstanding"], json!([{"effect": "notes", "status": "pending", "count": 1}]));
        place.verifies();
        place.ask("resume", &["--effect", "notes"]).well();
        place.run_as_far_as_the_stream();
        assert_eq!(place.rows("notes.db", "SELECT id FROM notes ORDER BY id"), ["a", "b", "c"]);
        assert_eq!(decided(&place), ["a-1", "b-2", "c-3", "c-4"]);
        let refused = place.ask("pause", &["--effect", "mail"]).exits(1).out;
        assert!(refused.contains("routes nothing to an effect \"mail\"; it has notes"), "{refused}");
        assert!(place.ask("pause", &["--effect", "notes", "--entity", "a"]).exits(2).err.contains("cannot be used with"));
        place.verifies();
    }
}

#[test]
fn a_paused_workflow_concludes_what_is_outstanding_and_fires_no_timer() {
    let place = Place::registration();
    let node = crate::wire::Node::new(1, "effect");
    let store = place.path("registration.db");
    place.stream([node.introspection(0.0, "c0000000-0000-4000-8000-000000000001")]);
    crate::acceptance::run_by_library(&place, false, 2);
    assert!(number(&store, "SELECT count(*) FROM outbox") > 0);
    place.ask("pause", &[]).well();
    let summary = place.run().well();
    assert_eq!(number(&store, "SELECT count(*) FROM outbox"), 0, "{summary:?}");
    assert_eq!(place.state("registration.db", &node.id)["phase"], "awaiting_ack", "its deadline has passed, but the timer waits");
    assert_eq!(number(&store, "SELECT count(*) FROM timers"), 1);
    place.ask("resume", &[]).well();
    place.run().well();
    assert_eq!(place.state("registration.db", &node.id)["phase"], "ack_timed_out");
    place.verifies();
}

#[test]
fn many_faults_at_once_pause_the_workflow() {
    for place in on_each_store(Place::misbehaving) {
        place.mend("[store]", "[faults]\npause-after = { count = 3, within = \"10m\" }\n\n[store]");
        place.stream((1..=2).map(|n| poke(&format!("e{n}"), n, "panic")));
        arrival(&place).well();
        assert_eq!(status(&place)["paused"], json!([]), "two are not many");
        place.append((3..=8).map(|n| poke(&format!("e{n}"), n, "panic")));
        let summary = arrival(&place).well().out;
        assert!(summary.contains("1 paused (see `purefold status`)"), "{summary}");
        let told = status(&place);
        assert_eq!((&told["paused"][0]["scope"], &told["paused"][0]["by"]), (&json!("workflow"), &json!("purefold")));
        assert!(told["paused"][0]["reason"].to_string().contains("3 faults within 600s"), "{told}");
        assert_eq!(acts(&place, STORE, "").len(), 1);
        place.append([poke("late", 9, "none")]);
        arrival(&place).well();
        assert!(!decided(&place).contains(&"late-9".to_owned()));
        place.ask("resume", &["--reason", "mended"]).well();
        arrival(&place).well();
        assert!(decided(&place).contains(&"late-9".to_owned()), "it counts anew");
        place.verifies();
    }
}

#[test]
fn virtual_time_is_never_paused_by_faults() {
    let place = Place::misbehaving();
    place.mend("[store]", "[faults]\npause-after = { count = 1 }\n\n[store]");
    place.stream([poke("a", 1, "panic"), poke("b", 2, "panic"), poke("c", 3, "none")]);
    let summary = place.run_as_far_as_the_stream();
    assert_eq!((&summary["paused"], &summary["parked"], &summary["accepted"]), (&0.into(), &2.into(), &1.into()), "{summary}");
}

#[test]
fn what_the_journal_does_not_say_is_paused_is_found() {
    let place = begun(Place::misbehaving());
    place.ask("pause", &[]).well();
    crate::tables::change(&place.path(STORE), "DELETE FROM pauses");
    let done = place.ask("verify", &["--json"]).exits(1);
    assert!(done.out.contains("pauses"), "{}", done.out);
}
