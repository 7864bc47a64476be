//! `purefold state`: the state of one entity, now or after an earlier decision, or of all.

use std::io::{self, Write};
use std::path::PathBuf;

use purefold::journal::{Kind, Verdict};
use purefold::store::{EntityRow, Reader};
use serde::Serialize;
use serde_json::value::RawValue;

use super::exit::Exit;
use super::open::{self, Stored};
use super::table::{Side, Style, Table, visible};
use super::{entity, json, report};

/// Entities that are read together.
const PAGE: u32 = 256;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    /// The entity; without it, every entity that has a state
    key: Option<String>,
    /// The state that the entity's decision of this number left, or that it had at this time
    #[arg(long, value_name = "SEQUENCE|TIME", requires = "key", value_parser = at)]
    at: Option<At>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// A point in an entity's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Sequence(u64),
    /// In microseconds since the Unix epoch.
    Time(u64),
}

/// `12` or an RFC 3339 time.
fn at(text: &str) -> Result<At, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let sequence = text.parse().ok().filter(|sequence| *sequence > 0);
        return sequence.map(At::Sequence).ok_or_else(|| "decisions are numbered from 1".to_owned());
    }
    purefold_wit::instant::parse(text).map(At::Time).map_err(|reason| format!("neither a decision's number nor a time: {reason}"))
}

#[derive(Serialize)]
struct Line<'a> {
    entity: &'a str,
    sequence: u64,
    release: u64,
    state: Option<Box<RawValue>>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(stored) = open::stored(&arguments.workflow)? else { return Ok(Exit::Wrong) };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let done = match &arguments.key {
        Some(key) => one(&mut out, &stored, key, arguments)?,
        None => all(&mut out, &stored, arguments.json)?,
    };
    out.flush()?;
    Ok(done)
}

fn one(out: &mut dyn Write, stored: &Stored, key: &str, arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(entity) = entity::known(stored, key)? else { return Ok(Exit::Negative) };
    let line = match arguments.at {
        None => line(&stored.reader, &entity)?,
        Some(At::Sequence(sequence)) if sequence > entity.sequence => {
            eprintln!("error: entity {key:?} has no decision {sequence}; its last one is {}", entity.sequence);
            return Ok(Exit::Negative);
        }
        Some(At::Sequence(sequence)) => match line_at(&stored.reader, &entity, sequence)? {
            Some(line) => line,
            None => return Ok(gone(key, sequence)),
        },
        Some(At::Time(time)) => match sequence_at(&stored.reader, &entity, time)? {
            None => {
                eprintln!("error: nothing was decided for entity {key:?} up to then");
                return Ok(Exit::Negative);
            }
            Some(sequence) => match line_at(&stored.reader, &entity, sequence)? {
                Some(line) => line,
                None => return Ok(gone(key, sequence)),
            },
        },
    };
    if arguments.json {
        report::json_line(out, &line)?;
    } else {
        let style = Style::of_stdout();
        writeln!(out, "{}", style.bold(&format!("{}  sequence {}  release {}", visible(key), line.sequence, line.release)))?;
        match line.state {
            Some(state) => json::write_pretty(out, &state, 0)?,
            None => writeln!(out, "no state: it never began, or ended")?,
        }
    }
    Ok(Exit::Well)
}

fn gone(key: &str, sequence: u64) -> Exit {
    eprintln!("error: the state of entity {key:?} after decision {sequence} is gone: its first entries are truncated, or it was erased");
    Exit::Negative
}

/// The last decision up to `time`.
fn sequence_at(reader: &Reader, entity: &EntityRow, time: u64) -> anyhow::Result<Option<u64>> {
    for link in reader.chain(entity.head_row) {
        let link = link?;
        if link.kind == Kind::Decided && link.now <= time {
            return Ok(Some(link.sequence));
        }
    }
    Ok(None)
}

fn line<'a>(reader: &Reader, entity: &'a EntityRow) -> anyhow::Result<Line<'a>> {
    let (state, release) = match entity.state_row {
        Some(row) => {
            let (state, release) = reader.state(row)?;
            (json::raw(&state), release)
        }
        None => (None, reader.entry(entity.head_row)?.entry.release),
    };
    Ok(Line { entity: &entity.key, sequence: entity.sequence, release, state })
}

/// The state after the decision `sequence`: what that decision left, or the last one before it that changed the state.
/// None where that is gone.
fn line_at<'a>(reader: &Reader, entity: &'a EntityRow, sequence: u64) -> anyhow::Result<Option<Line<'a>>> {
    let mut asked = None;
    for link in reader.chain(entity.head_row) {
        let link = link?;
        let is_decision = link.kind == Kind::Decided;
        if asked.is_none() && !(is_decision && link.sequence == sequence) {
            continue;
        }
        let release = *asked.get_or_insert(link.release);
        let changed = link.verdict == Some(Verdict::Accepted) || link.kind == Kind::Migrated;
        if changed && link.has_state {
            let (state, release) = reader.state(link.row)?;
            return Ok(Some(Line { entity: &entity.key, sequence, release, state: json::raw(&state) }));
        }
        if changed && reader.entry(link.row)?.payloads().state.is_some() {
            return Ok(None);
        }
        if changed {
            return Ok(Some(Line { entity: &entity.key, sequence, release, state: None }));
        }
    }
    if reader.checkpoint(entity.id)?.is_some() {
        return Ok(None);
    }
    let Some(release) = asked else { anyhow::bail!("the journal of entity {:?} lacks decision {sequence}", entity.key) };
    Ok(Some(Line { entity: &entity.key, sequence, release, state: None }))
}

fn all(out: &mut dyn Write, stored: &Stored, as_json: bool) -> anyhow::Result<Exit> {
    if as_json {
        for_each(stored, |line| report::json_line(out, line))?;
        return Ok(Exit::Well);
    }
    let columns = [("entity", Side::Whole), ("sequence", Side::Right), ("release", Side::Right), ("state", Side::Left)];
    let mut table = Table::new(out, Style::of_stdout(), &columns);
    for_each(stored, |line| {
        let state = line.state.as_ref().map_or("", |state| state.get());
        table.row([line.entity, &line.sequence.to_string(), &line.release.to_string(), state])
    })?;
    table.finish()?;
    Ok(Exit::Well)
}

/// Every entity that has a state, by key.
fn for_each(stored: &Stored, mut tell: impl FnMut(&Line<'_>) -> io::Result<()>) -> anyhow::Result<()> {
    let mut after = std::sync::Arc::from("");
    loop {
        let page = stored.reader.entities_after(stored.id, &after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.key.clone();
        for entity in page.iter().filter(|entity| entity.state_row.is_some()) {
            tell(&line(&stored.reader, entity)?)?;
        }
    }
}
