//! The registry is a node among the nodes: it registers itself, and others find it.

use purefold_nodes::event::{HEARTBEAT, INTROSPECTION};
use purefold_nodes::{Node, Received};
use serde_json::{Value, json};

use super::world::{World, now};
use crate::client::Client;

/// What the registry announced of itself.
fn announced(world: &World) -> Received {
    let mut found = None;
    world.until("the registry's announcement", || {
        found = world
            .heard(INTROSPECTION, "")
            .into_iter()
            .find(|event| event.headers.get("ce_source").is_some_and(|source| source == "registry"));
        found.is_some()
    });
    found.unwrap()
}

/// The registry, as others see it.
fn registry(world: &World) -> Node {
    let mut registry = world.node("orchestrator");
    announced(world).data["node_id"].as_str().unwrap().clone_into(&mut registry.id);
    registry
}

#[test]
fn the_registry_registers_itself_and_becomes_active() {
    let world = World::shared();
    let registry = registry(&world);
    world.until("its registration", || world.row(&registry).is_some() && world.service(&registry).is_some());
    world.until("that it is active", || world.phase(&registry).as_deref() == Some("active"));
    let state = world.state(&registry.id);
    assert_eq!((&state["dual"], &state["node_type"]), (&json!("complete"), &json!("orchestrator")));
}

#[test]
fn its_row_says_what_it_can_do() {
    let world = World::shared();
    let registry = registry(&world);
    world.until("its row", || world.row(&registry).is_some());
    let row = world.row(&registry).unwrap();
    assert_eq!((&row["node_type"], &row["node_version"]), (&json!("orchestrator"), &json!("1.0.0")));
    let capabilities = &row["capabilities"];
    assert_eq!((&capabilities["processing"], &capabilities["routing"]), (&json!(true), &json!(true)));
    assert_eq!(capabilities["supported_types"], json!(["effect", "compute", "reducer", "orchestrator"]));
}

#[test]
fn its_announcement_is_complete() {
    let world = World::shared();
    let announced = announced(&world);
    let data = &announced.data;
    for field in ["node_id", "correlation_id"] {
        assert_eq!(data[field].as_str().map(str::len), Some(36), "{field}: {data}");
    }
    assert_eq!((&data["node_type"], &data["node_version"]["major"]), (&json!("orchestrator"), &json!(1)));
    assert_eq!(announced.correlation().as_deref(), data["correlation_id"].as_str());
    for (name, path) in [("health", "/healthz"), ("readiness", "/readyz"), ("metrics", "/metrics")] {
        let endpoint = data["endpoints"][name].as_str().unwrap();
        assert!(endpoint.starts_with("http://127.0.0.1:") && endpoint.ends_with(path), "{endpoint}");
    }
    assert!(data["timestamp"].is_string() && data["metadata"]["description"].is_string(), "{data}");
}

#[test]
fn capabilities_of_a_nodes_own_are_kept_as_it_declares_them() {
    let world = World::shared();
    let mut node = world.node("orchestrator");
    let capabilities = json!({
        "processing": true, "routing": false, "supported_types": ["a", "b"], "batch_size": 17, "max_batch": 1000, "transactions": true,
        "mcp": {"expose": true, "tool_name": "Second Registry!", "description": "finds nodes", "timeout_seconds": 9},
    });
    let data = json!({
        "node_id": node.id, "node_type": node.kind, "declared_capabilities": capabilities, "correlation_id": world.uuid(),
        "timestamp": purefold_nodes::event::instant(now()),
        // What nobody knows is left out and harms nothing.
        "shoe_size": 43,
    });
    let message = node.event(INTROSPECTION, now(), None, &data).unwrap();
    world.send(&message);
    world.until("its registration", || world.row(&node).is_some() && world.service(&node).is_some());
    let kept = world.row(&node).unwrap()["capabilities"].clone();
    let kept: serde_json::Map<String, Value> =
        kept.as_object().unwrap().clone().into_iter().filter(|(_, value)| !value.is_null()).collect();
    assert_eq!(Value::Object(kept), capabilities);
    let tags = world.service(&node).unwrap()["Tags"].clone();
    assert_eq!(tags, json!(["onex", "node-type:orchestrator", "mcp-enabled", "mcp-tool:second-registry"]));
}

#[test]
fn others_find_the_registry_in_the_catalogue_and_reach_it_there() {
    let world = World::shared();
    let registry = registry(&world);
    let mut found = Value::Null;
    world.until("that it is found", || {
        let passing = world.catalogue("/v1/health/service/onex-orchestrator?passing");
        let service = passing.as_array().unwrap().iter().find(|entry| entry["Service"]["ID"] == registry.service_id());
        found = service.map(|entry| entry["Service"].clone()).unwrap_or_default();
        found.is_object()
    });
    let address = format!("{}:{}", found["Address"].as_str().unwrap(), found["Port"]).parse().expect("an address");
    let mut client = Client::connect(address).expect("it listens where the catalogue says");
    client.send("GET", "/healthz", &[], "").unwrap();
    assert_eq!(client.receive().unwrap().status, 200);
}

#[test]
fn it_is_the_same_node_after_a_restart() {
    let world = World::new();
    let node = registry(&world);
    world.until("that it is active", || world.phase(&node).as_deref() == Some("active"));
    world.stop();
    world.start();
    let of_registry = || world.heard(INTROSPECTION, &node.id).len();
    world.until("the second announcement", || of_registry() == 2);
    let blocked = format!("introspected: {}", json!({"rejected": {"blocked": "active"}}));
    world.until("that it was decided", || world.decisions(&node.id).contains(&blocked));
    assert_eq!(world.texts("SELECT count(*)::text FROM registration_projections"), ["1"]);
    assert!(world.heard(HEARTBEAT, &node.id).len() <= 1, "it beats every thirty seconds");
}
