//! `purefold explore`: whatever can happen is tried in every order, and the shortest way to something wrong is told.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use purefold::explore::{Alphabet, AlphabetError, Bounds, Explored, explore};
use purefold::rehearsal::Rehearsal;
use purefold::scenario::{Watch, write};
use purefold_effects::settings::parse_duration;
use serde::Serialize;

use super::exit::Exit;
use super::report::json_line;
use super::table::{Style, visible};
use super::test::rehearse;

/// Where exploring begins that nothing dates: 2000-01-01T00:00:00Z.
const START: u64 = 946_684_800_000_000;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    /// The manifest of another workflow that takes part, for deliveries
    #[arg(long = "with", value_name = "MANIFEST")]
    others: Vec<PathBuf>,
    /// Things that happen one after the other
    #[arg(long, default_value_t = 6)]
    depth: usize,
    /// Stop after so many different situations
    #[arg(long, default_value_t = 20_000)]
    situations: usize,
    /// Stop after this time
    #[arg(long, value_parser = parse_duration)]
    time: Option<Duration>,
    /// For events that are made from the types, where neither the manifest nor scenarios have any
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the counterexample is written; by default `counterexample.yaml` beside the manifest
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    situations: usize,
    depth: usize,
    acts: u64,
    decisions: u64,
    events: usize,
    properties: usize,
    ended: Option<&'a str>,
    property: Option<&'a str>,
    found: Option<&'a str>,
    scenario: Option<&'a str>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(mut rehearsal) = rehearse(std::iter::once(&arguments.workflow).chain(&arguments.others))? else { return Ok(Exit::Wrong) };
    let mut alphabet = match alphabet(&rehearsal, arguments) {
        Ok(alphabet) => alphabet,
        Err(AlphabetError::Rehearsal(error)) => return Err(error.into()),
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(Exit::Wrong);
        }
    };
    let start = alphabet.start().unwrap_or(START);
    rehearsal.set_now(start);
    alphabet.keep_decodable(&rehearsal)?;
    if alphabet.events().is_empty() {
        eprintln!("error: there is no event that the workflow can take; name files of events in `explore.events`");
        return Ok(Exit::Wrong);
    }
    let bounds =
        Bounds { depth: arguments.depth, situations: arguments.situations, until: arguments.time.map(|time| Instant::now() + time) };
    let explored = explore(&rehearsal, &alphabet, bounds)?;
    let properties = Watch::of(rehearsal.plans()).len();
    let found = explored.counterexample.as_ref().map(|(violation, acts)| {
        let remarks = [format!("Found by `purefold explore`: {} does not hold.", violation.property), violation.told.clone()];
        (violation, acts.len(), write(&format!("counterexample to {:?}", violation.property), &remarks, start, true, acts))
    });
    if let Some((_, _, scenario)) = &found {
        let path = path(arguments);
        std::fs::write(&path, scenario).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let mut out = io::stdout().lock();
    if arguments.json {
        let line = Line {
            situations: explored.situations,
            depth: explored.depth,
            acts: explored.acts,
            decisions: explored.decisions,
            events: alphabet.events().len(),
            properties,
            ended: explored.ended,
            property: found.as_ref().map(|(violation, ..)| violation.property.as_str()),
            found: found.as_ref().map(|(violation, ..)| violation.told.as_str()),
            scenario: found.as_ref().map(|(.., scenario)| scenario.as_str()),
        };
        json_line(&mut out, &line)?;
        return Ok(if found.is_some() { Exit::Negative } else { Exit::Well });
    }
    let style = Style::of_stdout();
    if let Some((violation, steps, scenario)) = &found {
        writeln!(out, "{}  {}, after {steps} steps", style.red("FAILED"), visible(&violation.property))?;
        writeln!(out, "  {}\n", visible(&violation.told))?;
        for line in scenario.lines() {
            writeln!(out, "  {}", visible(line))?;
        }
        let path = path(arguments);
        writeln!(out, "\nwritten to {0}; play it with `purefold test {1} {0}`", path.display(), arguments.workflow.display())?;
    }
    covered(&mut out, &explored, alphabet.events().len(), properties)?;
    Ok(if found.is_some() { Exit::Negative } else { Exit::Well })
}

/// How far it came.
fn covered(out: &mut dyn Write, explored: &Explored, events: usize, properties: usize) -> io::Result<()> {
    let Explored { situations, depth, acts, decisions, ended, .. } = explored;
    writeln!(
        out,
        "{situations} situations, {acts} steps tried, {decisions} decisions; all of depth {depth}; {events} events, {properties} properties declared"
    )?;
    match ended {
        Some("time") => writeln!(out, "ended by --time: what lies deeper was not looked at"),
        Some(_) => writeln!(out, "ended by --situations: what lies deeper was not looked at"),
        None => Ok(()),
    }
}

/// What the manifest names, else what its scenarios have, else what the types give.
fn alphabet(rehearsal: &Rehearsal, arguments: &Arguments) -> Result<Alphabet, AlphabetError> {
    let plan = &rehearsal.plans()[0];
    let manifest = &plan.workflow.manifest;
    if !manifest.explore_events.is_empty() {
        let paths: Vec<PathBuf> = manifest.explore_events.iter().map(|path| manifest.folder.join(path)).collect();
        return Alphabet::of_files(&paths);
    }
    let beside = super::test::beside(&arguments.workflow);
    let scenarios = if beside.is_dir() { super::test::paths(&beside) } else { Ok(Vec::new()) };
    let scenarios = scenarios.map_err(|cause| AlphabetError::File { path: beside, cause })?;
    if scenarios.is_empty() { Ok(Alphabet::made(plan, arguments.seed)) } else { Alphabet::of_files(&scenarios) }
}

fn path(arguments: &Arguments) -> PathBuf {
    let beside = || arguments.workflow.parent().unwrap_or(Path::new("")).join("counterexample.yaml");
    arguments.write.clone().unwrap_or_else(beside)
}
