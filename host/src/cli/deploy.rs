//! `purefold deploy` and `purefold rollback`: a release is looked at gate by gate, and comes into force where hosts run.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use purefold::deploy::{self, Budget, Candidate, CompileLimits, Compiler, Found, Gate, Report, Step, Verdict};
use purefold::gate::COMPONENT_BYTES_MOST;
use purefold::journal::{Warrant, hex, sha256};
use purefold::sandbox::Sandbox;
use purefold::store::{Location, Question, Reader, Release, Writer};
use purefold::workflow::{Manifest, Workflow, load_release_closed};

use super::ask::{self, is_refused};
use super::budget::{BudgetArguments, StatesArguments};
use super::exit::Exit;
use super::open::Stored;
use super::table::{Style, visible};
use super::warrant::{self, Signed};
use super::{radius, report, shadow, verify};

/// How long hosts may take to take a release up, once it is in force.
const TAKEN_UP_TIMEOUT: Duration = Duration::from_secs(60);

/// How often it is looked whether they have.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Entities whose states cannot be taken over that a text names; all are counted, and `--json` tells more.
const MOST_NAMED: usize = 5;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest, which comes into force with the component
    workflow: PathBuf,
    /// The component, whatever the manifest says of where it lies
    component: PathBuf,
    #[command(flatten)]
    budget: BudgetArguments,
    /// Stop before the swap, and tell whose next step would be another one
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    signed: Signed,
    /// One JSON object for each gate, then one for all of it
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct RollbackArguments {
    /// The workflow's manifest, which says where its store is
    workflow: PathBuf,
    /// The release to go back to; the one before the release in force, where it is left out
    #[arg(long, value_name = "GENERATION")]
    to: Option<u64>,
    #[command(flatten)]
    states: StatesArguments,
    /// Stop before the swap, and tell whose next step would be another one
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    signed: Signed,
    /// One JSON object for each gate, then one for all of it
    #[arg(long)]
    json: bool,
}

/// The compiler that this program is.
pub(super) fn compiler() -> io::Result<Compiler> {
    Ok(Compiler::new(std::env::current_exe()?, CompileLimits::default()))
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let component = read(&arguments.component)?;
    let text = std::fs::read_to_string(&arguments.workflow).with_context(|| format!("cannot read {}", arguments.workflow.display()))?;
    let Some((reader, id)) = store(&arguments.workflow, &text)? else { return Ok(Exit::Wrong) };
    let lies_at = Some(arguments.component.as_path());
    let releases = reader.releases(id)?;
    deploy(&Ask {
        path: &arguments.workflow,
        lies_at,
        text,
        component,
        reader,
        id,
        releases,
        gates: deploy::gates(),
        budget: arguments.budget.budget(),
        dry_run: arguments.dry_run,
        warrant: arguments.signed.warrant(),
        json: arguments.json,
    })
}

pub(super) fn roll_back(arguments: &RollbackArguments) -> anyhow::Result<Exit> {
    let path = &arguments.workflow;
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let Some((reader, id)) = store(path, &text)? else { return Ok(Exit::Wrong) };
    let releases = reader.releases(id)?;
    let Some(last) = releases.last() else {
        eprintln!("error: there is no release to go back from");
        return Ok(Exit::Negative);
    };
    let is_other = |release: &&purefold::store::Release| (&release.component, &release.manifest) != (&last.component, &last.manifest);
    let target = match arguments.to {
        Some(generation) => releases.iter().find(|release| release.generation == generation),
        None => releases.iter().rev().find(is_other),
    };
    let Some(target) = target else {
        let known: Vec<String> = releases.iter().map(|release| release.generation.to_string()).collect();
        eprintln!("error: there is no such release to go back to; there are {}", known.join(", "));
        return Ok(Exit::Negative);
    };
    if !is_other(&target) {
        eprintln!("error: release {} is what is in force, as release {}", target.generation, last.generation);
        return Ok(Exit::Negative);
    }
    let (text, component) = (reader.manifest(&target.manifest)?, reader.component(&target.component)?);
    deploy(&Ask {
        path,
        lies_at: None,
        text,
        component: component.into(),
        reader,
        id,
        releases,
        gates: deploy::gates_back(),
        budget: arguments.states.budget(),
        dry_run: arguments.dry_run,
        warrant: arguments.signed.warrant(),
        json: arguments.json,
    })
}

/// Brings what was just built, and would lie at `lies_at`, into force with the manifest at `path`. What it would have decided otherwise is
/// shown, and not held against it.
pub(super) fn built(path: &Path, lies_at: &Path, text: String, component: &Arc<[u8]>, (reader, id): (Reader, i64)) -> anyhow::Result<Exit> {
    let releases = reader.releases(id)?;
    deploy(&Ask {
        path,
        lies_at: Some(lies_at),
        text,
        component: component.clone(),
        reader,
        id,
        releases,
        gates: deploy::gates(),
        budget: Budget { differing: 1.0, ..Budget::default() },
        dry_run: false,
        warrant: warrant::of_user("built by `purefold run --watch`"),
        json: false,
    })
}

/// What is to come into force.
struct Ask<'a> {
    path: &'a Path,
    lies_at: Option<&'a Path>,
    text: String,
    component: Arc<[u8]>,
    reader: Reader,
    id: i64,
    /// The releases before it, oldest first. It follows the last of them, or comes into force not at all.
    releases: Vec<Release>,
    gates: Vec<Box<dyn Gate>>,
    budget: Budget,
    dry_run: bool,
    warrant: Warrant,
    json: bool,
}

/// The bytes of a component.
pub(super) fn read(path: &Path) -> anyhow::Result<Arc<[u8]>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    // One more than is admitted: the gate refuses what is too large.
    file.take(COMPONENT_BYTES_MOST as u64 + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes.into())
}

/// The store that the manifest names, and the workflow's id there; none where it was told what is wrong.
fn store(path: &Path, text: &str) -> anyhow::Result<Option<(Reader, i64)>> {
    let (manifest, findings) = Manifest::parse(path, text, &|name| std::env::var(name).ok());
    let Some(manifest) = manifest.filter(|_| findings.is_empty()) else {
        report::refuse(&path.display().to_string(), &findings)?;
        return Ok(None);
    };
    let reader = Reader::open(&manifest.store.location)?;
    let Some((id, _)) = reader.workflow(&manifest.name)? else {
        eprintln!("error: the store {} knows no workflow {:?}; `purefold run` begins one", manifest.store.location, manifest.name);
        return Ok(None);
    };
    Ok(Some((reader, id)))
}

fn deploy(ask: &Ask<'_>) -> anyhow::Result<Exit> {
    let bar = progress()?;
    let mut candidate = Candidate {
        path: ask.path.to_path_buf(),
        manifest: ask.text.clone(),
        component: ask.component.clone(),
        lies_at: ask.lies_at.map(Path::to_path_buf),
        reader: &ask.reader,
        id: ask.id,
        releases: ask.releases.clone(),
        compiler: compiler()?,
        sandbox: Sandbox::new()?,
        budget: ask.budget.clone(),
        threads: verify::threads(),
        progress: Box::new(|done| bar.set_position(done)),
        workflow: None,
        trial: None,
        found: Found::default(),
    };
    let mut told: io::Result<()> = Ok(());
    let steps = deploy::pass(
        &ask.gates,
        &mut candidate,
        |name| begins(&bar, name),
        |step| {
            if told.is_ok() {
                told = bar.suspend(|| ends(step, ask));
            }
        },
    )?;
    bar.finish_and_clear();
    told?;
    let (component, manifest) = (hex(&sha256(&ask.component)), hex(&sha256(ask.text.as_bytes())));
    let passed = steps.iter().all(|step| step.verdict == Verdict::Passed);
    let Some(workflow) = candidate.workflow.take().filter(|_| passed) else {
        let report = Report { component, manifest, steps, ..Report::default() };
        finish(&report, "refused: nothing has come into force", ask.json)?;
        return Ok(Exit::Negative);
    };
    let name = workflow.name.to_string();
    if ask.dry_run {
        let report = Report { workflow: name, component, manifest, steps, ..Report::default() };
        return rehearse(&mut candidate, &workflow.manifest.store.location, report, ask.json);
    }
    drop(workflow);
    let began = Instant::now();
    let bar = progress()?;
    begins(&bar, SWAP);
    let answer = swap(ask, (&component, &manifest))?;
    bar.finish_and_clear();
    let Some(answer) = answer else { return Ok(Exit::Wrong) };
    let generation = answer.rsplit(' ').next().and_then(|word| word.parse().ok()).filter(|_| !is_refused(&answer));
    let (hosts, missing) = match generation {
        Some(generation) => taken_up(&ask.reader, ask.id, generation)?,
        None => (Vec::new(), Vec::new()),
    };
    let verdict = if generation.is_some() { Verdict::Passed } else { Verdict::Refused };
    let step = Step { gate: SWAP, verdict, took: began.elapsed(), told: vec![answer.clone()], ..Step::default() };
    ends(&step, ask)?;
    let mut steps = steps;
    steps.push(step);
    let report = Report { workflow: name, component, manifest, steps, generation, hosts, missing, radius: None };
    let text = match generation {
        None => answer,
        Some(generation) if report.hosts.is_empty() && report.missing.is_empty() => format!("release {generation} is in force"),
        Some(generation) => format!("release {generation} is in force on {}", report.hosts.join(", ")),
    };
    finish(&report, &text, ask.json)?;
    Ok(if generation.is_some() && report.missing.is_empty() { Exit::Well } else { Exit::Negative })
}

/// Tells how far the release would reach, in place of the swap.
fn rehearse(candidate: &mut Candidate<'_>, location: &Location, report: Report, json: bool) -> anyhow::Result<Exit> {
    candidate.load_trial()?;
    let Some(trial) = &candidate.trial else { anyhow::bail!("the candidate cannot be tried") };
    let radius = radius::tell(location, &trial.lineage, &trial.plan, &candidate.budget.expected, json)?;
    let summary = radius::summary(&radius);
    finish(&Report { radius: Some(radius), ..report }, &format!("{summary}; nothing has come into force"), json)?;
    Ok(Exit::Well)
}

/// What follows the gates.
const SWAP: &str = "swap";

/// Has the release come into force. Gives the answer.
fn swap(ask: &Ask<'_>, (component, manifest): (&str, &str)) -> anyhow::Result<Option<String>> {
    let load = || -> anyhow::Result<Option<Workflow>> {
        match load_release_closed(ask.path, &ask.text, &ask.component) {
            Ok(workflow) => Ok(Some(workflow)),
            Err(findings) => {
                report::refuse(&ask.path.display().to_string(), &findings)?;
                Ok(None)
            }
        }
    };
    let Some(workflow) = load()? else { return Ok(None) };
    let location = workflow.manifest.store.location.clone();
    Writer::keep_beside(&location, (component, &ask.component), (manifest, &ask.text))?;
    let stored = Stored { workflow, reader: Reader::open(&location)?, id: ask.id };
    let base = ask.releases.last().map(|release| release.generation);
    let subject = serde_json::json!({ "component": component, "manifest": manifest, "base": base }).to_string();
    let question = Question { command: "deploy", subjects: &[subject], warrant: &ask.warrant };
    let answered = ask::ask_with(&load, stored, &question, ask::RELEASE)?;
    Ok(answered.map(|answered| answered.only().to_owned()))
}

/// Waits until every host that shares the store goes on under the release. Gives those that do, and those that do not.
fn taken_up(reader: &Reader, id: i64, generation: u64) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let began = Instant::now();
    loop {
        let (hosts, in_force) = (reader.ownership()?.hosts, reader.in_force(id)?);
        let goes_on = |epoch: u64| in_force.iter().any(|(of, under)| *of == epoch && *under >= generation);
        // Between two engines a host has no epoch: the next one begins under what is in force.
        let (done, missing): (Vec<_>, Vec<_>) = hosts.into_iter().partition(|host| host.epoch.is_none_or(goes_on));
        let names = |hosts: Vec<purefold::store::HostRow>| hosts.into_iter().map(|host| host.name).collect::<Vec<_>>();
        if missing.is_empty() || began.elapsed() > TAKEN_UP_TIMEOUT {
            return Ok((names(done), names(missing)));
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}

/// A line on a terminal: the gate that is being passed, and how far it is.
fn progress() -> anyhow::Result<ProgressBar> {
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {msg} {elapsed} {pos}")?);
    Ok(bar)
}

fn begins(bar: &ProgressBar, name: &'static str) {
    bar.reset();
    bar.set_message(name);
}

fn ends(step: &Step, ask: &Ask<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if ask.json {
        return report::json_line(&mut out, step);
    }
    let style = Style::of_stdout();
    let verdict = match step.verdict {
        Verdict::Passed => "passed".to_owned(),
        Verdict::Refused => style.red("refused"),
    };
    writeln!(out, "{:<14} {verdict}  {:.2} s", step.gate, step.took.as_secs_f64())?;
    for told in &step.told {
        writeln!(out, "  {}", visible(told))?;
    }
    if let Some(shadow) = &step.shadow {
        let mut text = Vec::new();
        shadow::text(&mut text, shadow, step.verdict == Verdict::Passed)?;
        indented(&mut out, &text)?;
    }
    for (entity, why) in step.migration.iter().flat_map(|migration| &migration.failures).take(MOST_NAMED) {
        writeln!(out, "  {}, of release {}: {}: {}", visible(entity), why.release, why.code, visible(&why.reason))?;
    }
    for finding in &step.findings {
        writeln!(out, "  {}", visible(&finding.to_string()))?;
    }
    Ok(())
}

/// What stands below a gate.
fn indented(out: &mut dyn Write, text: &[u8]) -> io::Result<()> {
    for line in String::from_utf8_lossy(text).lines() {
        writeln!(out, "{}{line}", if line.is_empty() { "" } else { "  " })?;
    }
    Ok(())
}

fn finish(report: &Report, text: &str, json: bool) -> io::Result<()> {
    if json {
        return report::json_line(&mut io::stdout().lock(), report);
    }
    report::line(&visible(text))?;
    if !report.missing.is_empty() {
        eprintln!(
            "not taken up within {} s by {}; their logs say why, and they try again",
            TAKEN_UP_TIMEOUT.as_secs(),
            report.missing.join(", ")
        );
    }
    Ok(())
}
