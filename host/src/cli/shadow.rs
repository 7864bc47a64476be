//! What a shadow replay found, for people and for programs.

use std::collections::BTreeMap;
use std::io::{self, Write};

use purefold::replay::{Divergence, Kind, ShadowReport};
use serde::Serialize;

use super::report;
use super::table::{Side, Style, Table, visible};

/// Entities that are named in a text for each reason to diverge.
const MOST_NAMED: usize = 3;

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

/// JSON lines: every kind of difference, every divergence point, then the counts.
pub(super) fn json(out: &mut dyn Write, found: &ShadowReport, within: bool) -> io::Result<()> {
    for (kind, seen) in &found.kinds.0 {
        report::json_line(out, &KindLine { kind, seen })?;
    }
    for (diverged, at) in &found.divergences {
        report::json_line(out, &DivergenceLine { diverged, at })?;
    }
    let ShadowReport { entities, decisions, different, expected, diverged, unfollowed, not_executed, .. } = *found;
    report::json_line(out, &Counts { entities, decisions, different, expected, diverged, unfollowed, not_executed, within })
}

/// The kinds of difference with the first of each, the reasons to diverge, and the verdict.
pub(super) fn text(out: &mut dyn Write, found: &ShadowReport, is_within: bool) -> io::Result<()> {
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
