//! The model is no use where it sees nothing: what is left is spoiled, one thing in each place, and each must be found.

use purefold_nodes::event::HEARTBEAT;
use purefold_nodes::{Bus, Form, Message, Outgoing, Topics};
use serde_json::json;

use super::remains;
use super::stage::{Stage, well};
use super::verdict::Verdict;
use crate::client::Client;

/// A topic that the workflow writes to.
const PUBLISHED: &str = "onex.evt.platform.node-became-active.v1";

/// What is spoiled: the entity, and a word of what must be said of it.
struct Spoiled {
    entity: String,
    word: &'static str,
}

/// Spoils what is left; no host runs.
fn spoil(stage: &Stage) -> Vec<Spoiled> {
    let services = remains::services(stage);
    let entity = |id: &String| services[id]["Meta"]["purefold-entity"].as_str().expect("whose it is").to_owned();
    let ids: Vec<&String> = services.keys().take(4).collect();
    let [row, service, journal, event] = ids[..] else { panic!("too few services are left to say anything: {ids:?}") };

    stage.database.execute(&format!("UPDATE registration_projections SET node_version = '0.0.0' WHERE entity_id = '{}'", entity(row)));
    let host = stage.consul.trim_start_matches("http://").parse().expect("an address");
    let mut client = Client::connect(host).expect("Consul listens");
    let deregister = format!("/v1/agent/service/deregister/{service}");
    client.send("PUT", &deregister, &[("content-length", "0")], "").expect("a request can be sent");
    assert_eq!(client.receive().expect("an answer").status, 200);
    stage.database.execute(&format!(
        "DELETE FROM journal WHERE row = (SELECT max(journal.row) FROM journal JOIN entities ON entities.id = journal.entity \
         WHERE entities.key = '{}' AND kind = 'concluded')",
        entity(journal)
    ));
    let bus = well(Bus::connect(&stage.brokers, Topics::default(), &[]));
    for (kind, id, source) in [(HEARTBEAT, "unheard", "/nodes/x"), (PUBLISHED, "unasked", "registration")] {
        let node = entity(event);
        let data = json!({"node_id": node}).to_string();
        let message = Message { kind, id: id.to_owned(), source: source.to_owned(), node, time: 0, correlation: None, data };
        well(bus.send(&Outgoing::Event(message, Form::Binary)));
    }
    well(bus.flush());
    [(entity(row), "the row"), (entity(service), "the service"), (entity(journal), "has no end"), (entity(event), "unheard is not decided")]
        .into_iter()
        .chain([("verify registration".to_owned(), "mismatch"), (String::new(), "nobody asked for it")])
        .map(|(entity, word)| Spoiled { entity, word })
        .collect()
}

/// Asserts that everything that is spoiled is found, and nothing else.
#[track_caller]
pub(super) fn is_found(stage: &Stage, sent: &super::load::Sent) {
    let spoiled = spoil(stage);
    let Verdict { wrong, .. } = Verdict::reach(stage, sent, 0);
    for Spoiled { entity, word } in &spoiled {
        assert!(wrong.iter().any(|wrong| wrong.starts_with(entity) && wrong.contains(word)), "{entity}: {word}\n{}", wrong.join("\n\n"));
    }
    assert_eq!(wrong.len(), spoiled.len(), "{}", wrong.join("\n\n"));
}
