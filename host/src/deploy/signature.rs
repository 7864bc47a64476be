//! The gate of signatures: where the manifest trusts keys, one of them must have signed the component; and whom it may trust is for
//! those to say who are trusted now.

use super::{Candidate, Gate, Refusal, may_trust, trusted_keys};
use crate::workflow::signed;

pub(super) struct Signature;

impl Gate for Signature {
    fn name(&self) -> &'static str {
        "signature"
    }

    fn pass(&self, candidate: &mut Candidate<'_>) -> Result<Vec<String>, Refusal> {
        let keys = candidate.workflow.as_ref().map_or(&[][..], |workflow| &workflow.manifest.reducer.trusted_keys);
        if let Some(last) = candidate.releases.last() {
            let before = candidate.reader.manifest(&last.manifest)?;
            let in_force = trusted_keys(&candidate.path, &before).map_err(Refusal::Findings)?;
            // What is taken from the store has no file of its own.
            let lies_at = candidate.lies_at.as_ref().map(|_| &*candidate.path);
            may_trust(&in_force, keys, &candidate.manifest, lies_at).map_err(|finding| Refusal::Findings(vec![finding]))?;
        }
        match &candidate.lies_at {
            _ if keys.is_empty() => Ok(vec!["the manifest trusts no keys: none is asked for".into()]),
            Some(path) => signed(path, &candidate.component, keys).map(|()| Vec::new()).map_err(|finding| Refusal::Findings(vec![finding])),
            None => Ok(vec!["it was in force before, and the store has it by its digest".into()]),
        }
    }
}
