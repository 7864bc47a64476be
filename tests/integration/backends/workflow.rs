//! The reference workflow with its effects on the real services: the same reducer, the same rows.

use std::collections::{BTreeMap, BTreeSet};

use purefold_services::{Instance, Kind};
use serde_json::Value as Json;

use super::database::Database;
use super::kafka_topics::{make_if_absent, seen};
use super::{get, shared};
use crate::place::Place;
use crate::repository::root;

/// The reference manifest, differing in its effects only.
fn real_place(database: &str) -> Place {
    let mut place = Place::registration();
    place.mend("sqlite = \"records.db\"", "postgres = \"${DATABASE_URL}\"");
    place.mend("sqlite = \"services.db\"", "consul = \"${CONSUL_URL}\"");
    place.mend("jsonl = \"events.jsonl\"", "kafka = \"${KAFKA_BROKERS}\"");
    place.variable("DATABASE_URL", database);
    place.variable("CONSUL_URL", &shared(Kind::Consul));
    place.variable("KAFKA_BROKERS", &shared(Kind::Kafka));
    place.stream_from(&root().join("demo/events.jsonl"));
    place
}

fn topics() -> Vec<String> {
    let manifest = std::fs::read_to_string(root().join("reducers/registration/registration.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let routes = manifest["intents"].as_table().unwrap().values();
    routes.filter_map(|route| Some(route.get("topic")?.as_str()?.to_owned())).collect()
}

const ROW: &str = "entity_id, domain, current_state, node_type, node_version, correlation_id, last_applied_event_id";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reference_workflow_leaves_there_what_it_leaves_on_the_embedded_backends() {
    let database = Database::new().await;
    let place = real_place(&database.url);
    let brokers = shared(Kind::Kafka);
    for topic in topics() {
        make_if_absent(&brokers, &topic).await;
    }
    let refused = place.ask("check", &[]).exits(2);
    assert!(refused.out.contains("table-missing") && refused.out.contains("purefold schema"), "{}", refused.out);
    // Commands that perform nothing do without the tables.
    let early = place.ask("status", &[]).exits(2);
    assert!(early.err.contains("has the workflow run yet"), "{}{}", early.out, early.err);
    let schema = place.ask("schema", &[]).well();
    database.execute(&schema.out).await;
    place.ask("check", &[]).well();
    let done = place.run().well();
    assert!(!done.err.contains("purefold-test@"), "no password in the log: {}", done.err);
    place.verifies();

    let embedded = Place::registration();
    embedded.stream_from(&root().join("demo/events.jsonl"));
    embedded.run().well();

    let columns: Vec<String> = ROW.split(", ").map(|column| format!("{column}::text")).collect();
    let rows = database.texts(&format!("SELECT concat_ws(' | ', {}) FROM registration_projections ORDER BY 1", columns.join(", "))).await;
    assert!(!rows.is_empty());
    let mut expected = embedded.rows("records.db", &format!("SELECT {ROW} FROM registration_projections"));
    expected.sort();
    assert_eq!(rows, expected);

    let services = get(&shared(Kind::Consul), "/v1/agent/services", "").body;
    let services: BTreeMap<String, Json> = serde_json::from_str(&services).unwrap();
    let ours = services.into_iter().filter(|(_, service)| service["Meta"]["purefold-workflow"] == "registration");
    let ours: Vec<String> =
        ours.map(|(id, service)| format!("{id} | {} | {}", service["Address"].as_str().unwrap(), service["Port"])).collect();
    let mut expected = embedded.rows("services.db", "SELECT service_id, ifnull(address, ''), ifnull(port, 0) FROM services");
    expected.sort();
    assert_eq!(ours, expected);

    let published: BTreeSet<(String, String)> = topics()
        .iter()
        .flat_map(|topic| seen(&brokers, topic))
        .filter(|message| message.headers["ce_source"] == "registration")
        .map(|message| (message.headers["ce_id"].clone(), message.value))
        .collect();
    let expected: BTreeMap<String, Json> = embedded
        .published("events.jsonl")
        .into_iter()
        .map(|event| (event["id"].as_str().unwrap().to_owned(), event["data"].clone()))
        .collect();
    let published: BTreeMap<String, Json> = published.into_iter().map(|(id, value)| (id, serde_json::from_str(&value).unwrap())).collect();
    assert_eq!(published, expected);
}

/// At three in the morning: the database is away, and somebody wants to know what is going on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_database_the_journal_can_be_read_and_asked() {
    let mut postgres = Instance::postgres().unwrap();
    let database = Database::at(postgres.address()).await;
    let mut place = Place::registration();
    place.mend("sqlite = \"records.db\"", "postgres = \"${DATABASE_URL}\"");
    place.variable("DATABASE_URL", &database.url);
    place.stream_from(&root().join("demo/events.jsonl"));
    database.execute(&place.ask("schema", &["--effect", "records"]).well().out).await;
    place.run().well();
    postgres.stop().unwrap();
    for (command, rest) in
        [("status", &[][..]), ("journal", &["--json"]), ("pause", &["--effect", "records", "--reason", "night"]), ("machine", &[])]
    {
        place.ask(command, rest).well();
    }
    place.verifies();
    place.ask("schema", &[]).well();
    let unknown = place.ask("schema", &["--effect", "nope"]).exits(2);
    assert!(unknown.err.contains("no effect \"nope\"") && unknown.err.contains("records"), "{}", unknown.err);
    // Nothing is wrong with the workflow: it may run later.
    let away = place.run().exits(3);
    assert!(away.err.contains("database-unreachable"), "{}", away.err);
    let refused = place.ask("check", &[]).exits(2);
    assert!(refused.out.contains("database-unreachable") && !refused.out.contains("purefold-test@"), "{}", refused.out);
}
