//! The releases of a workflow, as far as they can be checked against what the store keeps of them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use purefold_wit::Contract;

use super::Lineage;
use super::diff::Difference;
use super::verify::{Mismatch, Replayer};
use crate::journal::{Kind, hex, sha256};
use crate::store::{EntityRow, Reader, Release, StoreError};

/// What a release's entry says of it.
#[derive(Debug, PartialEq, Eq, serde::Deserialize)]
struct Released {
    component: String,
    generation: u64,
    manifest: String,
}

/// Releases that can decide again, those that cannot, and why.
#[derive(Default)]
pub(super) struct Releases {
    pub(super) replayers: HashMap<u64, Replayer>,
    /// Generations whose component is gone or is another one: what they decided is not executed again.
    pub(super) gone: HashSet<u64>,
    pub(super) mismatches: Vec<Mismatch>,
}

impl Releases {
    /// Checks `releases` against the workflow's own chain, their components and their manifests.
    pub(super) fn check(reader: &Reader, releases: &[Release], own: Option<&EntityRow>, lineage: &Lineage) -> Result<Self, StoreError> {
        let journaled = journaled(reader, own)?;
        let mut found = Releases::default();
        for release in releases {
            let at = journaled.iter().find(|(_, entry)| entry.generation == release.generation);
            let ordinal = at.map_or(0, |(ordinal, _)| *ordinal);
            let Release { generation, component, manifest, .. } = release;
            let stored = Released { component: component.clone(), generation: *generation, manifest: manifest.clone() };
            match at {
                Some((_, entry)) if *entry == stored => {}
                Some((_, entry)) => found.wrong(ordinal, "release", "releases", format!("{stored:?}"), format!("{entry:?}")),
                None => found.wrong(ordinal, "release", "releases", format!("{stored:?}"), "a release that the journal names".into()),
            }
            found.manifest(reader, release, ordinal)?;
            found.component(reader, release, ordinal, lineage)?;
        }
        for (ordinal, entry) in &journaled {
            if !releases.iter().any(|release| release.generation == entry.generation) {
                found.gone.insert(entry.generation);
                found.wrong(*ordinal, "release", "releases", "no such release".into(), format!("{entry:?}"));
            }
        }
        Ok(found)
    }

    fn wrong(&mut self, ordinal: u32, what: &'static str, path: &str, stored: String, replayed: String) {
        let differences = vec![Difference { path: path.into(), stored, replayed }];
        self.mismatches.push(Mismatch { entity: String::new(), sequence: 0, ordinal, what, differences });
    }

    fn manifest(&mut self, reader: &Reader, release: &Release, ordinal: u32) -> Result<(), StoreError> {
        let path = "manifests.text";
        match reader.manifest(&release.manifest) {
            Ok(text) => {
                let digest = hex(&sha256(text.as_bytes()));
                if digest != release.manifest {
                    self.wrong(ordinal, "manifest", path, digest, release.manifest.clone());
                }
            }
            Err(StoreError::Corrupt(reason)) => self.wrong(ordinal, "manifest", path, reason, release.manifest.clone()),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn component(&mut self, reader: &Reader, release: &Release, ordinal: u32, lineage: &Lineage) -> Result<(), StoreError> {
        let path = "components.bytes";
        let component = match reader.component(&release.component) {
            Ok(component) => component,
            Err(StoreError::Corrupt(reason)) => {
                self.gone.insert(release.generation);
                self.wrong(ordinal, "component", path, reason, release.component.clone());
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let digest = hex(&sha256(&component));
        let read = if digest == release.component {
            Contract::read(&component).map_err(|findings| findings.first().map(ToString::to_string).unwrap_or_default())
        } else {
            Err(digest)
        };
        let contract = match read {
            Ok(contract) => contract,
            Err(stored) => {
                self.gone.insert(release.generation);
                self.wrong(ordinal, "component", path, stored, release.component.clone());
                return Ok(());
            }
        };
        let fingerprints = [
            ("releases.contract", &release.contract, contract.fingerprint()),
            ("releases.state_type", &release.state_type, contract.state_fingerprint()),
        ];
        for (path, stored, computed) in fingerprints {
            if *stored != computed {
                self.wrong(ordinal, "release", path, stored.clone(), computed);
            }
        }
        let plan = lineage.plan(release.generation).ok().cloned();
        let replayer = Replayer { contract: Arc::new(contract), component: component.into(), plan, reducers: Mutex::default() };
        self.replayers.insert(release.generation, replayer);
        Ok(())
    }
}

/// What the workflow's own chain says of its releases, with the entries' ordinals. A chain that is damaged is told where it
/// is walked.
fn journaled(reader: &Reader, own: Option<&EntityRow>) -> Result<Vec<(u32, Released)>, StoreError> {
    let mut journaled = Vec::new();
    for link in own.into_iter().flat_map(|own| reader.chain(own.head_row)) {
        let link = match link {
            Ok(link) => link,
            Err(StoreError::Corrupt(_) | StoreError::Sql(_)) => break,
            Err(error) => return Err(error),
        };
        if link.kind != Kind::Released {
            continue;
        }
        let Some(stored) = reader.entry_if_there(link.row)? else { break };
        if let Ok(released) = serde_json::from_slice(&stored.entry.input) {
            journaled.push((stored.entry.ordinal, released));
        }
    }
    journaled.reverse();
    Ok(journaled)
}
