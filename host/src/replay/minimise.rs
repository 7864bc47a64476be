//! The shortest part of an entity's history that still shows something, as a scenario that can be played again.
//!
//! The inputs are played on a stage, by the release in force. What can be left out is found by delta debugging (Zeller and
//! Hildebrandt, "Simplifying and isolating failure-inducing input", 2002): larger parts first, then smaller ones, until none of the
//! inputs that are left can be missed.

use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::condition::Condition;
use super::history::forward;
use super::inputs::case_of;
use super::record::{Record, intents};
use super::{Lineage, ReplayError};
use crate::journal::{Entry, Kind, Verdict};
use crate::rehearsal::Rehearsal;
use crate::scenario::{Performed, Script, Stage, Until, What, Which, write};
use crate::source::CloudEvent;
use crate::store::{EntityRow, Reader, StoredEntry};

/// Inputs that can be made fewer.
const MOST_INPUTS: usize = 20_000;

/// Attempts after which what is left is taken as it is.
const MOST_ATTEMPTS: u64 = 20_000;

/// What must be shown still.
#[derive(Clone, Debug)]
pub enum Sought {
    /// A state for which this holds.
    State(Condition),
    /// An intent of this case, in kebab or snake case.
    Intent(String),
    /// A fault with this code.
    Fault(String),
}

/// What is left of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minimal {
    /// Inputs up to the one that first showed it.
    pub inputs: usize,
    /// How many of them are enough.
    pub kept: usize,
    /// The scenario, to be played by `purefold test`.
    pub scenario: String,
    /// Whether none of them can be left out. Otherwise there were too many to try.
    pub is_minimal: bool,
}

/// One input with the time that passes before it.
#[derive(Clone, Debug)]
struct Item {
    time: u64,
    /// Whether timers that were due by then had not been looked at.
    is_stalled: bool,
    /// None of a timer: time is all that it takes.
    act: Option<What>,
}

/// What playing showed.
struct Shown {
    /// The items that could be performed, up to the one that showed it.
    performed: Vec<usize>,
    /// The state then.
    state: Option<Json>,
}

/// Finds the shortest part of the entity's history that still shows what is sought; none where all of it does not show it.
/// `progress` is told the number of attempts so far.
///
/// # Errors
/// Where the store or the sandbox fails, or the history cannot be played.
pub fn minimise(
    reader: &Reader,
    lineage: &Lineage,
    row: &EntityRow,
    sought: &Sought,
    progress: impl Fn(u64),
) -> Result<Option<Minimal>, ReplayError> {
    let plan = lineage.in_force()?;
    let items = items(reader, lineage, row)?;
    let stage = Stage::new(Rehearsal::of_plans(vec![plan.clone()]), Script::default(), true);
    let mut attempts = 0;
    let mut play = |kept: &[usize]| {
        attempts += 1;
        progress(attempts);
        (played(&stage, &row.key, &items, kept, sought), attempts < MOST_ATTEMPTS)
    };
    let all: Vec<usize> = (0..items.len()).collect();
    let (Some(shown), _) = play(&all) else { return Ok(None) };
    let inputs = shown.performed.last().map_or(0, |last| last + 1);
    let (mut kept, mut state) = (shown.performed, shown.state);
    let mut parts = 2;
    let mut may_go_on = true;
    while kept.len() > 1 && may_go_on {
        let size = kept.len().div_ceil(parts);
        let found = kept.chunks(size).enumerate().find_map(|(left_out, _)| {
            let rest: Vec<usize> =
                kept.chunks(size).enumerate().filter(|(part, _)| *part != left_out).flat_map(|(_, part)| part).copied().collect();
            let (shown, goes_on) = if may_go_on { play(&rest) } else { (None, false) };
            may_go_on = goes_on;
            shown
        });
        match found {
            Some(shown) => {
                (kept, state) = (shown.performed, shown.state);
                parts = parts.saturating_sub(1).max(2);
            }
            None if size == 1 => break,
            None => parts = (parts * 2).min(kept.len()),
        }
    }
    let scenario = scenario(&row.key, &items, &kept, sought, state);
    Ok(Some(Minimal { inputs, kept: kept.len(), scenario, is_minimal: may_go_on }))
}

/// Plays the items; none where what is sought is not shown.
fn played(stage: &Stage, key: &str, items: &[Item], kept: &[usize], sought: &Sought) -> Option<Shown> {
    let mut stage = stage.clone();
    let mut performed = Vec::with_capacity(kept.len());
    for index in kept {
        let item = &items[*index];
        let time = if item.is_stalled { What::Stall(Until::At(item.time)) } else { What::Advance(Until::At(item.time)) };
        let mut done = vec![stage.perform(&time).ok()?];
        // What was to be answered was not asked for without what is left out: this goes with it.
        match item.act.as_ref().map(|act| stage.perform(act)) {
            Some(Ok(step)) => done.push(step),
            Some(Err(_)) => continue,
            None => {}
        }
        performed.push(*index);
        if let Some(state) = done.iter().find_map(|step| shows(step, key, sought)) {
            return Some(Shown { performed, state });
        }
    }
    None
}

/// The state when it is shown.
fn shows(performed: &Performed, key: &str, sought: &Sought) -> Option<Option<Json>> {
    performed.step.entries.iter().filter(|happened| *happened.name.key == *key && happened.entry.kind == Kind::Decided).find_map(
        |happened| {
            let entry = &happened.entry;
            let state = || entry.state.as_deref().and_then(|json| serde_json::from_slice::<Json>(json).ok());
            let is_shown = match (sought, entry.verdict) {
                (Sought::State(condition), Some(Verdict::Accepted)) => condition.holds(&state().unwrap_or(Json::Null)),
                (Sought::Intent(case), Some(Verdict::Accepted)) => {
                    let case = case.replace('-', "_");
                    intents(&entry.output).iter().any(|(asked, _)| *asked == case)
                }
                (Sought::Fault(code), Some(Verdict::Faulted)) => {
                    serde_json::from_slice::<Json>(&entry.output).is_ok_and(|fault| fault["code"] == **code)
                }
                _ => false,
            };
            is_shown.then(state)
        },
    )
}

/// The entity's inputs as acts.
fn items(reader: &Reader, lineage: &Lineage, row: &EntityRow) -> Result<Vec<Item>, ReplayError> {
    let gone = |reason: &str| ReplayError::Edit { sequence: 1, reason: reason.to_owned() };
    if reader.checkpoint(row.id)?.is_some() {
        return Err(gone("the entity's first entries are truncated"));
    }
    let mut items = Vec::new();
    let mut record = Record::default();
    forward(reader, row, |stored, event| {
        let entry = &stored.entry;
        if stored.input_is_erased() {
            return Err(ReplayError::Edit { sequence: entry.sequence, reason: "its input is erased".to_owned() });
        }
        let plan = lineage.plan(entry.release)?;
        if entry.kind == Kind::Decided {
            if items.len() == MOST_INPUTS {
                return Err(gone(&format!("the entity has more than {MOST_INPUTS} inputs")));
            }
            let is_stalled = record.timers.values().any(|timer| timer.due <= entry.now);
            let case = case_of(&entry.input).map(|(case, _)| case).unwrap_or_default();
            if plan.timers_as.as_deref() == Some(&*case) {
                items.push(Item { time: entry.now, is_stalled: false, act: None });
            } else {
                items.push(Item { time: entry.now, is_stalled, act: Some(act(&record, &row.key, stored, event)) });
            }
        }
        record.pass(plan, plan, &row.key, stored);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(items)
}

fn act(record: &Record, key: &Arc<str>, stored: &StoredEntry, event: Option<&[u8]>) -> What {
    let entry = &stored.entry;
    if let Some(event) = event.and_then(|bytes| CloudEvent::read(bytes).ok()) {
        return What::Event {
            ty: event.ty().to_owned(),
            id: Some(event.id().to_owned()),
            source: Some(event.source().to_owned()),
            correlation_id: event.correlation_id().map(str::to_owned),
            data: event.data().to_owned(),
        };
    }
    let asked = record.place(&entry.event_id).and_then(|place| record.asked.get(&place));
    if let Some((asked, with)) = asked.zip(answer(entry)) {
        let intent = Which { case: asked.case.replace('_', "-"), entity: Some(key.to_string()), filter: None };
        return What::Answer { intent, with };
    }
    What::Input { workflow: None, entity: Some(key.to_string()), input: String::from_utf8_lossy(&entry.input).into_owned() }
}

/// How the intent ended that the input tells of, as a scenario says it.
fn answer(entry: &Entry) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Outcome<'r> {
        #[serde(borrow)]
        result: Parts<'r>,
    }
    #[derive(serde::Deserialize)]
    struct Parts<'r> {
        #[serde(borrow)]
        ok: Option<&'r RawValue>,
        #[serde(borrow)]
        err: Option<&'r RawValue>,
    }
    let (_, payload) = case_of(&entry.input)?;
    let outcome: Outcome<'_> = serde_json::from_str(payload.get()).ok()?;
    Some(match (outcome.result.ok, outcome.result.err) {
        (_, Some(failure)) => failure.get().to_owned(),
        (Some(reply), None) => format!("{{\"ok\":{}}}", reply.get()),
        (None, None) => "\"ok\"".to_owned(),
    })
}

fn scenario(key: &str, items: &[Item], kept: &[usize], sought: &Sought, state: Option<Json>) -> String {
    let start = kept.first().map_or(0, |first| items[*first].time);
    let mut now = start;
    let mut acts = Vec::new();
    for index in kept {
        let Item { time, is_stalled, act } = &items[*index];
        if *time > now {
            acts.push(if *is_stalled { What::Stall(Until::At(*time)) } else { What::Advance(Until::At(*time)) });
            now = *time;
        }
        acts.extend(act.clone());
    }
    let (name, then) = match sought {
        Sought::State(_) => ("a state that was looked for", state.map(|state| format!("{{entity: {}, state: {state}}}", Json::from(key)))),
        Sought::Intent(_) => ("an intent that was looked for", None),
        Sought::Fault(_) => ("a fault that was looked for", None),
    };
    let then = match sought {
        Sought::Intent(case) => Some(format!("{{intents-include: [{}]}}", case.replace('-', "_"))),
        Sought::Fault(code) => Some(format!("{{verdict: faulted, fault: {code}}}")),
        Sought::State(_) => then,
    };
    let remark = format!("The shortest part of the history of {key} that still shows it.");
    let mut text = write(name, &[remark], start, true, &acts);
    if let Some(then) = then {
        // It is expected of the last step, whose keys stand four to the right.
        text.push_str(&format!("    then: {then}\n"));
    }
    text
}
