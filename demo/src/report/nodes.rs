//! The registered nodes: the rows that the table effect wrote.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use rusqlite::Row;

use super::table::Table;
use super::{heading, open, time_of_day};

/// The rarest phases first: what went its usual way is of less interest.
const NODES: &str = "
    SELECT entity_id, node_type, node_version, current_state, registered_at, last_heartbeat_at, liveness_deadline
    FROM registration_projections AS node
    WHERE domain = 'registration'
    ORDER BY (SELECT count(*) FROM registration_projections AS other WHERE other.current_state = node.current_state),
        current_state, registered_at, entity_id";

/// Prints the nodes and returns their ids in the order shown.
pub(super) fn print(database: &Path, rows: usize) -> Result<Vec<String>> {
    let connection = open(database)?;
    let mut statement = connection.prepare(NODES)?;
    let mut nodes = statement.query([])?;
    let mut table = Table::new(&["node", "type", "version", "phase", "registered", "last heartbeat", "alive until"]);
    let (mut ids, mut phases) = (Vec::new(), BTreeMap::<String, usize>::new());
    while let Some(node) = nodes.next()? {
        let (id, phase): (String, String) = (node.get(0)?, node.get(3)?);
        table.row([id.clone(), node.get(1)?, node.get(2)?, phase.clone(), time(node, 4)?, time(node, 5)?, time(node, 6)?]);
        ids.push(id);
        *phases.entry(phase).or_default() += 1;
    }
    let phases: Vec<String> = phases.iter().map(|(phase, count)| format!("{count} {}", phase.replace('_', " "))).collect();
    heading(&format!("Registered nodes: {} ({})", ids.len(), phases.join(", ")));
    table.print(rows);
    Ok(ids)
}

fn time(node: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(time_of_day(node.get::<_, Option<String>>(column)?.as_deref()))
}
