//! `purefold verify`: checks the journal's chains and executes every decision again.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use purefold::engine::Plan;
use purefold::replay::{self, Lineage, Mismatch};
use purefold::sandbox::Sandbox;
use purefold::store::{Location, Reader};

use super::exit::Exit;
use super::folder::Folder;
use super::import::Trust;
use super::table::visible;
use super::{import, open, report};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    #[arg(value_name = "WORKFLOW", required_unless_present = "bundle", conflicts_with = "bundle")]
    workflow: Option<PathBuf>,
    /// An audit bundle instead: neither manifest nor store is needed
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    trust: Trust,
    /// Keep what was checked in this file, and go on where a run that was cut off ended
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// JSON lines: every mismatch, then the counts
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let sandbox = Sandbox::new()?;
    if let Some(bundle) = &arguments.bundle {
        return of_bundle(arguments, bundle, &sandbox);
    }
    let path = arguments.workflow.as_deref().context("name a manifest, or a bundle by --bundle")?;
    let Some(open::Stored { workflow, reader, id }) = open::stored(path)? else { return Ok(Exit::Wrong) };
    let location = workflow.manifest.store.location.clone();
    let plan = Plan::new(workflow, &sandbox, id, reader.journal()?)?;
    check(arguments, &plan, &sandbox, &location)
}

/// Unpacks the bundle for as long as it is checked.
fn of_bundle(arguments: &Arguments, bundle: &Path, sandbox: &Sandbox) -> anyhow::Result<Exit> {
    let folder = Folder::make(&std::env::temp_dir(), "bundle")?;
    let store = folder.0.join(import::STORE);
    let unpacked = match import::unpack(bundle, &arguments.trust, &store)? {
        Ok(unpacked) => unpacked,
        Err(exit) => return Ok(exit),
    };
    let location = Location::Sqlite(store);
    let reader = Reader::open(&location)?;
    let Some((id, _)) = reader.workflow(&unpacked.head.workflow)? else {
        eprintln!("error: the rows of the bundle are of another workflow than it says");
        return Ok(Exit::Negative);
    };
    // No path in the manifests of its releases is followed.
    let lineage = Lineage::load(&reader, sandbox, id, &folder.0.join("workflow.toml"))?;
    if let Some(signed) = unpacked.signed {
        eprintln!("signed by key {}: {}", signed.key, visible(&signed.comment));
    }
    if unpacked.head.partial {
        eprintln!("note: the bundle holds some of the entities of {} only", visible(&unpacked.head.workflow));
    }
    check(arguments, lineage.in_force()?, sandbox, &location)
}

fn check(arguments: &Arguments, plan: &Plan, sandbox: &Sandbox, location: &Location) -> anyhow::Result<Exit> {
    let threads = threads();
    let bar = progress("entries checked")?;
    let found = replay::verify_from(plan, sandbox, location, threads, arguments.resume.as_deref(), |entries| bar.set_position(entries))?;
    bar.finish_and_clear();
    for mismatch in &found.told {
        report::line(&if arguments.json { serde_json::to_string(mismatch)? } else { text(mismatch) })?;
    }
    if arguments.json {
        // The two fields that the last line promises come first.
        report::line(&format!(
            r#"{{"entries":{},"mismatches":{},"decisions":{},"other_build":{},"erased":{},"not_executed":{},"truncated":{},"already":{}}}"#,
            found.entries,
            found.mismatches,
            found.decisions,
            found.other_build,
            found.erased,
            found.not_executed,
            found.truncated,
            found.already
        ))?;
    } else {
        let verdict = if found.mismatches == 0 { "verified" } else { "NOT verified" };
        report::line(&format!(
            "{verdict}: {} entries, {} decisions executed again, {} mismatches",
            found.entries, found.decisions, found.mismatches
        ))?;
        if found.already > 0 {
            report::line(&format!("{} entries were checked by an earlier run and are not checked again", found.already))?;
        }
        if found.erased > 0 {
            report::line(&format!("{} entries are erased: the chain holds by their hashes, what they held is gone", found.erased))?;
        }
        if found.truncated > 0 {
            report::line(&format!("{} entities are truncated: their chains are checked from where they begin now", found.truncated))?;
        }
        if found.not_executed > 0 {
            report::line(&format!("{} decisions could not be executed again for want of what is gone", found.not_executed))?;
        }
        if found.other_build > 0 {
            report::line(&format!(
                "{} faults by a limit were recorded under another engine build and are not repeated by this one",
                found.other_build
            ))?;
        }
    }
    Ok(if found.mismatches == 0 { Exit::Well } else { Exit::Negative })
}

/// A line that counts what was done so far, on a terminal.
pub(super) fn progress(counted: &str) -> anyhow::Result<ProgressBar> {
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template(&format!("{{spinner}} {{elapsed_precise}} {{pos}} {counted} ({{per_sec}})"))?);
    Ok(bar)
}

/// As many threads as there are processors.
pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn text(mismatch: &Mismatch) -> String {
    let entity = if mismatch.entity.is_empty() { "the workflow itself" } else { &mismatch.entity };
    let mut text = format!("mismatch: {} of {entity}, sequence {}, ordinal {}", mismatch.what, mismatch.sequence, mismatch.ordinal);
    for difference in &mismatch.differences {
        text.push_str(&format!("\n  {}\n    stored:   {}\n    replayed: {}", difference.path, difference.stored, difference.replayed));
    }
    text
}
