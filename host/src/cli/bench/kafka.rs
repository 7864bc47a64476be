//! The pipeline from a topic of Kafka to PostgreSQL, from the first commit to the last.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use purefold::engine::{Clock, Options, Progress, Sessions, Summary};
use purefold::sandbox::Sandbox;
use purefold::workflow;

use super::database::{Database, Schema};
use super::processors::{Usage, Used, Watched, with_host};
use super::{Arguments, copy_with_source, load};
use crate::cli::exit::Exit;
use crate::cli::{open, report};

/// Names the brokers.
const VARIABLE: &str = "KAFKA_BROKERS";

/// From this share on the processors are what limits.
const BUSY: f64 = 0.9;

/// What was measured.
#[derive(serde::Serialize)]
struct Measured {
    events: u64,
    seconds: f64,
    events_per_second: f64,
    commits: u64,
    events_per_commit: f64,
    performed: bool,
    intents_concluded: u64,
    dead_letters: u64,
    rejected: u64,
    /// What it had to reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_least: Option<u32>,
    /// Where the system tells.
    used: Option<Used>,
}

/// How far the run was at a moment.
struct Look {
    at: Instant,
    summary: Summary,
    usage: Option<Usage>,
}

impl Look {
    fn now(summary: Summary, watched: &[Watched]) -> Look {
        Look { at: Instant::now(), summary, usage: Usage::now(watched) }
    }
}

/// Looks on from the first commit to the last.
#[derive(Default)]
struct Looks {
    first: Option<Look>,
    last: Option<Look>,
}

impl Looks {
    fn look(&mut self, progress: &Progress, watched: &[Watched]) {
        let summary = progress.summary;
        // The release and the positions at which nothing was read yet are commits too.
        if summary.commits == 0 || summary.events == 0 {
            return;
        }
        let known = self.last.as_ref().or(self.first.as_ref());
        if known.is_some_and(|known| known.summary.commits == summary.commits) {
            return;
        }
        let look = Look::now(summary, watched);
        if self.first.is_none() { self.first = Some(look) } else { self.last = Some(look) }
    }
}

pub(super) fn run(arguments: &Arguments, topic: &str, folder: &Path, sandbox: &Sandbox) -> anyhow::Result<Exit> {
    std::env::var(VARIABLE).with_context(|| format!("set {VARIABLE} to the brokers to measure with"))?;
    if !make_tables(&arguments.workflow)? {
        return Ok(Exit::Wrong);
    }
    let original = match open::workflow(&arguments.workflow) {
        Ok(original) => original,
        Err(exit) => return Ok(exit),
    };
    let schema = Schema::new()?;
    let kafka = toml::Table::from_iter([
        ("brokers".to_owned(), format!("${{{VARIABLE}}}").into()),
        ("group".to_owned(), schema.name.as_str().into()),
        ("topics".to_owned(), vec![topic].into()),
    ]);
    let manifest = copy_with_source(&original, folder, schema.store(), Some(kafka))?;
    drop(original);
    let workflow = load(&manifest)?;
    let feed = workflow.manifest.source.feed();
    let options = Options { clock: Clock::Arrival, until_idle: true, perform: arguments.perform, feed, ..Options::default() };
    let watched = with_host(&arguments.beside);
    eprintln!("reading {topic}{}", if arguments.perform { ", intents performed" } else { ", intents left in the outbox" });
    let (sessions, _stopper) = Sessions::start(vec![workflow], sandbox, options, schema.name.clone(), |_| ())?;
    let mut looks = Looks::default();
    let summary = sessions.run(|progress| looks.look(&progress, &watched))?;
    let (Some(first), Some(last)) = (looks.first, looks.last) else {
        eprintln!("error: {topic} holds too few events: {} were read", summary.events);
        return Ok(Exit::Wrong);
    };
    let measured = Measured { at_least: arguments.at_least, ..measured(&first, &last, &summary, arguments.perform, &watched) };
    if arguments.json {
        report::line(&serde_json::to_string(&measured)?)?;
    } else {
        show(&measured)?;
    }
    Ok(if measured.is_reached() { Exit::Well } else { Exit::Negative })
}

impl Measured {
    fn is_reached(&self) -> bool {
        self.at_least.is_none_or(|rate| self.events_per_second >= f64::from(rate))
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of a measurement are small")]
fn measured(first: &Look, last: &Look, summary: &Summary, performed: bool, watched: &[Watched]) -> Measured {
    let (events, commits) = (last.summary.events - first.summary.events, last.summary.commits - first.summary.commits);
    let seconds = last.at.duration_since(first.at).as_secs_f64();
    Measured {
        events,
        seconds,
        events_per_second: events as f64 / seconds,
        commits,
        events_per_commit: events as f64 / commits.max(1) as f64,
        performed,
        intents_concluded: last.summary.concluded - first.summary.concluded,
        dead_letters: summary.dead_letters,
        rejected: summary.rejected,
        at_least: None,
        used: first.usage.as_ref().zip(last.usage.as_ref()).map(|(first, last)| first.until(last, watched)),
    }
}

fn show(measured: &Measured) -> anyhow::Result<()> {
    let Measured { events, seconds, events_per_second, commits, events_per_commit, intents_concluded, dead_letters, rejected, .. } =
        measured;
    let performed = if measured.performed { "performed" } else { "left in the outbox" };
    report::line(&format!("{events_per_second:.0} events/s from Kafka into PostgreSQL, intents {performed}"))?;
    report::line(&format!(
        "  {events} events in {seconds:.2} s, {commits} commits of {events_per_commit:.0} events, {intents_concluded} intents concluded, \
         {rejected} rejected, {dead_letters} dead letters"
    ))?;
    if let Some(rate) = measured.at_least {
        report::line(&format!("  at least {rate} events/s: {}", if measured.is_reached() { "reached" } else { "not reached" }))?;
    }
    let Some(used) = &measured.used else { return Ok(()) };
    report::line(&format!("  {}", used.told(*events)))?;
    let share = used.busy() * 100.0;
    let others = (used.machine_seconds - used.total()).max(0.0) / used.elapsed_seconds;
    let limit = if used.busy() < BUSY {
        "what limits it is waiting: for the disk, or for each other"
    } else if others > 0.1 {
        "what limits it are the processors, and others use them too"
    } else {
        "what limits it are the processors"
    };
    Ok(report::line(&format!("  {share:.0} % of {} processors in use, {others:.2} of them by others: {limit}", used.processors))?)
}

/// Makes the tables that the workflow's effects need and that are not there; false where the manifest was told to be wrong.
fn make_tables(workflow: &Path) -> anyhow::Result<bool> {
    let needed = match workflow::schema(workflow) {
        Ok(needed) => needed,
        Err(findings) => {
            report::refuse(&workflow.display().to_string(), &findings)?;
            return Ok(false);
        }
    };
    let database = Database::connect()?;
    for statement in needed.into_iter().flat_map(|(_, statements)| statements) {
        database.execute(&statement).context("cannot make the tables of the effects")?;
    }
    Ok(true)
}
