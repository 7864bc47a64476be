//! `purefold fuzz`: bad reducers are found out, good ones are not blamed.

use std::fs;

use serde_json::Value;

use super::Desk;
use crate::program::{Done, fixture, purefold, reducer, with_input};

fn fuzz(desk: &Desk, target: &str, arguments: &[&str]) -> Done {
    let all = ["fuzz", target, "--json"].into_iter().chain(arguments.iter().copied());
    desk.purefold(all).output().expect("it can be started").into()
}

/// What was found, and the end.
fn found(done: &Done) -> (Vec<Value>, Value) {
    let mut lines = done.json();
    let end = lines.pop().expect("the end is told");
    (lines, end)
}

fn codes(done: &Done) -> Vec<String> {
    let mut codes: Vec<String> = found(done).0.iter().map(|line| line["code"].as_str().unwrap_or_default().to_owned()).collect();
    codes.sort();
    codes.dedup();
    codes
}

#[test]
fn every_misdeed_is_found_made_small_and_kept() {
    let desk = Desk::new();
    fs::copy(fixture("misbehaving"), desk.path("misbehaving.wasm")).expect("the component can be copied");
    let done = fuzz(&desk, "misbehaving.wasm", &["--runs", "60", "--seed", "7"]).exits(1);
    // One kind is told once for an input case: the others are found once the first ones are gone.
    let all = codes(&done);
    for code in ["fuel", "memory", "output-not-json", "output-size", "stack", "too-many-intents", "trap"] {
        assert!(all.contains(&code.to_owned()), "{code} is not among {all:?}");
    }
    for line in found(&done).0 {
        assert_eq!(line["reached"], true, "each misdeed is one input away: {line}");
        // The line that is printed reproduces it.
        let command = line["reproduce"].as_str().expect("there is one");
        let json = command.strip_prefix("echo '").and_then(|rest| rest.split("' | purefold reduce ").next()).expect("it is of this form");
        let request: Value = serde_json::from_str(json).expect("it is JSON");
        assert_eq!(
            (&request["state"], &request["input"]["poke"]["id"], &request["input"]["poke"]["value"]),
            (&Value::Null, &"".into(), &0.0.into())
        );
        let again = with_input(purefold(["reduce", desk.path("misbehaving.wasm").to_str().unwrap()]), json.into());
        assert_eq!(again.json()[0]["faulted"]["code"], line["code"]);
    }

    // The next run begins with what is kept.
    let again = fuzz(&desk, "misbehaving.wasm", &["--runs", "0", "--seed", "8"]).exits(1);
    assert_eq!(codes(&again), all);
    assert_eq!(found(&again).1["kept"], found(&done).0.len());
}

#[test]
fn a_seed_gives_the_same_run_again() {
    let run = || {
        let desk = Desk::new();
        fs::copy(reducer("registration"), desk.path("registration.wasm")).expect("the component can be copied");
        fuzz(&desk, "registration.wasm", &["--runs", "30", "--seed", "5"]).well().out
    };
    assert_eq!(run(), run());
}

#[test]
fn good_reducers_are_not_blamed() {
    for name in ["registration", "orders"] {
        let desk = Desk::new();
        let manifest = crate::repository::root().join(format!("reducers/{name}/{name}.toml"));
        fs::copy(manifest, desk.path("workflow.toml")).expect("the manifest can be copied");
        let done = fuzz(&desk, "workflow.toml", &["--runs", "1500", "--seed", "1"]).well();
        let end = found(&done).1;
        assert!(end["decisions"].as_u64().is_some_and(|decisions| decisions > 5_000), "{end}");
        let cases = end["cases"].as_object().expect("cases are counted");
        let never: Vec<&String> = cases.iter().filter(|(_, counts)| counts[0] == 0).map(|(case, _)| case).collect();
        assert!(never.is_empty(), "{name} never accepted {never:?}: {end}");
    }
}

#[test]
fn what_lies_at_run_time_is_found() {
    // On this target the standard library's clock, files and threads fail when they are called.
    for name in ["clock", "threads"] {
        let desk = Desk::new();
        fs::copy(fixture(name), desk.path("bad.wasm")).expect("the component can be copied");
        let done = fuzz(&desk, "bad.wasm", &["--runs", "20", "--seed", "3"]).exits(1);
        assert_eq!(codes(&done), ["trap"], "{name}");
    }
}

#[test]
fn a_machine_that_is_not_kept_to_is_found() {
    let desk = Desk::new();
    let manifest = desk.read("registration.toml").replace("start = [\"awaiting-ack\"]", "start = [\"active\"]");
    desk.write("registration.toml", &manifest);
    let done = fuzz(&desk, "registration.toml", &["--runs", "60", "--seed", "2"]).exits(1);
    assert!(codes(&done).contains(&"machine".to_owned()), "{}", done.out);
}
