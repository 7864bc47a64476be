//! `purefold pause` and `purefold resume`: a workflow, an effect or an entity stands still until it is resumed.

use std::io::{self, Write};
use std::path::PathBuf;

use purefold::store::{Question, Scope};
use serde::Serialize;

use super::ask::{self, is_refused};
use super::exit::Exit;
use super::status::{told_pause, told_scope};
use super::table::visible;
use super::warrant::Signed;
use super::{open, report};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    /// Only this effect: whether attempts at its intents start
    #[arg(long, value_name = "NAME", conflicts_with = "entity")]
    effect: Option<String>,
    /// Only this entity: whether its inputs wait
    #[arg(long, value_name = "KEY")]
    entity: Option<String>,
    #[command(flatten)]
    signed: Signed,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct AnswerLine<'a> {
    scope: &'a str,
    name: &'a str,
    answer: &'a str,
}

impl Arguments {
    fn scope(&self) -> Scope {
        match (&self.effect, &self.entity) {
            (Some(effect), _) => Scope::Effect(effect.as_str().into()),
            (None, Some(entity)) => Scope::Entity(entity.as_str().into()),
            (None, None) => Scope::Workflow,
        }
    }
}

/// Asks for `command`, which is `pause` or `resume`.
pub(super) fn run(arguments: &Arguments, command: &str) -> anyhow::Result<Exit> {
    let Some(stored) = open::stored(&arguments.workflow)? else { return Ok(Exit::Wrong) };
    let scope = arguments.scope();
    let subjects = [scope.about().to_string()];
    let warrant = arguments.signed.warrant();
    let question = Question { command, subjects: &subjects, warrant: &warrant };
    let Some(answered) = ask::ask(&arguments.workflow, stored, &question)? else { return Ok(Exit::Wrong) };
    let answer = answered.only();
    let mut out = io::stdout().lock();
    if arguments.json {
        report::json_line(&mut out, &AnswerLine { scope: scope.as_str(), name: scope.name(), answer })?;
    } else {
        writeln!(out, "{}", visible(answer))?;
    }
    if !is_refused(answer) {
        return Ok(Exit::Well);
    }
    let paused = answered.reader.pauses(answered.id)?;
    if paused.is_empty() {
        eprintln!("nothing is paused");
    }
    for pause in &paused {
        eprintln!("paused is {}, {}", visible(&told_scope(&pause.scope)), visible(&told_pause(pause)));
    }
    Ok(Exit::Negative)
}
