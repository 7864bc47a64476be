//! `purefold erase`: what the journal holds of one entity is erased; that it was decided stays provable.

use std::io::{self, Write};
use std::path::PathBuf;

use purefold::store::Question;
use serde::Serialize;
use serde_json::json;

use super::ask::{self, is_refused};
use super::exit::Exit;
use super::table::visible;
use super::warrant::Reasoned;
use super::{open, report};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    /// The entity
    key: String,
    /// Erase all but the state that it is in, which its reducer goes on with
    #[arg(long)]
    keep_state: bool,
    #[command(flatten)]
    reasoned: Reasoned,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct AnswerLine<'a> {
    entity: &'a str,
    answer: &'a str,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(stored) = open::stored(&arguments.workflow)? else { return Ok(Exit::Wrong) };
    let subjects = [json!({ "entity": arguments.key, "keep_state": arguments.keep_state }).to_string()];
    let warrant = arguments.reasoned.warrant();
    let question = Question { command: "erase", subjects: &subjects, warrant: &warrant };
    let Some(answered) = ask::ask(&arguments.workflow, stored, &question)? else { return Ok(Exit::Wrong) };
    let answer = answered.only();
    let mut out = io::stdout().lock();
    if arguments.json {
        report::json_line(&mut out, &AnswerLine { entity: &arguments.key, answer })?;
    } else {
        writeln!(out, "{}: {}", visible(&arguments.key), visible(answer))?;
    }
    Ok(if is_refused(answer) { Exit::Negative } else { Exit::Well })
}
