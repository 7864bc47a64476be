//! `purefold schema`

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use purefold::store::Location;
use purefold::workflow;

use super::exit::Exit;
use super::report;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    /// Only what this effect needs
    #[arg(long, conflicts_with = "store")]
    effect: Option<String>,
    /// What the store needs of PostgreSQL, with the rights of the role that the manifest names; hosts make it themselves
    /// where that role may
    #[arg(long)]
    store: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    if arguments.store {
        return store(&arguments.workflow);
    }
    let mut needed = match workflow::schema(&arguments.workflow) {
        Ok(needed) => needed,
        Err(findings) => {
            report::refuse(&arguments.workflow.display().to_string(), &findings)?;
            return Ok(Exit::Wrong);
        }
    };
    if let Some(effect) = &arguments.effect {
        if !needed.iter().any(|(name, _)| name == effect) {
            let names: Vec<&str> = needed.iter().map(|(name, _)| &**name).collect();
            let known = if names.is_empty() { "none of the manifest's needs any".to_owned() } else { names.join(", ") };
            eprintln!("error: the manifest names no effect {effect:?} that needs tables; those that do: {known}");
            return Ok(Exit::Wrong);
        }
        needed.retain(|(name, _)| name == effect);
    }
    if needed.is_empty() {
        eprintln!("no tables are needed");
        return Ok(Exit::Negative);
    }
    let mut text = String::new();
    for (effect, statements) in needed {
        let _ = writeln!(text, "-- the effect {effect}");
        for statement in statements {
            let _ = writeln!(text, "{statement};");
        }
    }
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Exit::Well)
}

/// Prints what the manifest's store needs.
fn store(path: &Path) -> anyhow::Result<Exit> {
    let Some(workflow) = super::open::workflow_to_read(path)? else { return Ok(Exit::Wrong) };
    let Location::Postgres(place) = &workflow.manifest.store.location else {
        eprintln!("no tables are needed: a host makes those of a SQLite store itself");
        return Ok(Exit::Negative);
    };
    std::io::stdout().lock().write_all(place.script().as_bytes())?;
    Ok(Exit::Well)
}
