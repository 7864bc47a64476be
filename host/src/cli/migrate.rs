//! `purefold migrate`: every state taken over by the release in force now, not when its entity is next decided for.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use purefold::store::{Question, Reader};
use serde::Serialize;

use super::ask::{self, is_refused};
use super::exit::Exit;
use super::open::{self, Stored};
use super::report;
use super::table::visible;
use super::warrant::Signed;

/// How often it is looked how many are left: each look counts all states.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How often it is looked whether there is an answer, between two of those.
const END_INTERVAL: Duration = Duration::from_millis(50);

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    /// Every entity's state
    #[arg(long, required = true)]
    all: bool,
    #[command(flatten)]
    signed: Signed,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct AnswerLine<'a> {
    answer: &'a str,
    /// The release in force.
    release: u64,
    /// States that were to be taken over.
    states: u64,
    /// Those that are now.
    migrated: u64,
    /// Those that could not be taken over: their entities are parked.
    parked: u64,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(stored) = open::stored(&arguments.workflow)? else { return Ok(Exit::Wrong) };
    let (location, id) = (stored.workflow.manifest.store.location.clone(), stored.id);
    let (states, _) = left(&stored.reader, id)?;
    let counting = if io::stderr().is_terminal() { Some(Reader::open(&location)?) } else { None };
    let warrant = arguments.signed.warrant();
    let question = Question { command: "migrate", subjects: &[String::new()], warrant: &warrant };
    let answered = counted(counting, id, states, || {
        let stored = Stored { workflow: stored.workflow, reader: stored.reader, id };
        ask::ask_with(&|| open::workflow_to_read(&arguments.workflow), stored, &question, ask::LONG)
    })?;
    let Some(answered) = answered else { return Ok(Exit::Wrong) };
    let answer = answered.only();
    let (remain, parked) = left(&answered.reader, id)?;
    let migrated = states.saturating_sub(remain);
    if arguments.json {
        let release = answered.reader.youngest_release(id)?;
        report::json_line(&mut io::stdout().lock(), &AnswerLine { answer, release, states, migrated, parked })?;
    } else {
        report::line(&format!("{migrated} of {states} states taken over"))?;
        report::line(&visible(answer))?;
        if parked > 0 {
            report::line("`purefold parked MANIFEST list` names them and says why")?;
        }
    }
    Ok(if is_refused(answer) || remain > 0 { Exit::Negative } else { Exit::Well })
}

/// How many states are still to be taken over by the release in force, and how many of their entities are parked.
fn left(reader: &Reader, id: i64) -> anyhow::Result<(u64, u64)> {
    let releases = reader.releases(id)?;
    let last = releases.last().map(|last| &last.state_type);
    let alike = releases.iter().rev().take_while(|release| Some(&release.state_type) == last);
    Ok(reader.count_states_before(id, alike.last().map_or(0, |first| first.generation))?)
}

/// Does `work`, and meanwhile tells on a terminal how many states are taken over.
fn counted<T>(reader: Option<Reader>, id: i64, states: u64, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let Some(reader) = reader else { return work() };
    let bar = ProgressBar::new(states);
    bar.set_style(ProgressStyle::with_template("{bar:32} {pos} of {len} states taken over, {eta} left")?);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (bar, done) = (&bar, &done);
        scope.spawn(move || {
            let mut waited = LOOK_INTERVAL;
            while !done.load(Ordering::Acquire) {
                if waited >= LOOK_INTERVAL {
                    // A look that fails says nothing; what is asked goes on.
                    if let Ok((remain, _)) = left(&reader, id) {
                        bar.set_position(states.saturating_sub(remain));
                    }
                    waited = Duration::ZERO;
                }
                std::thread::sleep(END_INTERVAL);
                waited += END_INTERVAL;
            }
            bar.finish_and_clear();
        });
        let worked = work();
        done.store(true, Ordering::Release);
        worked
    })
}
