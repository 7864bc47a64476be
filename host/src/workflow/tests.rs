//! Loading: manifests over a reducer whose contract is real and whose code does nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod linked;
mod machine;
mod mistakes;
mod plans;
mod reducer;

use std::path::PathBuf;

use purefold_wit::Finding;
use tempfile::TempDir;

use super::{Surroundings, Workflow, load_in};

/// A manifest of the reducer `parcels` in which all is well.
const MANIFEST: &str = include_str!("tests/parcels.toml");

/// A folder with a component in it, in which manifests are loaded.
struct Folder {
    folder: TempDir,
}

impl Folder {
    /// A folder that holds `parcels.wasm`.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("parcels.wasm"), reducer::component(reducer::PARCELS)).unwrap();
        Folder { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn load(&self, manifest: &str) -> Result<Workflow, Vec<Finding>> {
        self.load_with(manifest, &|_| None)
    }

    fn load_with(&self, manifest: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Workflow, Vec<Finding>> {
        let path = self.path("workflow.toml");
        std::fs::write(&path, manifest).unwrap();
        load_in(
            &path,
            &Surroundings {
                environment,
                current: self.folder.path().to_path_buf(),
                open: &purefold_effects::open,
                topics: &|_, _| Vec::new(),
            },
        )
    }
}

/// The workflow of the tests' manifest with `from` in its place changed to `to`, on a component whose code does nothing.
pub(crate) fn parcels(changes: &[(&str, &str)]) -> Workflow {
    let mut manifest = MANIFEST.to_owned();
    for (from, to) in changes {
        assert!(manifest.contains(from), "the manifest has no {from:?}");
        manifest = manifest.replace(from, to);
    }
    loaded(Folder::new().load(&manifest))
}

/// The findings of a manifest that must not load.
fn refused(loaded: Result<Workflow, Vec<Finding>>) -> Vec<Finding> {
    match loaded {
        Ok(workflow) => panic!("`{}` loads", workflow.name),
        Err(findings) => findings,
    }
}

/// The workflow of a manifest that must load.
fn loaded(loaded: Result<Workflow, Vec<Finding>>) -> Workflow {
    loaded.unwrap_or_else(|findings| panic!("{findings:#?}"))
}
