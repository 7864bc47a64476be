//! Certificates that `check` demands.

use std::path::Path;

use anyhow::Context as _;
use purefold::certificate;
use purefold::sandbox::Limits;
use purefold::signing::TrustedKey;
use purefold::workflow::{Workflow, component_path};
use purefold_wit::Finding;
use serde::Serialize;

/// A certificate that counts.
#[derive(Serialize)]
pub(super) struct Certified {
    pub(super) file: String,
    pub(super) key: String,
    pub(super) comment: String,
}

/// The certificate of the component that `file` is or names.
pub(super) fn demanded(file: &Path, workflow: Option<&Workflow>, keys: &[TrustedKey]) -> anyhow::Result<Result<Certified, Finding>> {
    let name = file.display().to_string();
    let bytes;
    let (path, component, limits, trusted) = match workflow {
        Some(workflow) => {
            let path = component_path(&workflow.manifest).context("the component is there no more")?;
            (path, &*workflow.component, workflow.manifest.limits(), &*workflow.manifest.reducer.trusted_keys)
        }
        None => {
            bytes = std::fs::read(file).with_context(|| format!("cannot read {name}"))?;
            (file.to_path_buf(), &*bytes, Limits::default(), &[][..])
        }
    };
    let keys = if keys.is_empty() { trusted } else { keys };
    let found = certificate::demanded(&path, component, &limits, keys);
    Ok(found.map(|(_, by)| Certified { file: name, key: by.key, comment: by.comment }))
}
