//! How far a candidate reaches: the entities that would go on otherwise, by name.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use purefold::engine::Plan;
use purefold::replay::{self, Affected, Expected, Lineage, Radius, RadiusReport};
use purefold::store::Location;

use super::table::visible;
use super::{report, verify};

/// Entities that the blast radius tells by name; all are counted.
const MOST_TOLD: usize = 100_000;

/// Tries every entity's next step with the candidate and with the release in force, and prints whose would go another way.
pub(super) fn tell(
    location: &Location,
    lineage: &Lineage,
    candidate: &Arc<Plan>,
    expected: &Expected,
    as_json: bool,
) -> anyhow::Result<RadiusReport> {
    let radius = Radius { in_force: lineage.in_force()?, candidate, expected, threads: verify::threads() };
    let bar = verify::progress("entities looked at")?;
    // Those that are told, by entity; all are counted.
    let told: Mutex<BTreeMap<String, Vec<Affected>>> = Mutex::default();
    let tell = |affected: &[Affected]| {
        let Some(first) = affected.first() else { return };
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(first.entity.clone(), affected.to_vec());
        if told.len() > MOST_TOLD {
            told.pop_last();
        }
    };
    let found = replay::radius(location, &radius, tell, |entities| bar.set_position(entities))?;
    bar.finish_and_clear();
    let told = told.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut out = io::BufWriter::new(io::stdout().lock());
    for affected in told.values().flatten() {
        let Affected { entity, probe, path, in_force, candidate } = affected;
        if as_json {
            report::json_line(&mut out, affected)?;
        } else {
            writeln!(out, "{}, {}: {path}", visible(entity), visible(probe))?;
            writeln!(out, "  in force:  {}\n  candidate: {}", visible(in_force), visible(candidate))?;
        }
    }
    out.flush()?;
    Ok(found)
}

/// How far the candidate reaches, in one line.
pub(super) fn summary(found: &RadiusReport) -> String {
    let RadiusReport { entities, affected, probes, untried, .. } = found;
    format!("{affected} of {entities} entities would go another way; {probes} next steps tried, {untried} could not be")
}
