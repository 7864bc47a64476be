//! `purefold truncate`: what the manifest's retention calls old is forgotten now, not little by little.

use std::path::PathBuf;

use purefold::store::Question;
use serde::Serialize;

use super::ask::{self, is_refused};
use super::exit::Exit;
use super::warrant::Signed;
use super::{open, report};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    #[command(flatten)]
    signed: Signed,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct AnswerLine<'a> {
    answer: &'a str,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(stored) = open::stored(&arguments.workflow)? else { return Ok(Exit::Wrong) };
    if !stored.workflow.manifest.retention.forgets() {
        eprintln!("error: workflow {:?} forgets nothing; say in `[retention]` what is old", stored.workflow.name);
        return Ok(Exit::Negative);
    }
    let warrant = arguments.signed.warrant();
    let question = Question { command: "truncate", subjects: &[String::new()], warrant: &warrant };
    let Some(answered) = ask::ask(&arguments.workflow, stored, &question)? else { return Ok(Exit::Wrong) };
    let answer = answered.only();
    if arguments.json {
        report::json_line(&mut std::io::stdout().lock(), &AnswerLine { answer })?;
    } else {
        report::line(answer)?;
    }
    Ok(if is_refused(answer) { Exit::Negative } else { Exit::Well })
}
