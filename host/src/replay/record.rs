//! What history asked for and when its timers stood, as its entries are passed: the answers that it has for another reducer.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::engine::Plan;
use crate::journal::{Entry, Kind, Verdict, intent_id};
use crate::store::StoredEntry;
use crate::workflow::RoutePlan;

/// Intents of one entity that history may leave without an end; the oldest are forgotten first. An engine under way has far fewer.
const MOST_ASKED: usize = 65_536;

/// An intent: the decision that asked, and its index there.
pub(super) type Place = (u64, u32);

/// An intent of history without a conclusion so far.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The case's name in snake case.
    pub(super) case: Box<str>,
    /// The record as canonical JSON.
    pub(super) payload: Box<str>,
    /// The asking decision's `now`.
    pub(super) now: u64,
    /// The id of the event that led to it.
    pub(super) event_id: Arc<str>,
    /// Its correlation id.
    pub(super) correlation_id: Arc<str>,
    /// Whether it answers an intent of the other reducer already.
    pub(super) is_taken: bool,
}

/// A timer that stands in history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) due: u64,
    pub(super) asked: Place,
    pub(super) correlation_id: Arc<str>,
}

/// What history has asked so far.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) asked: BTreeMap<Place, Asked>,
    pub(super) timers: BTreeMap<String, Standing>,
    places: HashMap<String, Place>,
}

/// The intents of an accepted decision: each case's name in snake case, and its record.
pub(super) fn intents(output: &[u8]) -> Vec<(String, &RawValue)> {
    let parsed: Vec<BTreeMap<String, &RawValue>> = serde_json::from_slice(output).unwrap_or_default();
    parsed.into_iter().filter_map(|intent| intent.into_iter().next()).collect()
}

#[derive(serde::Deserialize)]
struct Timer {
    name: String,
    due: Option<String>,
}

impl Record {
    /// The intent that an entry with this id in its `event_id` answers.
    pub(super) fn place(&self, event_id: &str) -> Option<Place> {
        self.places.get(event_id).copied()
    }

    /// Passes an entry of `key`; `routes` are those of the release that decided it.
    pub(super) fn pass(&mut self, plan: &Plan, routes: &Plan, key: &str, stored: &StoredEntry) {
        let entry = &stored.entry;
        // A faulted input comes again when it is redriven.
        if matches!(entry.kind, Kind::Decided | Kind::Concluded | Kind::Dropped) && entry.verdict != Some(Verdict::Faulted) {
            self.settle(&entry.event_id);
        }
        match entry.kind {
            Kind::Ended => self.timers.clear(),
            Kind::Decided if entry.verdict == Some(Verdict::Accepted) => {
                for (index, (case, payload)) in (0..).zip(intents(&entry.output)) {
                    let id = || intent_id(plan.journal, &plan.workflow.name, key, entry.sequence, index).to_string();
                    self.ask(routes, (entry.sequence, index), id, &case, payload.get(), entry);
                }
            }
            _ => {}
        }
    }

    /// `entry` is of the decision that asked.
    fn ask(&mut self, routes: &Plan, asked: Place, id: impl FnOnce() -> String, case: &str, payload: &str, entry: &Entry) {
        let cases = &routes.workflow.contract.intent.cases;
        let route = cases.iter().position(|known| known.name.snake() == case).and_then(|index| routes.workflow.routes.get(index));
        let timer = || serde_json::from_str::<Timer>(payload).ok();
        match route {
            Some(RoutePlan::Timer { .. }) => {
                let due = |text: String| purefold_wit::instant::parse(&text).ok();
                let Some((name, due)) = timer().and_then(|timer| Some((timer.name, due(timer.due?)?))) else { return };
                self.places.insert(id(), asked);
                self.timers.insert(name, Standing { due, asked, correlation_id: entry.correlation_id.clone() });
            }
            Some(RoutePlan::TimerCancel) => {
                if let Some(timer) = timer() {
                    self.timers.remove(&timer.name);
                }
            }
            Some(RoutePlan::Deliver(_)) => {}
            Some(RoutePlan::Effect(_)) | None => {
                self.places.insert(id(), asked);
                let (event_id, correlation_id) = (entry.event_id.clone(), entry.correlation_id.clone());
                let (case, payload, now) = (case.into(), payload.into(), entry.now);
                self.asked.insert(asked, Asked { case, payload, now, event_id, correlation_id, is_taken: false });
                if self.asked.len() > MOST_ASKED {
                    self.asked.pop_first();
                }
            }
        }
        if self.places.len() > 2 * MOST_ASKED {
            let (asked, timers) = (&self.asked, &self.timers);
            self.places.retain(|_, place| asked.contains_key(place) || timers.values().any(|timer| timer.asked == *place));
        }
    }

    fn settle(&mut self, event_id: &str) {
        let Some(place) = self.places.remove(event_id) else { return };
        self.asked.remove(&place);
        self.timers.retain(|_, timer| timer.asked != place);
    }
}
