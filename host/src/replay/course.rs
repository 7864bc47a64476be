//! An entity taken through recorded inputs by a reducer: the engine's own fold, with history in the place of the world.
//!
//! Events come as they came. An outcome comes where history concluded an intent of the same content. A timer fires where
//! history fired the same one, else when history passes its due time. Nothing is performed and nothing is stored.

use std::collections::HashMap;
use std::sync::Arc;

use purefold_wit::{Codec, UnknownFields};
use serde_json::value::RawValue;

use super::ReplayError;
use super::inputs::{Inputs, case_of};
use super::record::{Asked, Place, Record, intents};
use crate::engine::{Entity, Ids, Moment, Outstanding, Pending, Plan, fold};
use crate::journal::{Entry, Kind, Verdict};
use crate::store::{EntityRow, IntentKey, Loaded, StoredEntry, TimerRow};
use crate::workflow::RoutePlan;

/// Timers that fire one after the other before one input: a reducer that sets one that is due at once would never end.
const MOST_FIRED: usize = 256;

/// Whether an intent of history stands for one of the reducer: its case, the reducer's record and history's.
pub(super) type Alike<'a> = &'a (dyn Fn(&str, &str, &str) -> bool + Sync);

/// An input of history, or one in its place.
#[derive(Clone, Copy)]
pub(super) struct Given<'e> {
    /// The entry that it led to, whose `input` is what was decided on.
    pub(super) entry: &'e Entry,
    /// Its event's bytes, where they are kept.
    pub(super) event: Option<&'e [u8]>,
}

/// An intent of the reducer that history has no answer for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unanswered {
    pub(super) sequence: u64,
    /// The case's name in snake case.
    pub(super) case: String,
    pub(super) payload: String,
}

/// Why an input of history was not decided on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unfed {
    /// The reducer set no such timer.
    NoTimer,
    /// The reducer asked for nothing that this would be the outcome of.
    NotAsked,
    /// It does not fit the reducer's types, or the outcome is none that its route takes.
    Unfit(String),
}

/// What became of one entry of history.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// Decisions on timers that history did not fire.
    pub(super) added: Vec<Entry>,
    /// The decision on the entry's input.
    pub(super) decided: Option<Entry>,
    /// Why there is none, where there should be.
    pub(super) unfed: Option<Unfed>,
    /// Intents that history has no answer for.
    pub(super) unanswered: Vec<Unanswered>,
}

/// One entity on its way through history.
pub(super) struct Course<'a> {
    inputs: Inputs,
    ids: Ids,
    entity: Box<Entity>,
    /// The reducer's intents without a conclusion: each is shown to the fold when it is concluded.
    asked: Vec<Outstanding>,
    /// By the place of history's intent, the reducer's that it answers.
    answers: HashMap<Place, Place>,
    record: Record,
    /// Inputs that were decided on where history faulted: they come again when history has them redriven.
    ahead: Vec<Arc<str>>,
    alike: Alike<'a>,
}

impl<'a> Course<'a> {
    /// An entity of that key before its first decision.
    pub(super) fn new(plan: &Arc<Plan>, key: &Arc<str>, alike: Alike<'a>) -> Self {
        Course {
            inputs: Inputs::of(plan),
            ids: Ids::default(),
            entity: Box::new(Entity::unknown(plan, key.clone())),
            asked: Vec::new(),
            answers: HashMap::new(),
            record: Record::default(),
            ahead: Vec::new(),
            alike,
        }
    }

    /// Goes on under another release.
    pub(super) fn decide_by(&mut self, plan: &Arc<Plan>) {
        if !Arc::ptr_eq(&self.inputs.plan, plan) {
            self.inputs = Inputs::of(plan);
        }
    }

    /// Whether a fault keeps the entity from deciding.
    pub(super) fn is_parked(&self) -> bool {
        self.entity.row.parked
    }

    /// Passes an entry of history and decides on `given` in its place; `theirs` is the release that decided the entry.
    pub(super) fn follow(
        &mut self,
        stored: &StoredEntry,
        given: Option<Given<'_>>,
        theirs: Option<&Arc<Plan>>,
    ) -> Result<Followed, ReplayError> {
        let mut followed = Followed { added: self.fire_due(stored.entry.now)?, ..Followed::default() };
        let place = self.record.place(&stored.entry.event_id);
        let concluded = place.and_then(|place| self.record.asked.get(&place).map(|_| place));
        let routes = theirs.unwrap_or(&self.inputs.plan).clone();
        let key = self.entity.row.key.clone();
        self.record.pass(&self.inputs.plan, &routes, &key, stored);
        match stored.entry.kind {
            Kind::Decided => {
                if let Some(given) = given {
                    self.feed(given, concluded, &mut followed)?;
                }
                if stored.entry.verdict == Some(Verdict::Faulted) && followed.decided.is_some() && !self.is_parked() {
                    self.ahead.push(stored.entry.event_id.clone());
                }
            }
            Kind::Concluded => self.conclude(&stored.entry, concluded, &mut followed)?,
            Kind::Dropped => {
                self.ahead.retain(|id| *id != stored.entry.event_id);
                self.unpark();
            }
            _ => {}
        }
        self.look_for_answers(&mut followed);
        Ok(followed)
    }

    /// Decides on an input that history does not have, before what follows.
    pub(super) fn insert(&mut self, given: Given<'_>) -> Result<Followed, ReplayError> {
        let mut followed = Followed { added: self.fire_due(given.entry.now)?, ..Followed::default() };
        self.feed(given, None, &mut followed)?;
        self.look_for_answers(&mut followed);
        Ok(followed)
    }

    /// Takes over the state that an entry of history left, with what history has pending then. Gives whether it could.
    pub(super) fn adopt(&mut self, stored: &StoredEntry, theirs: Option<&Arc<Plan>>) -> bool {
        let routes = theirs.unwrap_or(&self.inputs.plan).clone();
        let key = self.entity.row.key.clone();
        self.record.pass(&self.inputs.plan, &routes, &key, stored);
        let entry = &stored.entry;
        let leaves = entry.verdict == Some(Verdict::Accepted) || entry.kind == Kind::Migrated;
        if !leaves || (stored.has_state() && entry.state.is_none()) {
            return false;
        }
        let row = EntityRow { sequence: entry.sequence, ordinal: entry.ordinal, now: entry.now, ..self.entity.row.clone() };
        let state = entry.state.clone().map(|json| (json, entry.release));
        let timers = self.record.timers.iter().map(|(name, timer)| TimerRow {
            entity: row.id,
            name: name.as_str().into(),
            due: timer.due,
            sequence: timer.asked.0,
            index: timer.asked.1,
            correlation_id: timer.correlation_id.clone(),
            waits: false,
            workflow: row.workflow,
        });
        let loaded = Loaded { row: row.clone(), state, timers: timers.collect(), outstanding: Vec::new(), inbox: Vec::new() };
        let Ok(entity) = Entity::of(&self.inputs.plan, loaded) else { return false };
        let Some(asked) = self.record.asked.iter().map(|(place, asked)| self.outstanding(*place, asked)).collect() else { return false };
        (self.entity, self.asked) = (Box::new(entity), asked);
        for (place, asked) in &mut self.record.asked {
            asked.is_taken = true;
            self.answers.insert(*place, *place);
        }
        true
    }

    fn outstanding(&self, (sequence, index): Place, asked: &Asked) -> Option<Outstanding> {
        let cases = &self.inputs.plan.workflow.contract.intent.cases;
        let (case, shape) = (0..).zip(cases).find(|(_, case)| *case.name.snake() == *asked.case)?;
        let payload = Codec::new(shape.payload.as_ref()?).decode("intent", asked.payload.as_bytes(), UnknownFields::Refuse).ok()?;
        Some(Outstanding {
            terms: self.inputs.plan.terms.clone(),
            sequence,
            index,
            case,
            asked: asked.now,
            event_id: asked.event_id.clone(),
            correlation_id: asked.correlation_id.clone(),
            payload: Some(Arc::new(payload)),
            held: false,
            failed: None,
            settled: None,
        })
    }

    /// Fires what is due by `now` and does not stand in history as well: that fires where history fires it.
    fn fire_due(&mut self, now: u64) -> Result<Vec<Entry>, ReplayError> {
        let mut made = Vec::new();
        while made.len() < MOST_FIRED && !self.is_parked() {
            let stands = |timer: &TimerRow| self.record.timers.get(&*timer.name).is_some_and(|standing| standing.due == timer.due);
            let due = self.entity.timers.iter().filter(|timer| timer.due <= now && !timer.waits && !stands(timer));
            let Some(timer) = due.min_by_key(|timer| (timer.due, timer.sequence, timer.index)) else { break };
            let pending = Pending { timers: vec![(timer.name.clone(), timer.sequence, timer.index)], ..Pending::default() };
            let due = timer.due;
            made.extend(self.decide(pending, due)?);
        }
        Ok(made)
    }

    fn feed(&mut self, given: Given<'_>, concluded: Option<Place>, followed: &mut Followed) -> Result<(), ReplayError> {
        let entry = given.entry;
        if let Some(index) = self.ahead.iter().position(|id| *id == entry.event_id) {
            self.ahead.remove(index);
            return Ok(());
        }
        // Sequence numbers go with history's as far as they can: seeds and ids are made of them.
        self.entity.row.sequence = self.entity.row.sequence.max(entry.sequence.saturating_sub(1));
        let waits = self.entity.inbox.first().is_some_and(|head| head.event_id == entry.event_id);
        if waits {
            self.entity.row.parked = false;
            followed.decided = self.decide(Pending::default(), entry.now)?.pop();
            return Ok(());
        }
        self.unpark();
        match self.pending(given, concluded) {
            Ok(pending) => followed.decided = self.decide(pending, entry.now)?.pop(),
            Err(unfed) => followed.unfed = Some(unfed),
        }
        Ok(())
    }

    fn unpark(&mut self) {
        self.entity.row.parked = false;
        self.entity.inbox.clear();
        self.entity.timers.retain(|timer| !timer.waits);
    }

    /// The input as the fold takes it.
    fn pending(&mut self, given: Given<'_>, concluded: Option<Place>) -> Result<Pending, Unfed> {
        let entry = given.entry;
        if given.event.is_some() {
            return self.inputs.outside(&self.entity.row.key, entry, given.event);
        }
        let (case, payload) = case_of(&entry.input).ok_or_else(|| Unfed::Unfit("the input is no case with a record".into()))?;
        if self.inputs.timer_case().is_some_and(|timer| timer == case) {
            return self.timer(payload);
        }
        if let Some(place) = concluded {
            return self.outcome(place, payload);
        }
        self.inputs.outside(&self.entity.row.key, entry, None)
    }

    fn timer(&self, payload: &RawValue) -> Result<Pending, Unfed> {
        #[derive(serde::Deserialize)]
        struct Timer {
            name: String,
            due: String,
        }
        let timer: Timer = serde_json::from_str(payload.get()).map_err(|error| Unfed::Unfit(error.to_string()))?;
        let due = purefold_wit::instant::parse(&timer.due).map_err(Unfed::Unfit)?;
        let found = self.entity.timers.iter().find(|known| *known.name == *timer.name && known.due == due).ok_or(Unfed::NoTimer)?;
        Ok(Pending { timers: vec![(found.name.clone(), found.sequence, found.index)], ..Pending::default() })
    }

    /// The outcome of the reducer's intent that history's at `place` stands for.
    fn outcome(&mut self, place: Place, payload: &RawValue) -> Result<Pending, Unfed> {
        #[derive(serde::Deserialize)]
        struct Outcome<'r> {
            #[serde(borrow)]
            result: &'r RawValue,
        }
        let mine = self.answers.get(&place).copied().ok_or(Unfed::NotAsked)?;
        let index = self.asked.iter().position(|asked| (asked.sequence, asked.index) == mine).ok_or(Unfed::NotAsked)?;
        let outcome: Outcome<'_> = serde_json::from_str(payload.get()).map_err(|error| Unfed::Unfit(error.to_string()))?;
        let conclusion = self.inputs.conclusion(self.asked[index].case, outcome.result.get())?;
        self.answers.remove(&place);
        let intent = self.asked.remove(index);
        let key = IntentKey { entity: self.entity.row.id, sequence: intent.sequence, index: intent.index };
        self.entity.outstanding.push(intent);
        Ok(Pending { conclusions: vec![(key, conclusion)], ..Pending::default() })
    }

    /// What history concluded without telling its reducer.
    fn conclude(&mut self, entry: &Entry, concluded: Option<Place>, followed: &mut Followed) -> Result<(), ReplayError> {
        let Some(mine) = concluded.and_then(|place| self.answers.get(&place).copied()) else { return Ok(()) };
        let Some(index) = self.asked.iter().position(|asked| (asked.sequence, asked.index) == mine) else { return Ok(()) };
        let RoutePlan::Effect(route) = &self.inputs.plan.workflow.routes[self.asked[index].case as usize] else { return Ok(()) };
        if route.outcome.is_none() {
            self.asked.remove(index);
            return Ok(());
        }
        let result = String::from_utf8_lossy(&entry.output);
        match self.inputs.conclusion(self.asked[index].case, &result) {
            Ok(conclusion) => {
                let intent = self.asked.remove(index);
                let key = IntentKey { entity: self.entity.row.id, sequence: intent.sequence, index: intent.index };
                self.entity.outstanding.push(intent);
                let made = self.decide(Pending { conclusions: vec![(key, conclusion)], ..Pending::default() }, entry.now)?;
                followed.added.extend(made);
            }
            Err(unfed) => followed.unfed = Some(unfed),
        }
        Ok(())
    }

    fn decide(&mut self, pending: Pending, now: u64) -> Result<Vec<Entry>, ReplayError> {
        let key = self.entity.row.key.clone();
        let entity = std::mem::replace(&mut self.entity, Box::new(Entity::unknown(&self.inputs.plan, key)));
        let folded = quietly(|| fold(&self.inputs.plan, &self.ids, entity, pending, Moment::Arrival { now }))?;
        self.entity = folded.entity;
        self.asked.append(&mut self.entity.outstanding);
        Ok(folded.entries.into_iter().map(|folded| folded.entry).filter(|entry| entry.kind == Kind::Decided).collect())
    }

    /// Finds for each new intent that of history which answers it.
    fn look_for_answers(&mut self, followed: &mut Followed) {
        let made: Vec<&Entry> = followed.added.iter().chain(&followed.decided).collect();
        for entry in made {
            if entry.verdict != Some(Verdict::Accepted) {
                continue;
            }
            for (index, (case, payload)) in (0..).zip(intents(&entry.output)) {
                let mine = (entry.sequence, index);
                let Some(at) = self.asked.iter().position(|asked| (asked.sequence, asked.index) == mine) else { continue };
                let has_outcome = match &self.inputs.plan.workflow.routes[self.asked[at].case as usize] {
                    RoutePlan::Effect(route) => route.outcome.is_some(),
                    _ => false,
                };
                let untaken = || self.record.asked.iter().filter(|(_, asked)| !asked.is_taken && *asked.case == *case);
                let same = untaken().find(|(_, asked)| *asked.payload == *payload.get());
                let found = same.or_else(|| untaken().find(|(_, asked)| (self.alike)(&case, payload.get(), &asked.payload)));
                match found.map(|(place, _)| *place) {
                    Some(place) => {
                        if let Some(asked) = self.record.asked.get_mut(&place) {
                            asked.is_taken = true;
                        }
                        self.answers.insert(place, mine);
                    }
                    None if has_outcome => {
                        let (sequence, payload) = (entry.sequence, payload.get().to_owned());
                        followed.unanswered.push(Unanswered { sequence, case, payload });
                    }
                    // Nobody is told how it ends.
                    None => drop(self.asked.remove(at)),
                }
            }
        }
    }
}

/// What the engine logs of decisions is not true of those that are made only to look at them.
pub(super) fn quietly<T>(work: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), work)
}
