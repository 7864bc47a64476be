//! `purefold bench`: what one decision of a workflow costs, and what the durable pipeline makes of it.
//!
//! Runs a copy of the workflow in a folder of its own. The same rows are then written once more without deciding
//! anything, in the same run and on the same disk, so that the two rates can be compared.

mod database;
mod decisions;
mod effects;
mod hand;
mod kafka;
mod postgres;
mod processors;
mod raw;
mod verified;
mod watching;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use purefold::engine::{self, Clock, Options, Summary};
use purefold::sandbox::Sandbox;
use purefold::source::Feed;
use purefold::workflow::Workflow;

use self::processors::{Usage, Used, Watched};
use super::exit::Exit;
use super::folder::Folder;
use super::table::{Side, Style, Table};
use super::{open, report};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest; a copy of it runs in a folder of its own
    #[arg(value_name = "WORKFLOW")]
    workflow: PathBuf,
    /// The events to measure with, one CloudEvent as JSON a line
    #[arg(long, value_name = "FILE", required_unless_present = "kafka")]
    events: Option<PathBuf>,
    /// Events to run before, which are not measured
    #[arg(long, value_name = "FILE")]
    setup: Option<PathBuf>,
    /// Perform the intents too: the manifest's effects are really carried out
    #[arg(long)]
    perform: bool,
    /// Where to make the folder: choose the disk to be measured
    #[arg(long, value_name = "FOLDER", default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
    /// Measure instead what watching costs: figures that are asked for, traces that are told, against nobody looking, in turn
    #[arg(long)]
    watching: bool,
    /// With `--watching`: how often each is run
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000), requires = "watching")]
    rounds: u16,
    /// Keep the journal in the PostgreSQL that the variable `DATABASE_URL` names, in a schema of its own, and put the same
    /// rows there by hand-written statements too, in turn
    #[arg(long, conflicts_with = "watching")]
    postgres: bool,
    /// Read the events from this topic of the brokers that the variable `KAFKA_BROKERS` names, to its end, with the journal in
    /// the PostgreSQL that `DATABASE_URL` names, in a schema of its own; tables that the effects need and that are not there are
    /// made
    #[arg(long, value_name = "TOPIC", conflicts_with_all = ["events", "setup", "watching", "postgres"])]
    kafka: Option<String>,
    /// With `--kafka`: the events a second that it has to reach; the answer is 1 where it does not
    #[arg(long, value_name = "RATE", requires = "kafka")]
    at_least: Option<u32>,
    /// With `--postgres` and `--kafka`: tell what this process and those it started use of the processors, say the database's
    #[arg(long, value_name = "NAME=PROCESS", value_parser = processors::watched)]
    beside: Vec<processors::Watched>,
    /// Verify the journal afterwards, and tell how much faster that is than it was made
    #[arg(long, conflicts_with_all = ["watching", "postgres", "kafka"])]
    verify: bool,
    /// JSON: one object, with `--watching` one for each way of watching
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// The events, where they are in a file.
    fn events(&self) -> anyhow::Result<&Path> {
        self.events.as_deref().context("give the events to measure with: --events FILE")
    }
}

/// What was measured.
#[derive(serde::Serialize)]
struct Measured {
    events: u64,
    seconds: f64,
    events_per_second: f64,
    /// The same rows without deciding: the store's, and where intents are performed those of the effects' SQLite files.
    raw_events_per_second: f64,
    ratio_to_raw: f64,
    /// The store's rows alone.
    raw_store_events_per_second: f64,
    ratio_to_raw_store: f64,
    commits: u64,
    bytes_per_event: u64,
    peak_resident_mib: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<verified::Verified>,
    decisions: Vec<decisions::Case>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    if let Some(topic) = &arguments.kafka {
        let folder = Folder::make(&arguments.folder, "bench")?;
        return kafka::run(arguments, topic, &folder.0, &Sandbox::new()?);
    }
    let original = match open::workflow(&arguments.workflow) {
        Ok(original) => original,
        Err(exit) => return Ok(exit),
    };
    let folder = Folder::make(&arguments.folder, "bench")?;
    let sandbox = Sandbox::new()?;
    if arguments.watching {
        watching::run(arguments, &original, &folder.0, arguments.rounds.into(), &sandbox)?;
        return Ok(Exit::Well);
    }
    if arguments.postgres {
        postgres::run(arguments, &original, &folder.0, &sandbox)?;
        return Ok(Exit::Well);
    }
    let manifest = copy(&original, &folder.0)?;
    drop(original);
    if let Some(setup) = &arguments.setup {
        eprintln!("running the set-up events");
        pipeline(&manifest, setup, &sandbox, arguments.perform)?;
    }
    let store = folder.0.join(STORE);
    let before = size(&store);
    let last_row = raw::last_row(&store)?;
    let copied = effects::copy(&load(&manifest)?, &manifest, COMPONENT)?;
    eprintln!("running the events");
    let events = arguments.events()?;
    let (summary, took) = pipeline(&manifest, events, &sandbox, arguments.perform)?;
    if summary.events == 0 {
        eprintln!("error: {} holds no events", events.display());
        return Ok(Exit::Wrong);
    }
    let peak_resident_mib = peak_resident_mib();
    let workflow = load(&manifest)?;
    let verified = arguments.verify.then(|| verified::measure(&manifest, &store, last_row, took, &sandbox)).transpose()?;
    eprintln!("writing the same rows without deciding");
    let raw_store = raw::write(&workflow, &store, last_row, &folder.0.join("raw.db"), summary.commits)?;
    let raw_effects = match arguments.perform {
        true => effects::write(&load(&copied)?, &store, last_row, summary.commits)?,
        false => Duration::ZERO,
    };
    let raw = raw_store + raw_effects;
    eprintln!("measuring single decisions");
    let decisions = decisions::measure(&workflow, &store, last_row, &sandbox)?;
    #[allow(clippy::cast_precision_loss)]
    let per_second = |took: Duration| summary.events as f64 / took.as_secs_f64();
    let measured = Measured {
        events: summary.events,
        seconds: took.as_secs_f64(),
        events_per_second: per_second(took),
        raw_events_per_second: per_second(raw),
        ratio_to_raw: raw.as_secs_f64() / took.as_secs_f64(),
        raw_store_events_per_second: per_second(raw_store),
        ratio_to_raw_store: raw_store.as_secs_f64() / took.as_secs_f64(),
        commits: summary.commits,
        bytes_per_event: size(&store).saturating_sub(before) / summary.events,
        peak_resident_mib,
        verified,
        decisions,
    };
    if arguments.json {
        report::line(&serde_json::to_string(&measured)?)?;
    } else {
        show(&measured)?;
    }
    Ok(Exit::Well)
}

/// The store's file in the folder.
const STORE: &str = "bench.db";

/// The component's.
const COMPONENT: &str = "reducer.wasm";

/// Copies manifest and component, with the store under the folder.
fn copy(workflow: &Workflow, folder: &Path) -> anyhow::Result<PathBuf> {
    copy_with(workflow, folder, toml::Table::from_iter([("sqlite".to_owned(), STORE.into())]))
}

/// Copies manifest and component, with these settings of the store.
fn copy_with(workflow: &Workflow, folder: &Path, store: toml::Table) -> anyhow::Result<PathBuf> {
    copy_with_source(workflow, folder, store, None)
}

/// As [`copy_with`], and to read these partitions of Kafka where they are given.
fn copy_with_source(workflow: &Workflow, folder: &Path, store: toml::Table, kafka: Option<toml::Table>) -> anyhow::Result<PathBuf> {
    let mut table: toml::Table = workflow.manifest.text.parse().context("cannot read the manifest again")?;
    table.insert("store".into(), store.into());
    if let Some(kafka) = kafka {
        table.insert("source".into(), toml::Table::from_iter([("kafka".to_owned(), kafka.into())]).into());
    }
    if let Some(reducer) = table.get_mut("reducer").and_then(toml::Value::as_table_mut) {
        reducer.insert("component".into(), COMPONENT.into());
    }
    let manifest = folder.join("workflow.toml");
    std::fs::write(folder.join(COMPONENT), &workflow.component)?;
    std::fs::write(&manifest, toml::to_string(&table)?)?;
    Ok(manifest)
}

fn load(manifest: &Path) -> anyhow::Result<Workflow> {
    open::workflow(manifest).ok().context("the copied workflow does not load")
}

fn pipeline(manifest: &Path, events: &Path, sandbox: &Sandbox, perform: bool) -> anyhow::Result<(Summary, Duration)> {
    let started = Instant::now();
    let ran = started_pipeline(manifest, events, sandbox, perform, &[])?;
    Ok((ran.summary, started.elapsed()))
}

/// What a run of the pipeline came to, once it was started.
struct Ran {
    summary: Summary,
    took: Duration,
    used: Option<Used>,
}

/// Runs the pipeline; counts what `watched` use of the processors once it was started.
fn started_pipeline(manifest: &Path, events: &Path, sandbox: &Sandbox, perform: bool, watched: &[Watched]) -> anyhow::Result<Ran> {
    let feed = Some(Feed::File(events.to_path_buf()));
    let options = Options { clock: Clock::Arrival, until_idle: true, perform, feed, ..Options::default() };
    let workflow = load(manifest)?;
    let (engine, _stopper) = engine::start(vec![workflow], sandbox, &options)?;
    let (began, started) = (Usage::now(watched), Instant::now());
    let summary = engine.run(|_| ())?;
    let took = started.elapsed();
    let used = began.zip(Usage::now(watched)).map(|(began, ended)| began.until(&ended, watched));
    Ok(Ran { summary, took, used })
}

/// Bytes of the store and its log.
fn size(store: &Path) -> u64 {
    std::fs::metadata(store).map_or(0, |data| data.len())
}

/// The most memory that this process ever held, where the system tells.
fn peak_resident_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? / 1024)
}

fn show(measured: &Measured) -> anyhow::Result<()> {
    let Measured { events, seconds, events_per_second, raw_events_per_second, ratio_to_raw, commits, bytes_per_event, .. } = measured;
    report::line(&format!(
        "pipeline: {events_per_second:.0} events/s ({events} events in {seconds:.2} s, {commits} commits, {bytes_per_event} bytes of store an event)"
    ))?;
    report::line(&format!(
        "raw:      {raw_events_per_second:.0} events/s for writing the same rows; the pipeline makes {ratio_to_raw:.2} of that"
    ))?;
    let (raw_store, ratio_to_store) = (measured.raw_store_events_per_second, measured.ratio_to_raw_store);
    report::line(&format!("          {raw_store:.0} events/s for the store's rows alone, without the effects' own ({ratio_to_store:.2})"))?;
    if let Some(peak) = measured.peak_resident_mib {
        report::line(&format!("memory:   {peak} MiB at most"))?;
    }
    if let Some(verified) = &measured.verified {
        report::line(&verified.told())?;
    }
    report::line("")?;
    let mut out = std::io::stdout().lock();
    let columns = [
        ("input", Side::Left),
        ("decisions", Side::Right),
        ("decode ns", Side::Right),
        ("decide ns", Side::Right),
        ("encode ns", Side::Right),
    ];
    let mut table = Table::new(&mut out, Style::of_stdout(), &columns);
    for case in &measured.decisions {
        let numbers = [case.samples as u64, case.decode_ns, case.decide_ns, case.encode_ns].map(|number| number.to_string());
        table.row(std::iter::once(case.input.clone()).chain(numbers))?;
    }
    table.finish()?;
    Ok(())
}
