//! Shadow replay: recorded history through a candidate, and what it would have decided otherwise.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::course::{Alike, Course, Followed, Given, Unfed};
use super::diff::shortened;
use super::history::forward;
use super::inputs::case_of;
use super::kinds::{Departure, Expected, Kinds, departures};
use super::pages::{self, By};
use super::{Lineage, ReplayError};
use crate::engine::Plan;
use crate::journal::{Kind, Verdict};
use crate::store::{EntityRow, Location, Reader, StoredEntry};

/// Divergence points that are told; all are counted.
const MOST_TOLD: usize = 1000;

/// Which entities are looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum Sample {
    /// All of them.
    All,
    /// The one of this key.
    One(Arc<str>),
    /// So many, spread evenly over the keys in their order.
    Count(u64),
    /// This share of them, from 0 to 1, spread likewise.
    Share(f64),
}

/// What is to be replayed, and through what.
pub struct Shadow<'a> {
    /// The releases that decided.
    pub lineage: &'a Lineage,
    /// What decides in their place; see [`Lineage::candidate`].
    pub candidate: &'a Arc<Plan>,
    /// Where differences are wanted.
    pub expected: &'a Expected,
    /// Whose history.
    pub sample: &'a Sample,
    /// On how many threads.
    pub threads: usize,
}

/// Where an entity is followed no further.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Divergence {
    /// The decision of history at which that is.
    pub sequence: u64,
    /// Why.
    pub reason: String,
    /// Decisions of history after it, which nothing was compared with.
    pub unfollowed: u64,
}

/// What the candidate would have decided otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ShadowReport {
    /// Entities looked at.
    pub entities: u64,
    /// Decisions compared.
    pub decisions: u64,
    /// Those that differ somewhere that was not declared as wanted.
    pub different: u64,
    /// Those that differ only where that is wanted.
    pub expected: u64,
    /// Decisions after a divergence that was not wanted: what the candidate would have decided is not known.
    pub unfollowed: u64,
    /// Decisions that could not be made again because what they were made on is erased or truncated.
    pub not_executed: u64,
    /// Entities that were followed to a point only.
    pub diverged: u64,
    /// The differences by kind.
    pub kinds: Kinds,
    /// The first divergence points, by entity.
    pub divergences: BTreeMap<String, Divergence>,
}

impl ShadowReport {
    /// Whether no more than this share of the decisions differs where that was not declared as wanted. What is not known counts
    /// as different.
    #[must_use]
    pub fn is_within(&self, allowed: f64) -> bool {
        let wrong = self.different + self.unfollowed;
        let all = self.decisions + self.unfollowed;
        // Counts of decisions are far below 2^52.
        #[expect(clippy::cast_precision_loss, reason = "counts of decisions are far below 2^52")]
        let (wrong, all) = (wrong as f64, all as f64);
        wrong <= allowed * all
    }

    fn add(&mut self, other: ShadowReport) {
        self.entities += other.entities;
        self.decisions += other.decisions;
        self.different += other.different;
        self.expected += other.expected;
        self.unfollowed += other.unfollowed;
        self.not_executed += other.not_executed;
        self.diverged += other.diverged;
        self.kinds.add(other.kinds);
        self.divergences.extend(other.divergences);
        self.forget();
    }

    fn forget(&mut self) {
        while self.divergences.len() > MOST_TOLD {
            self.divergences.pop_last();
        }
    }
}

/// Replays history through the candidate. `progress` is told the number of decisions compared so far.
///
/// # Errors
/// Where the store or the sandbox fails.
pub fn shadow(location: &Location, shadow: &Shadow<'_>, progress: impl Fn(u64)) -> Result<ShadowReport, ReplayError> {
    let reader = Reader::open(location)?;
    let id = shadow.candidate.id;
    let decisions = AtomicU64::new(0);
    let mut report = ShadowReport::default();
    if let Sample::One(key) = &shadow.sample {
        if let Some(row) = reader.entity(id, key)? {
            report.add(shadow.entity(&reader, &row)?);
        }
        progress(report.decisions);
        return Ok(report);
    }
    // The workflow's own chain is counted there too.
    let known = reader.tally(id)?.map_or(0, |tally| u64::try_from(tally.entities - 1).unwrap_or(0));
    let share = Spread::of(shadow.sample, known);
    let workers = (0..shadow.threads.max(1)).map(|_| Ok((Reader::open(location)?, ShadowReport::default())));
    let workers = workers.collect::<Result<Vec<_>, ReplayError>>()?;
    let place = AtomicU64::new(0);
    let pick = |entities: Vec<EntityRow>| {
        let first = place.fetch_add(entities.len() as u64, Ordering::Relaxed);
        (first..).zip(entities).filter(|(place, _)| share.has(*place)).map(|(_, row)| row).collect()
    };
    let looked = || progress(decisions.load(Ordering::Relaxed));
    let workers = pages::each(&reader, (id, By::Key), pick, workers, looked, |(reader, report), entities| {
        for row in entities {
            let found = shadow.entity(reader, &row)?;
            decisions.fetch_add(found.decisions, Ordering::Relaxed);
            report.add(found);
        }
        Ok(())
    })?;
    workers.into_iter().for_each(|(_, found)| report.add(found));
    progress(report.decisions);
    Ok(report)
}

/// So many of so many, evenly spread.
#[derive(Clone, Copy, Debug)]
struct Spread {
    wanted: u128,
    of: u128,
}

impl Spread {
    fn of(sample: &Sample, known: u64) -> Self {
        let of = u128::from(known.max(1));
        let wanted = match sample {
            Sample::Count(count) => u128::from(*count).min(of),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a share of a count is a count; half an entity more or less does not matter"
            )]
            Sample::Share(share) => ((known as f64 * share.clamp(0.0, 1.0)).ceil() as u128).min(of),
            Sample::All | Sample::One(_) => of,
        };
        Spread { wanted, of }
    }

    /// Whether the entity of that place in the order of keys is one of them.
    fn has(self, place: u64) -> bool {
        let place = u128::from(place);
        (place + 1) * self.wanted / self.of > place * self.wanted / self.of
    }
}

/// What came of one entity so far.
struct Seen<'a> {
    key: &'a str,
    expected: &'a Expected,
    report: ShadowReport,
    diverged: Option<(Divergence, bool)>,
}

impl Seen<'_> {
    /// Counts a decision with where it differs.
    fn decision(&mut self, sequence: u64, departures: &[Departure]) {
        self.report.decisions += 1;
        self.report.kinds.count(self.key, sequence, departures, self.expected);
        if departures.iter().any(|departure| !self.expected.covers(&departure.kind)) {
            self.report.different += 1;
        } else if !departures.is_empty() {
            self.report.expected += 1;
        }
    }

    fn diverges(&mut self, sequence: u64, reason: String, wanted: bool) -> ControlFlow<()> {
        self.diverged = Some((Divergence { sequence, reason, unfollowed: 0 }, wanted));
        ControlFlow::Continue(())
    }
}

impl Shadow<'_> {
    fn entity(&self, reader: &Reader, row: &EntityRow) -> Result<ShadowReport, ReplayError> {
        let contract = &self.candidate.workflow.contract;
        let alike = |case: &str, mine: &str, theirs: &str| self.expected.makes_alike(contract, case, mine, theirs);
        let alike: Alike<'_> = &alike;
        let mut course = Course::new(self.candidate, &row.key, alike);
        let report = ShadowReport { entities: 1, ..ShadowReport::default() };
        let mut seen = Seen { key: &row.key, expected: self.expected, report, diverged: None };
        // Without its first entries, nothing is known before one leaves a state.
        let mut is_lost = reader.checkpoint(row.id)?.is_some();
        forward(reader, row, |stored, event| {
            let entry = &stored.entry;
            if let Some((divergence, _)) = &mut seen.diverged {
                divergence.unfollowed += u64::from(entry.kind == Kind::Decided);
                return Ok(ControlFlow::Continue(()));
            }
            let theirs = self.lineage.plan(entry.release).ok();
            is_lost |= entry.kind == Kind::Decided && stored.input_is_erased();
            if is_lost {
                seen.report.not_executed += u64::from(entry.kind == Kind::Decided);
                is_lost = !course.adopt(stored, theirs);
                return Ok(ControlFlow::Continue(()));
            }
            let followed = course.follow(stored, Some(Given { entry, event }), theirs)?;
            Ok(self.compare(&mut seen, stored, &followed, course.is_parked()))
        })?;
        let mut report = seen.report;
        if let Some((divergence, wanted)) = seen.diverged {
            report.diverged = 1;
            if !wanted {
                report.unfollowed = divergence.unfollowed;
            }
            report.divergences.insert(row.key.to_string(), divergence);
        }
        Ok(report)
    }

    fn compare(&self, seen: &mut Seen<'_>, stored: &StoredEntry, followed: &Followed, is_parked: bool) -> ControlFlow<()> {
        let (entry, contract) = (&stored.entry, &self.candidate.workflow.contract);
        let case = case_of(&entry.input).map_or_else(|| "unknown".to_owned(), |(case, _)| case);
        for made in &followed.added {
            let verdict = made.verdict.map_or("none", Verdict::as_str);
            seen.decision(
                entry.sequence,
                &[Departure::whole("timers", "no decision", format!("{verdict} on a timer of the candidate's own"))],
            );
        }
        let mut found = Vec::new();
        match (&followed.decided, &followed.unfed) {
            (Some(made), _) => found = departures(contract, entry, made),
            (None, Some(unfed)) => {
                let replayed = match unfed {
                    Unfed::NoTimer => "the candidate set no such timer".to_owned(),
                    Unfed::NotAsked => "the candidate did not ask for what this is the outcome of".to_owned(),
                    Unfed::Unfit(reason) => format!("the candidate cannot take it: {reason}"),
                };
                found.push(Departure::whole(format!("inputs.{case}"), "decided", replayed));
            }
            (None, None) => {}
        }
        for unanswered in &followed.unanswered {
            let kind = format!("intents.{}", unanswered.case);
            let is_below =
                |departure: &Departure| departure.kind.strip_prefix(&*kind).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            if !found.iter().any(is_below) {
                found.push(Departure::whole(kind, "not asked for", shortened(&unanswered.payload)));
            }
        }
        let was_decided = followed.decided.is_some() || followed.unfed.is_some();
        if was_decided || !found.is_empty() {
            seen.decision(entry.sequence, &found);
        }
        if let Some(unanswered) = followed.unanswered.first() {
            let wanted = self.expected.covers(&format!("intents.{}", unanswered.case));
            return seen.diverges(entry.sequence, format!("history has no answer to the candidate's intent {}", unanswered.case), wanted);
        }
        if let (Some(Unfed::Unfit(reason)), None) = (&followed.unfed, entry.event_hash) {
            let wanted = self.expected.covers(&format!("inputs.{case}"));
            return seen.diverges(entry.sequence, format!("the candidate cannot take the input {case}: {reason}"), wanted);
        }
        if is_parked && entry.kind == Kind::Decided && entry.verdict != Some(Verdict::Faulted) {
            let wanted = self.expected.covers("verdict");
            return seen.diverges(entry.sequence, "the candidate faults: the entity would wait for an operator".to_owned(), wanted);
        }
        ControlFlow::Continue(())
    }
}
