//! `purefold explore`: the shortest way to what must not be, as a scenario that fails.

use serde_json::Value;

use super::Desk;
use crate::program::Done;
use crate::repository::root;

/// A desk whose manifest has this added.
fn with(properties: &str) -> Desk {
    let desk = Desk::new();
    desk.write("registration.toml", &format!("{}\n{properties}", desk.read("registration.toml")));
    desk
}

fn explore(desk: &Desk, arguments: &[&str]) -> Done {
    let all = ["explore", "registration.toml", "--json"].into_iter().chain(arguments.iter().copied());
    desk.purefold(all).output().expect("it can be started").into()
}

fn told(done: &Done) -> Value {
    done.json().pop().expect("a line is told")
}

const HOLDING: &str = r#"
[properties.an-active-node-has-a-deadline]
never = 'phase == "active" and liveness_deadline == null'

[properties.only-the-lost-leave-the-catalogue]
asks = "deregister-service"
when = 'phase == "rejected" or phase == "liveness_expired"'

[properties.a-complete-node-has-both-halves]
always = 'dual != "complete" or (record == "done" and service == "done")'
"#;

#[test]
fn what_holds_is_said_to_hold_as_far_as_it_was_looked_at() {
    let line = told(&explore(&with(HOLDING), &["--depth", "4"]).well());
    assert_eq!((&line["depth"], &line["properties"], &line["ended"]), (&4.into(), &3.into(), &Value::Null), "{line}");
    assert!(line["situations"].as_u64().is_some_and(|situations| situations > 200), "{line}");
    let line = told(&explore(&with(HOLDING), &["--situations", "50"]).well());
    assert_eq!((&line["situations"], &line["ended"]), (&50.into(), &"situations".into()));
}

#[test]
fn the_shortest_counterexample_is_a_scenario_that_fails() {
    let cases = [
        ("once = \"became-active\"", "it is asked for once more", 5),
        ("never = 'phase == \"ack_timed_out\"'", "the state is", 2),
        ("always = 'dual != \"failed\"'", "the state is", 2),
        ("asks = \"set-phase\"\nwhen = 'phase == \"rejected\"'", "it is asked for where the state is", 2),
    ];
    for (demand, found, steps) in cases {
        let desk = with(&format!("[properties.wrong]\n{demand}\n"));
        let line = told(&explore(&desk, &[]).exits(1));
        assert_eq!(line["property"], "wrong");
        assert!(line["found"].as_str().is_some_and(|told| told.contains(found)), "{line}");
        let scenario = desk.read("counterexample.yaml");
        assert_eq!(scenario.lines().filter(|line| line.starts_with("  - ")).count(), steps, "{scenario}");
        let done: Done = desk.purefold(["test", "registration.toml", "counterexample.yaml"]).output().expect("it can be started").into();
        assert!(done.exits(1).out.contains("expected the property \"wrong\""));
    }
}

#[test]
fn faults_are_found_without_any_property() {
    let desk = Desk::new();
    desk.write("registration.toml", &desk.read("registration.toml").replace("\"awaiting-ack\" = [\"active\", ", "\"awaiting-ack\" = ["));
    let line = told(&explore(&desk, &[]).exits(1));
    assert_eq!(line["property"], "no decision faults");
    assert!(line["found"].as_str().is_some_and(|found| found.contains("machine: `awaiting-ack` may not become `active`")), "{line}");
}

#[test]
fn events_come_from_the_manifest_from_scenarios_or_from_the_types() {
    let desk = with("[explore]\nevents = [\"some.jsonl\"]\n");
    let done = explore(&desk, &[]).exits(2);
    assert!(done.err.contains("some.jsonl"), "{}", done.err);
    let events = std::fs::read_to_string(root().join("demo/events.jsonl")).expect("the demo has events");
    desk.write("some.jsonl", &events.lines().take(3).collect::<Vec<_>>().join("\n"));
    assert_eq!(told(&explore(&desk, &["--depth", "2"]).well())["events"], 3);

    let desk = Desk::new();
    std::fs::remove_dir_all(desk.path("scenarios")).expect("the scenarios can be removed");
    let line = told(&explore(&desk, &["--depth", "2"]).well());
    assert!(line["events"].as_u64().is_some_and(|events| events >= 3), "{line}");
}

#[test]
fn deliveries_are_interleaved_too() {
    let desk = Desk::new();
    let from = root().join("reducers/orders");
    desk.write("orders.toml", &std::fs::read_to_string(from.join("orders.toml")).expect("there is a manifest"));
    desk.write(
        "orders.toml",
        &format!(
            "{}\n[explore]\nevents = [\"shipping.yaml\"]\n[properties.never]\nnever = 'phase == \"shipped\"'\n",
            desk.read("orders.toml")
        ),
    );
    desk.write("shipping.yaml", &std::fs::read_to_string(from.join("scenarios/shipping.yaml")).expect("there are scenarios"));
    let all = ["explore", "orders.toml", "--json", "--depth", "8"];
    let done: Done = desk.purefold(all).output().expect("it can be started").into();
    let scenario = told(&done.exits(1))["scenario"].as_str().unwrap_or_default().to_owned();
    for step in ["deliver: \"cup\"", "deliver: \"o-1\"", "answer: charge", "answer: book-shipment"] {
        assert!(scenario.contains(step), "{step} is not in\n{scenario}");
    }
}

#[test]
fn properties_that_say_nothing_are_findings() {
    let cases = [
        ("always = 'phas == \"active\"'", "did you mean `phase`?"),
        ("once = \"became-activ\"", "did you mean `became-active`?"),
        ("asks = \"became-active\"", "a property says one thing"),
        ("alway = \"x\"", "did you mean `always`?"),
    ];
    for (demand, help) in cases {
        let done: Done = with(&format!("[properties.wrong]\n{demand}\n"))
            .purefold(["check", "registration.toml"])
            .output()
            .expect("it can be started")
            .into();
        let done = done.exits(2);
        assert!(done.out.contains(help), "{demand}: {}", done.out);
    }
}
