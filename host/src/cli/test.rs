//! `purefold test`: a workflow's scenarios played in memory, and held against what they expect.

mod files;
mod report;

use std::io::{self, Write};
use std::path::PathBuf;

use purefold::rehearsal::Rehearsal;
use purefold::sandbox::Sandbox;
use purefold::scenario::{Coverage, Failure, Played, play};
use purefold::workflow;

use super::exit::Exit;
use super::open;
use super::table::Style;
use files::File;

pub(super) use files::{beside, paths};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    /// Files of scenarios, or folders of them; without any, the folder `scenarios` beside the manifest
    scenarios: Vec<PathBuf>,
    /// The manifest of another workflow that takes part, for deliveries
    #[arg(long = "with", value_name = "MANIFEST")]
    others: Vec<PathBuf>,
    /// Write what happens into the traces that are there, and into those of files that are named, instead of comparing it
    #[arg(long)]
    update: bool,
    /// List what no scenario exercises
    #[arg(long)]
    coverage: bool,
    /// Fail where less than this share is exercised, as `90%`
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    require_coverage: Option<f64>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse::<f64>().ok().filter(|share| (0.0..=100.0).contains(share));
    number.ok_or_else(|| "a share from 0% to 100%".to_owned())
}

/// What came of one scenario.
struct Tested {
    /// The file, as it was named.
    file: String,
    name: String,
    line: usize,
    failures: Vec<Failure>,
    decisions: usize,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(rehearsal) = rehearse(std::iter::once(&arguments.workflow).chain(&arguments.others))? else { return Ok(Exit::Wrong) };
    let found = match files::find(&arguments.workflow, &arguments.scenarios) {
        Ok(found) => found,
        Err(wrong) => {
            for wrong in wrong {
                eprintln!("error: {wrong}");
            }
            return Ok(Exit::Wrong);
        }
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut coverage: Vec<Coverage> = rehearsal.plans().iter().map(|plan| Coverage::of(plan)).collect();
    let mut summary = report::Summary::default();
    for file in &found {
        let tested = test(&rehearsal, file, &mut coverage, &mut summary, arguments, &mut out)?;
        for tested in &tested {
            summary.count(tested);
            report::scenario(&mut out, tested, arguments.json)?;
        }
    }
    summary.coverage = coverage[0].share();
    report::end(&mut out, &summary, &coverage[0], arguments)?;
    out.flush()?;
    let covered = arguments.require_coverage.is_none_or(|least| summary.percent() >= least);
    Ok(if summary.failed == 0 && summary.traces_differ == 0 && covered { Exit::Well } else { Exit::Negative })
}

/// The workflows with nothing decided yet; none where that was told to be wrong. No backend is asked for anything.
pub(super) fn rehearse<'a>(manifests: impl Iterator<Item = &'a PathBuf>) -> anyhow::Result<Option<Rehearsal>> {
    let mut workflows = Vec::new();
    for manifest in manifests {
        let Some(workflow) = open::workflow_to_read(manifest)? else { return Ok(None) };
        workflows.push(workflow);
    }
    // What is delivered to a workflow that takes no part is counted and left.
    if workflows.len() > 1 {
        let findings = workflow::link(&workflows);
        if !findings.is_empty() {
            super::report::refuse("the workflows together", &findings)?;
            return Ok(None);
        }
    }
    Ok(Some(Rehearsal::new(workflows, &Sandbox::new()?)?))
}

/// Plays the scenarios of a file, and compares or writes its traces.
fn test(
    rehearsal: &Rehearsal,
    file: &File,
    coverage: &mut [Coverage],
    summary: &mut report::Summary,
    arguments: &Arguments,
    out: &mut dyn Write,
) -> anyhow::Result<Vec<Tested>> {
    let mut tested = Vec::with_capacity(file.scenarios.len());
    let mut traces = Vec::with_capacity(file.scenarios.len());
    for scenario in &file.scenarios {
        let Played { failures, trace, coverage: exercised, decisions } = play(rehearsal, scenario)?;
        for (all, exercised) in coverage.iter_mut().zip(&exercised) {
            all.add(exercised);
        }
        traces.push(trace);
        tested.push(Tested { file: file.shown(), name: scenario.name.clone(), line: scenario.line, failures, decisions });
    }
    let now = traces.join("\n");
    if arguments.update {
        summary.traces_written += usize::from(file.write_trace(&now)?);
    } else if let Some(before) = file.trace()?.filter(|before| *before != now) {
        summary.traces_differ += 1;
        report::differs(out, &file.trace_shown(), &before, &now, if arguments.json { None } else { Some(Style::of_stdout()) })?;
    }
    Ok(tested)
}
