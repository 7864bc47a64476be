//! The gate of signatures: where the manifest trusts keys, one of them must have signed the component.

use super::{Candidate, Gate, Refusal};
use crate::workflow::signed;

pub(super) struct Signature;

impl Gate for Signature {
    fn name(&self) -> &'static str {
        "signature"
    }

    fn pass(&self, candidate: &mut Candidate<'_>) -> Result<Vec<String>, Refusal> {
        let keys = candidate.workflow.as_ref().map_or(&[][..], |workflow| &workflow.manifest.reducer.trusted_keys);
        match &candidate.lies_at {
            _ if keys.is_empty() => Ok(vec!["the manifest trusts no keys: none is asked for".into()]),
            Some(path) => signed(path, &candidate.component, keys).map(|()| Vec::new()).map_err(|finding| Refusal::Findings(vec![finding])),
            None => Ok(vec!["it was in force before, and the store has it by its digest".into()]),
        }
    }
}
