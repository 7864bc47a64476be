//! `purefold schema`

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use purefold::workflow;

use super::exit::Exit;
use super::report;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    /// Only what this effect needs
    #[arg(long)]
    effect: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let mut needed = match workflow::schema(&arguments.workflow) {
        Ok(needed) => needed,
        Err(findings) => {
            report::refuse(&arguments.workflow.display().to_string(), &findings)?;
            return Ok(Exit::Wrong);
        }
    };
    if let Some(effect) = &arguments.effect {
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
