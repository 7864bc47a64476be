//! Opening what commands work on.

use std::path::{Path, PathBuf};

use purefold::store::Reader;
use purefold::workflow::{self, Workflow};

/// Loads the workflows, or tells everything that is wrong with them.
pub(super) fn workflows(paths: &[PathBuf]) -> Option<Vec<Workflow>> {
    let mut loaded = Vec::with_capacity(paths.len());
    let mut findings = Vec::new();
    for path in paths {
        match workflow::load(path) {
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
        return None;
    }
    if findings.is_empty() {
        return Some(loaded);
    }
    for finding in &findings {
        eprintln!("error: {finding}");
    }
    None
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
