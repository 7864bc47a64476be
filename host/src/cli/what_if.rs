//! `purefold what-if`: an entity's history with an input changed, left out or put in.

use std::io::{self, Write};
use std::path::PathBuf;

use purefold::replay::{self, Departure, Edit, WhatIf};
use serde_json::{Value, json};

use super::exit::Exit;
use super::table::visible;
use super::{open, report};

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("edits").required(true).multiple(true).args(["change", "drop", "insert"]))]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    /// The entity
    key: String,
    /// Change fields of the input of a decision, as in `3={"amount":5}`: a merge patch on what the journal has
    #[arg(long, value_name = "SEQUENCE=JSON", value_parser = change)]
    change: Vec<Edit>,
    /// Leave out the input of a decision
    #[arg(long, value_name = "SEQUENCE", value_parser = drop_of)]
    drop: Vec<Edit>,
    /// Put an input before that of a decision, as in `4=paid:{"amount":5}`
    #[arg(long, value_name = "SEQUENCE=CASE:JSON", value_parser = insert)]
    insert: Vec<Edit>,
    /// One JSON object a line: every decision that differs, then the rest
    #[arg(long)]
    json: bool,
}

fn sequence(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|sequence| *sequence > 0).ok_or_else(|| format!("{text:?} is no number of a decision"))
}

fn change(text: &str) -> Result<Edit, String> {
    let (number, patch) = text.split_once('=').ok_or("expected SEQUENCE=JSON")?;
    Ok(Edit::Change(sequence(number)?, serde_json::from_str(patch).map_err(|error| format!("no JSON: {error}"))?))
}

fn drop_of(text: &str) -> Result<Edit, String> {
    sequence(text).map(Edit::Drop)
}

fn insert(text: &str) -> Result<Edit, String> {
    let (number, input) = text.split_once('=').ok_or("expected SEQUENCE=CASE:JSON")?;
    let (case, record) = input.split_once(':').ok_or("expected SEQUENCE=CASE:JSON")?;
    Ok(Edit::Insert(sequence(number)?, case.to_owned(), serde_json::from_str(record).map_err(|error| format!("no JSON: {error}"))?))
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let (open::Past { stored, lineage, .. }, row) = match open::past_of(&arguments.workflow, &arguments.key)? {
        Ok(found) => found,
        Err(exit) => return Ok(exit),
    };
    let edits: Vec<Edit> = [&arguments.change, &arguments.drop, &arguments.insert].into_iter().flatten().cloned().collect();
    let found = replay::what_if(&stored.reader, &lineage, &row, &edits)?;
    if let Some(sequence) = found.unused.first() {
        eprintln!(
            "error: entity {:?} has no decision {sequence} that could be made again; its last one is {}",
            arguments.key, row.sequence
        );
        return Ok(Exit::Negative);
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    if arguments.json {
        json(&mut out, &found)?;
    } else {
        text(&mut out, &found)?;
    }
    out.flush()?;
    Ok(Exit::Well)
}

fn told(departure: &Departure) -> Value {
    json!({ "path": departure.path, "history": departure.stored, "instead": departure.replayed })
}

fn json(out: &mut dyn Write, found: &WhatIf) -> io::Result<()> {
    for altered in &found.told {
        let differences: Vec<Value> = altered.departures.iter().map(told).collect();
        report::json_line(out, &json!({ "sequence": altered.sequence, "input": altered.input, "differences": differences }))?;
    }
    for (sequence, reason) in &found.unanswered {
        report::json_line(out, &json!({ "unanswered": sequence, "reason": reason }))?;
    }
    let state: Vec<Value> = found.state.iter().map(told).collect();
    report::json_line(out, &json!({ "decisions": found.decisions, "altered": found.altered, "state": state }))
}

fn text(out: &mut dyn Write, found: &WhatIf) -> io::Result<()> {
    let differences = |out: &mut dyn Write, departures: &[Departure]| {
        departures.iter().try_for_each(|Departure { path, stored, replayed, .. }| {
            writeln!(out, "  {path}\n    history: {}\n    instead: {}", visible(stored), visible(replayed))
        })
    };
    for altered in &found.told {
        writeln!(out, "decision {} on {}", altered.sequence, altered.input)?;
        differences(out, &altered.departures)?;
    }
    if found.altered > found.told.len() as u64 {
        writeln!(out, "… and {} more decisions", found.altered - found.told.len() as u64)?;
    }
    for (sequence, reason) in &found.unanswered {
        writeln!(out, "decision {sequence}: {}", visible(reason))?;
    }
    if !found.state.is_empty() {
        writeln!(out, "the state at the end")?;
        differences(out, &found.state)?;
    }
    writeln!(out, "{} decisions made anew, {} come out otherwise", found.decisions, found.altered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_read() {
        assert_eq!(change("3={\"a\":1}"), Ok(Edit::Change(3, json!({"a": 1}))));
        assert_eq!(drop_of("2"), Ok(Edit::Drop(2)));
        assert_eq!(insert("4=paid:{\"a\":\"b:c\"}"), Ok(Edit::Insert(4, "paid".into(), json!({"a": "b:c"}))));
        assert!(change("0={}").is_err() && change("x={}").is_err() && change("3=").is_err() && insert("3=paid").is_err());
    }
}
