//! The gate of migrations: the state that every entity is in, taken over by the candidate as it would be.

use purefold_wit::Finding;

use super::{Candidate, Gate, Refusal};
use crate::replay::{self, MigrationReport};
use crate::workflow::load_release_closed;

pub(super) struct Migration;

impl Gate for Migration {
    fn name(&self) -> &'static str {
        "migration"
    }

    fn pass(&self, candidate: &mut Candidate<'_>) -> Result<Vec<String>, Refusal> {
        let Some(workflow) = &candidate.workflow else { return Ok(Vec::new()) };
        let state_type = workflow.contract.state_fingerprint();
        if candidate.releases.iter().all(|release| release.state_type == state_type) {
            return Ok(vec!["states keep their type".into()]);
        }
        let closed = load_release_closed(&candidate.path, &candidate.manifest, &candidate.component).map_err(Refusal::Findings)?;
        let plan = replay::candidate(candidate.reader, &candidate.sandbox, candidate.id, closed)?;
        let found = replay::migration(&workflow.manifest.store.location, &plan, candidate.threads, &candidate.progress)?;
        let MigrationReport { states, migrated, failed, .. } = found;
        let (is_within, example) = (found.is_within(candidate.budget.unmigrated), found.failures.first_key_value());
        let told = format!("{migrated} of {states} states are of another type and can be taken over; {failed} cannot");
        let refusal = example.filter(|_| !is_within).map(|(entity, why)| {
            Finding::new(
                "release-unmigrated",
                "state",
                format!("{failed} of {states} states cannot be taken over, as that of {entity:?}: {}: {}", why.code, why.reason),
                "mend `migrate`, or allow a share of them with --allow-unmigrated: their entities are parked when they are next decided for",
            )
        });
        candidate.found.migration = Some(found);
        refusal.map_or_else(|| Ok(vec![told]), |finding| Err(Refusal::Findings(vec![finding])))
    }
}
