//! What came of scenarios, for people and for programs.

use std::io::{self, Write};

use purefold::scenario::{Coverage, Failure};
use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use super::{Arguments, Tested};
use crate::cli::report::json_line;
use crate::cli::table::{Style, visible};

/// Unchanged lines that are shown around those that differ.
const CONTEXT: usize = 3;

/// What came of all.
#[derive(Default)]
pub(super) struct Summary {
    passed: usize,
    pub(super) failed: usize,
    decisions: usize,
    pub(super) traces_differ: usize,
    pub(super) traces_written: usize,
    /// What was exercised, of how much.
    pub(super) coverage: (usize, usize),
}

impl Summary {
    pub(super) fn count(&mut self, tested: &Tested) {
        if tested.failures.is_empty() {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        self.decisions += tested.decisions;
    }

    #[allow(clippy::cast_precision_loss, reason = "contracts have far fewer cases than a float counts exactly")]
    pub(super) fn percent(&self) -> f64 {
        let (done, all) = self.coverage;
        if all == 0 { 100.0 } else { done as f64 * 100.0 / all as f64 }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    scenario: &'a str,
    file: &'a str,
    line: usize,
    passed: bool,
    failures: &'a [Failure],
}

#[derive(Serialize)]
struct End<'a> {
    passed: usize,
    failed: usize,
    decisions: usize,
    traces_differ: usize,
    traces_written: usize,
    exercised: usize,
    exercisable: usize,
    never: Vec<&'a str>,
}

pub(super) fn scenario(out: &mut dyn Write, tested: &Tested, json: bool) -> io::Result<()> {
    let Tested { file, name, line, failures, .. } = tested;
    if json {
        return json_line(out, &Line { scenario: name, file, line: *line, passed: failures.is_empty(), failures });
    }
    let style = Style::of_stdout();
    if failures.is_empty() {
        return writeln!(out, "{}  {}", style.green("ok    "), visible(name));
    }
    writeln!(out, "{}  {}", style.red("FAILED"), visible(name))?;
    for failure in failures {
        writeln!(out, "        {}:{}: {}", visible(file), failure.line, visible(&failure.path))?;
        writeln!(out, "          expected {}", visible(&failure.expected))?;
        writeln!(out, "          found    {}", visible(&failure.found))?;
    }
    Ok(())
}

/// A trace that is another than the one written down. Without a style as one line of JSON.
pub(super) fn differs(out: &mut dyn Write, file: &str, before: &str, now: &str, style: Option<Style>) -> io::Result<()> {
    let diff = TextDiff::from_lines(before, now);
    let Some(style) = style else {
        let text = diff.unified_diff().context_radius(CONTEXT).to_string();
        return json_line(out, &serde_json::json!({ "trace": file, "diff": text }));
    };
    writeln!(out, "{}  the trace {} is another one (--update writes it down)", style.red("FAILED"), visible(file))?;
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        writeln!(out, "        {}", hunk.header())?;
        for change in hunk.iter_changes() {
            let text = visible(change.value().trim_end_matches('\n'));
            match change.tag() {
                ChangeTag::Delete => writeln!(out, "        {}", style.red(&format!("-{text}")))?,
                ChangeTag::Insert => writeln!(out, "        {}", style.green(&format!("+{text}")))?,
                ChangeTag::Equal => writeln!(out, "         {text}")?,
            }
        }
    }
    Ok(())
}

pub(super) fn end(out: &mut dyn Write, summary: &Summary, coverage: &Coverage, arguments: &Arguments) -> io::Result<()> {
    let never: Vec<&str> = coverage.counts().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect();
    let (exercised, exercisable) = summary.coverage;
    let Summary { passed, failed, decisions, traces_differ, traces_written, .. } = *summary;
    if arguments.json {
        return json_line(out, &End { passed, failed, decisions, traces_differ, traces_written, exercised, exercisable, never });
    }
    writeln!(out)?;
    write!(out, "{passed} ok, {failed} failed; {decisions} decisions")?;
    if traces_differ > 0 {
        write!(out, "; {traces_differ} traces differ")?;
    }
    if arguments.update {
        write!(out, "; {traces_written} traces written")?;
    }
    writeln!(out, "; {exercised} of {exercisable} cases and steps exercised ({:.0}%)", summary.percent().floor())?;
    let short = arguments.require_coverage.filter(|least| summary.percent() < *least);
    if let Some(least) = short {
        writeln!(out, "{}  less than the {least}% that are required", Style::of_stdout().red("FAILED"))?;
    }
    if (arguments.coverage || short.is_some()) && !never.is_empty() {
        writeln!(out, "never exercised:")?;
        for name in never {
            writeln!(out, "  {}", visible(name))?;
        }
    }
    Ok(())
}
