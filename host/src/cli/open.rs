//! Opening what commands work on.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use purefold::gate::COMPONENT_BYTES_MOST;
use purefold::replay::{Condition, Lineage};
use purefold::sandbox::Sandbox;
use purefold::store::{EntityRow, Reader};
use purefold::workflow::{self, Workflow};
use purefold_wit::Contract;

use super::exit::Exit;

/// Loads a workflow, or tells everything that is wrong with it.
pub(super) fn workflow(path: &Path) -> Result<Workflow, Exit> {
    workflows(std::slice::from_ref(&path))?.pop().ok_or(Exit::Wrong)
}

/// Loads the workflows, or tells everything that is wrong with them.
pub(super) fn workflows(paths: &[impl AsRef<Path>]) -> Result<Vec<Workflow>, Exit> {
    let mut loaded = Vec::with_capacity(paths.len());
    let mut findings = Vec::new();
    for path in paths {
        match workflow::load(path.as_ref()) {
            Ok(workflow) => loaded.push(workflow),
            Err(found) => findings.extend(found),
        }
    }
    if findings.is_empty() {
        findings = workflow::link(&loaded);
    }
    let stores: Vec<_> = loaded.iter().map(|workflow| &workflow.manifest.store.location).collect();
    if findings.is_empty() && stores.windows(2).any(|pair| pair[0] != pair[1]) {
        eprintln!("error: workflows of one host share one store; start one host for each store");
        return Err(Exit::Wrong);
    }
    if findings.is_empty() {
        return Ok(loaded);
    }
    for finding in &findings {
        eprintln!("error: {finding}");
    }
    Err(Exit::of(&findings))
}

/// A workflow as its store knows it.
pub(super) struct Stored {
    pub(super) workflow: Workflow,
    pub(super) reader: Reader,
    /// Its id in the store.
    pub(super) id: i64,
}

/// Loads a workflow for a command that performs no intent; none where that was told to be wrong. What it delivers to is not
/// looked at: only its own journal is.
pub(super) fn workflow_to_read(path: &Path) -> anyhow::Result<Option<Workflow>> {
    match workflow::load_to_read(path) {
        Ok(workflow) => Ok(Some(workflow)),
        Err(findings) => {
            super::report::refuse(&path.display().to_string(), &findings)?;
            Ok(None)
        }
    }
}

/// Loads a workflow and opens its store to read; none where that was told to be wrong.
pub(super) fn stored(path: &Path) -> anyhow::Result<Option<Stored>> {
    let Some(workflow) = workflow_to_read(path)? else { return Ok(None) };
    let reader = Reader::open(&workflow.manifest.store.location)?;
    let Some((id, _)) = reader.workflow(&workflow.name)? else {
        eprintln!("error: the store {} knows no workflow {:?}; has it run?", workflow.manifest.store.location, workflow.name);
        return Ok(None);
    };
    Ok(Some(Stored { workflow, reader, id }))
}

/// A workflow with the releases that decided its history, to decide again.
pub(super) struct Past {
    pub(super) stored: Stored,
    pub(super) lineage: Lineage,
    /// The entity that was asked for.
    pub(super) entity: Option<EntityRow>,
}

/// Opens a workflow's store with all of its releases, and looks for the entity `key` where one is given. What is wrong with that was told
/// and is the exit.
pub(super) fn past(path: &Path, key: Option<&str>) -> anyhow::Result<Result<Past, Exit>> {
    let Some(stored) = stored(path)? else { return Ok(Err(Exit::Wrong)) };
    let entity = match key {
        None => None,
        Some(key) => match super::entity::known(&stored, key)? {
            None => return Ok(Err(Exit::Negative)),
            known => known,
        },
    };
    let lineage = Lineage::load(&stored.reader, &Sandbox::new()?, stored.id, &stored.workflow.manifest.path)?;
    Ok(Ok(Past { stored, lineage, entity }))
}

/// As [`past`], of one entity.
pub(super) fn past_of(path: &Path, key: &str) -> anyhow::Result<Result<(Past, EntityRow), Exit>> {
    Ok(match past(path, Some(key))? {
        Err(exit) => Err(exit),
        Ok(mut past) => past.entity.take().map(|entity| (past, entity)).ok_or(Exit::Negative),
    })
}

/// `workflow` with the component at `path` in the place of its own; none where that was told to be wrong. Nothing can be performed by
/// it.
pub(super) fn candidate(workflow: &Workflow, path: &Path) -> anyhow::Result<Option<Workflow>> {
    let mut component = Vec::new();
    // One byte more than may be loaded: the gate refuses what is too large.
    let read = std::fs::File::open(path).and_then(|file| file.take(COMPONENT_BYTES_MOST as u64 + 1).read_to_end(&mut component));
    read.with_context(|| format!("cannot read the component {}", path.display()))?;
    match workflow::load_release_closed(&workflow.manifest.path, &workflow.manifest.text, &Arc::from(component)) {
        Ok(candidate) => Ok(Some(candidate)),
        Err(findings) => {
            super::report::refuse(&path.display().to_string(), &findings)?;
            Ok(None)
        }
    }
}

/// The condition on states of the contract; none where that was told to be wrong.
pub(super) fn condition(text: &str, contract: &Contract) -> Option<Condition> {
    match Condition::parse(text, contract) {
        Ok(condition) => Some(condition),
        Err(error) => {
            eprintln!("error: {error}\n  {text}\n  {}^", " ".repeat(error.column - 1));
            None
        }
    }
}
