//! The first gate: purity, the determinism profile, the contract, and the manifest against it. What `check` tells.

use super::{Candidate, Gate, Refusal};
use crate::workflow::load_release;

pub(super) struct Checks;

impl Gate for Checks {
    fn name(&self) -> &'static str {
        "checks"
    }

    fn pass(&self, candidate: &mut Candidate<'_>) -> Result<Vec<String>, Refusal> {
        let workflow = load_release(&candidate.path, &candidate.manifest, &candidate.component).map_err(Refusal::Findings)?;
        let told = format!(
            "component {}, {} KiB; manifest {}",
            short(&workflow.component_digest),
            candidate.component.len().div_ceil(1024),
            short(&workflow.manifest_digest)
        );
        candidate.workflow = Some(workflow);
        Ok(vec![told])
    }
}

/// Enough of a digest to know it by.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
