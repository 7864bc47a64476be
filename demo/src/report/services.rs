//! The service catalogue: what the service-registry effect holds.

use std::path::Path;

use anyhow::Result;

use super::table::Table;
use super::{heading, open};

/// Services with the most tags first: those offer something special.
const SERVICES: &str = "
    SELECT service_name, service_id, coalesce(address, '-'), coalesce(CAST(port AS TEXT), '-'),
        (SELECT group_concat(value, ' ') FROM json_each(tags))
    FROM services
    ORDER BY json_array_length(tags) DESC, service_name, service_id";

pub(super) fn print(database: &Path, rows: usize) -> Result<()> {
    let connection = open(database)?;
    let mut statement = connection.prepare(SERVICES)?;
    let mut services = statement.query([])?;
    let mut table = Table::new(&["service id", "address", "port", "tags"]);
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    while let Some(service) = services.next()? {
        *counts.entry(service.get(0)?).or_default() += 1;
        table.row([service.get(1)?, service.get(2)?, service.get(3)?, service.get(4)?]);
    }
    let names: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    heading(&format!("Service catalogue: {} services ({})", counts.values().sum::<usize>(), names.join(", ")));
    table.print(rows);
    Ok(())
}
