//! A file that is followed: it grows, is renamed, and another one takes its place.

use std::fs;
use std::io::Write;
use std::process::Command;

use purefold_nodes as nodes;
use purefold_nodes::random::Random;

use crate::place::{Place, Running};
use crate::program::signal;
use crate::tables::number;
use crate::wire::{Node, now};

const CORRELATION: &str = "eeeeeeee-0000-4000-8000-0000000000ad";
const LETTERS: &str = "SELECT count(*) FROM dead_letters";
const NODES: &str = "SELECT count(DISTINCT key) FROM entities WHERE key <> ''";

fn introspection(number: u32) -> String {
    Node::new(number, "effect").introspection(0.0, CORRELATION)
}

fn following(place: &Place) -> Command {
    place.running(&["--follow"])
}

fn start(place: &Place) -> Running {
    Running::start(following(place))
}

#[track_caller]
fn until_nodes(place: &Place, running: &mut Running, count: u64) {
    let journal = place.path("registration.db");
    running.until("the events", || number(&journal, NODES) == count);
}

#[track_caller]
fn stop(mut running: Running) {
    signal(running.child(), "TERM");
    running.end().well();
}

fn rename(place: &Place, to: &str) {
    fs::rename(place.path("stream.jsonl"), place.path(to)).unwrap();
}

#[test]
fn a_file_that_grows_is_read_on_and_half_a_line_is_waited_for() {
    let place = Place::registration();
    place.stream([introspection(1)]);
    let mut running = start(&place);
    until_nodes(&place, &mut running, 1);
    let line = introspection(2);
    let (half, rest) = line.split_at(40);
    let append = |text: &str| {
        let mut file = fs::OpenOptions::new().append(true).open(place.path("stream.jsonl")).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    append(half);
    // A stop in the middle of the line leaves it for the next run.
    stop(running);
    let mut running = start(&place);
    append(&format!("{rest}\n{}\n", introspection(3)));
    until_nodes(&place, &mut running, 3);
    running.kill();
    place.append([introspection(4)]);
    let mut running = start(&place);
    until_nodes(&place, &mut running, 4);
    stop(running);
    assert_eq!(place.value("registration.db", LETTERS), "0");
    assert_eq!(place.value("registration.db", "SELECT next_line || ' ' || duplicates FROM sources"), "4 0");
    place.verifies();
}

#[test]
fn a_renamed_file_is_finished_and_the_new_one_begun() {
    let place = Place::registration();
    place.stream([introspection(1)]);
    let mut running = start(&place);
    until_nodes(&place, &mut running, 1);
    rename(&place, "stream.jsonl.1");
    place.stream([introspection(3)]);
    // Its writer has not noticed yet.
    let mut late = fs::OpenOptions::new().append(true).open(place.path("stream.jsonl.1")).unwrap();
    writeln!(late, "{}", introspection(2)).unwrap();
    until_nodes(&place, &mut running, 3);
    place.append([introspection(4)]);
    until_nodes(&place, &mut running, 4);
    running.kill();
    // The position is in the new file now.
    let mut running = start(&place);
    place.append([introspection(5)]);
    until_nodes(&place, &mut running, 5);
    stop(running);
    assert_eq!(place.value("registration.db", "SELECT next_line FROM sources"), "5", "lines are numbered through all files");
}

#[test]
fn a_file_that_was_renamed_while_nobody_read_is_found_by_its_last_line() {
    let place = Place::registration();
    place.stream([introspection(1)]);
    let mut running = start(&place);
    until_nodes(&place, &mut running, 1);
    stop(running);
    place.append([introspection(2)]);
    rename(&place, "stream.jsonl.1");
    place.stream([introspection(3)]);
    fs::write(place.path("stream.jsonl.lock"), "").unwrap();
    fs::File::open(place.path("stream.jsonl.lock")).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let mut running = start(&place);
    until_nodes(&place, &mut running, 3);
    stop(running);

    // Without being followed, a file has to be the one that was read.
    rename(&place, "stream.jsonl.2");
    place.stream([introspection(4)]);
    let refused = place.running(&["--until-idle"]).output().map(crate::program::Done::from).unwrap().exits(2);
    assert!(refused.err.contains("stream.jsonl"), "{}", refused.err);
}

#[test]
fn a_node_whose_heartbeats_waited_in_the_file_does_not_expire() {
    let place = Place::registration();
    let mut random = Random::new(11);
    let mut nodes = [(); 2].map(|()| nodes::Node::of_kind("effect", now(), &mut random));
    let line = |message: nodes::Message| message.structured(message.kind).unwrap();
    let correlation = random.uuid();
    let begin = |node: &mut nodes::Node| {
        let announced = line(node.announce(now(), Some(&correlation)).unwrap());
        [announced, line(node.ack(now(), &correlation).unwrap())]
    };
    place.stream(nodes.iter_mut().flat_map(begin));
    let mut running = start(&place);
    let journal = place.path("registration.db");
    let active = "SELECT count(*) FROM states WHERE json_extract(state, '$.phase') = 'active'";
    running.until("that they are active", || number(&journal, active) == 2);
    // They are alive until 90 seconds after what their clocks say: for two more.
    let behind = now() - 88_000_000;
    place.append(nodes.iter_mut().map(|node| line(node.heartbeat(behind).unwrap())));
    let due = format!("SELECT count(*) FROM timers WHERE due = {}", behind + 90_000_001);
    running.until("the deadlines", || number(&journal, &due) == 2);
    running.kill();
    // Nobody reads what the first one sends now, behind much else; the second is silent.
    let at = now();
    place.append((10..2_000).map(introspection).chain([line(nodes[0].heartbeat(at).unwrap())]));
    while now() < behind + 91_000_000 {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let mut running = start(&place);
    let silent =
        format!("SELECT count(*) FROM states WHERE entity = '{}' AND json_extract(state, '$.phase') = 'liveness_expired'", nodes[1].id);
    running.until("that the silent one expires", || number(&journal, &silent) == 1);
    running.until("the sign of life", || {
        place.state("registration.db", &nodes[0].id)["liveness_deadline"] == nodes::event::instant(at + 90_000_000)
    });
    assert_eq!(place.state("registration.db", &nodes[0].id)["phase"], "active");
    let fired = format!("SELECT count(*) FROM entries WHERE entity = '{}' AND CAST(input AS TEXT) LIKE '{{\"timer%'", nodes[0].id);
    assert_eq!(number(&journal, &fired), 0, "no deadline of its own passed");
    stop(running);
    place.verifies();
}

#[test]
fn what_came_between_is_not_guessed() {
    let place = Place::registration();
    place.stream([introspection(1)]);
    let mut running = start(&place);
    until_nodes(&place, &mut running, 1);
    stop(running);
    rename(&place, "stream.jsonl.2");
    let old = fs::File::open(place.path("stream.jsonl.2")).unwrap();
    old.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(60)).unwrap();
    fs::write(place.path("stream.jsonl.1"), format!("{}\n", introspection(2))).unwrap();
    place.stream([introspection(3)]);
    let refused = following(&place).output().map(crate::program::Done::from).unwrap().exits(2);
    assert!(refused.err.contains("stream.jsonl.1 is newer"), "{}", refused.err);

    fs::copy(place.path("stream.jsonl.2"), place.path("stream.jsonl.1")).unwrap();
    let refused = following(&place).output().map(crate::program::Done::from).unwrap().exits(2);
    assert!(refused.err.contains("both"), "{}", refused.err);
    fs::remove_file(place.path("stream.jsonl.1")).unwrap();
    fs::remove_file(place.path("stream.jsonl.2")).unwrap();
    let refused = following(&place).output().map(crate::program::Done::from).unwrap().exits(2);
    assert!(refused.err.contains("not the file that was read before"), "{}", refused.err);
    assert_eq!(place.value("registration.db", NODES), "1", "nothing was taken");
}

#[test]
fn a_file_that_is_cut_or_written_anew_ends_the_host() {
    let place = Place::registration();
    place.stream([introspection(1)]);
    let mut running = start(&place);
    until_nodes(&place, &mut running, 1);
    place.cut_stream(0);
    let ended = running.end().exits(3);
    assert!(ended.err.contains("was cut to 0 bytes"), "{}", ended.err);

    place.stream([introspection(1), introspection(2)]);
    let mut running = start(&place);
    until_nodes(&place, &mut running, 2);
    fs::write(place.path("anew"), format!("{}\n{}\n", introspection(1), introspection(3))).unwrap();
    fs::rename(place.path("anew"), place.path("stream.jsonl")).unwrap();
    let ended = running.end().exits(3);
    assert!(ended.err.contains("begins with the same line"), "{}", ended.err);
    assert_eq!(place.value("registration.db", NODES), "2", "nothing was taken");
}

#[test]
fn a_manifest_may_ask_to_follow() {
    let place = Place::registration();
    place.mend("[store]", "[source]\nfile = \"stream.jsonl\"\nfollow = true\n\n[store]");
    place.stream([introspection(1)]);
    let mut running = Running::start(place.command("run", &[]));
    until_nodes(&place, &mut running, 1);
    place.append([introspection(2)]);
    until_nodes(&place, &mut running, 2);
    stop(running);
}

#[test]
fn a_workflow_that_joins_later_begins_with_the_present_file() {
    let place = Place::registration();
    place.stream([introspection(1)]);
    let mut running = start(&place);
    until_nodes(&place, &mut running, 1);
    rename(&place, "stream.jsonl.1");
    place.stream([introspection(2)]);
    until_nodes(&place, &mut running, 2);
    stop(running);

    let second = fs::read_to_string(place.manifest()).unwrap().replacen("name = \"registration\"", "name = \"second\"", 1);
    fs::write(place.path("second.toml"), second).unwrap();
    place.append([introspection(3)]);
    let mut command = following(&place);
    command.arg(place.path("second.toml"));
    let mut running = Running::start(command);
    until_nodes(&place, &mut running, 3);
    let journal = place.path("registration.db");
    let keys = |workflow: &str| {
        let sql = "SELECT count(*) FROM entities JOIN workflows ON workflows.id = workflow WHERE key <> '' AND name = ";
        number(&journal, &format!("{sql}'{workflow}'"))
    };
    running.until("the second workflow", || keys("second") == 2);
    stop(running);
    assert_eq!(keys("registration"), 3);
}
