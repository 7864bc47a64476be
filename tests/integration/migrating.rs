//! Every state taken over at an operator's word, while a host runs and while none does.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::deploying::{MANIFEST, STORE, arrival, deploy, step, two_hosts};
use crate::place::{Place, Running};
use crate::program::{Done, fixture, signal};
use crate::releases::{add, first_release};

/// Accounts that hold a state before the release that gives it another type.
const ACCOUNTS: u64 = 600;

fn migrate(place: &Place) -> Done {
    place.ask("migrate", &["--all", "--json"])
}

#[track_caller]
fn told(done: &Done) -> Value {
    done.json().pop().expect("an answer")
}

#[test]
fn without_a_host_states_are_taken_over_at_once_and_what_fails_is_parked() {
    let place = first_release();
    place.append([add("c", 3, 13)]);
    place.run_as_far_as_the_stream();
    assert_eq!(told(&migrate(&place).well())["states"], 0);
    let wanted = ["--expect", "state.additions", "--allow-unmigrated", "50%"];
    deploy(&place, "migrate-v2", &wanted).well();
    let answer = told(&migrate(&place).exits(1));
    assert_eq!((&answer["states"], &answer["migrated"], &answer["parked"]), (&json!(3), &json!(2), &json!(1)), "{answer}");
    let entries = || {
        place.rows("adding.db", "SELECT entity, kind, release, sequence, ordinal, coalesce(state, '') FROM entries WHERE kind IN ('migrated', 'parked') ORDER BY entity")
    };
    let expected = [
        r#"a | migrated | 2 | 1 | 2 | {"total":5,"additions":1}"#,
        r#"b | migrated | 2 | 1 | 2 | {"total":7,"additions":1}"#,
        "c | parked | 2 | 1 | 2 | ",
    ];
    assert_eq!(entries(), expected);
    // Once more there is nothing to do but what fails, and it is parked already.
    let again = told(&migrate(&place).exits(1));
    assert_eq!((&again["states"], &again["migrated"], &again["parked"]), (&json!(1), &json!(0), &json!(1)));
    assert_eq!(entries(), expected);
    place.verifies();

    let parked = place.ask("parked", &["list", "--json"]).well().json();
    assert_eq!((&parked[0]["entity"], &parked[0]["code"], &parked[0]["waiting"]), (&json!("c"), &json!("migrate-refused"), &json!(0)));
    let dropped = place.ask("parked", &["drop", "c", "--reason", "nothing is there"]).exits(1);
    assert!(dropped.out.contains("refused: no input waits"), "{}", dropped.out);
    let redriven = place.ask("parked", &["redrive", "c"]).exits(1);
    assert!(redriven.out.contains("parked again: migrate-refused"), "{}", redriven.out);
    // What comes for it waits, and nothing else does.
    place.append([add("c", 4, 1), add("a", 5, 1)]);
    place.run_as_far_as_the_stream();
    assert_eq!(place.state("adding.db", "a"), json!({ "total": 6, "additions": 2 }));
    assert_eq!(place.value("adding.db", "SELECT count(*) FROM inbox"), "1");
    place.verifies();
}

/// Accounts with a state each, of the first release.
fn many() -> Vec<String> {
    (0..ACCOUNTS).map(|account| step(account, account + 1, 0)).collect()
}

fn follows(place: &Place) -> Running {
    let mut command = place.running(&["--follow"]);
    command.stderr(Stdio::null());
    Running::start(command)
}

fn migrated(place: &Place) -> u64 {
    place.value(STORE, "SELECT count(*) FROM entries WHERE kind = 'migrated'").parse().expect("a number")
}

#[test]
fn a_running_host_takes_states_over_beside_its_decisions_and_the_next_one_goes_on() {
    let place = Place::new(MANIFEST, &fixture("simulated-v1"));
    place.stream(many());
    arrival(&place).well();
    let mut host = follows(&place);
    deploy(&place, "simulated-v3", &["--expect", "state.turns"]).well();
    let answer = std::thread::scope(|scope| {
        let asked = scope.spawn(|| migrate(&place));
        host.until("the first are taken over", || migrated(&place) > 0);
        // Whoever comes next finds the command, and what is left to do: here it is who asked.
        host.kill();
        asked.join().expect("it ends")
    });
    let mut host = follows(&place);
    place.append((0..5).map(|account| step(account, ACCOUNTS + account + 1, 0)));
    let answer = told(&answer.well());
    assert_eq!((&answer["release"], &answer["states"], &answer["migrated"]), (&json!(2), &json!(ACCOUNTS), &json!(ACCOUNTS)), "{answer}");
    let decided = || place.value(STORE, "SELECT count(*) FROM entries WHERE kind = 'decided'") == (ACCOUNTS + 5).to_string();
    host.until("events are decided", decided);
    signal(host.child(), "TERM");
    host.end().well();
    assert_eq!(migrated(&place), ACCOUNTS, "each once");
    let left = "SELECT count(*) FROM entities JOIN journal ON journal.row = state_row WHERE state NOT LIKE '%turns%'";
    assert_eq!(place.value(STORE, left), "0");
    place.verifies();
}

#[test]
fn each_host_takes_over_its_own() {
    let (place, hosts) = two_hosts(many());
    deploy(&place, "simulated-v3", &["--expect", "state.turns"]).well();
    let answer = told(&migrate(&place).well());
    assert_eq!((&answer["states"], &answer["migrated"]), (&json!(ACCOUNTS), &json!(ACCOUNTS)), "{answer}");
    // A row's number says whose it is.
    let writers = "SELECT count(DISTINCT row >> 40) FROM journal WHERE kind = 'migrated'";
    assert_eq!(place.value(STORE, writers), "2", "both had some");
    for mut host in hosts {
        signal(host.child(), "TERM");
        host.end().well();
    }
    place.verifies();
}
