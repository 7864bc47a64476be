//! The gate of compatibility: whether what waits in the store can go on under the candidate.

use toml::Table;

use super::{Candidate, Gate, Refusal, closed_terms, compatibility};

/// Sections of the manifest that a host reads when it starts, and not again.
const READ_AT_START: [&str; 3] = ["source", "store", "traces"];

pub(super) struct Compatibility;

impl Gate for Compatibility {
    fn name(&self) -> &'static str {
        "compatibility"
    }

    fn pass(&self, candidate: &mut Candidate<'_>) -> Result<Vec<String>, Refusal> {
        let Candidate { reader, releases, .. } = candidate;
        let (Some(workflow), Some(last)) = (&candidate.workflow, releases.last()) else { return Ok(Vec::new()) };
        let mut terms = |generation| closed_terms(reader, workflow, releases, generation);
        let before = terms(last.generation)?;
        let found = compatibility(reader, candidate.id, &before, &mut terms, workflow)?;
        if !found.is_empty() {
            return Err(Refusal::Findings(found));
        }
        let mut told = Vec::new();
        let (old, new) = (&before.contract, &workflow.contract);
        let (from, to) = (old.state_fingerprint(), new.state_fingerprint());
        if from != to {
            // Back by what this release gives back, or forward again by what the one before takes over.
            let returns = new.downgrades_to() == Some(from) || old.migrates_from() == Some(to);
            told.push(if returns {
                "states are taken over as their entities are next decided for; there is a way back".to_owned()
            } else {
                "one-way: states are taken over as their entities are next decided for, and nothing gives them back".to_owned()
            });
        }
        let text = reader.manifest(&last.manifest)?;
        let section = |text: &str, name: &str| text.parse::<Table>().ok().and_then(|table| table.get(name).cloned());
        for name in READ_AT_START.iter().filter(|name| section(&text, name) != section(&candidate.manifest, name)) {
            told.push(format!("`[{name}]` differs: hosts that run go on with theirs until they are started again"));
        }
        Ok(told)
    }
}
