//! The gate of history: what the candidate would have decided otherwise, within a budget.

use purefold_wit::Finding;

use super::{Candidate, Gate, Refusal};
use crate::replay::{self, Sample, Shadow, ShadowReport};

pub(super) struct ShadowReplay;

impl Gate for ShadowReplay {
    fn name(&self) -> &'static str {
        "shadow"
    }

    fn pass(&self, candidate: &mut Candidate<'_>) -> Result<Vec<String>, Refusal> {
        if candidate.budget.sample == Sample::Count(0) {
            return Ok(vec!["no history is replayed, as was asked".into()]);
        }
        if candidate.reader.count_entities(candidate.id)? == 0 {
            return Ok(vec!["there is no history to replay".into()]);
        }
        let Some(location) = candidate.workflow.as_ref().map(|workflow| workflow.manifest.store.location.clone()) else {
            return Ok(Vec::new());
        };
        candidate.load_trial()?;
        let Candidate { trial, budget, .. } = candidate;
        let Some(trial) = trial else { return Ok(Vec::new()) };
        let shadow = Shadow {
            lineage: &trial.lineage,
            candidate: &trial.plan,
            expected: &budget.expected,
            sample: &budget.sample,
            threads: candidate.threads,
        };
        let found = replay::shadow(&location, &shadow, &candidate.progress)?;
        let refusal = (!found.is_within(budget.differing)).then(|| beyond(&found, budget.differing));
        candidate.found.shadow = Some(found);
        refusal.map_or_else(|| Ok(Vec::new()), |finding| Err(Refusal::Findings(vec![finding])))
    }
}

fn beyond(found: &ShadowReport, allowed: f64) -> Finding {
    let ShadowReport { decisions, different, unfollowed, kinds, .. } = found;
    let kind = kinds.0.iter().find(|(_, kind)| !kind.expected);
    let first = kind
        .map_or_else(String::new, |(kind, seen)| format!(", as `{kind}` of {:?} in decision {}", seen.first.entity, seen.first.sequence));
    let unknown = if *unfollowed == 0 { String::new() } else { format!("; what follows in {unfollowed} more cannot be known") };
    Finding::new(
        "release-differs",
        "history",
        format!("{different} of {decisions} decisions come out otherwise{first}{unknown}; {}% may", allowed * 100.0),
        "mend the reducer; or say which differences are wanted with --expect PATH, or how many may be with --allow SHARE",
    )
}
