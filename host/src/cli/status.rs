//! `purefold status`: how a workflow stands, on one screen.

use std::io::{self, Write};
use std::path::PathBuf;

use purefold::source::{Partition, REQUESTS};
use purefold::store::{PauseRow, SHARDS, Scope, Standings};
use purefold_wit::instant;
use serde::Serialize;

use super::exit::Exit;
use super::open::{self, Stored};
use super::table::{Style, visible};
use super::{json, report, source};

/// Forwarded events up to which they are counted.
const MOST_FORWARDED: u32 = 100_000;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Status<'a> {
    workflow: &'a str,
    release: u64,
    /// SHA-256 of the component in force.
    component: &'a str,
    /// `arrival` or `event`.
    clock: Option<String>,
    paused: Vec<Paused<'a>>,
    entities: u64,
    parked: u64,
    /// Inputs that wait for parked, paused or busy entities.
    waiting: u64,
    outstanding: Vec<Outstanding<'a>>,
    timers: u64,
    next_due: Option<String>,
    deliveries: u64,
    dead_letters: Vec<DeadLetters<'a>>,
    sources: Vec<Source<'a>>,
    /// What was asked and waits for a host.
    commands: u64,
    /// Events that one host read and another is to decide.
    forwarded: u64,
    /// The hosts that share the store.
    hosts: Vec<Host>,
}

#[derive(Serialize)]
struct Host {
    name: String,
    /// Under which its engine commits; none between two engines.
    epoch: Option<u64>,
    /// How many of the shards it owns.
    shards: usize,
    /// Until when the others believe it alive.
    until: Option<String>,
}

#[derive(Serialize)]
struct Paused<'a> {
    scope: &'a str,
    name: &'a str,
    since: Option<String>,
    by: &'a str,
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Outstanding<'a> {
    effect: &'a str,
    status: &'a str,
    count: u64,
}

#[derive(Serialize)]
struct DeadLetters<'a> {
    code: &'a str,
    count: u64,
}

#[derive(Serialize)]
struct Source<'a> {
    name: &'a str,
    /// Lines that are done for good; of a partition, the next offset to be read.
    position: u64,
    /// Lines that were read.
    read: u64,
    /// Of a partition, the records that are there and not decided, where the brokers tell.
    lag: Option<u64>,
    duplicates: u64,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(stored) = open::stored(&arguments.workflow)? else { return Ok(Exit::Wrong) };
    let Stored { workflow, reader, id } = &stored;
    // Of one moment: the numbers fit each other.
    let snapshot = reader.snapshot()?;
    let releases = reader.releases(*id)?;
    let pauses = reader.pauses(*id)?;
    let standings = reader.workflow_standings(*id, &workflow.name)?;
    let clock = reader.clock()?;
    let (ownership, forwarded) = (reader.ownership()?, reader.count_forwarded(MOST_FORWARDED)?);
    drop(snapshot);
    // Asked after the positions were read: what came meanwhile counts as not decided.
    let kafka = workflow.manifest.source.kafka.as_ref().filter(|_| !source::partitions(&standings.sources).is_empty());
    let ends = kafka.map(|kafka| source::ends(&stored, kafka)).unwrap_or_default();
    let release = releases.last();
    let Standings { entities, parked, waiting, timers, next_due, deliveries, commands, .. } = standings;
    let status = Status {
        workflow: &workflow.name,
        release: release.map_or(0, |release| release.generation),
        component: release.map_or("", |release| &release.component),
        clock,
        paused: pauses.iter().map(paused).collect(),
        entities,
        parked,
        waiting,
        outstanding: standings
            .outstanding
            .iter()
            .map(|(effect, status, count)| Outstanding { effect, status: status.as_str(), count: *count })
            .collect(),
        timers,
        next_due: next_due.and_then(instant::format),
        deliveries,
        dead_letters: standings.dead_letters.iter().map(|(code, count)| DeadLetters { code, count: *count }).collect(),
        sources: standings
            .sources
            .iter()
            .map(|(name, row)| {
                let lag = Partition::of_name(name).and_then(|partition| ends.lag(&partition, row.next_line));
                Source { name, position: row.next_line, read: row.read_line, lag, duplicates: row.duplicates }
            })
            .collect(),
        commands,
        forwarded,
        hosts: ownership
            .hosts
            .iter()
            .map(|host| Host {
                name: host.name.clone(),
                epoch: host.epoch,
                shards: host.epoch.map_or(0, |epoch| ownership.of(epoch).len()),
                until: instant::format(host.until),
            })
            .collect(),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    if arguments.json {
        report::json_line(&mut out, &status)?;
    } else {
        screen(&mut out, &status, &pauses)?;
    }
    out.flush()?;
    Ok(Exit::Well)
}

fn paused(row: &PauseRow) -> Paused<'_> {
    let PauseRow { scope, since, warrant, .. } = row;
    Paused { scope: scope.as_str(), name: scope.name(), since: json::moment(*since), by: &warrant.by, reason: warrant.reason.as_deref() }
}

/// What a pause holds, in words.
pub(super) fn told_scope(scope: &Scope) -> String {
    match scope {
        Scope::Workflow => "the workflow".to_owned(),
        Scope::Effect(name) => format!("effect {name}"),
        Scope::Entity(name) => format!("entity {name}"),
    }
}

/// Since when, by whom and why.
pub(super) fn told_pause(row: &PauseRow) -> String {
    match json::moment(row.since) {
        Some(since) => format!("since {since} by {}", row.warrant.told()),
        None => format!("by {}", row.warrant.told()),
    }
}

fn screen(out: &mut dyn Write, status: &Status<'_>, pauses: &[PauseRow]) -> io::Result<()> {
    let style = Style::of_stdout();
    let component = status.component.get(..12).unwrap_or(status.component);
    writeln!(out, "{}", style.bold(&format!("{}  release {}  component {component}…", visible(status.workflow), status.release)))?;
    for pause in pauses {
        let text = format!("PAUSED: {}, {}", visible(&told_scope(&pause.scope)), visible(&told_pause(pause)));
        writeln!(out, "{}", style.red(&text))?;
    }
    let mut line = |name: &str, text: &str| writeln!(out, "{name:<14}{text}");
    line("entities", &format!("{}, {} parked, {} inputs waiting", status.entities, status.parked, status.waiting))?;
    let outstanding: Vec<String> =
        status.outstanding.iter().map(|o| format!("{} {} for {}", o.count, o.status, visible(o.effect))).collect();
    line("outstanding", &listed(&outstanding))?;
    let next = status.next_due.as_ref().map_or_else(String::new, |due| format!(", the next due at {due}"));
    line("timers", &format!("{}{next}", status.timers))?;
    if status.deliveries > 0 {
        line("deliveries", &format!("{} waiting", status.deliveries))?;
    }
    let letters: Vec<String> = status.dead_letters.iter().map(|letters| format!("{} {}", letters.count, visible(letters.code))).collect();
    line("dead letters", &listed(&letters))?;
    for source in &status.sources {
        let Source { name, position, read, lag, duplicates } = source;
        let text = match Partition::of_name(name) {
            Some(partition) => {
                let lag = lag.map_or_else(|| "how far behind is not known".to_owned(), |lag| format!("{lag} behind"));
                format!("{}: at offset {position}, {lag}, {duplicates} duplicates", visible(&partition.to_string()))
            }
            // Their senders know how far they are.
            None if *name == REQUESTS && *read == 0 => format!("{REQUESTS}: events come by request, {duplicates} duplicates"),
            None => format!("{}: {position} lines done, {read} read, {duplicates} duplicates", visible(name)),
        };
        line("source", &text)?;
    }
    if status.forwarded > 0 {
        line("forwarded", &format!("{} wait for the hosts that own their entities", status.forwarded))?;
    }
    for Host { name, epoch, shards, .. } in &status.hosts {
        let epoch = epoch.map_or_else(|| "no engine".to_owned(), |epoch| format!("epoch {epoch}"));
        line("host", &format!("{}: {epoch}, {shards} of {SHARDS} shards", visible(name)))?;
    }
    if status.commands > 0 {
        line("commands", &format!("{} wait for a host", status.commands))?;
    }
    Ok(())
}

fn listed(parts: &[String]) -> String {
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}
