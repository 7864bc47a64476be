//! The gate of compilation: in a child process with limits, and then loaded from what the child left in the cache.

use purefold_wit::Finding;

use super::{Candidate, Gate, Refusal};

pub(super) struct Compilation;

impl Gate for Compilation {
    fn name(&self) -> &'static str {
        "compilation"
    }

    fn pass(&self, candidate: &mut Candidate<'_>) -> Result<Vec<String>, Refusal> {
        let refused = |cause: String| {
            let help = "make the component smaller or its functions simpler; look whether it is the one that was meant";
            Refusal::Findings(vec![Finding::new("release-uncompiled", "reducer.component", cause, help)])
        };
        candidate.compiler.compile(&candidate.component).map_err(refused)?;
        let Some(workflow) = &candidate.workflow else { return Ok(Vec::new()) };
        let loaded = candidate.sandbox.load(&workflow.component, workflow.contract.clone(), workflow.manifest.limits());
        loaded.map(|_| Vec::new()).map_err(|error| refused(error.to_string()))
    }
}
