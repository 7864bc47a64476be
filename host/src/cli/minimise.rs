//! `purefold minimise`: the shortest part of an entity's history that still shows something.

use std::path::PathBuf;

use anyhow::Context;
use purefold::replay::{self, Sought};
use serde_json::json;

use super::exit::Exit;
use super::{open, report, verify};

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("sought").required(true).args(["where", "intent", "fault"]))]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    /// The entity
    key: String,
    /// That its state came to be so, as in `phase == "rejected"`
    #[arg(long, value_name = "EXPR")]
    r#where: Option<String>,
    /// That an intent of this case was asked for
    #[arg(long, value_name = "CASE")]
    intent: Option<String>,
    /// That it faulted with this code
    #[arg(long, value_name = "CODE")]
    fault: Option<String>,
    /// Where the scenario is written; standard output without it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// One JSON object, with the scenario as a text where it is not written to a file
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let (open::Past { stored, lineage, .. }, row) = match open::past_of(&arguments.workflow, &arguments.key)? {
        Ok(found) => found,
        Err(exit) => return Ok(exit),
    };
    let contract = &lineage.in_force()?.workflow.contract;
    let sought = match (&arguments.r#where, &arguments.intent, &arguments.fault) {
        (Some(text), ..) => match open::condition(text, contract) {
            Some(condition) => Sought::State(condition),
            None => return Ok(Exit::Wrong),
        },
        (_, Some(case), _) => {
            let kebab = case.replace('_', "-");
            if contract.intent.case(&kebab).is_none() {
                eprintln!("error: the reducer has no intent case {case:?}");
                return Ok(Exit::Wrong);
            }
            Sought::Intent(case.clone())
        }
        (_, _, code) => Sought::Fault(code.clone().unwrap_or_default()),
    };
    let bar = verify::progress("attempts")?;
    let found = replay::minimise(&stored.reader, &lineage, &row, &sought, |attempts| bar.set_position(attempts))?;
    bar.finish_and_clear();
    let Some(found) = found else {
        eprintln!("error: the history of entity {:?}, decided by the release in force, never shows it", arguments.key);
        return Ok(Exit::Negative);
    };
    if let Some(file) = &arguments.output {
        std::fs::write(file, &found.scenario).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let at_least = if found.is_minimal { "" } else { " (fewer may do: there were too many to try)" };
    let told = format!("{} of {} inputs are enough{at_least}", found.kept, found.inputs);
    match (&arguments.output, arguments.json) {
        (None, false) => {
            eprintln!("{told}");
            report::line(found.scenario.trim_end())?;
        }
        (Some(file), false) => report::line(&format!("{told}; written to {}", file.display()))?,
        (output, true) => {
            let mut line = json!({ "inputs": found.inputs, "kept": found.kept, "minimal": found.is_minimal });
            if output.is_none() {
                line["scenario"] = found.scenario.into();
            }
            report::line(&line.to_string())?;
        }
    }
    Ok(Exit::Well)
}
