//! `purefold bisect`: by which release and which event a property of states first came to hold.

use std::path::PathBuf;

use purefold::replay::{self, Onset};
use serde_json::json;

use super::exit::Exit;
use super::table::visible;
use super::{open, report, verify};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    /// A condition on the state, as in `phase == "active" and attempts > 3`
    #[arg(long, value_name = "EXPR")]
    r#where: String,
    /// Only this entity
    #[arg(long, value_name = "KEY")]
    entity: Option<String>,
    /// One JSON object a line: the first time under each release, then the counts
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let open::Past { stored, lineage, entity: only } = match open::past(&arguments.workflow, arguments.entity.as_deref())? {
        Ok(found) => found,
        Err(exit) => return Ok(exit),
    };
    let Some(condition) = open::condition(&arguments.r#where, &lineage.in_force()?.workflow.contract) else { return Ok(Exit::Wrong) };
    let bar = verify::progress("entities looked at")?;
    let location = &stored.workflow.manifest.store.location;
    let found = replay::bisect(location, stored.id, &condition, only.as_ref(), verify::threads(), |entities| bar.set_position(entities))?;
    bar.finish_and_clear();
    if arguments.json {
        for onset in &found.by_release {
            report::line(&serde_json::to_string(onset)?)?;
        }
        report::line(&json!({ "entities": found.entities, "ever": found.ever, "still": found.still, "first": found.first }).to_string())?;
    } else {
        match &found.first {
            None => report::line("it never held")?,
            Some(first) => {
                report::line(&format!("first held {}", told(first)))?;
                for onset in found.by_release.iter().filter(|onset| *onset != first) {
                    report::line(&format!("then {}", told(onset)))?;
                }
            }
        }
        report::line(&format!("{} entities looked at: it held for {}, and holds for {} now", found.entities, found.ever, found.still))?;
    }
    Ok(if found.first.is_some() { Exit::Well } else { Exit::Negative })
}

fn told(onset: &Onset) -> String {
    let at = purefold_wit::instant::format(onset.now).unwrap_or_default();
    let input = match &onset.input {
        Some(input) => format!("{input} {}", visible(&onset.event_id)),
        None => "its migration".to_owned(),
    };
    format!("under release {} for {}, after decision {} on {input} at {at}", onset.release, visible(&onset.entity), onset.sequence)
}
