//! The events that could not be read, with where and why.

use anyhow::Result;
use serde_json::Value;

use super::heading;
use super::table::Table;
use crate::host::Host;

pub(super) fn print(host: &Host) -> Result<()> {
    let letters = host.json(&["dead-letters", &host.workflow(), "list"])?;
    heading(&format!("Dead letters: {}", letters.len()));
    let mut table = Table::new(&["position", "event", "code", "path", "reason"]);
    for letter in &letters {
        table.row(["position", "event_id", "code", "path", "reason"].map(|field| text(&letter[field])));
    }
    table.print(usize::MAX);
    Ok(())
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
