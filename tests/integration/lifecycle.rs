//! A start of a host is an event of the workflows that take it.

use std::process::Command;

use serde_json::Value;

use crate::operators::on_each_store;
use crate::place::Place;
use crate::program::reducer;
use crate::repository::root;
use crate::wire;

/// The workflow `registry`, with a store of its own.
fn registry() -> Place {
    let manifest = std::fs::read_to_string(root().join("reducers/registry/registry.toml")).unwrap();
    let place = Place::new(&manifest, &reducer("registry"));
    place.mend("../registration/registration.db", "registry.db");
    place
}

/// One process of the host, which ends when everything is done.
fn start(place: &Place, more: &[&str]) -> Value {
    let mut options = vec!["--until-idle", "--json", "--name", "one"];
    options.extend(more);
    place.ask("run", &options).well().json().pop().expect("a summary")
}

fn published(place: &Place, kind: &str) -> Vec<Value> {
    place.published("announcements.jsonl").into_iter().filter(|event| event["type"] == kind).collect()
}

#[test]
fn each_start_of_the_process_is_one_event() {
    for place in on_each_store(registry) {
        for starts in 1..=3_u64 {
            let summary = start(&place, &[]);
            assert_eq!(
                (&summary["events"], &summary["accepted"], &summary["dead_letters"]),
                (&1.into(), &1.into(), &0.into()),
                "{summary}"
            );
            assert_eq!(place.value("registry.db", "SELECT count(*) FROM entries WHERE kind = 'decided'"), starts.to_string());
        }
        let input = place.value("registry.db", "SELECT input FROM entries WHERE kind = 'decided' ORDER BY sequence LIMIT 1");
        let input: Value = serde_json::from_str(&input).unwrap();
        let started = &input["started"];
        assert_eq!(
            (&started["workflow"], &started["host"], &started["admin"]),
            (&"registry".into(), &"one".into(), &Value::Null),
            "{input}"
        );
        place.verifies();
    }
}

#[test]
fn the_registry_asks_everybody_and_stays_the_same_node() {
    let place = registry();
    start(&place, &["--admin", "127.0.0.1:0"]);
    start(&place, &[]);
    let (requests, announced) = (published(&place, wire::REQUEST), published(&place, wire::INTROSPECTION));
    assert_eq!((requests.len(), announced.len()), (2, 2));
    for (request, announced) in requests.iter().zip(&announced) {
        let start = &request["data"]["correlation_id"];
        assert_eq!((start, &announced["data"]["correlation_id"]), (&request["correlationid"], start), "one start, one correlation id");
        assert_eq!(request["data"]["registry_id"], announced["data"]["node_id"]);
    }
    assert_ne!(requests[0]["correlationid"], requests[1]["correlationid"]);
    assert_eq!(announced[0]["data"]["node_id"], announced[1]["data"]["node_id"]);
    let health = announced[0]["data"]["endpoints"]["health"].as_str().unwrap();
    assert!(health.starts_with("http://127.0.0.1:") && health.ends_with("/healthz"), "{health}");
    assert!(announced[1]["data"]["endpoints"].is_null(), "the second start had no admin port");
}

#[test]
fn what_the_registry_publishes_the_registration_takes() {
    let registry = registry();
    start(&registry, &["--admin", "127.0.0.1:0"]);
    let place = Place::registration();
    place.stream(published(&registry, wire::INTROSPECTION).iter().map(Value::to_string));
    let done = place.running(&["--until-idle", "--json"]).output().expect("purefold can be started");
    let summary: Value = serde_json::from_slice(&done.stdout).expect("a summary");
    assert_eq!((&summary["accepted"], &summary["rejected"], &summary["dead_letters"]), (&3.into(), &0.into(), &0.into()), "{summary}");
    let node = &published(&registry, wire::INTROSPECTION)[0]["data"]["node_id"];
    let state = place.state("registration.db", node.as_str().unwrap());
    assert_eq!((&state["dual"], &state["node_type"]), (&"complete".into(), &"orchestrator".into()));
    let service = place.rows("services.db", "SELECT service_id, address FROM services");
    assert_eq!(service, [format!("onex-orchestrator-{} | 127.0.0.1", node.as_str().unwrap())]);
}

#[test]
fn a_workflow_that_does_not_take_it_is_told_nothing() {
    let place = Place::registration();
    let summary = start(&place, &[]);
    assert_eq!((&summary["events"], &summary["commits"]), (&0.into(), &0.into()), "{summary}");
}

#[test]
fn on_the_event_clock_only_the_input_has_starts() {
    let run = |stream: &str| {
        let place = registry();
        place.stream(stream.lines());
        let mut runs = (0..2).map(|_| {
            let done = place.running_to_the_end().output().expect("purefold can be started");
            assert!(done.status.success());
            String::from_utf8(done.stderr).unwrap()
        });
        assert!(runs.all(|told| told.contains("on the event clock the host tells of no start")));
        place.rows(
            "registry.db",
            "SELECT entity, sequence, ordinal, kind, now, input FROM entries WHERE entity <> '' ORDER BY sequence, ordinal",
        )
    };
    assert_eq!(run(""), [""; 0]);
    let start = wire::event(
        "purefold.workflow.started",
        "00000000-0000-4000-8000-000000000001",
        "purefold",
        0.0,
        None,
        &serde_json::json!({
            "workflow": "registry", "host": "one", "started_at": wire::at(0.0), "start_id": "00000000-0000-4000-8000-000000000001"
        }),
    );
    let entries = run(&start);
    // The start, two acknowledgements, ten heartbeats in five minutes; conclusions stand behind their decisions.
    let decided: Vec<&String> = entries.iter().filter(|entry| entry.contains(" | decided | ")).collect();
    assert_eq!(decided.len(), 13, "{entries:#?}");
    assert_eq!(run(&start), entries, "a run is a function of its input");
}

#[test]
fn both_workflows_run_in_one_host() {
    let place = Place::registration();
    let folder = place.manifest().parent().unwrap();
    let manifest = std::fs::read_to_string(root().join("reducers/registry/registry.toml")).unwrap();
    std::fs::write(folder.join("registry.toml"), manifest.replace("../registration/registration.db", "registration.db")).unwrap();
    std::fs::copy(reducer("registry"), folder.join("registry.wasm")).unwrap();
    place.stream([wire::Node::new(1, "effect").introspection(0.0, "c0000000-0000-4000-8000-000000000002")]);
    let mut command: Command = place.running(&["--until-idle", "--json"]);
    command.arg(folder.join("registry.toml"));
    // The journal's id is told in one of the two manifests, which is enough.
    let done = command.output().expect("purefold can be started");
    let summary: Value = serde_json::from_slice(&done.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&done.stderr)));
    assert_eq!((&summary["events"], &summary["accepted"]), (&2.into(), &4.into()), "{summary}");
    assert_eq!(published(&place, wire::REQUEST).len(), 1);
    place.verifies();
}
