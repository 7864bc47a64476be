//! What the journal, the backends and the dead letters hold in the end.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::stage::Stage;
use crate::backends::get;

/// An entry of the journal, as it is stored.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Entry {
    pub(super) entity: String,
    pub(super) sequence: u64,
    pub(super) ordinal: u64,
    pub(super) kind: String,
    pub(super) now: u64,
    pub(super) event_id: String,
    pub(super) correlation_id: String,
    pub(super) input: Value,
    pub(super) verdict: Option<String>,
    pub(super) state: Value,
    pub(super) output: Value,
}

/// The entries of a workflow's entities, each entity's in their order.
pub(super) fn journal(stage: &Stage, workflow: &str) -> BTreeMap<String, Vec<Entry>> {
    let sql = format!(
        "SELECT json_build_object('entity', entities.key, 'sequence', journal.sequence, 'ordinal', journal.ordinal, 'kind', kind, \
           'now', journal.now, 'event_id', event_id, 'correlation_id', correlation_id, 'input', input::json, 'verdict', verdict, \
           'state', state::json, 'output', nullif(output, '')::json)::text \
         FROM journal JOIN entities ON entities.id = journal.entity JOIN workflows ON workflows.id = entities.workflow \
         WHERE workflows.name = '{workflow}' AND entities.key <> '' ORDER BY entities.key, journal.sequence, journal.ordinal"
    );
    let mut entities: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for row in stage.database.rows(&sql) {
        let entry: Entry = serde_json::from_str(&row).unwrap_or_else(|error| panic!("{error}: {row}"));
        entities.entry(entry.entity.clone()).or_default().push(entry);
    }
    entities
}

/// The journal's id.
pub(super) fn journal_id(stage: &Stage) -> (u64, u64) {
    let id = stage.database.rows("SELECT value FROM meta WHERE name = 'journal'").remove(0);
    purefold_wit::uuid::parse(&id).expect("an id")
}

/// The rows of the registry, by entity.
pub(super) fn rows(stage: &Stage) -> BTreeMap<String, Value> {
    let rows = stage.database.rows("SELECT row_to_json(r)::text FROM registration_projections r");
    let rows = rows.iter().map(|row| serde_json::from_str::<Value>(row).expect("a row is JSON"));
    rows.map(|row| (row["entity_id"].as_str().expect("a key").to_owned(), row)).collect()
}

/// The services of the agent, by their ids.
pub(super) fn services(stage: &Stage) -> BTreeMap<String, Value> {
    serde_json::from_str(&get(&stage.consul, "/v1/agent/services", "").body).expect("services are JSON")
}

/// Where the dead letters were read: source and offset.
pub(super) fn dead_letters(stage: &Stage) -> BTreeSet<(String, i64)> {
    let sql = "SELECT json_build_array(sources.name, line - 1)::text FROM dead_letters JOIN sources ON sources.id = dead_letters.source";
    let rows = stage.database.rows(sql);
    let letters: BTreeSet<(String, i64)> = rows.iter().map(|row| serde_json::from_str(row).expect("a place")).collect();
    assert_eq!(letters.len(), rows.len(), "no letter is there twice: {rows:?}");
    letters
}
