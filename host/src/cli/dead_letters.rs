//! `purefold dead-letters`: events that could not be taken, and what to do about them.

use std::io::{self, Write};
use std::path::PathBuf;

use purefold::journal::Warrant;
use purefold::source::position_of;
use purefold::store::{DeadLetter, Question};
use serde::Serialize;

use super::ask::{self, is_refused};
use super::exit::Exit;
use super::open::{self, Stored};
use super::table::{Side, Style, Table, visible};
use super::warrant::{Reasoned, Signed};
use super::{json, report};

/// Ids that are read together.
const PAGE: u32 = 256;

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
    /// All of them, oldest first
    List(Filter),
    /// Some of them, with the events' bytes
    Show {
        /// Ids, as `list` shows them
        #[arg(required = true, value_name = "ID")]
        ids: Vec<i64>,
    },
    /// Decode them again and decide them in their entities' turn
    Redrive {
        #[command(flatten)]
        letters: Letters,
        #[command(flatten)]
        signed: Signed,
    },
    /// Remove them for good
    Drop {
        #[command(flatten)]
        letters: Letters,
        #[command(flatten)]
        reasoned: Reasoned,
    },
}

#[derive(clap::Args)]
struct Filter {
    /// Those of this code
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// Those of this entity, where it could be read
    #[arg(long, value_name = "KEY")]
    entity: Option<String>,
}

#[derive(clap::Args)]
struct Letters {
    /// Ids, as `list` shows them
    #[arg(required_unless_present_any = ["all", "code", "entity"], conflicts_with_all = ["all", "code", "entity"], value_name = "ID")]
    ids: Vec<i64>,
    /// All of them, oldest first
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: Filter,
}

impl Filter {
    fn admits(&self, letter: &DeadLetter) -> bool {
        self.code.as_ref().is_none_or(|code| *code == letter.code) && (self.entity.is_none() || self.entity == letter.key)
    }
}

#[derive(Serialize)]
struct Line<'a> {
    position: u64,
    event_id: Option<&'a str>,
    code: &'a str,
    path: &'a str,
    reason: &'a str,
    id: i64,
    source: &'a str,
    entity: Option<&'a str>,
    /// When it was buried, on the workflow's clock.
    since: Option<String>,
    /// The event, where it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<&'a str>,
    /// The event in hex, where it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

#[derive(Serialize)]
struct AnswerLine<'a> {
    id: i64,
    answer: &'a str,
}

impl<'a> Line<'a> {
    fn of(letter: &'a DeadLetter) -> Self {
        let DeadLetter { id, source, line, event_id, code, path, reason, key, now, .. } = letter;
        Line {
            position: position_of(source, *line),
            event_id: event_id.as_deref(),
            code,
            path,
            reason,
            id: *id,
            source,
            entity: key.as_deref(),
            since: json::moment(*now),
            bytes: None,
            hex: None,
        }
    }

    fn with_bytes(letter: &'a DeadLetter) -> Self {
        let text = std::str::from_utf8(&letter.bytes).ok();
        let hex = || purefold::journal::hex(&letter.bytes);
        Line { bytes: text, hex: if text.is_none() { Some(hex()) } else { None }, ..Line::of(letter) }
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(stored) = open::stored(&arguments.workflow)? else { return Ok(Exit::Wrong) };
    match &arguments.action {
        Action::List(filter) => list(&stored, filter, arguments.json),
        Action::Show { ids } => show(&stored, ids, arguments.json),
        Action::Redrive { letters, signed } => change(arguments, stored, "dead-letters redrive", letters, &signed.warrant()),
        Action::Drop { letters, reasoned } => change(arguments, stored, "dead-letters drop", letters, &reasoned.warrant()),
    }
}

fn list(stored: &Stored, filter: &Filter, as_json: bool) -> anyhow::Result<Exit> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    if as_json {
        for_each(stored, filter, |letter| Ok(report::json_line(&mut out, &Line::of(letter))?))?;
    } else {
        let columns = [
            ("id", Side::Right),
            ("source", Side::Left),
            ("position", Side::Right),
            ("event", Side::Left),
            ("code", Side::Left),
            ("path", Side::Left),
            ("reason", Side::Left),
        ];
        let mut table = Table::new(&mut out, Style::of_stdout(), &columns);
        for_each(stored, filter, |letter| {
            let (id, position) = (letter.id.to_string(), position_of(&letter.source, letter.line).to_string());
            let event = letter.event_id.as_deref().unwrap_or("-");
            Ok(table.row([&id, &letter.source, &position, event, &letter.code, &letter.path, &letter.reason])?)
        })?;
        table.finish()?;
    }
    out.flush()?;
    Ok(Exit::Well)
}

fn for_each(stored: &Stored, filter: &Filter, mut tell: impl FnMut(&DeadLetter) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut after = 0;
    loop {
        let page = stored.reader.dead_letter_ids_after(stored.id, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = *last;
        for id in page {
            // One that was redriven or dropped in the meantime is none any more.
            if let Some(letter) = stored.reader.dead_letter(stored.id, id)?.filter(|letter| filter.admits(letter)) {
                tell(&letter)?;
            }
        }
    }
}

fn show(stored: &Stored, ids: &[i64], as_json: bool) -> anyhow::Result<Exit> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut done = Exit::Well;
    for id in ids {
        let Some(letter) = stored.reader.dead_letter(stored.id, *id)? else {
            eprintln!("error: workflow {:?} has no dead letter {id}", stored.workflow.name);
            done = Exit::Negative;
            continue;
        };
        if as_json {
            report::json_line(&mut out, &Line::with_bytes(&letter))?;
        } else {
            in_full(&mut out, &letter)?;
        }
    }
    out.flush()?;
    Ok(done)
}

fn in_full(out: &mut dyn Write, letter: &DeadLetter) -> io::Result<()> {
    let DeadLetter { id, source, line, event_id, code, path, reason, bytes, .. } = letter;
    writeln!(out, "{}", Style::of_stdout().bold(&format!("dead letter {id}: line {line} of {}", visible(source))))?;
    let texts = [("event id", event_id.as_deref().unwrap_or("-")), ("code", code), ("path", path), ("reason", reason)];
    for (name, text) in texts {
        writeln!(out, "  {name}: {}", visible(text))?;
    }
    // Also where it goes to a file or a pipe, whose reader may be a terminal: `--json` has the bytes as they are.
    writeln!(out, "{}", visible(&String::from_utf8_lossy(bytes)))
}

fn change(arguments: &Arguments, stored: Stored, command: &str, letters: &Letters, warrant: &Warrant) -> anyhow::Result<Exit> {
    let mut ids = letters.ids.clone();
    if ids.is_empty() {
        for_each(&stored, &letters.filter, |letter| {
            ids.push(letter.id);
            Ok(())
        })?;
    }
    let subjects: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let question = Question { command, subjects: &subjects, warrant };
    let Some(mut answered) = ask::ask(&arguments.workflow, stored, &question)? else { return Ok(Exit::Wrong) };
    let mut done = Exit::Well;
    let mut out = io::stdout().lock();
    for (id, answer) in ids.iter().zip(&mut answered.answers) {
        // A running host takes its time; one that was started for this has done what it could.
        if answered.directly && !is_refused(answer) && answered.reader.dead_letter(answered.id, *id)?.is_some() {
            *answer =
                "refused: its entity waits for the outcomes of earlier intents, or its inbox is full; run the workflow, then redrive it"
                    .into();
        }
        if is_refused(answer) {
            done = Exit::Negative;
        }
        if arguments.json {
            report::json_line(&mut out, &AnswerLine { id: *id, answer })?;
        } else {
            writeln!(out, "dead letter {id}: {}", visible(answer))?;
        }
    }
    Ok(done)
}
