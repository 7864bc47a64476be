//! What the tables beside the journal must hold, worked out from the journal alone.

use std::collections::{BTreeMap, BTreeSet};

use purefold_wit::Value;

use super::diff::Difference;
use crate::journal::{Entry, Kind, Verdict, hex};
use crate::store::{EntityRow, InboxRow, IntentKey, OutstandingRow, PauseRow, StoredEntry, TimerRow};
use crate::workflow::RoutePlan;

/// Follows one entity's entries and knows what must be pending after the last.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Derived {
    timers: BTreeMap<String, (u64, u64, u32)>,
    outbox: BTreeSet<(u64, u32)>,
    by_id: BTreeMap<String, (u64, u32)>,
    parked: bool,
    state_row: Option<i64>,
    /// Of the workflow's own chain: what is paused, as its entries say.
    pauses: BTreeSet<String>,
}

impl Derived {
    /// The entry that holds the state.
    pub(super) fn state_row(&self) -> Option<i64> {
        self.state_row
    }

    /// The names of the timers that are pending.
    pub(super) fn timers(&self) -> Vec<&str> {
        self.timers.keys().map(String::as_str).collect()
    }

    /// Takes what an entry answers: the intent or timer that led to it is no longer pending.
    pub(super) fn arrives(&mut self, entry: &Entry) {
        if matches!(entry.kind, Kind::Decided | Kind::Concluded | Kind::Dropped) {
            self.settled(&entry.event_id);
        }
    }

    /// Takes what an entry leaves, with its intents where it is an accepted decision. `ids` gives each intent's id by its index,
    /// `routes` are those of the release that decided it.
    pub(super) fn take(
        &mut self,
        stored: &StoredEntry,
        intents: Option<&[Value]>,
        routes: &[RoutePlan],
        is_own: bool,
        ids: impl Fn(u32) -> String,
    ) {
        let entry = &stored.entry;
        let about = || String::from_utf8_lossy(&entry.input).into_owned();
        match entry.kind {
            Kind::Paused => drop(self.pauses.insert(about())),
            Kind::Resumed if is_own => drop(self.pauses.remove(&about())),
            Kind::Parked => self.parked = true,
            Kind::Resumed | Kind::Dropped => self.parked = false,
            Kind::Decided | Kind::Concluded | Kind::Redriven | Kind::Abandoned => {}
            // It was admitted only because nothing was pending; what set it may be gone.
            Kind::Erased => {
                self.timers.clear();
                self.outbox.clear();
                self.by_id.clear();
            }
            Kind::Migrated => self.state_row = Some(stored.row),
            Kind::Ended => self.timers.clear(),
            Kind::Released | Kind::Repositioned => {}
        }
        if intents.is_some() || entry.verdict == Some(Verdict::Accepted) {
            self.state_row = stored.has_state().then_some(stored.row);
        }
        let Some(intents) = intents else { return };
        for (index, intent) in (0..).zip(intents) {
            let Value::Variant(case, Some(payload)) = intent else { continue };
            match (routes.get(*case as usize), &**payload) {
                (Some(RoutePlan::Effect(_)), _) => {
                    self.by_id.insert(ids(index), (entry.sequence, index));
                    self.outbox.insert((entry.sequence, index));
                }
                (Some(RoutePlan::Timer { .. }), Value::Record(fields)) => {
                    if let [Value::String(name), Value::Instant(due)] = &**fields {
                        self.by_id.insert(ids(index), (entry.sequence, index));
                        self.timers.insert(name.to_string(), (*due, entry.sequence, index));
                    }
                }
                (Some(RoutePlan::TimerCancel), Value::Record(fields)) => {
                    if let [Value::String(name)] = &**fields {
                        self.timers.remove(&**name);
                    }
                }
                _ => {}
            }
        }
    }

    /// The intent of that id, or the timer that it set, has come back as an input or been concluded.
    fn settled(&mut self, id: &str) {
        let Some(asked) = self.by_id.get(id).copied() else { return };
        self.outbox.remove(&asked);
        self.timers.retain(|_, (_, sequence, index)| (*sequence, *index) != asked);
        self.by_id.remove(id);
    }

    /// Compares what is paused with what the store holds.
    pub(super) fn compare_pauses(&self, pauses: &[PauseRow]) -> Vec<Difference> {
        let stored = pauses.iter().map(|pause| pause.scope.about().to_string()).collect::<BTreeSet<_>>();
        if stored == self.pauses {
            return Vec::new();
        }
        vec![Difference { path: "pauses".into(), stored: format!("{stored:?}"), replayed: format!("{:?}", self.pauses) }]
    }

    /// Compares with the entity's row; `last` is its last entry.
    pub(super) fn compare_row(&self, row: &EntityRow, last: &StoredEntry) -> Vec<Difference> {
        differences([
            ("entities.sequence", row.sequence.to_string(), last.entry.sequence.to_string()),
            ("entities.ordinal", row.ordinal.to_string(), last.entry.ordinal.to_string()),
            ("entities.now", row.now.to_string(), last.entry.now.to_string()),
            ("entities.state_row", format!("{:?}", row.state_row), format!("{:?}", self.state_row)),
            ("entities.parked", row.parked.to_string(), self.parked.to_string()),
            ("entities.head", hex(&row.head), hex(&last.hash)),
        ])
    }

    /// Compares with what the store holds of the entity's timers and intents.
    pub(super) fn compare_pending(&self, timers: &[TimerRow], outbox: &[OutstandingRow], inbox: &[InboxRow]) -> Vec<Difference> {
        // What waits in the inbox has left where it came from.
        let waits = |asked: &(u64, u32)| inbox.iter().any(|waiting| self.by_id.get(&*waiting.event_id) == Some(asked));
        let timers =
            timers.iter().filter(|t| !t.waits).map(|t| (t.name.to_string(), (t.due, t.sequence, t.index))).collect::<BTreeMap<_, _>>();
        let pending = self.timers.iter().filter(|(_, (_, sequence, index))| !waits(&(*sequence, *index))).collect::<BTreeMap<_, _>>();
        let asked = self.outbox.iter().filter(|asked| !waits(asked)).collect::<BTreeSet<_>>();
        let key = |key: &IntentKey| (key.sequence, key.index);
        let outbox = outbox.iter().map(|o| key(&o.key)).collect::<BTreeSet<_>>();
        differences([("timers", format!("{timers:?}"), format!("{pending:?}")), ("outbox", format!("{outbox:?}"), format!("{asked:?}"))])
    }
}

/// Those whose second text, what is stored, is not the third.
fn differences<const N: usize>(compared: [(&str, String, String); N]) -> Vec<Difference> {
    let different = compared.into_iter().filter(|(_, stored, replayed)| stored != replayed);
    different.map(|(path, stored, replayed)| Difference { path: path.to_owned(), stored, replayed }).collect()
}
