//! `purefold parked`: entities that a fault has stopped, and what to do about them.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use purefold::journal::{Kind, Warrant};
use purefold::store::{EntityRow, Question, Reader};
use purefold_wit::instant;
use serde::Serialize;
use serde_json::value::RawValue;

use super::ask::{self, is_refused};
use super::exit::Exit;
use super::open::{self, Stored};
use super::table::{Side, Style, Table, visible};
use super::warrant::{Reasoned, Signed};
use super::{entity, json, report};

/// Entities or inputs that are read together.
const PAGE: u32 = 64;

/// Keys that a refusal names.
const MOST_NAMED: u32 = 10;

const REDRIVE: &str = "parked redrive";

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    #[command(subcommand)]
    action: Action,
    /// One JSON object a line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Action {
    /// All of them, with why
    List,
    /// The inputs that wait for one of them, the faulting one first
    Show {
        /// The entity
        key: String,
    },
    /// Decide the faulting input again under the next sequence number and go on
    Redrive {
        #[command(flatten)]
        keys: Keys,
        #[command(flatten)]
        signed: Signed,
    },
    /// Drop the faulting input and go on with the next
    Drop {
        #[command(flatten)]
        keys: Keys,
        #[command(flatten)]
        reasoned: Reasoned,
    },
}

#[derive(clap::Args)]
#[group(required = true)]
struct Keys {
    /// Entities
    #[arg(value_name = "KEY")]
    keys: Vec<String>,
    /// Every parked entity, by key
    #[arg(long, conflicts_with = "keys")]
    all: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    entity: &'a str,
    sequence: u64,
    code: String,
    reason: String,
    /// How many inputs wait, the faulting one counted.
    waiting: u64,
}

#[derive(Serialize)]
struct InputLine<'a> {
    /// 1 is the faulting one.
    position: u64,
    origin: &'a str,
    now: Option<String>,
    event_id: &'a str,
    correlation_id: &'a str,
    input: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct AnswerLine<'a> {
    entity: &'a str,
    answer: &'a str,
    /// Whether it is parked now.
    parked: bool,
    waiting: u64,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(stored) = open::stored(&arguments.workflow)? else { return Ok(Exit::Wrong) };
    match &arguments.action {
        Action::List => list(&stored, arguments.json),
        Action::Show { key } => show(&stored, key, arguments.json),
        Action::Redrive { keys, signed } => change(arguments, stored, REDRIVE, keys, &signed.warrant()),
        Action::Drop { keys, reasoned } => change(arguments, stored, "parked drop", keys, &reasoned.warrant()),
    }
}

fn list(stored: &Stored, as_json: bool) -> anyhow::Result<Exit> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    if as_json {
        for_each(stored, |line| report::json_line(&mut out, line))?;
    } else {
        let columns =
            [("entity", Side::Whole), ("sequence", Side::Right), ("code", Side::Left), ("waiting", Side::Right), ("reason", Side::Left)];
        let mut table = Table::new(&mut out, Style::of_stdout(), &columns);
        for_each(stored, |line| table.row([line.entity, &line.sequence.to_string(), &line.code, &line.waiting.to_string(), &line.reason]))?;
        table.finish()?;
    }
    out.flush()?;
    Ok(Exit::Well)
}

fn for_each(stored: &Stored, mut tell: impl FnMut(&Line<'_>) -> io::Result<()>) -> anyhow::Result<()> {
    let mut after: Arc<str> = "".into();
    loop {
        let page = stored.reader.parked_keys_after(stored.id, &after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.clone();
        for key in page {
            let entity = stored.reader.entity(stored.id, &key)?;
            if let Some(entity) = entity.filter(|entity| entity.parked) {
                tell(&line(&stored.reader, &entity)?)?;
            }
        }
    }
}

/// Tells which entities are parked, for whoever named another one.
fn there_is(reader: &Reader, workflow: i64) -> anyhow::Result<()> {
    let parked = reader.parked_keys_after(workflow, "", MOST_NAMED + 1)?;
    let named: Vec<String> = parked.iter().take(MOST_NAMED as usize).map(|key| format!("{key:?}")).collect();
    let more = if parked.len() > named.len() { ", …" } else { "" };
    match named.len() {
        0 => eprintln!("no entity is parked"),
        _ => eprintln!("parked are {}{more}", named.join(", ")),
    }
    Ok(())
}

/// Why an entity is parked, by its latest entry that says so.
fn line<'a>(reader: &Reader, entity: &'a EntityRow) -> anyhow::Result<Line<'a>> {
    #[derive(serde::Deserialize)]
    struct Fault {
        code: String,
        reason: String,
    }
    for link in reader.chain(entity.head_row) {
        let link = link?;
        if link.kind == Kind::Parked {
            let fault: Fault = serde_json::from_slice(&reader.entry(link.row)?.entry.output)
                .map_err(|error| anyhow::anyhow!("the entry that parked entity {:?} cannot be read: {error}", entity.key))?;
            let waiting = reader.inbox_length(entity.id)?;
            return Ok(Line { entity: &entity.key, sequence: entity.sequence, code: fault.code, reason: fault.reason, waiting });
        }
    }
    anyhow::bail!("entity {:?} is parked, but its journal does not say why", entity.key)
}

fn show(stored: &Stored, key: &str, as_json: bool) -> anyhow::Result<Exit> {
    let Some(entity) = entity::known(stored, key)? else { return Ok(Exit::Negative) };
    if !entity.parked {
        eprintln!("error: entity {key:?} is not parked");
        return Ok(Exit::Negative);
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    if !as_json {
        let Line { code, reason, waiting, sequence, .. } = line(&stored.reader, &entity)?;
        writeln!(out, "{}", Style::of_stdout().bold(&format!("{}  parked after sequence {sequence}, {waiting} waiting", visible(key))))?;
        writeln!(out, "{}: {}", visible(&code), visible(&reason))?;
    }
    let (mut after, mut position) = (0, 0);
    loop {
        let page = stored.reader.waiting_after(entity.id, after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = last.id;
        for waiting in &page {
            position += 1;
            let input = InputLine {
                position,
                origin: &waiting.origin,
                now: instant::format(waiting.now),
                event_id: &waiting.event_id,
                correlation_id: &waiting.correlation_id,
                input: json::raw(&waiting.input),
            };
            if as_json {
                report::json_line(&mut out, &input)?;
            } else {
                in_full(&mut out, &input)?;
            }
        }
    }
    out.flush()?;
    Ok(Exit::Well)
}

fn in_full(out: &mut dyn Write, line: &InputLine<'_>) -> io::Result<()> {
    let InputLine { position, origin, now, event_id, correlation_id, input } = line;
    let now = now.as_deref().unwrap_or("-");
    let (event_id, correlation_id) = (visible(event_id), visible(correlation_id));
    writeln!(out, "\n{position}. {}  {now}  event id {event_id}  correlation id {correlation_id}", visible(origin))?;
    match input {
        Some(input) => json::write_pretty(out, input, 2),
        None => Ok(()),
    }
}

/// The keys of all parked entities, in order.
fn all_keys(stored: &Stored) -> anyhow::Result<Vec<String>> {
    let mut keys: Vec<String> = Vec::new();
    loop {
        let after = keys.last().map_or("", String::as_str);
        let page = stored.reader.parked_keys_after(stored.id, after, PAGE)?;
        if page.is_empty() {
            return Ok(keys);
        }
        keys.extend(page.iter().map(ToString::to_string));
    }
}

fn change(arguments: &Arguments, stored: Stored, command: &str, keys: &Keys, warrant: &Warrant) -> anyhow::Result<Exit> {
    let keys = &if keys.all { all_keys(&stored)? } else { keys.keys.clone() };
    let question = Question { command, subjects: keys, warrant };
    let Some(answered) = ask::ask(&arguments.workflow, stored, &question)? else { return Ok(Exit::Wrong) };
    // Whoever drops an input had that done, whatever the next one comes to.
    let is_to_go_on = command == REDRIVE;
    let mut done = Exit::Well;
    let mut out = io::stdout().lock();
    for (key, answer) in keys.iter().zip(&answered.answers) {
        if is_refused(answer) {
            done = Exit::Negative;
        }
        let entity = answered.reader.entity(answered.id, key)?;
        let parked = entity.as_ref().filter(|entity| entity.parked);
        let waiting = entity.as_ref().map_or(Ok(0), |entity| answered.reader.inbox_length(entity.id))?;
        // The answer was committed together with the decision: a new fault is already there.
        if parked.is_some() && is_to_go_on {
            done = Exit::Negative;
        }
        if arguments.json {
            report::json_line(&mut out, &AnswerLine { entity: key, answer, parked: parked.is_some(), waiting })?;
            continue;
        }
        writeln!(out, "{}: {}", visible(key), visible(answer))?;
        if is_refused(answer) {
            continue;
        }
        if let Some(entity) = parked {
            let Line { code, reason, waiting, .. } = line(&answered.reader, entity)?;
            writeln!(out, "  parked again: {}: {} ({waiting} waiting)", visible(&code), visible(&reason))?;
        } else if waiting > 0 {
            writeln!(out, "  {waiting} waiting for the outcomes of earlier intents, which `purefold run` performs")?;
        }
    }
    if answered.answers.iter().any(|answer| is_refused(answer)) {
        there_is(&answered.reader, answered.id)?;
    }
    Ok(done)
}
