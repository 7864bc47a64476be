//! What is in PostgreSQL, Consul and Kafka.

use anyhow::Result;

pub(super) use crate::report::heading;
use crate::report::table::Table;

use super::http;
use super::stage::Stage;

/// Rows of a table that are shown unless all are asked for.
const ROWS_SHOWN: usize = 8;

fn most(all: bool) -> usize {
    if all { usize::MAX } else { ROWS_SHOWN }
}

/// The nodes' rows.
pub(super) fn rows(stage: &Stage, all: bool) -> Result<()> {
    let rows = stage.database.rows(
        "SELECT entity_id::text, node_type, node_version, current_state, to_char(registered_at, 'HH24:MI:SS'),
            to_char(last_heartbeat_at, 'HH24:MI:SS'), to_char(liveness_deadline, 'HH24:MI:SS')
         FROM registration_projections ORDER BY current_state DESC, registered_at, entity_id",
    )?;
    heading(&format!("PostgreSQL: {} rows in registration_projections", rows.len()));
    let mut table = Table::new(&["node", "type", "version", "phase", "registered", "last heartbeat", "alive until"]);
    rows.into_iter().for_each(|row| table.row(row));
    table.print(most(all));
    Ok(())
}

/// The services that the workflow registered.
pub(super) fn services(stage: &Stage, all: bool) -> Result<()> {
    let services = http::get(&stage.consul, "/v1/agent/services")?;
    let mut ours: Vec<(&String, &serde_json::Value)> =
        services.as_object().into_iter().flatten().filter(|(_, service)| service["Meta"]["purefold-workflow"] == "registration").collect();
    // The registry is a node with an address that answers.
    ours.sort_by_key(|(_, service)| service["Address"].as_str().is_some_and(|address| address.starts_with("10.")));
    heading(&format!("Consul: {} services", ours.len()));
    let mut table = Table::new(&["service id", "address", "port", "tags"]);
    for (id, service) in ours {
        let tags = service["Tags"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
        let address = service["Address"].as_str().unwrap_or_default();
        table.row([id.clone(), address.to_owned(), service["Port"].to_string(), tags.collect::<Vec<_>>().join(" ")]);
    }
    table.print(most(all));
    Ok(())
}

/// How many messages each topic has.
pub(super) fn topics(stage: &Stage) -> Result<()> {
    heading("Kafka: messages by topic");
    let mut table = Table::new(&["topic", "messages"]);
    for (topic, messages) in stage.topics.count(&stage.brokers)? {
        table.row([topic, messages.to_string()]);
    }
    table.print(usize::MAX);
    Ok(())
}
