//! The effects' share of the same rows: what their own SQLite files would take for them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::future::try_join_all;
use purefold::journal::{Kind, Verdict, intent_id};
use purefold::sandbox::DecisionCodec;
use purefold::store::Reader;
use purefold::workflow::{RoutePlan, Workflow};
use purefold_effects::{Call, Operation};
use purefold_wit::Value;

/// Entries that are read together.
const PAGE: u32 = 4096;

/// Makes a copy of the workflow in a folder under its own, with what its effects' SQLite files hold by now. Gives the
/// copy's manifest.
pub(super) fn copy(workflow: &Workflow, manifest: &Path, component: &str) -> anyhow::Result<PathBuf> {
    let folder = manifest.parent().context("the manifest is in a folder")?;
    let target = folder.join("raw");
    std::fs::create_dir(&target).with_context(|| format!("cannot make the folder {}", target.display()))?;
    let copied = target.join(manifest.file_name().context("the manifest has a name")?);
    std::fs::copy(manifest, &copied)?;
    std::fs::copy(folder.join(component), target.join(component))?;
    let files: BTreeSet<&str> = workflow.manifest.effects.iter().filter_map(|effect| effect.settings.get("sqlite")?.as_str()).collect();
    for file in files.into_iter().filter(|file| folder.join(file).exists()) {
        // Whoever had the file open may still be about to close it: the database itself says what it holds.
        let connection = rusqlite::Connection::open(folder.join(file))?;
        let copy = target.join(file);
        connection.execute("VACUUM INTO ?", [copy.to_str().with_context(|| format!("{} is no text", copy.display()))?])?;
    }
    Ok(copied)
}

/// Has the intents that `store` holds after `from` written once more by those of the workflow's effects that keep SQLite
/// files, a commit's share at a time, and gives the time that it took. `workflow` is of a copy: nothing else sees it.
pub(super) fn write(workflow: &Workflow, store: &Path, from: i64, commits: u64) -> anyhow::Result<Duration> {
    let calls = calls(workflow, store, from)?;
    let together = calls.len().div_ceil(usize::try_from(commits.max(1))?).max(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start a runtime")?;
    runtime.block_on(async {
        for (name, effect) in &workflow.effects {
            if has_sqlite_file(workflow, name) {
                effect.start().await?;
            }
        }
        let mut took = Duration::ZERO;
        let mut calls = calls.into_iter();
        loop {
            let batch: Vec<_> = calls.by_ref().take(together).collect();
            if batch.is_empty() {
                return Ok(took);
            }
            let started = Instant::now();
            try_join_all(batch.into_iter().map(|(operation, call)| operation.perform(call))).await?;
            took += started.elapsed();
        }
    })
}

fn has_sqlite_file(workflow: &Workflow, effect: &str) -> bool {
    workflow.manifest.effects.iter().any(|settings| settings.name == effect && settings.settings.contains_key("sqlite"))
}

fn calls(workflow: &Workflow, store: &Path, from: i64) -> anyhow::Result<Vec<(Arc<dyn Operation>, Call)>> {
    let reader = Reader::open(&store.into())?;
    let codec = DecisionCodec::new(&workflow.contract, &workflow.manifest.limits());
    let id = reader.workflow(&workflow.name)?.map_or(0, |(id, _)| id);
    let journal = reader.journal()?;
    let journal_text: Arc<str> = purefold_wit::uuid::format(journal.0, journal.1).into();
    let mut calls = Vec::new();
    let mut next = from + 1;
    loop {
        let page = reader.entries_from(id, next, PAGE)?;
        let Some((_, last)) = page.last() else { return Ok(calls) };
        next = last.row + 1;
        for (entity, stored) in page {
            let entry = stored.entry;
            if entry.kind != Kind::Decided || entry.verdict != Some(Verdict::Accepted) {
                continue;
            }
            let Value::List(intents) = codec.decode_intents(&entry.output)? else { continue };
            for (index, intent) in (0..).zip(intents) {
                let Value::Variant(case, Some(payload)) = intent else { continue };
                let RoutePlan::Effect(route) = &workflow.routes[case as usize] else { continue };
                if !has_sqlite_file(workflow, &route.effect) {
                    continue;
                }
                let call = Call {
                    id: intent_id(journal, &workflow.name, &entity, entry.sequence, index),
                    journal: journal_text.clone(),
                    workflow: workflow.name.clone(),
                    entity: entity.clone(),
                    sequence: entry.sequence,
                    index,
                    now: entry.now,
                    correlation_id: entry.correlation_id.clone(),
                    payload: Arc::new(*payload),
                    trace: None,
                };
                calls.push((route.operation.clone(), call));
            }
        }
    }
}
