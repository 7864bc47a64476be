//! The blast radius of a candidate: which entities would go on otherwise under it than under the release in force.
//!
//! Each entity's next step is tried with both, on the state that it is in: every input that may come next as far as history tells what
//! that is. Nothing is performed and nothing is stored.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::ReplayError;
use super::course::{Unfed, quietly};
use super::inputs::{Inputs, case_of, conclusion};
use super::kinds::{Departure, Expected, Kinds, departures};
use super::pages::{self, By};
use crate::engine::{Entity, FailureKind, Ids, Moment, Pending, Plan, fold};
use crate::journal::{Entry, Kind};
use crate::store::{EntityRow, IntentKey, Loaded, Location, Reader, Row, StoredEntry};
use crate::workflow::RoutePlan;

/// Entries, from the latest back, in which the last input of each case is looked for.
const MOST_LOOKED_AT: usize = 1024;

/// Entries that are read together.
const ENTRIES_TOGETHER: u32 = 64;

/// The text of a failure that is tried.
const FAILED: &str = "tried by the blast radius";

/// What is tried, and against what.
pub struct Radius<'a> {
    /// The release in force.
    pub in_force: &'a Arc<Plan>,
    /// The candidate; see [`super::Lineage::candidate`].
    pub candidate: &'a Arc<Plan>,
    /// Where differences are wanted: they are counted, and no entity is affected by them.
    pub expected: &'a Expected,
    /// On how many threads.
    pub threads: usize,
}

/// An input that an entity would be decided on otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Affected {
    /// The entity.
    pub entity: String,
    /// `timer NAME`, `outcome CASE ok`, `outcome CASE FAILURE`, `input CASE`, `inbox` or `state`.
    pub probe: String,
    /// Where the decision differs.
    pub path: String,
    /// What the release in force decides there.
    pub in_force: String,
    /// What the candidate decides there.
    pub candidate: String,
}

/// How far a candidate reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RadiusReport {
    /// Entities looked at.
    pub entities: u64,
    /// Those that would be decided on otherwise.
    pub affected: u64,
    /// Decisions tried with both.
    pub probes: u64,
    /// Inputs that could not be tried: history tells no reply of that kind.
    pub untried: u64,
    /// The differences by kind.
    pub kinds: Kinds,
}

/// Tries every entity's next step with both. `tell` is told each decision that differs, entity by entity, in no order among entities;
/// `progress` the number of entities looked at so far.
///
/// # Errors
/// Where the store or the sandbox fails.
pub fn radius(
    location: &Location,
    radius: &Radius<'_>,
    tell: impl Fn(&[Affected]) + Sync,
    progress: impl Fn(u64),
) -> Result<RadiusReport, ReplayError> {
    let reader = Reader::open(location)?;
    let workers = (0..radius.threads.max(1)).map(|_| Ok(Worker::new(radius, Reader::open(location)?)));
    let workers = workers.collect::<Result<Vec<_>, ReplayError>>()?;
    let looked_at = AtomicU64::new(0);
    let looked = || progress(looked_at.load(Ordering::Relaxed));
    let workers = pages::each(
        &reader,
        (radius.candidate.id, By::Key),
        |entities| entities,
        workers,
        looked,
        |worker, entities| {
            looked_at.fetch_add(entities.len() as u64, Ordering::Relaxed);
            for loaded in worker.reader.load_rows(&entities)? {
                let affected = worker.entity(loaded)?;
                if !affected.is_empty() {
                    tell(&affected);
                }
            }
            Ok(())
        },
    )?;
    let mut report = RadiusReport::default();
    for Worker { report: found, .. } in workers {
        report.entities += found.entities;
        report.affected += found.affected;
        report.probes += found.probes;
        report.untried += found.untried;
        report.kinds.add(found.kinds);
    }
    progress(report.entities);
    Ok(report)
}

struct Worker<'a> {
    reader: Reader,
    in_force: Inputs,
    candidate: Inputs,
    expected: &'a Expected,
    ids: Ids,
    report: RadiusReport,
}

/// The latest input of each case, with its event's bytes.
type LastInputs = BTreeMap<String, (StoredEntry, Option<Vec<u8>>)>;

/// One entity as both releases have it, and where they differ.
struct Tried<'e> {
    now: u64,
    in_force: &'e Entity,
    candidate: &'e Entity,
    affected: Vec<Affected>,
}

impl<'a> Worker<'a> {
    fn new(radius: &Radius<'a>, reader: Reader) -> Self {
        Worker {
            reader,
            in_force: Inputs::of(radius.in_force),
            candidate: Inputs::of(radius.candidate),
            expected: radius.expected,
            ids: Ids::default(),
            report: RadiusReport::default(),
        }
    }

    fn entity(&mut self, loaded: Loaded) -> Result<Vec<Affected>, ReplayError> {
        self.report.entities += 1;
        let row = loaded.row.clone();
        let in_force = Entity::of(&self.in_force.plan, loaded.clone())?;
        let candidate = match Entity::of(&self.candidate.plan, loaded) {
            Ok(candidate) => candidate,
            Err(error) => {
                self.report.affected += 1;
                let departure = Departure::whole("state", "goes on", format!("cannot go on: {error}"));
                self.report.kinds.count(&row.key, row.sequence, std::slice::from_ref(&departure), self.expected);
                let Departure { path, stored, replayed, .. } = departure;
                let probe = "state".to_owned();
                return Ok(vec![Affected { entity: row.key.to_string(), probe, path, in_force: stored, candidate: replayed }]);
            }
        };
        let inputs = self.last_inputs(&row)?;
        let mut tried = Tried { now: row.now, in_force: &in_force, candidate: &candidate, affected: Vec::new() };
        if !in_force.inbox.is_empty() {
            self.try_inbox(&mut tried)?;
        }
        for timer in in_force.timers.iter().filter(|timer| !timer.waits) {
            let pending = || Pending { timers: vec![(timer.name.clone(), timer.sequence, timer.index)], ..Pending::default() };
            let now = tried.now.max(timer.due);
            self.try_with(&mut tried, &format!("timer {}", timer.name), now, Ok(pending()), Ok(pending()))?;
        }
        self.try_outcomes(&mut tried, &inputs)?;
        for (case, (stored, bytes)) in &inputs {
            let is_timer = self.in_force.timer_case().is_some_and(|timer| timer == case);
            if is_timer || self.is_outcome(case) {
                continue;
            }
            let pending = |inputs: &Inputs| inputs.outside(&row.key, &stored.entry, bytes.as_deref());
            let (left, right) = (pending(&self.in_force), pending(&self.candidate));
            let now = tried.now;
            self.try_with(&mut tried, &format!("input {case}"), now, left, right)?;
        }
        self.report.affected += u64::from(!tried.affected.is_empty());
        Ok(tried.affected)
    }

    /// Whether inputs of the case are outcomes.
    fn is_outcome(&self, case: &str) -> bool {
        let workflow = &self.in_force.plan.workflow;
        workflow.routes.iter().any(|route| match route {
            RoutePlan::Effect(route) => {
                let outcome = route.outcome.as_ref();
                outcome.is_some_and(|outcome| workflow.contract.input.cases[outcome.input_case as usize].name.snake() == case)
            }
            _ => false,
        })
    }

    /// The inputs that wait behind a fault, as if they were redriven.
    fn try_inbox(&mut self, tried: &mut Tried<'_>) -> Result<(), ReplayError> {
        let released = |entity: &Entity| {
            let mut entity = entity.clone();
            entity.row.parked = false;
            entity
        };
        let (left, right) = (released(tried.in_force), released(tried.candidate));
        let now = tried.now;
        let mut released = Tried { now, in_force: &left, candidate: &right, affected: Vec::new() };
        self.try_with(&mut released, "inbox", now, Ok(Pending::default()), Ok(Pending::default()))?;
        tried.affected.append(&mut released.affected);
        Ok(())
    }

    /// Every end that an outstanding intent may have.
    fn try_outcomes(&mut self, tried: &mut Tried<'_>, inputs: &LastInputs) -> Result<(), ReplayError> {
        #[derive(serde::Deserialize)]
        struct Outcome {
            result: Box<serde_json::value::RawValue>,
        }
        let outstanding: Vec<_> = tried.in_force.outstanding.iter().filter(|intent| intent.settled.is_none()).collect();
        for intent in outstanding {
            // It is told of by the terms that it was asked under, whatever decides on it.
            let terms = &intent.terms;
            let (case, Some(route)) = (terms.case(intent.case).snake(), terms.route(intent.case)) else { continue };
            let outcome = route.outcome.as_ref().map(|outcome| terms.contract.input.cases[outcome.input_case as usize].name.snake());
            let known = outcome.and_then(|outcome| inputs.get(outcome)).and_then(|(stored, _)| {
                let (_, payload) = case_of(&stored.entry.input)?;
                serde_json::from_str::<Outcome>(payload.get()).ok().map(|outcome| outcome.result)
            });
            let succeeded = known.filter(|result| result.get().starts_with("{\"ok\""));
            let failed = FailureKind::ALL.map(|kind| (kind.name(), serde_json::json!({ "err": { kind.name(): FAILED } }).to_string()));
            let succeeds = ("ok", succeeded.map_or_else(|| r#"{"ok":null}"#.to_owned(), |result| result.get().to_owned()));
            for (name, result) in std::iter::once(succeeds).chain(failed) {
                let key = IntentKey { entity: 0, sequence: intent.sequence, index: intent.index };
                let conclusion = match conclusion(terms, intent.case, &result) {
                    Ok(conclusion) => conclusion,
                    // No outcome is routed: that it ends is all there is.
                    Err(Unfed::NotAsked) => Ok(None),
                    Err(_) => {
                        self.report.untried += 1;
                        continue;
                    }
                };
                let pending = || Ok(Pending { conclusions: vec![(key, conclusion.clone())], ..Pending::default() });
                let now = tried.now;
                self.try_with(tried, &format!("outcome {case} {name}"), now, pending(), pending())?;
            }
        }
        Ok(())
    }

    /// Decides with both, and compares.
    fn try_with(
        &mut self,
        tried: &mut Tried<'_>,
        probe: &str,
        now: u64,
        in_force: Result<Pending, Unfed>,
        candidate: Result<Pending, Unfed>,
    ) -> Result<(), ReplayError> {
        let Ok(in_force) = in_force else {
            self.report.untried += 1;
            return Ok(());
        };
        let decide = |plan: &Plan, entity: &Entity, pending: Pending| {
            let folded = quietly(|| fold(plan, &self.ids, Box::new(entity.clone()), pending, Moment::Arrival { now }));
            folded
                .map(|folded| folded.entries.into_iter().map(|folded| folded.entry).filter(|e| e.kind == Kind::Decided).collect::<Vec<_>>())
        };
        let left: Vec<Entry> = decide(&self.in_force.plan, tried.in_force, in_force)?;
        let mut found = match candidate {
            Ok(pending) => {
                let right = decide(&self.candidate.plan, tried.candidate, pending)?;
                let contract = &self.candidate.plan.workflow.contract;
                let mut found: Vec<Departure> =
                    left.iter().zip(&right).flat_map(|(left, right)| departures(contract, left, right)).collect();
                if left.len() != right.len() {
                    let told = |entries: &[Entry]| format!("{} decisions", entries.len());
                    found.push(Departure::whole("inputs", told(&left), told(&right)));
                }
                found
            }
            Err(Unfed::Unfit(reason)) => vec![Departure::whole("inputs", "decided", format!("cannot be taken: {reason}"))],
            Err(_) => vec![Departure::whole("inputs", "decided", "nobody takes it")],
        };
        self.report.probes += 1;
        let row = &tried.in_force.row;
        self.report.kinds.count(&row.key, row.sequence, &found, self.expected);
        found.retain(|departure| !self.expected.covers(&departure.kind));
        tried.affected.extend(found.into_iter().map(|departure| Affected {
            entity: row.key.to_string(),
            probe: probe.to_owned(),
            path: departure.path,
            in_force: departure.stored,
            candidate: departure.replayed,
        }));
        Ok(())
    }

    /// The latest input of each case, as far as the entity's latest entries hold one.
    fn last_inputs(&self, row: &EntityRow) -> Result<LastInputs, ReplayError> {
        let wanted = self.in_force.plan.workflow.contract.input.cases.len();
        let mut found = LastInputs::new();
        let (mut next, mut looked_at) = (row.head_row, 0);
        while next > 0 && looked_at < MOST_LOOKED_AT && found.len() < wanted {
            let page = self.reader.rows_back_from(next, ENTRIES_TOGETHER)?;
            let rows: Vec<Row> = page.iter().map(|(row, _)| *row).collect();
            next = page.last().map_or(0, |(_, previous)| *previous);
            looked_at += rows.len();
            let mut entries = self.reader.entries_in(&rows)?;
            for row in rows {
                let Some(stored) = entries.remove(&row).transpose()? else { continue };
                let case =
                    (stored.entry.kind == Kind::Decided && !stored.input_is_erased()).then(|| case_of(&stored.entry.input)).flatten();
                let Some(case) = case.map(|(case, _)| case).filter(|case| !found.contains_key(case)) else { continue };
                let bytes = if stored.entry.event_hash.is_some() { self.reader.event(row)? } else { None };
                found.insert(case, (stored, bytes));
            }
        }
        Ok(found)
    }
}
