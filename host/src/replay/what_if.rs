//! What if: an entity's history with one input or outcome changed, left out or put in, and everything that follows decided anew.

use std::ops::ControlFlow;

use purefold_wit::UnknownFields;
use serde_json::Value as Json;

use super::course::{Course, Followed, Given, Unanswered, Unfed};
use super::history::forward;
use super::inputs::case_of;
use super::kinds::{Departure, departures};
use super::{Lineage, ReplayError};
use crate::engine::Plan;
use crate::journal::{Entry, Kind, Verdict};
use crate::store::{EntityRow, Reader, StoredEntry};

/// Decisions that are told; all are counted.
const MOST_TOLD: usize = 1000;

/// One change of a history.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// The input of this decision with these fields: a JSON merge patch (RFC 7396) on the input's record as the journal has it,
    /// in which a case or a result gives way to another one.
    Change(u64, Json),
    /// Without the input of this decision.
    Drop(u64),
    /// With this input, of this case, before that of this decision; after all of them where there is no such decision.
    Insert(u64, String, Json),
}

impl Edit {
    /// The decision that it concerns.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        match self {
            Edit::Change(sequence, _) | Edit::Drop(sequence) | Edit::Insert(sequence, ..) => *sequence,
        }
    }
}

/// One decision that is another one, or none, or new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Altered {
    /// The decision of history, or the one before which it stands.
    pub sequence: u64,
    /// The case of its input.
    pub input: String,
    /// Where it differs.
    pub departures: Vec<Departure>,
}

/// What would have followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhatIf {
    /// Decisions of history that were made anew.
    pub decisions: u64,
    /// Those that came out otherwise.
    pub altered: u64,
    /// The first of them.
    pub told: Vec<Altered>,
    /// Where history has no answer: the decision, and why.
    pub unanswered: Vec<(u64, String)>,
    /// Where the two states are different at the end.
    pub state: Vec<Departure>,
    /// Edits that changed nothing, because history has no such decision.
    pub unused: Vec<u64>,
}

/// Decides the entity's history anew with these edits, each decision by the release that made it.
///
/// # Errors
/// Where the store or the sandbox fails, a release cannot decide again, or an edit does not fit the reducer's input.
pub fn what_if(reader: &Reader, lineage: &Lineage, row: &EntityRow, edits: &[Edit]) -> Result<WhatIf, ReplayError> {
    let alike = |_: &str, _: &str, _: &str| false;
    let mut found = WhatIf { unused: edits.iter().map(Edit::sequence).collect(), ..WhatIf::default() };
    let mut course: Option<Course<'_>> = None;
    let mut is_lost = reader.checkpoint(row.id)?.is_some();
    let mut ends: (Option<Entry>, Option<Entry>) = (None, None);
    let mut last = None;
    forward(reader, row, |stored, event| {
        let entry = &stored.entry;
        let plan = lineage.plan(entry.release)?;
        let course = course.get_or_insert_with(|| Course::new(plan, &row.key, &alike));
        course.decide_by(plan);
        let of_this = || edits.iter().filter(|edit| entry.kind == Kind::Decided && edit.sequence() == entry.sequence);
        is_lost |= entry.kind == Kind::Decided && stored.input_is_erased();
        if is_lost {
            is_lost = !course.adopt(stored, Some(plan));
            return Ok(ControlFlow::Continue(()));
        }
        for edit in of_this() {
            found.unused.retain(|sequence| *sequence != edit.sequence());
            if let Edit::Insert(_, case, record) = edit {
                let given = inserted(plan, entry, case, record)?;
                let followed = course.insert(Given { entry: &given, event: None })?;
                found.added(entry.sequence, case, &followed);
                keep(&mut ends.1, &followed);
            }
        }
        let changed = of_this().find_map(|edit| if let Edit::Change(_, patch) = edit { Some(patch) } else { None });
        let changed = changed.map(|patch| patched(plan, entry, patch)).transpose()?;
        let given = match &changed {
            _ if of_this().any(|edit| matches!(edit, Edit::Drop(_))) => None,
            Some(entry) => Some(Given { entry, event: None }),
            None => Some(Given { entry, event }),
        };
        let is_dropped = given.is_none();
        let followed = course.follow(stored, given, Some(plan))?;
        found.compare(plan, stored, &followed, is_dropped);
        if entry.verdict == Some(Verdict::Accepted) {
            ends.0 = Some(entry.clone());
        }
        keep(&mut ends.1, &followed);
        last = Some((entry.clone(), plan.clone()));
        let parks = course.is_parked() && entry.kind == Kind::Decided && entry.verdict != Some(Verdict::Faulted);
        if parks {
            found.unanswered.push((entry.sequence, "the reducer faults: everything after it would wait for an operator".to_owned()));
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if let (Some(course), Some((entry, plan))) = (&mut course, &last) {
        for edit in edits.iter().filter(|edit| matches!(edit, Edit::Insert(sequence, ..) if *sequence == entry.sequence + 1)) {
            let Edit::Insert(sequence, case, record) = edit else { continue };
            found.unused.retain(|unused| unused != sequence);
            let mut given = inserted(plan, entry, case, record)?;
            given.sequence = *sequence;
            let followed = course.insert(Given { entry: &given, event: None })?;
            found.added(*sequence, case, &followed);
            keep(&mut ends.1, &followed);
        }
        if let (Some(before), Some(after)) = &ends {
            found.state = departures(&plan.workflow.contract, before, after);
            found.state.retain(|departure| departure.kind == "state" || departure.kind.starts_with("state."));
        }
    }
    Ok(found)
}

/// The last accepted decision is the one whose state is left.
fn keep(last: &mut Option<Entry>, followed: &Followed) {
    let accepted = followed.added.iter().chain(&followed.decided).rfind(|made| made.verdict == Some(Verdict::Accepted));
    if let Some(made) = accepted {
        *last = Some(made.clone());
    }
}

impl WhatIf {
    fn tell(&mut self, sequence: u64, input: &str, departures: Vec<Departure>) {
        if departures.is_empty() {
            return;
        }
        self.altered += 1;
        if self.told.len() < MOST_TOLD {
            self.told.push(Altered { sequence, input: input.to_owned(), departures });
        }
    }

    fn no_answer(&mut self, unanswered: &[Unanswered]) {
        for intent in unanswered {
            if self.unanswered.len() < MOST_TOLD {
                self.unanswered.push((intent.sequence, format!("history has no answer to the intent {}", intent.case)));
            }
        }
    }

    fn added(&mut self, sequence: u64, case: &str, followed: &Followed) {
        for made in followed.added.iter().chain(&followed.decided) {
            let told = format!(
                "{} {}",
                made.verdict.map_or("none", Verdict::as_str),
                super::diff::shortened(&String::from_utf8_lossy(&made.output))
            );
            self.tell(sequence, case, vec![Departure::whole("decision", "nothing", told)]);
        }
        if let Some(unfed) = &followed.unfed {
            self.tell(sequence, case, vec![Departure::whole("decision", "nothing", why(unfed))]);
        }
        self.no_answer(&followed.unanswered);
    }

    fn compare(&mut self, plan: &Plan, stored: &StoredEntry, followed: &Followed, is_dropped: bool) {
        let entry = &stored.entry;
        let case = case_of(&entry.input).map(|(case, _)| case).unwrap_or_default();
        for made in &followed.added {
            let told = format!("{} on a timer that history did not fire", made.verdict.map_or("none", Verdict::as_str));
            self.tell(entry.sequence, "timer", vec![Departure::whole("decision", "nothing", told)]);
        }
        if entry.kind == Kind::Decided {
            self.decisions += 1;
            match (&followed.decided, &followed.unfed) {
                (Some(made), _) => self.tell(entry.sequence, &case, departures(&plan.workflow.contract, entry, made)),
                (None, Some(unfed)) => self.tell(entry.sequence, &case, vec![Departure::whole("decision", "decided", why(unfed))]),
                (None, None) if is_dropped => self.tell(entry.sequence, &case, vec![Departure::whole("decision", "decided", "dropped")]),
                (None, None) => {}
            }
        }
        self.no_answer(&followed.unanswered);
    }
}

fn why(unfed: &Unfed) -> String {
    match unfed {
        Unfed::NoTimer => "no such timer is set".to_owned(),
        Unfed::NotAsked => "nothing was asked for that this is the outcome of".to_owned(),
        Unfed::Unfit(reason) => format!("cannot be taken: {reason}"),
    }
}

fn unfit(sequence: u64, reason: String) -> ReplayError {
    ReplayError::Edit { sequence, reason }
}

/// The entry with its input changed.
fn patched(plan: &Plan, entry: &Entry, patch: &Json) -> Result<Entry, ReplayError> {
    let mut input: Json = serde_json::from_slice(&entry.input).map_err(|error| unfit(entry.sequence, error.to_string()))?;
    let case = case_of(&entry.input).map(|(case, _)| case).unwrap_or_default();
    let is_whole = patch.as_object().is_some_and(|patch| patch.len() == 1 && patch.contains_key(&case));
    let target = if is_whole { Some(&mut input) } else { input.get_mut(&case) };
    let target = target.ok_or_else(|| unfit(entry.sequence, "its input carries no record".into()))?;
    merge(target, patch);
    let changed = Entry { input: input.to_string().into_bytes().into(), ..entry.clone() };
    fits(plan, &changed)?;
    Ok(changed)
}

/// An input of the case before that of `entry`, at its time.
fn inserted(plan: &Plan, entry: &Entry, case: &str, record: &Json) -> Result<Entry, ReplayError> {
    let input = serde_json::json!({ case.replace('-', "_"): record }).to_string().into_bytes().into();
    // No event, intent or delivery has such an id: it is taken for an event.
    let inserted = Entry { input, event_id: "".into(), correlation_id: entry.correlation_id.clone(), event_hash: None, ..entry.clone() };
    fits(plan, &inserted)?;
    Ok(inserted)
}

fn fits(plan: &Plan, entry: &Entry) -> Result<(), ReplayError> {
    let decoded = plan.codec.input().decode("input", &entry.input, UnknownFields::Refuse);
    decoded.map(drop).map_err(|error| unfit(entry.sequence, error.to_string()))
}

/// RFC 7396, but that a case or a result gives way to another one.
fn merge(target: &mut Json, patch: &Json) {
    let Json::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Json::Object(serde_json::Map::new());
    }
    let Json::Object(target) = target else { return };
    let is_other_case = target.len() == 1 && patch.len() == 1 && !patch.keys().all(|name| target.contains_key(name));
    if is_other_case {
        target.clear();
    }
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name).or_insert(Json::Null), value);
        }
    }
}
