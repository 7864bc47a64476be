//! The acceptance of the reference domain, A0 to A6, on the real services.

use std::collections::BTreeSet;
use std::time::Duration;

use purefold_nodes::event::{ACCEPTED, INTROSPECTION, NODE_TYPES, REQUEST};
use purefold_nodes::{Behaviour, Fleet, Form, Outgoing, Pace, Plan};
use purefold_services::{Consul, Instance};
use serde_json::{Value, json};

use super::world::{SECRETS, Services, World, now};
use crate::backends::cache;
use crate::program::{Done, purefold, reducer};

const RESULT: &str = "onex.evt.platform.node-registration-result.v1";
const EFFECTS: [&str; 3] = ["records", "services", "events"];

/// Has effects of the workflow stand still, or go on.
fn pause(world: &World, command: &str) {
    for effect in EFFECTS {
        world.ask(command, &["--effect", effect, "--reason", "acceptance"]).well();
    }
}

/// A0 and A3: a decision yields typed intents; only effects do I/O, after it is committed; each backend is called once.
#[test]
fn a0_and_a3_intents_are_committed_before_anything_is_done_and_then_done_once() {
    let world = World::new();
    let checked = world.ask("check", &["--format", "json"]).well().json().pop().unwrap();
    let mut component = purefold(["check", "--format", "json"]);
    let component: Done = component.arg(reducer("registration")).output().expect("purefold can be started").into();
    let component = component.well().json().pop().unwrap();
    assert_eq!((&checked["findings"], &component["well"][0]["function_imports"]), (&json!(0), &json!(0)), "{component}");
    assert_eq!(checked["well"][0]["component_digest"], component["well"][0]["digest"], "{checked} {component}");
    pause(&world, "pause");
    let mut nodes = NODE_TYPES.map(|kind| world.node(kind));
    for node in &mut nodes {
        world.send(&node.announce(now(), None).unwrap());
    }
    for node in &nodes {
        world.until("the decision", || !world.journal(&node.id).is_empty());
        let asked: Vec<Value> =
            world.ask("intents", &["--json"]).well().json().into_iter().filter(|intent| intent["entity"] == *node.id).collect();
        let cases: BTreeSet<&str> = asked.iter().map(|intent| intent["case"].as_str().unwrap()).collect();
        assert_eq!(cases, BTreeSet::from(["initiated", "accepted", "upsert_record", "register_service"]), "{asked:?}");
        assert!(asked.iter().all(|intent| intent["attempts"] == 0 && intent["payload"].is_object()), "{asked:?}");
        assert!(world.row(node).is_none() && world.service(node).is_none() && world.heard(ACCEPTED, &node.id).is_empty());
        assert_eq!(world.state(&node.id)["dual"], "pending");
    }
    pause(&world, "resume");
    for node in &nodes {
        assert_eq!(world.hears(RESULT, &node.id).data["status"], "complete");
        assert!(world.row(node).is_some());
        let service = world.service(node).expect("a service");
        assert_eq!((&service["ID"], &service["Meta"]["purefold-sequence"]), (&json!(node.service_id()), &json!("1")));
        assert_eq!(world.decisions(&node.id).len(), 3, "each backend answered once");
    }
    // The registry itself may have come before the pause: it is one more node. No intent was tried twice, whose ever it is.
    let figure = |name: &str, effect: &str| {
        world.figure(&format!("purefold_effect_{name}_total{{workflow=\"registration\",effect=\"{effect}\"}}")).expect("a figure")
    };
    for effect in ["records", "services"] {
        assert!(figure("attempts", effect) >= 4.0, "{effect}");
        assert_eq!(figure("retries", effect), 0.0, "{effect}");
    }
    world.verifies();
}

/// A1: an introspection has node id, type and correlation id, for all types; the node's id is stable.
#[test]
fn a1_introspections_are_published_whole_and_a_nodes_id_is_stable() {
    let world = World::shared();
    for kind in NODE_TYPES {
        let mut node = world.node(kind);
        for _ in 0..2 {
            world.send(&node.announce(now(), None).unwrap());
        }
        world.until("both announcements", || world.heard(INTROSPECTION, &node.id).len() == 2);
        for announced in world.heard(INTROSPECTION, &node.id) {
            assert_eq!((&announced.data["node_id"], &announced.data["node_type"]), (&json!(node.id), &json!(kind)));
            assert_eq!(announced.correlation().map(|id| id.len()), Some(36));
        }
        world.until("both decisions", || {
            world.decisions(&node.id).iter().filter(|decided| decided.starts_with("introspected")).count() == 2
        });
    }
}

/// A2: the registry asks, nodes answer under the request's correlation id, each by itself.
#[test]
fn a2_the_registry_asks_and_three_nodes_answer_independently() {
    let world = World::without_host(Services::default());
    let pace = Pace { starts_within: Duration::ZERO, ack_after: Duration::ZERO, ..Pace::default() };
    let mut fleet = Fleet::new(&Plan { behaviours: vec![Behaviour::Steady; 3], seed: world.seed(), pace }, now());
    let nodes: Vec<_> = fleet.nodes().cloned().collect();
    // They run, and have announced themselves to nobody that listens.
    world.live(&mut fleet, "their announcements", |fleet| fleet.summary().announcements == 3);
    world.start();
    world.live(&mut fleet, "that all are active", |_| nodes.iter().all(|node| world.phase(node).as_deref() == Some("active")));
    let asked = world.hears(REQUEST, "").correlation().unwrap();
    for node in &nodes {
        let answers = world.heard(INTROSPECTION, &node.id);
        assert_eq!(answers.iter().filter(|answer| answer.correlation().as_deref() == Some(&*asked)).count(), 1, "{answers:?}");
    }
    assert_eq!(fleet.summary().answered, 3);
    world.verifies();
}

/// A4: the same event again changes nothing; of a partial failure only the failed half is tried again.
#[test]
fn a4_an_event_again_changes_nothing_and_only_the_failed_half_is_repeated() {
    let mut consul = Instance::consul(&cache(), &Consul::default()).unwrap();
    let world = World::without_host(Services { consul: Some(consul.address().to_owned()), ..Services::default() });
    world.start();
    let mut node = world.node("effect");
    let announced = node.announce(now(), None).unwrap();
    let twice = [Outgoing::Event(announced.clone(), Form::Structured), Outgoing::Event(announced, Form::Binary)];
    consul.kill().unwrap();
    world.send_all(twice.clone());
    world.until("that half of it is done", || world.row(&node).is_some() && world.state(&node.id)["dual"] == "partial");
    let stored = world.row(&node);
    consul.start_again().unwrap();
    assert_eq!(world.hears(RESULT, &node.id).data["status"], "complete");
    let (state, row) = (world.state(&node.id), world.row(&node));
    assert_eq!(row, stored, "the row was not written again");
    world.send_all(twice);
    // What comes after them on the same partition has been decided: so have they.
    world.send(&node.heartbeat(now()).unwrap());
    world.until("the heartbeat", || world.decisions(&node.id).iter().any(|decided| decided.starts_with("heartbeat")));
    world.until("the duplicates", || {
        world.figure("purefold_events_not_decided_total{kind=\"duplicate\"}").is_some_and(|count| count >= 3.0)
    });
    assert_eq!(world.decisions(&node.id).iter().filter(|decided| decided.starts_with("introspected")).count(), 1);
    assert_eq!((world.heard(RESULT, &node.id).len(), &world.state(&node.id)["attempt_id"]), (1, &state["attempt_id"]));
}

/// A5: every decision, made again, is the same to the byte.
#[test]
fn a5_every_decision_made_again_is_the_same() {
    let world = World::new();
    let mut nodes = NODE_TYPES.map(|kind| world.node(kind));
    for node in &mut nodes {
        world.activate(node);
        world.send(&node.heartbeat(now()).unwrap());
        world.until("the heartbeat", || world.decisions(&node.id).iter().any(|decided| decided.starts_with("heartbeat")));
    }
    // While the host runs, and after it.
    world.verifies();
    world.stop();
    world.verifies();
    let done = world.ask("verify", &["--json"]).well().json().pop().unwrap();
    assert!(done["entries"].as_u64().is_some_and(|entries| entries >= 4 * 8), "{done}");
}

/// A6: the correlation id stands in every line about a decision or an effect; no secret stands anywhere.
#[test]
fn a6_every_line_has_its_correlation_id_and_no_line_a_secret() {
    let world = World::without_host(Services::default());
    world.start_with(&[("PUREFOLD_LOG", "purefold=debug,purefold_effects=debug"), ("PUREFOLD_LOG_FORMAT", "json")]);
    let mut node = world.node("effect");
    let correlation = world.activate(&mut node);
    world.send_all([Outgoing::Garbage(INTROSPECTION, "no event")]);
    world.until("the dead letter", || world.dead_letters().len() == 1);
    let told = [world.admin("/readyz").body, world.admin("/metrics").body];
    world.stop();
    let log = world.log();
    // What the program says on the terminal is no line of the log.
    let is_of_log = |line: &&str| line.starts_with('{');
    let read = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let lines: Vec<Value> = log.lines().filter(is_of_log).map(read).collect();
    let about: Vec<&Value> = lines.iter().filter(|line| line.to_string().contains(&node.id)).collect();
    assert!(about.len() >= 8, "decisions and conclusions: {log}");
    for line in &about {
        assert_eq!((&line["entity"], &line["correlation_id"]), (&json!(node.id), &json!(correlation)), "{line}");
    }
    // Of any other entity, the registry's too, none is without.
    for line in lines.iter().filter(|line| line.get("entity").is_some()) {
        for field in ["workflow", "event_id", "correlation_id"] {
            assert!(line[field].as_str().is_some_and(|text| !text.is_empty()), "no {field}: {line}");
        }
    }
    let journal = world.ask("journal", &["--json"]).well().out;
    let letters = world.ask("dead-letters", &["list", "--json"]).well().out;
    let intents = world.ask("intents", &["--json"]).well().out;
    let manifests = world.texts("SELECT text FROM purefold.manifests").join("\n");
    let [readiness, figures] = told;
    for (what, text) in [
        ("log", log),
        ("journal", journal),
        ("dead letters", letters),
        ("intents", intents),
        ("manifests", manifests),
        ("readiness", readiness),
        ("figures", figures),
    ] {
        for secret in SECRETS {
            assert!(!text.contains(secret), "a secret in {what}");
        }
    }
}
