//! Why a state is as it is: for each field, the input and the release that last changed it.
//!
//! Every decision is made again by the release that made it, and held to what is stored.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::Serialize;
use serde_json::Value as Json;

use super::course::{Course, Given};
use super::history::forward;
use super::inputs::case_of;
use super::kinds::{Departure, departures};
use super::{Lineage, ReplayError};
use crate::journal::{Kind, Verdict};
use crate::store::{EntityRow, Reader, StoredEntry};

/// Decisions that are told to differ from what is stored; all are counted.
const MOST_TOLD: usize = 20;

/// The last change of one field.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The field's path in the state, as `address.port` or `lines[0].price`.
    pub field: String,
    /// What it is now.
    pub value: Json,
    /// What it was before; null where it was not there.
    pub before: Json,
    /// The decision that changed it.
    pub sequence: u64,
    /// The case of its input; none where a migration changed it.
    pub input: Option<String>,
    /// The event's id, or that of the intent that led there.
    pub event_id: String,
    /// Generation of the release that decided.
    pub release: u64,
    /// The decision's `now`, in microseconds.
    pub now: u64,
}

/// What explains an entity's state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explanation {
    /// Every field, by path.
    pub changes: Vec<Change>,
    /// Decisions made again.
    pub decisions: u64,
    /// Decisions that could not be made again because what they were made on is erased or truncated.
    pub not_executed: u64,
    /// Decisions that came out otherwise than is stored.
    pub mismatches: u64,
    /// The first of them: the decision, and where it differs.
    pub told: Vec<(u64, Vec<Departure>)>,
}

/// Explains the state that the entity is in.
///
/// # Errors
/// Where the store or the sandbox fails, or a release cannot decide again.
pub fn explain(reader: &Reader, lineage: &Lineage, row: &EntityRow) -> Result<Explanation, ReplayError> {
    let mut found = Explanation::default();
    let mut fields: BTreeMap<String, Change> = BTreeMap::new();
    let alike = |_: &str, _: &str, _: &str| false;
    let mut course: Option<Course<'_>> = None;
    let mut is_lost = reader.checkpoint(row.id)?.is_some();
    forward(reader, row, |stored, event| {
        let entry = &stored.entry;
        let plan = lineage.plan(entry.release)?;
        let course = course.get_or_insert_with(|| Course::new(plan, &row.key, &alike));
        course.decide_by(plan);
        is_lost |= entry.kind == Kind::Decided && stored.input_is_erased();
        if is_lost {
            found.not_executed += u64::from(entry.kind == Kind::Decided);
            is_lost = !course.adopt(stored, Some(plan));
        } else {
            let followed = course.follow(stored, Some(Given { entry, event }), Some(plan))?;
            if entry.kind == Kind::Decided {
                found.decisions += 1;
                let differs = match &followed.decided {
                    Some(made) => departures(&plan.workflow.contract, entry, made),
                    None => vec![Departure::whole("decision", "decided", "cannot be made again")],
                };
                if !differs.is_empty() {
                    found.mismatches += 1;
                    if found.told.len() < MOST_TOLD {
                        found.told.push((entry.sequence, differs));
                    }
                }
            }
        }
        take(&mut fields, stored);
        Ok(ControlFlow::Continue(()))
    })?;
    found.changes = fields.into_values().collect();
    Ok(found)
}

/// Takes what an entry changed of the state.
fn take(fields: &mut BTreeMap<String, Change>, stored: &StoredEntry) {
    let entry = &stored.entry;
    if entry.verdict != Some(Verdict::Accepted) && entry.kind != Kind::Migrated {
        return;
    }
    let state = entry.state.as_deref().and_then(|json| serde_json::from_slice::<Json>(json).ok()).unwrap_or(Json::Null);
    let mut leaves = BTreeMap::new();
    gather(String::new(), &state, &mut leaves);
    fields.retain(|field, _| leaves.contains_key(field));
    for (field, value) in leaves {
        let known = fields.get(&field);
        if known.is_some_and(|known| known.value == value) {
            continue;
        }
        let change = Change {
            before: known.map_or(Json::Null, |known| known.value.clone()),
            field: field.clone(),
            value,
            sequence: entry.sequence,
            input: (entry.kind == Kind::Decided).then(|| case_of(&entry.input).map(|(case, _)| case)).flatten(),
            event_id: entry.event_id.to_string(),
            release: entry.release,
            now: entry.now,
        };
        fields.insert(field, change);
    }
}

/// Every place of a value that holds no others. An empty list or record is such a place.
fn gather(path: String, value: &Json, leaves: &mut BTreeMap<String, Json>) {
    match value {
        Json::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                gather(path, value, leaves);
            }
        }
        Json::Array(elements) if !elements.is_empty() => {
            for (index, value) in elements.iter().enumerate() {
                gather(format!("{path}[{index}]"), value, leaves);
            }
        }
        Json::Null if path.is_empty() => {}
        _ => drop(leaves.insert(path, value.clone())),
    }
}
