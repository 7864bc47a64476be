//! The releases of a workflow, each as it decided: with its own component, manifest, machine and routes.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::ReplayError;
use crate::engine::{Plan, Terms, earlier};
use crate::journal::{hex, sha256};
use crate::sandbox::{Reducer, Sandbox};
use crate::store::{Reader, Release, StoreError};
use crate::workflow::{Workflow, load_release_closed};

/// The releases of a workflow that can decide again, and why the others cannot.
pub struct Lineage {
    releases: Vec<Release>,
    plans: BTreeMap<u64, Arc<Plan>>,
    unloadable: BTreeMap<u64, String>,
    id: i64,
    journal: (u64, u64),
}

impl Lineage {
    /// Loads all releases of the workflow of this id. Paths in their manifests are relative to `path`, where the manifest lies now.
    ///
    /// # Errors
    /// Where the store or the sandbox fails. A release that does not load is told where it is asked for.
    pub fn load(reader: &Reader, sandbox: &Sandbox, id: i64, path: &Path) -> Result<Self, ReplayError> {
        let (releases, journal) = (reader.releases(id)?, reader.journal()?);
        let mut lineage = Lineage { releases, plans: BTreeMap::new(), unloadable: BTreeMap::new(), id, journal };
        // Many releases may differ by their manifests alone.
        let mut reducers: HashMap<(Arc<str>, String), Reducer> = HashMap::new();
        let mut components: HashMap<String, Arc<[u8]>> = HashMap::new();
        for (index, release) in lineage.releases.clone().into_iter().enumerate() {
            let workflow = match stored(reader, &release, &mut components, path)? {
                Ok(workflow) => workflow,
                Err(reason) => {
                    lineage.unloadable.insert(release.generation, reason);
                    continue;
                }
            };
            let limits = workflow.manifest.limits();
            let known = (workflow.component_digest.clone(), limits.semantic_profile());
            let reducer = match reducers.get(&known) {
                Some(reducer) => reducer.clone(),
                None => {
                    let reducer = sandbox.load(&workflow.component, workflow.contract.clone(), limits)?;
                    reducers.insert(known, reducer.clone());
                    reducer
                }
            };
            let mut plan = Plan::of(workflow, reducer, id, journal);
            plan.release = release.generation;
            plan.past = lineage.terms();
            plan.earlier = earlier(&plan, sandbox, reader, &lineage.releases[..=index], None)?;
            lineage.plans.insert(release.generation, Arc::new(plan));
        }
        Ok(lineage)
    }

    /// The release of that generation.
    ///
    /// # Errors
    /// Where there is none, or it does not load.
    pub fn plan(&self, generation: u64) -> Result<&Arc<Plan>, ReplayError> {
        self.plans.get(&generation).ok_or_else(|| {
            let reason = self.unloadable.get(&generation).cloned().unwrap_or_else(|| "the store knows no such release".to_owned());
            ReplayError::Release { generation, reason }
        })
    }

    /// The release in force.
    ///
    /// # Errors
    /// Where it does not load.
    pub fn in_force(&self) -> Result<&Arc<Plan>, ReplayError> {
        self.plan(self.releases.last().map_or(0, |release| release.generation))
    }

    /// `workflow` as it would decide if it came into force now: states are taken over from all releases that there are.
    ///
    /// # Errors
    /// Where its component cannot be loaded.
    pub fn candidate(&self, reader: &Reader, sandbox: &Sandbox, workflow: Workflow) -> Result<Arc<Plan>, ReplayError> {
        let mut plan = follower(reader, sandbox, (self.id, self.journal, self.releases.clone()), workflow)?;
        plan.past = self.terms();
        Ok(Arc::new(plan))
    }

    /// Under what the releases that are loaded asked for intents.
    fn terms(&self) -> Vec<(u64, Arc<Terms>)> {
        self.plans.iter().map(|(generation, plan)| (*generation, plan.terms.clone())).collect()
    }
}

/// `workflow` as it would take over states and decide if it came into force now. It knows nothing of what earlier releases asked
/// for; [`Lineage::candidate`] does.
///
/// # Errors
/// Where its component cannot be loaded.
pub fn candidate(reader: &Reader, sandbox: &Sandbox, id: i64, workflow: Workflow) -> Result<Arc<Plan>, ReplayError> {
    Ok(Arc::new(follower(reader, sandbox, (id, reader.journal()?, reader.releases(id)?), workflow)?))
}

/// `workflow` after these releases of the workflow of that id in that journal.
fn follower(
    reader: &Reader,
    sandbox: &Sandbox,
    (id, journal, mut releases): (i64, (u64, u64), Vec<Release>),
    workflow: Workflow,
) -> Result<Plan, ReplayError> {
    let mut plan = Plan::new(workflow, sandbox, id, journal)?;
    plan.release = releases.last().map_or(0, |release| release.generation) + 1;
    releases.push(Release {
        generation: plan.release,
        component: plan.workflow.component_digest.to_string(),
        manifest: plan.workflow.manifest_digest.to_string(),
        contract: plan.workflow.contract.fingerprint(),
        state_type: plan.workflow.contract.state_fingerprint(),
    });
    plan.earlier = earlier(&plan, sandbox, reader, &releases, None)?;
    Ok(plan)
}

/// The workflow of a release, or why it does not load.
fn stored(
    reader: &Reader,
    release: &Release,
    components: &mut HashMap<String, Arc<[u8]>>,
    path: &Path,
) -> Result<Result<Workflow, String>, StoreError> {
    let component = match components.get(&release.component) {
        Some(known) => known.clone(),
        None => match reader.component(&release.component) {
            Ok(bytes) if hex(&sha256(&bytes)) == release.component => {
                let bytes: Arc<[u8]> = bytes.into();
                components.insert(release.component.clone(), bytes.clone());
                bytes
            }
            Ok(_) => return Ok(Err("its component is not the one that it names".into())),
            Err(StoreError::Corrupt(reason)) => return Ok(Err(reason)),
            Err(error) => return Err(error),
        },
    };
    let manifest = match reader.manifest(&release.manifest) {
        Ok(text) if hex(&sha256(text.as_bytes())) == release.manifest => text,
        Ok(_) => return Ok(Err("its manifest is not the one that it names".into())),
        Err(StoreError::Corrupt(reason)) => return Ok(Err(reason)),
        Err(error) => return Err(error),
    };
    Ok(load_release_closed(path, &manifest, &component).map_err(|findings| findings.first().map(ToString::to_string).unwrap_or_default()))
}
