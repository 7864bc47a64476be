//! The published events: the lines that the publish effect appended.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::heading;
use super::table::Table;

#[derive(Deserialize)]
struct Published {
    id: String,
    #[serde(rename = "type")]
    kind: String,
}

pub(super) fn print(path: &Path) -> Result<()> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    // Publishing is at least once with a stable id: events are told apart by it.
    let mut kinds: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in BufReader::new(file).lines() {
        let line = line.with_context(|| format!("cannot read {}", path.display()))?;
        let event: Published =
            serde_json::from_str(&line).with_context(|| format!("{} has a line that is no event: {line}", path.display()))?;
        kinds.entry(event.kind).or_default().insert(event.id);
    }
    heading(&format!("Published events: {}", kinds.values().map(BTreeSet::len).sum::<usize>()));
    let mut table = Table::new(&["type", "events"]);
    for (kind, ids) in &kinds {
        table.row([kind.clone(), ids.len().to_string()]);
    }
    table.print(usize::MAX);
    Ok(())
}
