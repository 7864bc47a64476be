//! `verify`: every entity's chain checked and every decision executed again, under the component that decided it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use purefold_wit::{Contract, Type};

use super::diff::Difference;
use super::history::ENTRIES_TOGETHER;
use super::pages::{self, By};
use super::releases::Releases;
use super::walk::{Left, Walk};
use super::whole::{self, Whole};
use super::{Lineage, ReplayError};
use crate::engine::Plan;
use crate::sandbox::{DecisionCodec, Limits, Reducer, Sandbox};
use crate::store::{CheckedHead, CheckedHeads, EntityRow, Location, ReadEntry, Reader, Row, StoreError};

/// Entries of a chain whose places are read together.
const CHAINED_TOGETHER: u32 = 1024;

/// Mismatches that are told; all are counted.
const MOST_TOLD: usize = 1000;

/// One entry that is not what replay gives.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Mismatch {
    /// The entity's key; empty for the workflow itself.
    pub entity: String,
    /// The entry's sequence number.
    pub sequence: u64,
    /// The entry's ordinal.
    pub ordinal: u32,
    /// `hash`, `event`, `decision`, `tables`, `chain`, `erased`, `component`, `manifest`, `release`, `orphan` or `tally`.
    pub what: &'static str,
    /// Where it differs.
    pub differences: Vec<Difference>,
}

/// What `verify` found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries checked.
    pub entries: u64,
    /// Decisions executed again.
    pub decisions: u64,
    /// Faults by a limit, recorded by another engine build, that this build does not repeat: told apart, no mismatch.
    pub other_build: u64,
    /// Entries whose payloads are erased: their place in the chain is checked, what they held cannot be.
    pub erased: u64,
    /// Decisions that were not executed again, because they or the state before them are gone.
    pub not_executed: u64,
    /// Entities whose first entries are truncated.
    pub truncated: u64,
    /// Entries that an earlier, unfinished run has checked: they are not checked again.
    pub already: u64,
    /// Entries that are not what replay gives.
    pub mismatches: u64,
    /// The first of them, by entity.
    pub told: Vec<Mismatch>,
}

impl Report {
    /// Adds what was counted of one entity.
    fn add(&mut self, counted: &Report) {
        let Report { entries, decisions, other_build, erased, not_executed, truncated, already, mismatches: _, told: _ } = counted;
        self.entries += entries;
        self.decisions += decisions;
        self.other_build += other_build;
        self.erased += erased;
        self.not_executed += not_executed;
        self.truncated += truncated;
        self.already += already;
    }
}

/// A release's component, ready to decide again.
pub(super) struct Replayer {
    pub(super) contract: Arc<Contract>,
    pub(super) component: Arc<[u8]>,
    /// The release's own machine and routes, where its manifest loads.
    pub(super) plan: Option<Arc<Plan>>,
    /// By the semantic profile of the entries.
    pub(super) reducers: Mutex<HashMap<Arc<str>, Arc<Ready>>>,
}

/// A reducer under the limits of one profile.
pub(super) struct Ready {
    pub(super) reducer: Reducer,
    pub(super) codec: DecisionCodec,
    /// What the state and the intents of a decision are, as they are compared.
    pub(super) state: Type,
    pub(super) intents: Type,
}

pub(super) struct Verifier<'a> {
    pub(super) plan: &'a Plan,
    sandbox: &'a Sandbox,
    pub(super) releases: Releases,
    whole: Whole,
    report: Mutex<Report>,
    progress: AtomicU64,
    /// What was checked before, and is now.
    checked: Option<Mutex<CheckedHeads>>,
}

/// Checks all of a workflow's journal, on `threads` threads. `progress` is told the number of entries checked so far.
///
/// # Errors
/// Where the store or the sandbox fails; what is wrong with the journal is in the report.
pub fn verify(plan: &Plan, sandbox: &Sandbox, location: &Location, threads: usize, progress: impl Fn(u64)) -> Result<Report, ReplayError> {
    verify_from(plan, sandbox, location, threads, None, progress)
}

/// As [`verify`]; the file at `resume` keeps what was checked, so that a later call goes on where this one was cut off. An entity in
/// which something is wrong is not kept there, and so told every time.
///
/// # Errors
/// As [`verify`]; also where the file cannot be used.
pub fn verify_from(
    plan: &Plan,
    sandbox: &Sandbox,
    location: &Location,
    threads: usize,
    resume: Option<&Path>,
    progress: impl Fn(u64),
) -> Result<Report, ReplayError> {
    let checked = resume
        .map(|file| {
            let opened = CheckedHeads::open(file, plan.journal, &plan.workflow.name);
            opened.map_err(|reason| ReplayError::Progress { file: file.display().to_string(), reason })
        })
        .transpose()?;
    let mut readers = whole::readers(location, plan.id, threads.max(1) + 1)?;
    let Some(reader) = readers.pop() else { return Err(ReplayError::Thread) };
    let releases = reader.releases(plan.id)?;
    let lineage = Lineage::load(&reader, sandbox, plan.id, &plan.workflow.manifest.path)?;
    let own = reader.entity(plan.id, "")?;
    let mut releases = Releases::check(&reader, &releases, own.as_ref(), &lineage)?;
    let wrong = std::mem::take(&mut releases.mismatches);
    let verifier = Verifier {
        plan,
        sandbox,
        releases,
        whole: Whole::new(),
        report: Mutex::default(),
        progress: AtomicU64::new(0),
        checked: checked.map(Mutex::new),
    };
    wrong.into_iter().for_each(|mismatch| verifier.tell(mismatch));
    if let Some(own) = own {
        verifier.entity(&reader, &own, None)?;
    }
    let looked = || progress(verifier.progress.load(Ordering::Relaxed));
    let readers = pages::each(
        &reader,
        (plan.id, By::Age),
        |entities| entities,
        readers,
        looked,
        |reader, entities| verifier.page(reader, entities, resume),
    )?;
    if let Some(mismatch) = verifier.whole.compare(&reader, plan)? {
        verifier.tell(mismatch);
    }
    verifier.whole.orphans(readers, plan.id, |mismatch| verifier.tell(mismatch))?;
    let mut report = verifier.report.into_inner().unwrap_or_else(PoisonError::into_inner);
    progress(report.entries);
    report.told.sort_by(|a, b| (&a.entity, a.sequence, a.ordinal, a.what).cmp(&(&b.entity, b.sequence, b.ordinal, b.what)));
    Ok(report)
}

impl Verifier<'_> {
    /// Checks a page of entities and keeps which of them are well.
    fn page(&self, reader: &Reader, entities: Vec<EntityRow>, resume: Option<&Path>) -> Result<(), ReplayError> {
        let failed = |reason| ReplayError::Progress { file: resume.map(|file| file.display().to_string()).unwrap_or_default(), reason };
        let mut well = Vec::new();
        for row in entities {
            let before = match &self.checked {
                None => None,
                Some(checked) => checked.lock().unwrap_or_else(PoisonError::into_inner).of(&row.key).map_err(failed)?,
            };
            let left = self.entity(reader, &row, before)?;
            if let (Some(left), Some(_)) = (left, &self.checked) {
                well.push((row, left.text()));
            }
        }
        match &self.checked {
            Some(checked) if !well.is_empty() => checked.lock().unwrap_or_else(PoisonError::into_inner).keep(&well).map_err(failed),
            _ => Ok(()),
        }
    }

    fn tell(&self, mismatch: Mismatch) {
        let mut report = self.report();
        report.mismatches += 1;
        if report.told.len() < MOST_TOLD {
            report.told.push(mismatch);
        }
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        // A panic elsewhere is told where that thread is joined.
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn mismatch(&self, row: &EntityRow, entry: (u64, u32), what: &'static str, differences: Vec<Difference>) {
        let (sequence, ordinal) = entry;
        self.tell(Mismatch { entity: row.key.to_string(), sequence, ordinal, what, differences });
    }

    /// Walks an entity's chain back to its beginning, then replays it forward, from `before` on where that was checked. Gives what
    /// is left pending after it, where all is well.
    fn entity(&self, reader: &Reader, row: &EntityRow, before: Option<CheckedHead>) -> Result<Option<Left>, ReplayError> {
        self.whole.entity(row);
        // What was checked before is not read again: only where it stands.
        let mut held = if before.is_none() { self.short(reader, row)? } else { None };
        let (rows, is_whole) = match &held {
            Some(held) => (held.iter().map(|read| read.row).collect(), true),
            None => self.rows(reader, row)?,
        };
        self.whole.chain(row, &rows, !is_whole);
        if !is_whole {
            return Ok(None);
        }
        let begins = reader.checkpoint(row.id)?.filter(|checkpoint| rows.last() == Some(&checkpoint.row));
        let resumed = before.and_then(|before| {
            let place = rows.iter().position(|row| *row == before.row)?;
            Some((place, Walk::resumed(self, reader, row, &before)?))
        });
        let (new, mut walk) = match resumed {
            Some((place, mut walk)) => {
                walk.counted.already = (rows.len() - place) as u64;
                (&rows[..place], walk)
            }
            None => (&*rows, Walk::new(self, row, begins.as_ref())),
        };
        let mut last = None;
        // They stand from the latest back.
        for together in new.rchunks(ENTRIES_TOGETHER) {
            let read = held.take().map_or_else(|| reader.entries_back_from(together[0], together.len()), Ok)?;
            for ReadEntry { row: journal_row, stored, event, .. } in read.into_iter().rev() {
                let stored = match stored {
                    Ok(stored) => stored,
                    Err(error @ (StoreError::Sql(_) | StoreError::Corrupt(_))) => {
                        let path = format!("journal row {journal_row}");
                        let difference = Difference { path, stored: error.to_string(), replayed: "an entry".into() };
                        walk.mismatch((row.sequence, row.ordinal), "chain", vec![difference]);
                        self.report().add(&walk.counted);
                        return Ok(None);
                    }
                    Err(error) => return Err(error.into()),
                };
                walk.entry(event.as_deref(), &stored)?;
                last = Some(stored);
            }
        }
        walk.counted.entries = new.len() as u64;
        self.progress.fetch_add(walk.counted.entries, Ordering::Relaxed);
        self.report().add(&walk.counted);
        walk.end(reader, last.as_ref())
    }

    /// All entries of an entity, the latest first, where they are few and each follows the one before.
    fn short(&self, reader: &Reader, row: &EntityRow) -> Result<Option<Vec<ReadEntry>>, ReplayError> {
        if row.head_row <= 0 {
            return Ok(None);
        }
        let read = reader.entries_back_from(row.head_row, ENTRIES_TOGETHER)?;
        Ok(read.last().is_some_and(|first| first.previous_row == 0).then_some(read))
    }

    /// The rows of an entity's chain from the latest back, and whether they lead to its beginning.
    fn rows(&self, reader: &Reader, row: &EntityRow) -> Result<(Vec<Row>, bool), ReplayError> {
        let mut rows = Vec::new();
        let mut next = row.head_row;
        let mut page = Vec::new().into_iter();
        while next > 0 {
            let mut found: Option<(Row, Row)> = page.next();
            if found.is_none() {
                page = reader.rows_back_from(next, CHAINED_TOGETHER)?.into_iter();
                found = page.next();
            }
            let previous = match found.map(|(_, previous)| previous) {
                Some(previous) if previous < next => previous,
                found => {
                    let difference = Difference {
                        path: format!("journal row {next}"),
                        stored: found.map_or("no such row".into(), |previous| format!("previous_row {previous}")),
                        replayed: "an earlier row".into(),
                    };
                    self.mismatch(row, (row.sequence, row.ordinal), "chain", vec![difference]);
                    return Ok((rows, false));
                }
            };
            rows.push(next);
            next = previous;
        }
        Ok((rows, true))
    }

    /// Gives the release's reducer under the limits of `profile`.
    pub(super) fn reducer(&self, release: &Replayer, profile: &Arc<str>) -> Result<Option<Arc<Ready>>, ReplayError> {
        let mut reducers = release.reducers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = reducers.get(profile) {
            return Ok(Some(known.clone()));
        }
        let Some(limits) = Limits::from_semantic_profile(profile) else { return Ok(None) };
        let contract = &release.contract;
        let loaded = Arc::new(Ready {
            reducer: self.sandbox.load(&release.component, contract.clone(), limits)?,
            codec: DecisionCodec::new(contract, &limits),
            state: Type::Option(Type::Record(contract.state.clone()).into()),
            intents: Type::List(Type::Variant(contract.intent.clone()).into()),
        });
        reducers.insert(profile.clone(), loaded.clone());
        Ok(Some(loaded))
    }
}
