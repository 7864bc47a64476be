//! What the reducer decided, counted from the journal.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

use super::heading;
use super::table::Table;
use crate::host::Host;

pub(super) fn print(host: &Host) -> Result<()> {
    let entries = host.json(&["journal", &host.workflow()])?;
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry["kind"] == "decided") {
        *counts.entry((name(&entry["input"]), verdict(&entry["decision"]))).or_default() += 1;
    }
    heading(&format!("Decisions: {}", counts.values().sum::<usize>()));
    let mut table = Table::new(&["input", "decision", "times"]);
    for ((input, verdict), times) in &counts {
        table.row([input.clone(), verdict.clone(), times.to_string()]);
    }
    table.print(usize::MAX);
    Ok(())
}

/// A variant's case: `"case"`, or the one key of `{"case": …}`.
fn name(variant: &Value) -> String {
    let key = || variant.as_object().and_then(|object| object.keys().next()).map(String::as_str);
    variant.as_str().or_else(key).unwrap_or("-").to_owned()
}

/// `accepted`, or what spoke against it.
fn verdict(decision: &Value) -> String {
    match name(decision).as_str() {
        "rejected" => format!("rejected: {}", reason(&decision["rejected"])),
        "faulted" => format!("faulted: {}", reason(&decision["faulted"])),
        other => other.to_owned(),
    }
}

/// A rejection's case with what it carries, where that is one word: `blocked (active)`.
fn reason(rejection: &Value) -> String {
    let case = name(rejection);
    match rejection[&case].as_str() {
        Some(detail) => format!("{} ({})", case.replace('_', " "), detail.replace('_', " ")),
        None => case.replace('_', " "),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{name, verdict};

    #[test]
    fn decisions_are_told_in_words() {
        assert_eq!(verdict(&json!({"accepted": {"state": null, "intents": []}})), "accepted");
        assert_eq!(verdict(&json!({"rejected": {"blocked": "awaiting_ack"}})), "rejected: blocked (awaiting ack)");
        assert_eq!(verdict(&json!({"rejected": "unknown_node"})), "rejected: unknown node");
        assert_eq!(name(&json!({"heartbeat": {"node_id": "x"}})), "heartbeat");
    }
}
