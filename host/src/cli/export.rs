//! `purefold export`: an audit bundle of a workflow.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use purefold::bundle::{self, Written};
use purefold::signing::SigningKey;
use serde_json::json;

use super::exit::Exit;
use super::{entity, import, open, report, sign};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    /// The file to write; there must be none of that name
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// Sign it with this secret key; the signature is written beside it, with `.minisig` after its name
    #[arg(long, value_name = "KEYFILE")]
    sign: Option<PathBuf>,
    /// Only this entity; may be given several times
    #[arg(long, value_name = "KEY")]
    entity: Vec<String>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let key = match &arguments.sign {
        None => None,
        Some(file) => match sign::key(file)? {
            None => return Ok(Exit::Wrong),
            key => key,
        },
    };
    let Some(stored) = open::stored(&arguments.workflow)? else { return Ok(Exit::Wrong) };
    for key in &arguments.entity {
        if entity::known(&stored, key)?.is_none() {
            return Ok(Exit::Negative);
        }
    }
    let keys = (!arguments.entity.is_empty()).then_some(&*arguments.entity);
    let written = match bundle::pack(&stored.reader, (stored.id, &stored.workflow.name), keys, &arguments.bundle) {
        Ok(written) => written,
        Err(error) => return import::refused(error),
    };
    let signature = key.map(|key| signed(&key, &arguments.bundle, &stored.workflow.name)).transpose()?;
    let Written { carried, bytes, sha256 } = written;
    if arguments.json {
        let line = json!({
            "entities": carried.entities, "entries": carried.entries, "bytes": bytes, "sha256": sha256,
            "signature": signature.map(|path| path.display().to_string()),
        });
        report::line(&line.to_string())?;
    } else {
        report::line(&format!("{} entries of {} entities, {bytes} bytes, sha256 {sha256}", carried.entries, carried.entities))?;
        if let Some(signature) = signature {
            report::line(&format!("signed: {}", signature.display()))?;
        }
    }
    Ok(Exit::Well)
}

/// Signs the bundle as it lies there, however long it is.
fn signed(key: &SigningKey, file: &Path, workflow: &str) -> anyhow::Result<PathBuf> {
    let data = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let signature = key.sign_all_of(data, &format!("audit bundle of {workflow}")).map_err(anyhow::Error::msg)?;
    sign::write_beside(file, &signature)
}
