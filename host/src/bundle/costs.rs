//! What a bundle costs whoever takes it, beyond its bytes: decisions that are made again, and components that are compiled.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use super::Bounds;
use crate::deploy::Compiler;
use crate::sandbox::Limits;
use crate::store::{Cell, Location, Reader, StoreError};
use crate::workflow::Manifest;
use crate::workflow::manifest::MANIFEST_BYTES_MOST;

/// How long all components of one bundle may take to be compiled.
const COMPILING_MOST: Duration = Duration::from_mins(10);

/// Says why a row costs more than it may.
pub(super) fn check(table: &str, cells: &[Cell], bounds: Bounds) -> Result<(), String> {
    let Some(Cell::Text(text)) = cells.get(1) else { return Ok(()) };
    let fuel = match table {
        // What names no limits at all is of a version that cannot be executed here.
        "profiles" => Limits::from_semantic_profile(text).map_or(0, |limits| limits.fuel),
        "manifests" if text.len() as u64 > MANIFEST_BYTES_MOST => {
            return Err(format!("a manifest in it has {} bytes; at most {MANIFEST_BYTES_MOST} are read", text.len()));
        }
        "manifests" => {
            // Limits come from no environment but that of whoever ran it.
            let environment = |name: &str| Some(format!("${{{name}}}"));
            Manifest::parse(Path::new("workflow.toml"), text, &environment).0.map_or(0, |manifest| manifest.limits().fuel)
        }
        _ => 0,
    };
    if fuel > bounds.fuel {
        let most = bounds.fuel;
        return Err(format!(
            "decisions in it may take {fuel} units of fuel, and {most} are allowed; where that is expected, allow more by --most-fuel"
        ));
    }
    Ok(())
}

/// Compiles each component of the workflow's releases in a process of its own. The inner error says which cannot be compiled, and why.
pub(super) fn compile(store: &Path, workflow: &str, compiler: &Compiler) -> Result<Result<(), String>, StoreError> {
    let reader = Reader::open(&Location::Sqlite(store.into()))?;
    let Some((id, _)) = reader.workflow(workflow)? else { return Ok(Err("its rows are of another workflow than it says".into())) };
    let digests: BTreeSet<String> = reader.releases(id)?.into_iter().map(|release| release.component).collect();
    let began = Instant::now();
    for digest in digests {
        let component = match reader.component(&digest) {
            Ok(component) => component,
            // What is missing is not executed; `verify` tells of it.
            Err(StoreError::Corrupt(_)) => continue,
            Err(error) => return Err(error),
        };
        if began.elapsed() > COMPILING_MOST {
            return Ok(Err(format!("its components are not compiled within {} s", COMPILING_MOST.as_secs())));
        }
        if let Err(reason) = compiler.compile(&component) {
            return Ok(Err(format!("component {digest}: {reason}")));
        }
    }
    Ok(Ok(()))
}
