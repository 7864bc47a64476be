//! Scenarios written as files that can be read again.

use std::fmt::Write as _;

use purefold_wit::instant;

use super::act::{What, Which};
use super::yaml::quote;

/// A scenario of these acts, as a document of YAML. What `remarks` say stands above it.
#[must_use]
pub fn write(name: &str, remarks: &[String], start: u64, by_hand: bool, acts: &[What]) -> String {
    let mut out = String::new();
    for remark in remarks {
        let _ = writeln!(out, "# {}", remark.replace('\n', " "));
    }
    let _ = writeln!(out, "scenario: {}", quoted(name));
    let _ = writeln!(out, "start: {}", instant::format(start).unwrap_or_default());
    if by_hand {
        let _ = writeln!(out, "deliveries: by-hand");
    }
    let _ = writeln!(out, "when:");
    for act in acts {
        let mut lines = step(act).into_iter();
        if let Some(first) = lines.next() {
            let _ = writeln!(out, "  - {first}");
        }
        for line in lines {
            let _ = writeln!(out, "    {line}");
        }
    }
    out
}

/// The keys of a step, one a line.
fn step(what: &What) -> Vec<String> {
    let mut lines = Vec::new();
    let mut add = |key: &str, value: &str| lines.push(format!("{key}: {value}"));
    match what {
        What::Event { ty, id, source, correlation_id, data } => {
            add("event", &quoted(ty));
            for (key, value) in [("id", id), ("source", source), ("correlation-id", correlation_id)] {
                if let Some(value) = value {
                    add(key, &quoted(value));
                }
            }
            add("data", data);
        }
        What::Input { workflow, entity, input } => {
            add("input", input);
            for (key, value) in [("workflow", workflow), ("entity", entity)] {
                if let Some(value) = value {
                    add(key, &quoted(value));
                }
            }
        }
        What::Repeat(id) => add("repeat", &quoted(id)),
        What::State { workflow, entity, state, timers } => {
            add("state", state);
            add("entity", &quoted(entity));
            if let Some(workflow) = workflow {
                add("workflow", &quoted(workflow));
            }
            let timers: Vec<String> = timers
                .iter()
                .map(|(name, due)| format!("{}: {}", quoted(name), quoted(&instant::format(*due).unwrap_or_default())))
                .collect();
            add("timers", &format!("{{{}}}", timers.join(", ")));
        }
        What::Advance(until) => add("advance", &until.to_string()),
        What::Stall(until) => add("stall", &until.to_string()),
        What::Answer { intent, with } => {
            which("answer", intent, &mut add);
            add("with", with);
        }
        What::Redrive(intent) => which("redrive", intent, &mut add),
        What::GiveUp(intent) => which("give-up", intent, &mut add),
        What::Deliver(entity) => add("deliver", &quoted(entity)),
        What::Resume(entity) => add("resume", &quoted(entity)),
        What::Drop(entity) => add("drop", &quoted(entity)),
    }
    lines
}

fn which(key: &str, which: &Which, add: &mut impl FnMut(&str, &str)) {
    add(key, &which.case);
    if let Some(entity) = &which.entity {
        add("entity", &quoted(entity));
    }
    if let Some(filter) = &which.filter {
        add("where", &filter.json());
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    quote(text, &mut out);
    out
}
