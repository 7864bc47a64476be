//! From a manifest's path to a workflow, or to everything that is wrong with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use purefold_effects::Effect;
use purefold_wit::{Contract, Finding};
use sha2::{Digest, Sha256};

use super::{Manifest, Workflow, component, inputs, machine, properties, routes};
use crate::gate;
use crate::source::{KafkaSettings, topics_missing};

/// What a manifest takes from its surroundings.
pub struct Surroundings<'a> {
    /// Answers for environment variables.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// The current folder.
    pub current: PathBuf,
    /// Opens an effect from its name, its settings and the folder that relative paths start from.
    pub open: &'a Opener,
    /// Finds what the brokers say against the topics that are to be read.
    pub topics: &'a TopicCheck,
}

/// As [`purefold_effects::open`].
pub type Opener = dyn Fn(&str, &toml::Table, &Path) -> Result<Arc<dyn Effect>, Vec<Finding>>;

/// As [`topics_missing`]; the text is the settings' place.
pub type TopicCheck = dyn Fn(&KafkaSettings, &str) -> Vec<Finding>;

/// Has the bytes of a manifest's component.
pub(super) type ComponentOf<'a> = dyn Fn(&Manifest) -> Result<Arc<[u8]>, Finding> + 'a;

/// Loads and checks the workflow whose manifest lies at `path`, in the process's own surroundings.
///
/// Creates nothing and starts nothing: effects are opened and bound, their backends are not made.
///
/// # Errors
/// Everything that is wrong, at once. Values from the environment are shown as the `${NAME}` that they came from.
pub fn load(path: &Path) -> Result<Workflow, Vec<Finding>> {
    load_with(path, &purefold_effects::open, &topics_missing)
}

/// [`load`] with effects of the caller's own.
pub(super) fn load_with(path: &Path, open: &Opener, topics: &TopicCheck) -> Result<Workflow, Vec<Finding>> {
    // Without a current folder the manifest's own folder is searched only.
    let current = std::env::current_dir().unwrap_or_default();
    load_in(path, &Surroundings { environment: &|name| std::env::var(name).ok(), current, open, topics })
}

/// [`load`] in surroundings that the caller provides.
///
/// # Errors
/// As [`load`].
pub fn load_in(path: &Path, surroundings: &Surroundings<'_>) -> Result<Workflow, Vec<Finding>> {
    checked(Manifest::read(path, surroundings.environment), surroundings, &|manifest| component::read(manifest, surroundings))
}

/// What a manifest comes to, with the component that `component` has for it.
pub(super) fn checked(
    (manifest, mut findings): (Option<Manifest>, Vec<Finding>),
    surroundings: &Surroundings<'_>,
    component: &ComponentOf<'_>,
) -> Result<Workflow, Vec<Finding>> {
    let Some(manifest) = manifest else { return Err(findings) };
    let variables = manifest.variables().clone();
    // What stands where a variable is missing cannot be right: that it is wrong would be told twice.
    let unexpanded: Vec<String> =
        findings.iter().filter(|finding| finding.code.starts_with("variable-")).map(|finding| finding.place.clone()).collect();
    let loaded = check(manifest, surroundings, component, &mut findings);
    findings.retain(|finding| finding.code.starts_with("variable-") || !unexpanded.contains(&finding.place));
    for finding in &mut findings {
        variables.redact(finding);
    }
    match loaded {
        Some(workflow) if findings.is_empty() => Ok(workflow),
        _ => Err(findings),
    }
}

fn check(
    manifest: Manifest,
    surroundings: &Surroundings<'_>,
    component: &ComponentOf<'_>,
    findings: &mut Vec<Finding>,
) -> Option<Workflow> {
    let opened = routes::open(&manifest, surroundings.open, findings);
    if let Some(kafka) = &manifest.source.kafka {
        findings.extend((surroundings.topics)(kafka, "source.kafka"));
    }
    // The manifest's own check has told of a component that is not named.
    if manifest.reducer.component.is_empty() {
        return None;
    }
    let component = component(&manifest).map_err(|found| findings.push(found)).ok()?;
    let contract = read_contract(&component, manifest.limits.memory_bytes, findings)?;
    let inputs = inputs::check(&manifest, &contract, findings);
    let machine = manifest.machine.as_ref().and_then(|settings| machine::plan(settings, &contract, findings));
    properties::plan(&manifest, &contract, findings);
    let routes::Plan { routes, effects } = routes::plan(&manifest, &contract, opened, findings);
    Some(Workflow {
        name: manifest.name.as_str().into(),
        component_digest: crate::journal::hex(&Sha256::digest(&component)).into(),
        component,
        manifest_digest: manifest.digest.as_str().into(),
        manifest,
        contract: Arc::new(contract),
        inputs,
        routes: routes.into(),
        machine,
        effects,
    })
}

/// The contract of a component, after the gate has seen it.
///
/// What the gate finds does not hide what is wrong with the contract, as long as the bytes can be read at all.
fn read_contract(component: &[u8], memory_bytes: usize, findings: &mut Vec<Finding>) -> Option<Contract> {
    let found = gate::inspect_within(component, memory_bytes);
    let unreadable = gate::is_unreadable(&found);
    findings.extend(found);
    if unreadable {
        return None;
    }
    match Contract::read(component) {
        Ok(contract) => Some(contract),
        Err(found) => {
            for finding in found {
                // Both look at imports.
                if !findings.iter().any(|known| known.code == finding.code && known.place == finding.place) {
                    findings.push(finding);
                }
            }
            None
        }
    }
}
