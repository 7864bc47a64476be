//! The commands that look at a workflow and mend it, as an operator types them: beside a running host and without one.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::place::{Place, Running};
use crate::program::{Done, purefold, signal};
use crate::tables;
use crate::wire::{Node, at, event};

const STORE: &str = "registration.db";

/// Correlation ids of three conversations.
const FIRST: &str = "c0000000-0000-4000-8000-000000000001";
const SECOND: &str = "c0000000-0000-4000-8000-000000000002";
const THIRD: &str = "c0000000-0000-4000-8000-000000000003";

/// A node that registers, acknowledges and lives for a while.
fn registered(place: &Place) -> Node {
    let node = Node::new(1, "effect");
    place.stream([node.introspection(0.0, FIRST), node.ack(1.0, FIRST), node.heartbeat(2.0)]);
    place.run_as_far_as_the_stream();
    node
}

/// The names of a JSON object's fields, in the order in which they are written.
fn fields(line: &str) -> Vec<String> {
    // Only the names at the object's own depth count.
    let (mut names, mut depth, mut text, mut in_text, mut escaped) = (Vec::new(), 0, String::new(), false, false);
    for character in line.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => {
                in_text = !in_text;
                if in_text {
                    text.clear();
                }
            }
            _ if in_text => text.push(character),
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ':' if depth == 1 => names.push(text.clone()),
            _ => {}
        }
    }
    names
}

#[track_caller]
fn assert_fields(done: &Done, first: &[&str]) {
    assert!(!done.out.is_empty(), "nothing was printed");
    for line in done.out.lines() {
        let names = fields(line);
        assert_eq!(names.get(..first.len()).unwrap_or(&names), first, "{line}");
    }
}

#[test]
fn state_tells_one_entity_all_of_them_and_earlier_states() {
    let place = Place::registration();
    let node = registered(&place);
    let stranger = Node::new(2, "compute");
    place.append([stranger.heartbeat(3.0)]);
    place.run_as_far_as_the_stream();

    let all = place.ask("state", &["--json"]).well();
    assert_fields(&all, &["entity", "sequence", "release", "state"]);
    let lines = all.json();
    assert_eq!(lines.len(), 1, "an entity that never began has no state: {}", all.out);
    assert_eq!(lines[0]["entity"], *node.id);
    assert_eq!(lines[0]["state"], place.state(STORE, &node.id));
    assert_eq!(place.ask("state", &[&node.id, "--json"]).well().json(), lines);

    let last = lines[0]["sequence"].as_u64().unwrap();
    let phase = |sequence: u64| {
        place.ask("state", &[&node.id, "--at", &sequence.to_string(), "--json"]).well().json().remove(0)["state"]["phase"].clone()
    };
    assert_eq!((phase(1), phase(last)), (json!("awaiting_ack"), json!("active")));
    let now = place.ask("state", &[&node.id, "--at", &last.to_string(), "--json"]).well().json();
    assert_eq!(now, lines);

    let without = place.ask("state", &[&stranger.id, "--json"]).well().json();
    assert_eq!(without, [json!({"entity": stranger.id, "sequence": 1, "release": 1, "state": null})]);

    let shown = place.ask("state", &[&node.id]).well().out;
    assert!(shown.contains("\n  \"phase\": \"active\",\n"), "{shown}");
    let table = place.ask("state", &[]).well().out;
    assert!(table.starts_with("entity") && table.contains(&node.id), "{table}");
}

#[test]
fn a_rejected_decision_leaves_the_state_that_was() {
    let place = Place::registration();
    let node = registered(&place);
    let before = place.ask("state", &[&node.id, "--json"]).well().json().remove(0);
    place.append([node.introspection(4.0, SECOND)]);
    place.run_as_far_as_the_stream();
    let after = place.ask("state", &[&node.id, "--json"]).well().json().remove(0);
    assert_eq!(after["sequence"].as_u64(), before["sequence"].as_u64().map(|sequence| sequence + 1));
    assert_eq!(after["state"], before["state"]);
    let at = place.ask("state", &[&node.id, "--at", &after["sequence"].to_string(), "--json"]).well().json().remove(0);
    assert_eq!(at, after);
}

#[test]
fn a_file_that_is_not_there_is_wrong_input_whichever_command_reads_it() {
    let place = Place::registration();
    let (folder, missing) = (place.path(""), place.path("missing"));
    let (folder, missing) = (folder.to_str().unwrap(), missing.to_str().unwrap());
    for file in [folder, missing] {
        for options in [&["--events", file, "--until-idle"][..], &["--events", file, "--follow"]] {
            let done = place.ask("run", options).exits(2);
            assert!(done.err.contains("cannot read the events of"), "{done:?}");
            assert_eq!(done.err.matches("os error").count(), 1, "the cause is told once: {}", done.err);
        }
        assert!(place.ask("bench", &["--events", file]).exits(2).err.contains("cannot read the events of"));
        for command in ["reduce", "component", "check", "verify"] {
            let output = if command == "component" { &["out.wasm"][..] } else { &[] };
            let done: Done = purefold([command, file].iter().chain(output)).output().expect("purefold can be started").into();
            assert_eq!(done.code, Some(2), "{command} {file}: {done:?}");
        }
    }
    fs::write(place.path("empty.jsonl"), "").unwrap();
    let empty = place.path("empty.jsonl");
    assert!(place.ask("bench", &["--events", empty.to_str().unwrap()]).exits(2).err.contains("holds no events"));
}

#[test]
fn what_cannot_be_shown_is_told_by_the_exit_code_and_never_on_standard_output() {
    let place = Place::registration();
    place.stream::<&str>([]);
    assert!(place.ask("state", &[]).exits(2).err.contains("has the workflow run yet?"));
    let node = registered(&place);
    let table: [(&str, &[&str], i32, &str); 12] = [
        ("state", &["nobody"], 1, "knows no entity \"nobody\""),
        ("state", &[&node.id, "--at", "99"], 1, "has no decision 99"),
        ("state", &["--at", "1"], 2, "<KEY>"),
        ("state", &[&node.id, "--at", "0"], 2, "--at"),
        ("journal", &["nobody"], 1, "knows no entity \"nobody\""),
        ("journal", &["--json", "--full"], 2, "--full"),
        ("dead-letters", &["show", "7"], 1, "has no dead letter 7"),
        ("dead-letters", &["redrive"], 2, "<ID>"),
        ("dead-letters", &["drop", "7"], 2, "--reason"),
        ("parked", &["show", &node.id], 1, "is not parked"),
        ("parked", &["drop", "--reason", "x"], 2, "<KEY|--all>"),
        ("parked", &["drop", "a"], 2, "--reason"),
    ];
    for (command, rest, code, told) in table {
        let done = place.ask(command, rest).exits(code);
        assert!(done.err.contains(told), "{command} {rest:?}: {}", done.err);
        assert_eq!(done.out, "", "{command} {rest:?}");
    }
    let refused = place.ask("parked", &["redrive", &node.id, "--json"]).exits(1).json();
    assert_eq!(refused[0]["answer"], "refused: the entity is not parked");
    assert_eq!(
        place.ask("dead-letters", &["drop", "7", "--reason", "tested", "--json"]).exits(1).json(),
        [json!({"id": 7, "answer": "refused: there is no dead letter 7; there are none"})]
    );
}

#[test]
fn journal_tells_every_entry_as_it_is_stored() {
    let place = Place::registration();
    let node = registered(&place);
    let order = ["entity", "sequence", "ordinal", "kind", "release", "now", "event_id", "correlation_id", "input", "decision", "hash"];
    let whole = place.ask("journal", &["--json"]).well();
    assert_fields(&whole, &order);
    let whole = whole.json();
    assert_eq!(whole.len().to_string(), place.value(STORE, "SELECT count(*) FROM journal"));
    assert_eq!((&whole[0]["kind"], &whole[0]["entity"]), (&json!("released"), &json!("")));

    let chain = place.ask("journal", &[&node.id, "--json"]).well().json();
    let numbers: Vec<(u64, u64)> =
        chain.iter().map(|entry| (entry["sequence"].as_u64().unwrap(), entry["ordinal"].as_u64().unwrap())).collect();
    assert!(numbers.is_sorted() && numbers[0] == (1, 0), "oldest first: {numbers:?}");
    let of_node: Vec<&Value> = whole.iter().filter(|entry| entry["entity"] == *node.id).collect();
    assert_eq!(of_node, chain.iter().collect::<Vec<_>>());

    let first = &chain[0];
    assert_eq!((&first["now"], &first["correlation_id"]), (&json!(at(0.0)), &json!(FIRST)));
    assert_eq!(first["input"]["introspected"]["node_id"], *node.id);
    assert_eq!(first["decision"]["accepted"]["state"]["phase"], "awaiting_ack");
    assert_eq!(first["decision"]["accepted"]["intents"].as_array().map(Vec::len), Some(5));
    let sql = format!("SELECT lower(hash) FROM entries WHERE entity = '{}' AND sequence = 1 AND ordinal = 0", node.id);
    assert_eq!(first["hash"], *place.value(STORE, &sql));
    let concluded = chain.iter().find(|entry| entry["kind"] == "concluded").unwrap();
    assert_eq!((&concluded["decision"], &concluded["result"]), (&Value::Null, &json!({"ok": null})));

    let table = place.ask("journal", &[&node.id]).well().out;
    assert!(table.contains("accepted: initiated, accepted, upsert_record, register_service, timer"), "{table}");
    assert_eq!(table.lines().count(), chain.len() + 1);
    let full = place.ask("journal", &[&node.id, "--full"]).well().out;
    assert!(full.contains(&format!("correlation id: {FIRST}")) && full.contains("\"phase\": \"awaiting_ack\""), "{full}");
}

#[test]
fn an_altered_entry_is_shown_and_does_not_break_the_lines() {
    let place = Place::registration();
    let node = registered(&place);
    tables::change(&place.path(STORE), "UPDATE journal SET state = substr(state, 1, 20) || char(10) WHERE sequence = 1 AND ordinal = 0");
    let chain = place.ask("journal", &[&node.id, "--json"]).well().json();
    let shown = chain[0]["decision"]["accepted"]["state"].as_str().expect("what is no JSON is shown as text");
    assert!(shown.starts_with("{\"node_id\":") && shown.ends_with('\n'), "{shown}");
}

#[test]
fn intents_are_told_with_what_became_of_them() {
    let place = Place::registration();
    registered(&place);
    assert_eq!(place.ask("intents", &["--json"]).well().out, "", "nothing is outstanding");
    let all = place.ask("intents", &["--all", "--json"]).well();
    assert_fields(&all, &["id", "entity", "sequence", "index", "case", "effect", "status", "attempts", "payload"]);
    let all = all.json();
    assert!(all.iter().all(|intent| intent["status"] == "done" && intent["effect"] != "timer"), "{all:#?}");
    let told: BTreeSet<&str> =
        all.iter().filter(|intent| intent["effect"] == "events").filter_map(|intent| intent["id"].as_str()).collect();
    let published = place.published("events.jsonl");
    assert_eq!(told, published.iter().filter_map(|event| event["id"].as_str()).collect::<BTreeSet<_>>());
    let cases: Vec<&str> = all.iter().filter_map(|intent| intent["case"].as_str()).collect();
    assert_eq!(cases[..4], ["initiated", "accepted", "upsert_record", "register_service"]);
}

#[test]
fn failed_and_held_intents_say_why() {
    let place = Place::registration();
    registered(&place);
    let few = "retry = { attempts = 1, first = \"1ms\", most = \"1ms\", deadline = \"5s\" }\n";
    place.mend("[intents.upsert-record]\n", &format!("[intents.upsert-record]\n{few}"));
    let records = place.path("records.db");
    for (name, what) in [("no_insert", "INSERT"), ("no_update", "UPDATE")] {
        let body = "BEGIN SELECT RAISE(ABORT, 'the table is closed'); END";
        tables::change(&records, &format!("CREATE TRIGGER {name} BEFORE {what} ON registration_projections {body}"));
    }
    // A new node's row cannot be written, which the reducer is told; nor can the known one's, which waits for an operator.
    let (known, new) = (Node::new(1, "effect"), Node::new(3, "reducer"));
    place.append([new.introspection(10.0, THIRD), known.heartbeat(11.0)]);
    place.run_as_far_as_the_stream();

    let all = place.ask("intents", &["--all", "--json"]).well().json();
    let upsert = all.iter().find(|intent| intent["case"] == "upsert_record" && intent["entity"] == *new.id).unwrap();
    assert_eq!(upsert["status"], "failed", "{upsert}");
    assert!(upsert["reason"].to_string().contains("the table is closed"), "{upsert}");

    let outstanding = place.ask("intents", &["--json"]).well().json();
    assert_eq!(outstanding.len(), 1, "{outstanding:#?}");
    let held = &outstanding[0];
    assert_eq!((&held["case"], &held["entity"], &held["status"]), (&json!("set_heartbeat"), &json!(known.id), &json!("held")));
    assert_eq!((&held["effect"], &held["attempts"]), (&json!("records"), &json!(1)));
    assert!(held["reason"].to_string().contains("the table is closed"), "{held}");
    assert_eq!(held["payload"]["last_heartbeat_at"], *at(11.0));
    assert!(all.contains(held), "{all:#?}");
    assert!(place.ask("intents", &[]).well().out.contains("held"));
}

#[test]
fn dead_letters_are_listed_shown_mended_and_dropped() {
    let place = Place::registration();
    let node = Node::new(1, "effect");
    let later = event(
        "node.announced.v2",
        "later",
        &node.source(),
        1.0,
        None,
        &json!({
            "node_id": node.id, "node_type": "effect", "correlation_id": SECOND, "timestamp": at(1.0),
        }),
    );
    place.stream(["not JSON \u{1b}[31m", &later]);
    place.run_as_far_as_the_stream();

    let list = place.ask("dead-letters", &["list", "--json"]).well();
    assert_fields(&list, &["position", "event_id", "code", "path", "reason"]);
    let letters = list.json();
    let told: Vec<_> =
        letters.iter().map(|letter| (letter["position"].as_u64(), letter["event_id"].as_str(), letter["code"].as_str())).collect();
    assert_eq!(told, [(Some(1), None, Some("not-json")), (Some(2), Some("later"), Some("type-unroutable"))]);
    let ids: Vec<String> = letters.iter().map(|letter| letter["id"].to_string()).collect();
    let shown = place.ask("dead-letters", &["show", &ids[1], "--json"]).well().json();
    assert_eq!(shown[0]["bytes"], *later);
    assert!(place.ask("dead-letters", &["show", &ids[1]]).well().out.ends_with(&format!("{later}\n")));

    let refused = place.ask("dead-letters", &["redrive", &ids[1]]).exits(1).out;
    assert!(refused.contains("refused: type-unroutable"), "{refused}");
    place.mend("[inputs]\n", "[inputs]\n\"node.announced.v2\" = \"introspected\"\n");
    let taken = place.ask("dead-letters", &["redrive", &ids[1], "--json"]).well().json();
    assert_eq!(taken[0]["id"].to_string(), ids[1]);
    let state = place.ask("state", &[&node.id, "--json"]).well().json().remove(0);
    assert_eq!((&state["release"], &state["state"]["phase"]), (&json!(2), &json!("awaiting_ack")));
    assert!(
        place
            .ask("dead-letters", &["redrive", &ids[1]])
            .exits(1)
            .out
            .contains(&format!("refused: there is no dead letter {}; there are {}", ids[1], ids[0]))
    );

    assert_eq!(
        place.ask("dead-letters", &["drop", &ids[0], "--reason", "tested", "--json"]).well().json(),
        [json!({"id": letters[0]["id"], "answer": "dropped"})]
    );
    assert_eq!(place.ask("dead-letters", &["list", "--json"]).well().out, "");
    place.run().well();
    place.verifies();
}

#[test]
fn a_running_host_does_what_it_is_asked() {
    let place = Place::registration();
    let node = Node::new(1, "effect");
    place.stream(["garbage", &node.introspection(0.0, FIRST)]);
    let mut host = Running::start(place.running(&["--clock", "arrival"]));
    let store = place.path(STORE);
    host.until("the stream is read", || {
        tables::number(&store, "SELECT count(*) FROM states") == 1 && tables::number(&store, "SELECT count(*) FROM dead_letters") == 1
    });
    let id = place.ask("dead-letters", &["list", "--json"]).well().json()[0]["id"].to_string();
    assert!(place.ask("dead-letters", &["redrive", &id]).exits(1).out.contains("refused: not-json"));
    assert!(place.ask("dead-letters", &["drop", &id, "--reason", "tested"]).well().out.contains("dropped"));
    assert_eq!(place.ask("dead-letters", &["list", "--json"]).well().out, "");
    assert!(place.ask("parked", &["redrive", &node.id]).exits(1).out.contains("refused: the entity is not parked"));
    signal(host.child(), "TERM");
    host.end().well();
}

fn poke(id: &str, seconds: f64, misdeed: &str) -> String {
    let data = json!({"id": "a", "misdeed": misdeed, "value": 1.0});
    event("fixture.poke.v1", id, "/tests", seconds, None, &data)
}

/// An entity that faulted on its second input, with two more waiting behind.
fn parked() -> Place {
    let place = Place::misbehaving();
    place.stream([poke("one", 0.0, "none"), poke("two", 1.0, "panic"), poke("three", 2.0, "none"), poke("four", 3.0, "endless_loop")]);
    place.run_as_far_as_the_stream();
    place
}

#[test]
fn parked_entities_are_listed_with_why_and_what_waits() {
    let place = parked();
    let list = place.ask("parked", &["list", "--json"]).well();
    assert_fields(&list, &["entity", "sequence", "code", "reason", "waiting"]);
    let list = list.json();
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!(
        (&list[0]["entity"], &list[0]["sequence"], &list[0]["code"], &list[0]["waiting"]),
        (&json!("a"), &json!(2), &json!("trap"), &json!(3))
    );
    let shown = place.ask("parked", &["show", "a", "--json"]).well().json();
    let inputs: Vec<_> = shown.iter().map(|input| (input["position"].as_u64().unwrap(), input["event_id"].as_str().unwrap())).collect();
    assert_eq!(inputs, [(1, "two"), (2, "three"), (3, "four")]);
    assert_eq!(shown[0]["input"], json!({"poke": {"id": "a", "misdeed": "panic", "value": 1.0}}));
    assert!(place.ask("parked", &["list"]).well().out.contains("trap"));
    assert!(place.ask("parked", &["show", "a"]).well().out.contains("3 waiting"));
}

#[test]
fn a_parked_entity_is_redriven_and_its_head_dropped_without_a_host() {
    let place = parked();
    let again = place.ask("parked", &["redrive", "a", "--json"]).exits(1).json();
    assert_eq!(again, [json!({"entity": "a", "answer": "resumed", "parked": true, "waiting": 3})]);
    let list = place.ask("parked", &["list", "--json"]).well().json();
    assert_eq!((&list[0]["sequence"], &list[0]["code"]), (&json!(3), &json!("trap")), "decided again under the next sequence");

    // `three` is decided; `four` waits for the outcome of what `three` asks for, which only a run has performed.
    let dropped = place.ask("parked", &["drop", "a", "--reason", "tested", "--json"]).well().json();
    assert_eq!(dropped, [json!({"entity": "a", "answer": "dropped the head of the inbox", "parked": false, "waiting": 1})]);
    let state = place.ask("state", &["a", "--json"]).well().json().remove(0);
    assert_eq!((&state["sequence"], &state["state"]["count"]), (&json!(4), &json!(2)));
    assert_eq!(place.ask("intents", &["--json"]).well().json()[0]["status"], "pending");
    assert_eq!(place.ask("parked", &["list", "--json"]).well().out, "");

    place.run().well();
    let list = place.ask("parked", &["list", "--json"]).well().json();
    assert_eq!((&list[0]["sequence"], &list[0]["code"], &list[0]["waiting"]), (&json!(5), &json!("fuel"), &json!(1)));
    let shown = place.ask("parked", &["redrive", "a"]).exits(1).out;
    assert!(shown.contains("a: resumed\n  parked again: fuel:"), "{shown}");

    let journal = place.ask("journal", &["a", "--json"]).well().json();
    let kinds: Vec<&str> = journal.iter().filter_map(|entry| entry["kind"].as_str()).filter(|kind| *kind != "concluded").collect();
    let expected = "decided decided parked resumed decided parked dropped decided decided parked resumed decided parked";
    assert_eq!(kinds, expected.split(' ').collect::<Vec<_>>());
    place.verifies();
}

#[test]
fn a_parked_entity_goes_on_beside_a_running_host() {
    let place = Place::misbehaving();
    place.stream([poke("one", 0.0, "panic"), poke("two", 1.0, "none")]);
    let mut host = Running::start(place.running(&["--clock", "arrival"]));
    let store = place.path("misbehaving.db");
    host.until("both wait", || tables::number(&store, "SELECT count(*) FROM inbox") == 2);
    let answer = place.ask("parked", &["drop", "a", "--reason", "tested", "--json"]).well().json().remove(0);
    assert_eq!((&answer["answer"], &answer["parked"]), (&json!("dropped the head of the inbox"), &json!(false)));
    assert_eq!(place.ask("state", &["a", "--json"]).well().json()[0]["state"]["count"], 1);
    signal(host.child(), "TERM");
    host.end().well();
}

/// Where a host died in the middle of its stream, a timer may be due whose entity has an event yet to be read.
#[test]
fn a_command_without_a_host_fires_no_timer() {
    let place = Place::registration();
    let (silent, other) = (Node::new(1, "effect"), Node::new(2, "compute"));
    let mut host = Running::start({
        let mut command = place.command("run", &["--events", "-", "--clock", "event"]);
        command.stdin(Stdio::piped());
        command
    });
    let lines = ["garbage".to_owned(), silent.introspection(0.0, FIRST), other.introspection(100.0, SECOND)];
    let mut stream = host.child().stdin.take().unwrap();
    stream.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
    let store = place.path(STORE);
    host.until("all is decided", || {
        tables::number(&store, "SELECT count(*) FROM entities WHERE sequence = 3") == 2
            && tables::number(&store, "SELECT count(*) FROM outbox") == 0
    });
    host.kill();
    drop(stream);

    let id = place.ask("dead-letters", &["list", "--json"]).well().json()[0]["id"].to_string();
    place.ask("dead-letters", &["drop", &id, "--reason", "tested"]).well();
    assert_eq!(place.state(STORE, &silent.id)["phase"], "awaiting_ack");
}
