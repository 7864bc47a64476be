//! Migration tried out: the state that every entity is in, through the chain of releases up to a candidate. Nothing is stored.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::ReplayError;
use super::course::quietly;
use super::pages::{self, By};
use crate::engine::{Entity, Plan, migrate};
use crate::store::{Loaded, Location, Reader};

/// Entities that are told by name; all are counted.
const MOST_TOLD: usize = 1000;

/// Why a state cannot be taken over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unmigrated {
    /// The release that the state is of.
    pub release: u64,
    /// The code of the fault.
    pub code: &'static str,
    /// What it says.
    pub reason: String,
}

/// What taking over the states comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MigrationReport {
    /// Entities that hold a state.
    pub states: u64,
    /// Those whose state has another type and is taken over.
    pub migrated: u64,
    /// Those whose state cannot be taken over: they would be parked.
    pub failed: u64,
    /// The first of these, by entity.
    pub failures: BTreeMap<String, Unmigrated>,
}

impl MigrationReport {
    /// Whether no more than this share of the states is left behind.
    #[must_use]
    pub fn is_within(&self, allowed: f64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "counts of entities are far below 2^52")]
        let (failed, all) = (self.failed as f64, self.states as f64);
        failed <= allowed * all
    }

    fn add(&mut self, other: MigrationReport) {
        self.states += other.states;
        self.migrated += other.migrated;
        self.failed += other.failed;
        self.failures.extend(other.failures);
        self.forget();
    }

    fn forget(&mut self) {
        while self.failures.len() > MOST_TOLD {
            self.failures.pop_last();
        }
    }

    fn try_one(&mut self, candidate: &Plan, loaded: Loaded) -> Result<(), ReplayError> {
        let Some((_, release)) = &loaded.state else { return Ok(()) };
        let (release, key) = (*release, loaded.row.key.clone());
        self.states += 1;
        // Nothing else of the entity has to do with it.
        let alone = Loaded { timers: Vec::new(), outstanding: Vec::new(), inbox: Vec::new(), ..loaded };
        let fault = match Entity::of(candidate, alone) {
            Ok(entity) => match quietly(|| migrate(candidate, Box::new(entity)))? {
                (steps, None) => {
                    self.migrated += u64::from(steps > 0);
                    return Ok(());
                }
                (_, Some(fault)) => Unmigrated { release, code: fault.code, reason: fault.reason },
            },
            Err(error) => Unmigrated { release, code: "state-unreadable", reason: error.to_string() },
        };
        self.failed += 1;
        self.failures.insert(key.to_string(), fault);
        self.forget();
        Ok(())
    }
}

/// Takes over every state as `candidate` would when its entity is next decided for. `progress` is told the number of states so far.
///
/// # Errors
/// Where the store or the sandbox fails.
pub fn migration(
    location: &Location,
    candidate: &Arc<Plan>,
    threads: usize,
    progress: impl Fn(u64),
) -> Result<MigrationReport, ReplayError> {
    let reader = Reader::open(location)?;
    let workers = (0..threads.max(1)).map(|_| Ok((Reader::open(location)?, MigrationReport::default())));
    let workers = workers.collect::<Result<Vec<_>, ReplayError>>()?;
    let looked_at = AtomicU64::new(0);
    let looked = || progress(looked_at.load(Ordering::Relaxed));
    let workers = pages::each(
        &reader,
        (candidate.id, By::Key),
        |mut entities| {
            entities.retain(|entity| entity.state_row.is_some());
            entities
        },
        workers,
        looked,
        |(reader, report), entities| {
            looked_at.fetch_add(entities.len() as u64, Ordering::Relaxed);
            reader.load_rows(&entities)?.into_iter().try_for_each(|loaded| report.try_one(candidate, loaded))
        },
    )?;
    let mut report = MigrationReport::default();
    workers.into_iter().for_each(|(_, found)| report.add(found));
    progress(report.states);
    Ok(report)
}
