//! `purefold replay`: recorded history through another component.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use purefold::engine::Plan;
use purefold::replay::{self, Affected, Divergence, Expected, Kind, Lineage, Radius, RadiusReport, Sample, Shadow, ShadowReport};
use purefold::sandbox::Sandbox;
use serde::Serialize;

use super::exit::Exit;
use super::open::{self, Stored};
use super::table::{Side, Style, Table, visible};
use super::{entity, report, verify};

/// Entities that the blast radius tells by name; all are counted.
const MOST_TOLD: usize = 100_000;

/// Entities that are named in a text for each reason to diverge.
const MOST_NAMED: usize = 3;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    /// The component that decides in the place of those that did
    #[arg(long, value_name = "COMPONENT")]
    with: PathBuf,
    /// Only the history of this entity
    #[arg(long, value_name = "KEY", conflicts_with = "sample")]
    entity: Option<String>,
    /// Only so many entities, or this share of them, spread evenly over their keys
    #[arg(long, value_name = "N|P%", value_parser = sample)]
    sample: Option<Sample>,
    /// Differences here and below are wanted, as in `intents.register-service.tags`
    #[arg(long, value_name = "PATH")]
    expect: Vec<String>,
    /// Try every entity's next step instead, on the state that it is in now, and tell which would go another way
    #[arg(long, conflicts_with_all = ["entity", "sample", "allow"])]
    radius: bool,
    /// This share of the decisions may differ elsewhere
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = share)]
    allow: f64,
    /// JSON lines: every kind of difference, every divergence point, then the counts
    #[arg(long)]
    json: bool,
}

/// `12` or `5%`.
fn sample(text: &str) -> Result<Sample, String> {
    if text.ends_with('%') {
        return share(text).map(Sample::Share);
    }
    text.parse().map(Sample::Count).map_err(|_| "expected a number of entities, or a share of them as in 5%".to_owned())
}

/// `0.1%`, as a share of 1.
fn share(text: &str) -> Result<f64, String> {
    let share = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok()).filter(|percent| (0.0..=100.0).contains(percent));
    share.map(|percent| percent / 100.0).ok_or_else(|| "expected a share from 0% to 100%, as in 0.1%".to_owned())
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(stored) = open::stored(&arguments.workflow)? else { return Ok(Exit::Wrong) };
    let Some(candidate) = open::candidate(&stored.workflow, &arguments.with)? else { return Ok(Exit::Wrong) };
    let Stored { workflow, reader, id } = &stored;
    let sandbox = Sandbox::new()?;
    let lineage = Lineage::load(reader, &sandbox, *id, &workflow.manifest.path)?;
    let candidate = lineage.candidate(reader, &sandbox, candidate)?;
    let expected = Expected::new(&arguments.expect);
    if arguments.radius {
        return radius(&stored, &lineage, &candidate, &expected, arguments.json);
    }
    let sample = match &arguments.entity {
        Some(key) => match entity::known(&stored, key)? {
            Some(row) => Sample::One(row.key),
            None => return Ok(Exit::Negative),
        },
        None => arguments.sample.clone().unwrap_or(Sample::All),
    };
    let shadow = Shadow { lineage: &lineage, candidate: &candidate, expected: &expected, sample: &sample, threads: verify::threads() };
    let bar = verify::progress("decisions compared")?;
    let found = replay::shadow(&workflow.manifest.store.location, &shadow, |decisions| bar.set_position(decisions))?;
    bar.finish_and_clear();
    let is_within = found.is_within(arguments.allow);
    let mut out = io::BufWriter::new(io::stdout().lock());
    if arguments.json {
        json(&mut out, &found, is_within)?;
    } else {
        text(&mut out, &found, is_within)?;
    }
    out.flush()?;
    Ok(if is_within { Exit::Well } else { Exit::Negative })
}

fn radius(stored: &Stored, lineage: &Lineage, candidate: &Arc<Plan>, expected: &Expected, as_json: bool) -> anyhow::Result<Exit> {
    let radius = Radius { in_force: lineage.in_force()?, candidate, expected, threads: verify::threads() };
    let bar = verify::progress("entities looked at")?;
    // Those that are told, by entity; all are counted.
    let told: Mutex<BTreeMap<String, Vec<Affected>>> = Mutex::default();
    let tell = |affected: &[Affected]| {
        let Some(first) = affected.first() else { return };
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(first.entity.clone(), affected.to_vec());
        if told.len() > MOST_TOLD {
            told.pop_last();
        }
    };
    let found = replay::radius(&stored.workflow.manifest.store.location, &radius, tell, |entities| bar.set_position(entities))?;
    bar.finish_and_clear();
    let told = told.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut out = io::BufWriter::new(io::stdout().lock());
    for affected in told.values().flatten() {
        let Affected { entity, probe, path, in_force, candidate } = affected;
        if as_json {
            report::json_line(&mut out, affected)?;
        } else {
            writeln!(out, "{}, {}: {path}", visible(entity), visible(probe))?;
            writeln!(out, "  in force:  {}\n  candidate: {}", visible(in_force), visible(candidate))?;
        }
    }
    let RadiusReport { entities, affected, probes, untried, .. } = found;
    if as_json {
        let counts = serde_json::json!({ "entities": entities, "affected": affected, "probes": probes, "untried": untried });
        report::json_line(&mut out, &counts)?;
    } else {
        writeln!(out, "{affected} of {entities} entities would go another way; {probes} next steps tried, {untried} could not be")?;
    }
    out.flush()?;
    Ok(if affected == 0 { Exit::Well } else { Exit::Negative })
}

#[derive(Serialize)]
struct KindLine<'a> {
    kind: &'a str,
    #[serde(flatten)]
    seen: &'a Kind,
}

#[derive(Serialize)]
struct DivergenceLine<'a> {
    diverged: &'a str,
    #[serde(flatten)]
    at: &'a Divergence,
}

#[derive(Serialize)]
struct Counts {
    entities: u64,
    decisions: u64,
    different: u64,
    expected: u64,
    diverged: u64,
    unfollowed: u64,
    not_executed: u64,
    within: bool,
}

fn json(out: &mut dyn Write, found: &ShadowReport, within: bool) -> io::Result<()> {
    for (kind, seen) in &found.kinds.0 {
        report::json_line(out, &KindLine { kind, seen })?;
    }
    for (diverged, at) in &found.divergences {
        report::json_line(out, &DivergenceLine { diverged, at })?;
    }
    let ShadowReport { entities, decisions, different, expected, diverged, unfollowed, not_executed, .. } = *found;
    report::json_line(out, &Counts { entities, decisions, different, expected, diverged, unfollowed, not_executed, within })
}

fn text(out: &mut dyn Write, found: &ShadowReport, is_within: bool) -> io::Result<()> {
    if !found.kinds.0.is_empty() {
        let columns = [("differs", Side::Whole), ("decisions", Side::Right), ("", Side::Left), ("first seen", Side::Whole)];
        let mut table = Table::new(out, Style::of_stdout(), &columns);
        for (kind, Kind { count, expected, first }) in &found.kinds.0 {
            let wanted = if *expected { "expected" } else { "" };
            table.row([kind.as_str(), &count.to_string(), wanted, &format!("{} decision {}", first.entity, first.sequence)])?;
        }
        table.finish()?;
        writeln!(out)?;
        for Kind { first, .. } in found.kinds.0.values() {
            writeln!(out, "{} of {} in decision {}", first.path, visible(&first.entity), first.sequence)?;
            writeln!(out, "  history:   {}", visible(&first.stored))?;
            writeln!(out, "  candidate: {}", visible(&first.replayed))?;
        }
        writeln!(out)?;
    }
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (entity, Divergence { sequence, reason, .. }) in &found.divergences {
        reasons.entry(reason).or_default().push(format!("{} at decision {sequence}", visible(entity)));
    }
    for (reason, entities) in reasons {
        writeln!(out, "diverged: {}", visible(reason))?;
        for entity in entities.iter().take(MOST_NAMED) {
            writeln!(out, "  {entity}")?;
        }
        if entities.len() > MOST_NAMED {
            writeln!(out, "  … and {} more (--json tells them)", entities.len() - MOST_NAMED)?;
        }
    }
    if found.unfollowed > 0 {
        writeln!(out, "{} decisions after that could not be compared", found.unfollowed)?;
    }
    if found.not_executed > 0 {
        writeln!(out, "{} decisions could not be made again for want of what is erased or truncated", found.not_executed)?;
    }
    let verdict = match (found.different + found.expected + found.diverged, is_within) {
        (0, _) => "the same",
        (_, true) => "within bounds",
        (_, false) => "NOT within bounds",
    };
    writeln!(
        out,
        "{verdict}: {} decisions of {} entities compared; {} differ as expected, {} otherwise, {} entities diverge",
        found.decisions, found.entities, found.expected, found.different, found.diverged
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_and_shares_are_read() {
        assert_eq!(sample("12"), Ok(Sample::Count(12)));
        assert_eq!(sample("5%"), Ok(Sample::Share(0.05)));
        assert_eq!(share("0.1%"), Ok(0.001));
        for wrong in ["", "5", "%", "-1%", "101%", "x%"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
        assert!(sample("-1").is_err());
    }
}
