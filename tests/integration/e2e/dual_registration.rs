//! The dual registration: an announcement becomes a row in PostgreSQL and a service in Consul, at once and once.

use std::time::{Duration, Instant};

use purefold_nodes::event::INTROSPECTION;
use purefold_nodes::{Form, Node, Outgoing};
use serde_json::{Value, json};

use super::world::{World, at_this_moment, median, now, seconds};

const INITIATED: &str = "onex.evt.platform.node-registration-initiated.v1";
const RESULT: &str = "onex.evt.platform.node-registration-result.v1";
const REGISTERS: &str = "introspected: accepted: initiated accepted upsert_record register_service timer";

/// What it may take from an event to both backends; `cargo xtask bench latency` measures it under load.
const BOTH_MAX: Duration = Duration::from_millis(300);

#[test]
fn an_announcement_is_received_and_begins_a_registration() {
    let world = World::shared();
    let mut node = world.node("effect");
    let announced = node.announce(now(), None).unwrap();
    world.send(&announced);
    let initiated = world.hears(INITIATED, &node.id);
    assert_eq!(initiated.data["causation_id"].as_str(), announced.correlation.as_deref());
    assert_eq!(initiated.headers["ce_source"], "registration");
    assert_eq!(world.decisions(&node.id)[0], REGISTERS);
}

#[test]
fn a_service_in_consul_comes_of_it() {
    let world = World::shared();
    let mut node = world.node("orchestrator");
    world.register(&mut node);
    let service = world.service(&node).unwrap();
    assert_eq!((&service["ID"], &service["Service"]), (&json!(node.service_id()), &json!("onex-orchestrator")));
    let tags = json!(["onex", "node-type:orchestrator", "mcp-enabled", "mcp-tool:parcel-router-eu"]);
    assert_eq!(service["Tags"], tags);
    assert!(node.endpoints[0].1.contains(&format!("{}:{}", service["Address"].as_str().unwrap(), service["Port"])), "{service}");
    // And in the catalogue, where others look.
    world.until("the catalogue", || {
        let all = world.catalogue("/v1/catalog/service/onex-orchestrator");
        all.as_array().unwrap().iter().any(|service| service["ServiceID"] == node.service_id())
    });
}

#[test]
fn a_row_in_postgresql_comes_of_it() {
    let world = World::shared();
    let mut node = world.node("compute");
    let before = now();
    let correlation = world.register(&mut node);
    let row = world.row(&node).unwrap();
    assert_eq!(
        (&row["domain"], &row["current_state"], &row["node_type"]),
        (&json!("registration"), &json!("awaiting_ack"), &json!("compute"))
    );
    assert_eq!((&row["node_version"], &row["capabilities"]["processing"]), (&json!("2.1.1"), &json!(true)));
    assert_eq!((&row["correlation_id"], &row["liveness_deadline"]), (&json!(correlation), &Value::Null));
    assert_eq!(row["last_applied_event_id"], world.state(&node.id)["attempt_id"]);
    let times = format!(
        "SELECT (ack_deadline - registered_at)::text || ' ' || (registered_at >= to_timestamp({}) - interval '1 ms')::text
         FROM registration_projections WHERE entity_id = '{}'",
        before as f64 / 1e6,
        node.id
    );
    assert_eq!(world.texts(&times), ["00:00:30 true"]);
}

#[test]
fn both_are_there_and_the_registration_is_complete() {
    let world = World::shared();
    let mut node = world.node("effect");
    let correlation = world.register(&mut node);
    let result = world.hears(RESULT, &node.id);
    let told = &result.data;
    assert_eq!((&told["status"], &told["record"], &told["service"]), (&json!("complete"), &json!("done"), &json!("done")));
    assert_eq!(told["correlation_id"], *correlation);
    let state = world.state(&node.id);
    assert_eq!((&state["dual"], &state["attempt_id"]), (&json!("complete"), &told["registration_attempt_id"]));
}

#[test]
fn both_are_there_within_three_hundred_milliseconds() {
    let world = World::shared();
    let took = (0..15).map(|_| {
        let mut node = world.node("effect");
        let message = node.announce(now(), None).unwrap();
        let begun = Instant::now();
        world.send_all([Outgoing::Event(message, Form::Binary)]);
        world.until("the dual registration", || world.row(&node).is_some() && world.service(&node).is_some());
        begun.elapsed()
    });
    let took = median(took.collect());
    let most = at_this_moment(BOTH_MAX);
    assert!(took < most, "{took:?}, and {most:?} at most");
}

#[test]
fn a_node_that_is_registered_and_announces_itself_again_changes_nothing() {
    let world = World::shared();
    for active in [false, true] {
        let mut node = world.node("effect");
        let correlation = if active { world.activate(&mut node) } else { world.register(&mut node) };
        let phase = if active { "active" } else { "awaiting_ack" };
        let (row, service) = (world.row(&node), world.service(&node));
        let blocked = format!("introspected: {}", json!({"rejected": {"blocked": phase}}));
        world.send(&node.announce(now(), None).unwrap());
        world.until("the second decision", || world.decisions(&node.id).contains(&blocked));
        assert_eq!((world.row(&node), world.service(&node)), (row, service), "{phase}");
        assert_eq!(world.heard(INITIATED, &node.id).len(), 1);
        assert_eq!(world.state(&node.id)["phase"], phase);
        assert_eq!(world.row(&node).unwrap()["correlation_id"], *correlation);
    }
}

/// Has the node's life end, by a heartbeat whose clock is far behind.
fn expire(world: &World, node: &mut Node) {
    // Alive until 90 seconds after what it says: for one more second.
    world.send(&node.heartbeat(now() - seconds(89)).unwrap());
    world.until("that its life ends", || world.phase(node).as_deref() == Some("liveness_expired"));
    world.until("that it is taken out", || world.service(node).is_none());
}

#[test]
fn a_node_whose_life_ended_is_registered_anew() {
    let world = World::shared();
    let mut node = world.node("effect");
    world.activate(&mut node);
    let first = world.row(&node).unwrap();
    expire(&world, &mut node);
    world.send(&node.announce(now(), None).unwrap());
    world.until("the second registration", || world.phase(&node).as_deref() == Some("awaiting_ack") && world.service(&node).is_some());
    let second = world.row(&node).unwrap();
    assert_ne!(first["last_applied_event_id"], second["last_applied_event_id"]);
    assert_eq!((&second["liveness_deadline"], &second["last_heartbeat_at"]), (&Value::Null, &Value::Null), "nothing of the first is left");
    world.until("that it is published", || world.heard(INITIATED, &node.id).len() == 2);
}

#[test]
fn a_node_that_did_not_acknowledge_in_time_is_registered_anew() {
    let world = World::shared();
    let mut node = world.node("reducer");
    world.register(&mut node);
    world.until("that its time is over", || world.phase(&node).as_deref() == Some("ack_timed_out"));
    let told = world.hears("onex.evt.platform.node-registration-ack-timed-out.v1", &node.id);
    assert_eq!(told.data["previous_state"], "awaiting_ack");
    world.send(&node.announce(now(), None).unwrap());
    world.until("the second registration", || world.phase(&node).as_deref() == Some("awaiting_ack"));
}

#[test]
fn a_node_that_was_rejected_is_registered_anew() {
    let world = World::new();
    let table = "ALTER TABLE registration_projections";
    world.execute(&format!("{table} ADD CONSTRAINT no_compute CHECK (node_type <> 'compute')"));
    let mut node = world.node("compute");
    world.send(&node.announce(now(), None).unwrap());
    let rejected = world.hears("onex.evt.platform.node-registration-rejected.v1", &node.id);
    assert!(rejected.data["reason"].as_str().unwrap().starts_with("refused: "), "{:?}", rejected.data);
    world.until("that the other half is taken back", || world.service(&node).is_none());
    world.execute(&format!("{table} DROP CONSTRAINT no_compute"));
    world.register(&mut node);
    assert_eq!(world.phase(&node).as_deref(), Some("awaiting_ack"));
}

#[test]
fn an_announcement_goes_through_the_whole_chain_in_order() {
    let world = World::shared();
    let mut node = world.node("effect");
    world.register(&mut node);
    world.hears(RESULT, &node.id);
    world.until("all conclusions", || world.journal(&node.id).len() == 6);
    let decided = world.decisions(&node.id);
    assert_eq!((decided.len(), &*decided[0]), (3, REGISTERS));
    let mut outcomes = decided[1..].to_vec();
    outcomes.sort();
    // Whichever half was done first: the second one completes it.
    assert!(
        outcomes == ["record_stored: accepted", "service_registered: accepted: registration_result"]
            || outcomes == ["record_stored: accepted: registration_result", "service_registered: accepted"],
        "{outcomes:?}"
    );
    let concluded: Vec<Value> = world.journal(&node.id).into_iter().filter(|entry| entry["kind"] == "concluded").collect();
    assert_eq!(concluded.len(), 3, "three events were published: {concluded:?}");
}

#[test]
fn what_is_asked_for_says_exactly_what_is_to_be_done() {
    let world = World::shared();
    let mut node = world.node("compute");
    let correlation = world.register(&mut node);
    let entry = world.journal(&node.id).remove(0);
    let intents = entry["decision"]["accepted"]["intents"].as_array().unwrap().clone();
    let (row, service) = (&intents[2]["upsert_record"], &intents[3]["register_service"]);
    assert_eq!(
        (&row["entity_id"], &row["current_state"], &row["node_version"]),
        (&json!(node.id), &json!("awaiting_ack"), &json!("2.1.1"))
    );
    assert_eq!((&service["service_id"], &service["service_name"]), (&json!(node.service_id()), &json!("onex-compute")));
    for intent in [row, service] {
        assert_eq!((&intent["correlation_id"], &intent["attempt_id"]), (&json!(correlation), &row["attempt_id"]));
    }
}

#[test]
fn each_backend_was_changed_by_the_one_intent_for_it() {
    let world = World::shared();
    let mut node = world.node("effect");
    world.register(&mut node);
    world.hears(RESULT, &node.id);
    let service = world.service(&node).unwrap();
    let meta = &service["Meta"];
    assert_eq!((&meta["purefold-workflow"], &meta["purefold-entity"]), (&json!("registration"), &json!(node.id)));
    assert_eq!((&meta["purefold-sequence"], &meta["purefold-index"]), (&json!("1"), &json!("3")));
    let changes = format!("SELECT count(*)::text FROM registration_projections WHERE entity_id = '{}'", node.id);
    assert_eq!(world.texts(&changes), ["1"]);
    // What was published once has one id.
    let results = world.heard(RESULT, &node.id);
    assert!(results.iter().all(|result| result.headers["ce_id"] == results[0].headers["ce_id"]), "{results:?}");
    assert!(world.heard(INTROSPECTION, &node.id).len() == 1);
}
