//! Without Kafka, Consul or PostgreSQL in turn the rest goes on, what is partly done is told as such, and what waited is done when the
//! service returns, without a restart.

use std::time::{Duration, Instant};

use purefold_nodes::{Behaviour, Fleet, Form, Outgoing, Pace, Plan};
use purefold_services::{Consul, Instance, Kind};
use serde_json::{Value, json};

use super::world::{Services, World, now};
use crate::backends::cache;

const RESULT: &str = "onex.evt.platform.node-registration-result.v1";

/// How long a service is away at least.
const OUTAGE: Duration = Duration::from_secs(2);

/// Whether `/readyz` names the effect among what does not work.
fn degraded(world: &World, effect: &str) -> bool {
    world.readiness()["degraded"].as_array().is_some_and(|degraded| degraded.iter().any(|line| line.as_str().unwrap().contains(effect)))
}

#[test]
fn without_kafka_nodes_go_on_and_what_they_sent_arrives_later() {
    let mut kafka = Instance::kafka(&cache()).unwrap();
    let world = World::without_host(Services { kafka: Some(kafka.address().to_owned()), ..Services::default() });
    world.start();
    let mut known = world.node("effect");
    world.activate(&mut known);
    kafka.kill().unwrap();
    // Nodes live on: what they send waits with their client.
    let pace = Pace { starts_within: Duration::ZERO, ..Pace::default() };
    let mut fleet = Fleet::new(&Plan { behaviours: vec![Behaviour::Steady; 3], seed: world.seed(), pace }, now());
    let sent = fleet.advance(now()).unwrap();
    assert_eq!(sent.len(), 3);
    for outgoing in &sent {
        world.bus().send(outgoing).unwrap();
    }
    // Away for longer than the group keeps the host's place, all but the reading goes on.
    let reads = || world.admin("/metrics").body.contains("purefold_source_position{");
    world.until("that the group has given the host up", || !reads());
    world.until("that the host has its shards again", || world.figure("purefold_shards") == Some(960.0));
    assert_eq!(world.admin("/healthz").status, 200, "the host lives");
    let paused = world.ask("pause", &["--entity", &known.id, "--reason", "whether it is done"]).well().out;
    assert!(paused.contains("paused"), "{paused}");
    world.ask("resume", &["--entity", &known.id]).well();
    kafka.start_again().unwrap();
    world.bus().flush().unwrap();
    for node in fleet.nodes() {
        world.until("the registration", || world.row(node).is_some() && world.service(node).is_some());
    }
    world.until("that all is well", || world.readiness()["ready"] == true && !degraded(&world, "events"));
    world.verifies();
}

#[test]
fn without_consul_rows_are_written_and_services_follow() {
    let mut consul = Instance::consul(&cache(), &Consul::default()).unwrap();
    let world = World::without_host(Services { consul: Some(consul.address().to_owned()), ..Services::default() });
    world.start();
    consul.kill().unwrap();
    let mut node = world.node("effect");
    world.send(&node.announce(now(), None).unwrap());
    world.until("the row", || world.row(&node).is_some());
    world.until("that half of it is done", || world.state(&node.id)["dual"] == "partial");
    let state = world.state(&node.id);
    assert_eq!((&state["record"], &state["service"]), (&json!("done"), &json!("asked")));
    world.hears("onex.evt.platform.node-registration-accepted.v1", &node.id);
    assert_eq!(world.readiness()["ready"], true, "events are taken");
    consul.start_again().unwrap();
    world.until("the service", || world.service(&node).is_some());
    assert_eq!(world.hears(RESULT, &node.id).data["status"], "complete");
    let decided = world.decisions(&node.id);
    assert_eq!(
        decided.iter().filter(|decision| decision.starts_with("record_stored")).count(),
        1,
        "the half that was done is not repeated"
    );
    world.verifies();
}

#[test]
fn without_the_rows_database_services_are_registered_and_rows_follow() {
    let mut records = Instance::postgres().unwrap();
    let mut world = World::without_host(Services::default());
    let apart = world.records_at(records.address());
    world.start();
    records.stop().unwrap();
    let mut node = world.node("effect");
    world.send(&node.announce(now(), None).unwrap());
    world.until("the service", || world.service(&node).is_some());
    world.until("that half of it is done", || world.state(&node.id)["dual"] == "partial");
    assert_eq!(world.readiness()["ready"], true, "events are taken");
    records.start_again().unwrap();
    let result = world.hears(RESULT, &node.id);
    assert_eq!((&result.data["status"], &result.data["record"]), (&json!("complete"), &json!("done")));
    let rows =
        world.texts_at(&apart.url, &format!("SELECT current_state::text FROM registration_projections WHERE entity_id = '{}'", node.id));
    assert_eq!(rows, ["awaiting_ack"]);
    world.verifies();
}

#[test]
fn without_the_journals_database_nothing_is_taken_and_nothing_is_lost() {
    let mut postgres = Instance::of(Kind::Postgres, &cache()).unwrap();
    let world = World::without_host(Services { postgres: Some(postgres.address().to_owned()), ..Services::default() });
    world.start();
    let mut before = world.node("effect");
    world.register(&mut before);
    postgres.stop().unwrap();
    let mut node = world.node("effect");
    world.send(&node.announce(now(), None).unwrap());
    world.until("that it says so", || world.admin("/readyz").status == 503);
    assert_eq!(world.admin("/healthz").status, 200);
    assert!(world.service(&node).is_none(), "nothing is done that is not committed");
    postgres.start_again().unwrap();
    world.reconnect();
    world.until("that it is ready", || world.admin("/readyz").status == 200);
    world.until("the registration", || world.row(&node).is_some() && world.service(&node).is_some());
    world.verifies();
}

#[test]
fn what_is_done_in_part_is_told_with_the_half_that_failed_and_why() {
    let world = World::new();
    world.execute("ALTER TABLE registration_projections ADD CONSTRAINT no_reducer CHECK (node_type <> 'reducer')");
    let mut node = world.node("reducer");
    world.send(&node.announce(now(), None).unwrap());
    let result = world.hears(RESULT, &node.id).data;
    assert_eq!((&result["status"], &result["record"]), (&json!("failed"), &json!("failed")), "{result}");
    assert!(result["service"] == "done" || result["service"] == "asked", "{result}");
    let rejected = world.hears("onex.evt.platform.node-registration-rejected.v1", &node.id).data;
    let reason = rejected["reason"].as_str().unwrap();
    assert!(reason.starts_with("refused: ") && reason.contains("no_reducer"), "{reason}");
    assert_eq!(rejected["registration_attempt_id"], result["registration_attempt_id"]);
    let state = world.state(&node.id);
    assert_eq!((&state["phase"], &state["dual"]), (&json!("rejected"), &json!("failed")));
    world.until("that the other half is taken back", || world.service(&node).is_none());
    // The others are not touched.
    let mut other = world.node("effect");
    world.register(&mut other);
}

#[test]
fn how_long_each_half_took_stands_in_the_journal() {
    let mut consul = Instance::consul(&cache(), &Consul::default()).unwrap();
    let world = World::without_host(Services { consul: Some(consul.address().to_owned()), ..Services::default() });
    world.start();
    consul.kill().unwrap();
    let begun = Instant::now();
    let mut node = world.node("effect");
    world.send(&node.announce(now(), None).unwrap());
    world.until("the row", || world.row(&node).is_some());
    std::thread::sleep(OUTAGE.saturating_sub(begun.elapsed()));
    consul.start_again().unwrap();
    world.hears(RESULT, &node.id);
    let journal = world.journal(&node.id);
    let at = |input: &str| {
        let entry = journal.iter().find(|entry| entry["kind"] == "decided" && entry["input"].get(input).is_some());
        purefold_wit::instant::parse(entry.expect("it was decided")["now"].as_str().unwrap()).unwrap()
    };
    let (asked, stored, registered) = (at("introspected"), at("record_stored"), at("service_registered"));
    assert!(asked <= stored && stored < registered, "{asked} {stored} {registered}");
    let took = Duration::from_micros(registered - asked);
    // What was sent came to the host a moment after it was made.
    assert!(took > OUTAGE / 2 && took <= begun.elapsed(), "{took:?}");
    assert!(Duration::from_micros(stored - asked) < took, "the row did not wait for the service");
}

#[test]
fn a_service_that_is_away_is_named_and_named_no_more_when_it_is_back() {
    let mut consul = Instance::consul(&cache(), &Consul::default()).unwrap();
    let world = World::without_host(Services { consul: Some(consul.address().to_owned()), ..Services::default() });
    world.start();
    consul.kill().unwrap();
    // As many as open the breaker.
    let mut nodes: Vec<_> = (0..8).map(|_| world.node("effect")).collect();
    world.send_all(nodes.iter_mut().map(|node| Outgoing::Event(node.announce(now(), None).unwrap(), Form::Binary)).collect::<Vec<_>>());
    world.until("that it is named", || degraded(&world, "services"));
    let (ready, degraded_lines) = (world.readiness()["ready"].clone(), world.readiness()["degraded"].clone());
    assert_eq!((ready, degraded_lines.as_array().map(Vec::len)), (Value::Bool(true), Some(1)), "{degraded_lines}");
    assert!(!degraded_lines.to_string().contains(consul.address()), "addresses come from the environment: {degraded_lines}");
    consul.start_again().unwrap();
    for node in &nodes {
        world.until("the service", || world.service(node).is_some());
    }
    world.until("that it is named no more", || !degraded(&world, "services"));
}
