//! Workflows of releases: from a manifest's text and a component's bytes, as the store keeps them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use purefold_wit::Finding;

use super::closed::Shut;
use super::load::{Surroundings, checked};
use super::{Manifest, Workflow};
use crate::source::topics_missing;

/// Loads and checks a release to run it: `manifest` is the text of its manifest, as if it stood at `path`, and `component` the
/// bytes of its component, whatever the manifest says of where they lie. Its effects are opened and bound, none is started.
///
/// # Errors
/// As [`load`](super::load).
pub fn load_release(path: &Path, manifest: &str, component: &Arc<[u8]>) -> Result<Workflow, Vec<Finding>> {
    let surroundings =
        Surroundings { environment: &variable, current: PathBuf::new(), open: &purefold_effects::open, topics: &topics_missing };
    load_release_in(path, manifest, component, &surroundings)
}

/// As [`load_release`], to decide again what it decided: nothing is asked of any backend and nothing can be performed. A
/// variable that the environment has no more stands for itself, since only backends would miss it.
///
/// # Errors
/// As [`load`](super::load), but for what only a backend knows.
pub fn load_release_closed(path: &Path, manifest: &str, component: &Arc<[u8]>) -> Result<Workflow, Vec<Finding>> {
    let surroundings = Surroundings {
        environment: &|name| variable(name).or_else(|| Some(format!("${{{name}}}"))),
        current: PathBuf::new(),
        open: &|_, _, _| Ok(Arc::new(Shut)),
        topics: &|_, _| Vec::new(),
    };
    load_release_in(path, manifest, component, &surroundings)
}

/// [`load_release`] in surroundings that the caller provides.
pub(crate) fn load_release_in(
    path: &Path,
    manifest: &str,
    component: &Arc<[u8]>,
    surroundings: &Surroundings<'_>,
) -> Result<Workflow, Vec<Finding>> {
    checked(Manifest::parse(path, manifest, surroundings.environment), surroundings, &|_| Ok(Arc::clone(component)))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::workflow::tests::parcels;

    #[test]
    fn a_release_is_loaded_as_its_workflow_was_without_its_files() {
        let workflow = parcels(&[]);
        let path = Path::new("nowhere/workflow.toml");
        let text = workflow.manifest.text.replace("\"parcels.db\"", "\"${PUREFOLD_NO_SUCH_FOLDER}/parcels.db\"");
        let refused = load_release(path, &text, &workflow.component).err().unwrap();
        assert!(refused.iter().any(|finding| finding.code == "variable-missing"), "{refused:#?}");
        let Ok(release) = load_release_closed(path, &text, &workflow.component) else { panic!("it loads") };
        assert_eq!(release.component_digest, workflow.component_digest);
        assert_eq!(*release.manifest_digest, *crate::journal::hex(&crate::journal::sha256(text.as_bytes())));
        assert_eq!(release.manifest.folder, Path::new("nowhere"));
        assert_eq!(release.routes.len(), workflow.routes.len());
    }
}
