//! The gate of signatures: where the manifest trusts keys, one of them must have signed the component, and certified it where that
//! is asked for; and whom it may trust is for those to say who are trusted now.

use super::{Candidate, Gate, Refusal, Trust, may_trust, trust_of};
use crate::certificate;
use crate::workflow::signed;

pub(super) struct Signature;

impl Gate for Signature {
    fn name(&self) -> &'static str {
        "signature"
    }

    fn pass(&self, candidate: &mut Candidate<'_>) -> Result<Vec<String>, Refusal> {
        let settings = candidate.workflow.as_ref().map(|workflow| &workflow.manifest);
        let trust = settings.map_or_else(Trust::default, |manifest| Trust::from(&manifest.reducer));
        let refused = |finding| Refusal::Findings(vec![finding]);
        if let Some(last) = candidate.releases.last() {
            let before = candidate.reader.manifest(&last.manifest)?;
            let in_force = trust_of(&candidate.path, &before).map_err(Refusal::Findings)?;
            // What is taken from the store has no file of its own.
            let lies_at = candidate.lies_at.as_ref().map(|_| &*candidate.path);
            may_trust(&in_force, &trust, &candidate.manifest, lies_at).map_err(refused)?;
        }
        let path = match &candidate.lies_at {
            _ if trust.keys.is_empty() => return Ok(vec!["the manifest trusts no keys: none is asked for".into()]),
            None => return Ok(vec!["it was in force before, and the store has it by its digest".into()]),
            Some(path) => path,
        };
        signed(path, &candidate.component, &trust.keys).map_err(refused)?;
        let Some(manifest) = settings.filter(|_| trust.certified) else { return Ok(Vec::new()) };
        let (_, by) = certificate::demanded(path, &candidate.component, &manifest.limits(), &trust.keys).map_err(refused)?;
        Ok(vec![format!("certified by key {}: {}", by.key, by.comment)])
    }
}
