//! When a property of states first came to hold: by release and by event.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde_json::Value as Json;

use super::ReplayError;
use super::condition::Condition;
use super::history::forward;
use super::inputs::case_of;
use super::pages::{self, By};
use crate::journal::{Kind, Verdict};
use crate::store::{EntityRow, Location, Reader};

/// Where a condition came to hold in an entity's history.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Onset {
    /// The decision's `now`, in microseconds.
    pub now: u64,
    /// The entity.
    pub entity: String,
    /// The decision.
    pub sequence: u64,
    /// Generation of the release that decided.
    pub release: u64,
    /// The case of the input; none where a migration changed the state.
    pub input: Option<String>,
    /// The event's id, or that of the intent that led there.
    pub event_id: String,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bisected {
    /// Entities looked at.
    pub entities: u64,
    /// Those whose state it ever held for.
    pub ever: u64,
    /// Those whose state it holds for now.
    pub still: u64,
    /// Where it first came to hold under each release, oldest release first.
    pub by_release: Vec<Onset>,
    /// The first of all, by time.
    pub first: Option<Onset>,
}

impl Bisected {
    fn onset(&mut self, onset: Onset) {
        match self.by_release.binary_search_by_key(&onset.release, |known| known.release) {
            Ok(at) if onset < self.by_release[at] => self.by_release[at] = onset.clone(),
            Ok(_) => {}
            Err(at) => self.by_release.insert(at, onset.clone()),
        }
        if self.first.as_ref().is_none_or(|first| onset < *first) {
            self.first = Some(onset);
        }
    }

    fn add(&mut self, other: Bisected) {
        self.entities += other.entities;
        self.ever += other.ever;
        self.still += other.still;
        other.by_release.into_iter().for_each(|onset| self.onset(onset));
    }
}

/// Looks for the first time that the condition held for the state of the entity `only`, or of any. `progress` is told the number of
/// entities looked at so far.
///
/// # Errors
/// Where the store fails.
pub fn bisect(
    location: &Location,
    workflow: i64,
    condition: &Condition,
    only: Option<&EntityRow>,
    threads: usize,
    progress: impl Fn(u64),
) -> Result<Bisected, ReplayError> {
    let reader = Reader::open(location)?;
    let mut found = Bisected::default();
    if let Some(row) = only {
        entity(&reader, row, condition, &mut found)?;
        return Ok(found);
    }
    let workers = (0..threads.max(1)).map(|_| Ok((Reader::open(location)?, Bisected::default())));
    let workers = workers.collect::<Result<Vec<_>, ReplayError>>()?;
    let looked_at = AtomicU64::new(0);
    let looked = || progress(looked_at.load(Ordering::Relaxed));
    let workers = pages::each(
        &reader,
        (workflow, By::Key),
        |entities| entities,
        workers,
        looked,
        |(reader, found), entities| {
            looked_at.fetch_add(entities.len() as u64, Ordering::Relaxed);
            entities.iter().try_for_each(|row| entity(reader, row, condition, found))
        },
    )?;
    workers.into_iter().for_each(|(_, other)| found.add(other));
    Ok(found)
}

fn entity(reader: &Reader, row: &EntityRow, condition: &Condition, found: &mut Bisected) -> Result<(), ReplayError> {
    let (mut held, mut ever) = (false, false);
    forward(reader, row, |stored, _| {
        let entry = &stored.entry;
        let leaves = entry.verdict == Some(Verdict::Accepted) || entry.kind == Kind::Migrated;
        // Of what is erased nothing can be said.
        if !leaves || (stored.has_state() && entry.state.is_none()) {
            return Ok(ControlFlow::Continue(()));
        }
        let state = entry.state.as_deref().and_then(|json| serde_json::from_slice(json).ok()).unwrap_or(Json::Null);
        let holds = condition.holds(&state);
        if holds && !held {
            ever = true;
            found.onset(Onset {
                now: entry.now,
                entity: row.key.to_string(),
                sequence: entry.sequence,
                release: entry.release,
                input: (entry.kind == Kind::Decided).then(|| case_of(&entry.input).map(|(case, _)| case)).flatten(),
                event_id: entry.event_id.to_string(),
            });
        }
        held = holds;
        Ok(ControlFlow::Continue(()))
    })?;
    found.entities += 1;
    found.ever += u64::from(ever);
    found.still += u64::from(held);
    Ok(())
}
