//! `purefold replay`: recorded history through another component.

use std::io::{self, Write};
use std::path::PathBuf;

use purefold::replay::{self, Expected, Lineage, Sample, Shadow};
use purefold::sandbox::Sandbox;

use super::exit::Exit;
use super::open::{self, Stored};
use super::{budget, entity, radius, report, shadow, verify};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    /// The component that decides in the place of those that did
    #[arg(long, value_name = "COMPONENT")]
    with: PathBuf,
    /// Only the history of this entity
    #[arg(long, value_name = "KEY", conflicts_with = "sample")]
    entity: Option<String>,
    /// Only so many entities, or this share of them, spread evenly over their keys
    #[arg(long, value_name = "N|P%", value_parser = budget::sample)]
    sample: Option<Sample>,
    /// Differences here and below are wanted, as in `intents.register-service.tags`
    #[arg(long, value_name = "PATH")]
    expect: Vec<String>,
    /// Try every entity's next step instead, on the state that it is in now, and tell which would go another way
    #[arg(long, conflicts_with_all = ["entity", "sample", "allow"])]
    radius: bool,
    /// This share of the decisions may differ elsewhere
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = budget::share)]
    allow: f64,
    /// JSON lines: every kind of difference, every divergence point, then the counts
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(stored) = open::stored(&arguments.workflow)? else { return Ok(Exit::Wrong) };
    let Some(candidate) = open::candidate(&stored.workflow, &arguments.with)? else { return Ok(Exit::Wrong) };
    let Stored { workflow, reader, id } = &stored;
    let sandbox = Sandbox::new()?;
    let lineage = Lineage::load(reader, &sandbox, *id, &workflow.manifest.path)?;
    let candidate = lineage.candidate(reader, &sandbox, candidate)?;
    let expected = Expected::new(&arguments.expect);
    if arguments.radius {
        let location = &workflow.manifest.store.location;
        let found = radius::tell(location, &lineage, &candidate, &expected, arguments.json)?;
        if arguments.json {
            report::json_line(&mut io::stdout().lock(), &found)?;
        } else {
            report::line(&radius::summary(&found))?;
        }
        return Ok(if found.affected == 0 { Exit::Well } else { Exit::Negative });
    }
    let sample = match &arguments.entity {
        Some(key) => match entity::known(&stored, key)? {
            Some(row) => Sample::One(row.key),
            None => return Ok(Exit::Negative),
        },
        None => arguments.sample.clone().unwrap_or(Sample::All),
    };
    let through = Shadow { lineage: &lineage, candidate: &candidate, expected: &expected, sample: &sample, threads: verify::threads() };
    let bar = verify::progress("decisions compared")?;
    let found = replay::shadow(&workflow.manifest.store.location, &through, |decisions| bar.set_position(decisions))?;
    bar.finish_and_clear();
    let is_within = found.is_within(arguments.allow);
    let mut out = io::BufWriter::new(io::stdout().lock());
    if arguments.json {
        shadow::json(&mut out, &found, is_within)?;
    } else {
        shadow::text(&mut out, &found, is_within)?;
    }
    out.flush()?;
    Ok(if is_within { Exit::Well } else { Exit::Negative })
}
