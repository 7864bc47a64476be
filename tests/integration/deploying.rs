//! Releases that come into force while hosts run, and while none does: `deploy`, `rollback`, `releases`.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::place::{Place, Running};
use crate::program::{Done, fixture, signal};
use crate::store::database;
use crate::tables::number;
use crate::wire::event;

pub(crate) const STORE: &str = "swapped.db";

/// The simulated workflow on backends of its own.
pub(crate) const MANIFEST: &str = r#"
name = "swapped"

[reducer]
component = "swapped.wasm"
key = "account"

[inputs]
"move" = "moved"

[store]
sqlite = "swapped.db"

[effects.first]
capability = "publish"
jsonl = "first.jsonl"

[effects.second]
capability = "publish"
jsonl = "second.jsonl"

[intents.call]
effect = "first"
topic = "called.v1"
outcome = "called"

[intents.follow]
effect = "second"
topic = "followed.v1"
after = ["call"]

[intents.set-alarm]
effect = "timer"

[intents.cancel-alarm]
effect = "timer"

[intents.pass]
effect = "deliver"
input = "passed"
key = "account"
"#;

/// What another release counts is wanted.
const TURNS: &[&str] = &["--expect", "state.turns"];

/// For those who swap as fast as they can: history is not looked at.
pub(crate) const UNTRIED: &[&str] = &["--sample", "0"];

pub(crate) fn step(account: u64, number: u64, calls: u64) -> String {
    let data = json!({
        "account": format!("account-{account}"), "number": number, "calls": calls, "follows": 0, "alarm": null, "cancel": false,
        "pass_to": null, "behaviour": "plain",
    });
    event("move", &format!("step-{number}"), "/steps", 0.0, None, &data)
}

pub(crate) fn begun() -> Place {
    let place = Place::new(MANIFEST, &fixture("simulated-v1"));
    place.stream([step(0, 1, 1), step(1, 2, 0)]);
    arrival(&place).well();
    place
}

pub(crate) fn arrival(place: &Place) -> Done {
    place.running(&["--until-idle"]).output().expect("purefold can be started").into()
}

pub(crate) fn deploy(place: &Place, component: &str, rest: &[&str]) -> Done {
    let component = fixture(component);
    let mut arguments = vec![component.to_str().expect("a path is text")];
    arguments.extend(rest);
    place.ask("deploy", &arguments)
}

/// A deployment stands still after its first gate, and another release comes into force meanwhile.
fn is_overtaken(place: &Place) {
    let component = fixture("simulated-v3");
    let mut command = place.command("deploy", &[component.to_str().expect("a path is text")]);
    command.args(TURNS);
    let mut slow = Running::start(command);
    let mut told = BufReader::new(slow.child().stdout.take().expect("standard output is piped"));
    let mut gate = String::new();
    told.read_line(&mut gate).expect("it tells of its gates");
    assert!(gate.starts_with("checks"), "{gate}");
    signal(slow.child(), "STOP");
    deploy(place, "simulated-v2", UNTRIED).well();
    signal(slow.child(), "CONT");
    let mut rest = String::new();
    told.read_to_string(&mut rest).expect("it tells the rest");
    let slow = slow.end().exits(1);
    assert!(rest.contains("release-base-changed") && rest.contains("held it against release 1, and release 2"), "{rest}{}", slow.err);
    assert_eq!(place.value(STORE, "SELECT max(generation) FROM releases"), "2");
    // It is no worse for that: judged once more, it comes into force.
    deploy(place, "simulated-v3", TURNS).well();
    assert_eq!(place.value(STORE, "SELECT max(generation) FROM releases"), "3");
}

fn decided(place: &Place, account: u64) -> Vec<String> {
    place.rows(
        STORE,
        &format!("SELECT release, kind FROM entries WHERE entity = 'account-{account}' AND kind IN ('decided', 'migrated') ORDER BY sequence, ordinal"),
    )
}

#[test]
fn a_release_comes_into_force_gate_by_gate_and_goes_back() {
    let place = begun();
    let lines =
        deploy(&place, "simulated-v3", &["--expect", "state.turns", "--by", "ann", "--reason", "it counts turns", "--json"]).well().json();
    let gates: Vec<&Value> = lines[..7].iter().map(|line| &line["gate"]).collect();
    assert_eq!(gates, ["checks", "signature", "compilation", "compatibility", "migration", "shadow", "swap"]);
    assert!(lines[..7].iter().all(|line| line["verdict"] == "passed" && line["took_ms"].is_u64()), "{lines:?}");
    assert_eq!(lines[3]["told"], json!(["states are taken over as their entities are next decided for; there is a way back"]));
    assert_eq!((&lines[7]["generation"], &lines[7]["workflow"]), (&json!(2), &json!("swapped")));
    place.append([step(0, 3, 0)]);
    // The files beside the manifest are still those of the first release.
    arrival(&place).well();
    assert_eq!(place.state(STORE, "account-0")["turns"], 1);

    let releases = place.ask("releases", &["--json"]).well().json();
    assert_eq!(releases.len(), 2);
    assert_eq!(
        (&releases[1]["generation"], &releases[1]["by"], &releases[1]["reason"], &releases[1]["in_force"]),
        (&json!(2), &json!("ann"), &json!("it counts turns"), &json!(true))
    );
    assert!(place.ask("releases", &[]).well().out.contains("2 in force"));

    let back = place.ask("rollback", &["--by", "bob"]).well();
    assert!(back.out.contains("release 3 is in force"), "{}", back.out);
    place.append([step(0, 4, 0), step(1, 5, 0)]);
    arrival(&place).well();
    assert_eq!(place.state(STORE, "account-0").get("turns"), None);
    assert_eq!(decided(&place, 1), ["1 | decided", "2 | migrated", "3 | migrated", "3 | decided"]);
    place.verifies();
    assert!(place.ask("rollback", &["--to", "1"]).exits(1).err.contains("is what is in force, as release 3"));
    assert!(place.ask("rollback", &["--to", "7"]).exits(1).err.contains("there are 1, 2, 3"));
}

#[test]
fn what_a_release_cannot_take_is_told_by_field_and_nothing_comes_into_force() {
    let place = begun();
    let refused = deploy(&place, "migrate-v1", &["--json"]).exits(1);
    let lines = refused.json();
    assert_eq!((&lines[0]["gate"], &lines[0]["verdict"]), (&json!("checks"), &json!("refused")));
    assert_eq!(lines.last().expect("a report")["generation"], Value::Null);
    std::fs::write(place.path("broken.wasm"), b"\0asm").expect("it can be written");
    let broken = place.path("broken.wasm");
    assert!(place.ask("deploy", &[broken.to_str().expect("text")]).exits(1).out.contains("checks"));
    assert_eq!(place.ask("releases", &["--json"]).well().json().len(), 1);
}

#[test]
fn a_host_that_runs_goes_on_under_the_release_that_is_deployed() {
    let place = begun();
    let mut host = Running::start({
        let mut command = place.running(&["--follow"]);
        command.stderr(Stdio::null());
        command
    });
    let store = place.path(STORE);
    let done = |number_of: u64| number(&store, &format!("SELECT count(*) FROM entries WHERE event_id = 'step-{number_of}'")) == 1;
    place.append([step(0, 3, 1)]);
    host.until("it runs", || done(3));
    let deployed = deploy(&place, "simulated-v3", TURNS).well();
    assert!(deployed.out.contains("release 2 is in force"), "{}", deployed.out);
    place.append([step(0, 4, 1)]);
    host.until("it goes on", || done(4));
    place.mend("topic = \"called.v1\"", "topic = \"called.v2\"");
    deploy(&place, "simulated-v3", TURNS).well();
    place.append([step(0, 5, 1)]);
    host.until("it goes on", || number(&store, "SELECT count(*) FROM outbox") == 0 && done(5));
    place.ask("rollback", &["--to", "1"]).well();
    place.append([step(0, 6, 1)]);
    host.until("it goes on", || number(&store, "SELECT count(*) FROM outbox") == 0 && done(6));
    signal(host.child(), "TERM");
    host.end().well();
    let topics: Vec<String> =
        place.published("first.jsonl").iter().map(|event| event["type"].as_str().expect("a type").to_owned()).collect();
    assert_eq!(topics, ["called.v1", "called.v1", "called.v1", "called.v2", "called.v1"], "each as its release says");
    let releases = "SELECT group_concat(release, ' ') FROM (SELECT DISTINCT release FROM entries WHERE entity = 'account-0' AND kind = 'decided' ORDER BY 1)";
    assert_eq!(place.value(STORE, releases), "1 2 3 4");
    place.verifies();
}

/// Two hosts on one store, which both have shards and have said what they go on under, once these events are decided.
pub(crate) fn two_hosts<L: AsRef<str>>(events: impl IntoIterator<Item = L>) -> (Place, [Running; 2]) {
    let mut place = Place::new(MANIFEST, &fixture("simulated-v1"));
    place.keep_journal_in(database());
    // A file of published events has one writer.
    for file in ["first.jsonl", "second.jsonl"] {
        place.mend(&format!("\"{file}\""), &format!("\"${{WRITER}}-{file}\""));
    }
    place.variable("WRITER", "nobody");
    place.stream(events);
    arrival(&place).well();
    let started = |writer: &str| {
        let mut command = place.command("run", &[]);
        command.env("WRITER", writer).stderr(Stdio::null());
        Running::start(command)
    };
    let mut hosts = [started("one"), started("two")];
    // Whoever comes or goes makes the other one begin anew.
    let shared = "SELECT count(DISTINCT shards.epoch) FROM shards JOIN hosts ON hosts.epoch = shards.epoch \
                  JOIN in_force ON in_force.epoch = shards.epoch";
    hosts[0].until("both are there", || place.value(STORE, shared) == "2");
    (place, hosts)
}

#[test]
fn swaps_reach_every_host_that_shares_a_store() {
    let (place, hosts) = two_hosts([step(0, 1, 1), step(1, 2, 0)]);
    let report = deploy(&place, "simulated-v3", &["--expect", "state.turns", "--json"]).well().json().pop().expect("a report");
    assert_eq!(report["generation"], 2);
    assert_eq!(report["hosts"].as_array().map(Vec::len), Some(2), "{report}");
    assert_eq!(place.value(STORE, "SELECT count(*) FROM in_force WHERE generation = 2"), "2");
    let releases = place.ask("releases", &["--json"]).well().json();
    assert_eq!(releases[1]["hosts"].as_array().map(Vec::len), Some(2), "{releases:?}");
    for mut host in hosts {
        signal(host.child(), "TERM");
        host.end().well();
    }
    place.verifies();
}

#[test]
fn of_two_deployments_the_slower_one_is_refused() {
    let place = begun();
    is_overtaken(&place);
    let place = begun();
    let mut host = Running::start({
        let mut command = place.running(&["--follow"]);
        command.stderr(Stdio::null());
        command
    });
    place.append([step(0, 3, 0)]);
    host.until("it runs", || decided(&place, 0).len() > 1);
    is_overtaken(&place);
    signal(host.child(), "TERM");
    host.end().well();
    place.verifies();
}

#[test]
fn of_two_deployments_to_several_hosts_the_slower_one_is_refused() {
    let (place, hosts) = two_hosts([step(0, 1, 1), step(1, 2, 0)]);
    is_overtaken(&place);
    for mut host in hosts {
        signal(host.child(), "TERM");
        host.end().well();
    }
    place.verifies();
}

#[test]
fn an_alarm_that_is_set_rings_under_a_release_that_sets_none() {
    let place = begun();
    place.append([step(0, 3, 0).replace("\"alarm\":null", "\"alarm\":1500")]);
    arrival(&place).well();
    assert_eq!(place.value(STORE, "SELECT count(*) FROM timers"), "1");
    place.mend("[intents.set-alarm]\neffect = \"timer\"\n\n[intents.cancel-alarm]\neffect = \"timer\"\n\n", "");
    place.install(&fixture("simulated-v4"));
    deploy(&place, "simulated-v4", UNTRIED).well();
    // Nor is it forgotten by a release that sets none either.
    deploy(&place, "simulated-v4", UNTRIED).well();
    std::thread::sleep(Duration::from_millis(1600));
    arrival(&place).well();
    assert_eq!(place.value(STORE, "SELECT count(*) FROM timers"), "0");
    assert_eq!(place.state(STORE, "account-0")["alarms"], 1);
    place.verifies();
}
