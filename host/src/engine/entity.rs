//! An entity in memory: what its next decision depends on.

use std::sync::Arc;

use purefold_wit::Value;

use super::EngineError;
use super::input::{FailureKind, OrderKind, Pending};
use super::plan::Plan;
use super::planted::{Mistake, planted};
use super::terms::Terms;
use crate::store::{EntityRow, InboxRow, Loaded, OutboxStatus, Reader, TimerRow};
use crate::workflow::OutcomePlan;

/// An entity as of its latest decision, committed or on its way to be.
#[derive(Clone, Debug)]
pub struct Entity {
    /// Its row.
    pub row: EntityRow,
    /// Its state, of the release `state_release`.
    pub state: Option<Arc<Value>>,
    /// The generation that the state was written under.
    pub state_release: u64,
    /// Its pending timers.
    pub timers: Vec<TimerRow>,
    /// Its intents without a conclusion, in the order of asking.
    pub outstanding: Vec<Outstanding>,
    /// The inputs that wait, where it has been parked.
    pub inbox: Vec<InboxRow>,
    /// How many of its intents are under way: outstanding and not stuck, as the engine last counted them.
    pub under_way: usize,
}

/// An intent without a conclusion.
#[derive(Clone, Debug)]
pub struct Outstanding {
    /// The decision that asked.
    pub sequence: u64,
    /// The intent's index there.
    pub index: u32,
    /// The intent case.
    pub case: u32,
    /// Under what its release has it performed and told of.
    pub terms: Arc<Terms>,
    /// The asking decision's `now`.
    pub asked: u64,
    /// The id of the event that the asking decision was on.
    pub event_id: Arc<str>,
    /// The asking decision's correlation id.
    pub correlation_id: Arc<str>,
    /// The intent's record. None: it is only in the store, because many intents are without a conclusion.
    pub payload: Option<Arc<Value>>,
    /// Waits for an operator.
    pub held: bool,
    /// How its attempts ended, where it is held for that.
    pub failed: Option<FailureKind>,
    /// Is to be concluded as failed without an attempt, for this reason.
    pub settled: Option<(FailureKind, String)>,
}

impl Entity {
    /// An entity that nothing has been decided for.
    #[must_use]
    pub fn unknown(plan: &Plan, key: Arc<str>) -> Self {
        let row = EntityRow {
            id: 0,
            workflow: plan.id,
            key,
            sequence: 0,
            ordinal: 0,
            now: 0,
            head: [0; 32],
            head_row: 0,
            state_row: None,
            parked: false,
            expected_head_row: 0,
            expected_head: [0; 32],
        };
        Entity {
            row,
            state: None,
            state_release: plan.release,
            timers: Vec::new(),
            outstanding: Vec::new(),
            inbox: Vec::new(),
            under_way: 0,
        }
    }

    /// The entity that was loaded.
    ///
    /// # Errors
    /// Where the store holds what the workflow's types do not admit.
    pub fn of(plan: &Plan, loaded: Loaded) -> Result<Self, EngineError> {
        let Loaded { row, state, timers, outstanding: stored, inbox } = loaded;
        let (state, state_release) = match state {
            None => (None, plan.release),
            Some((json, release)) => (Some(Arc::new(decode_state(plan, release, &json)?)), release),
        };
        let outstanding = stored.into_iter().map(|stored| outstanding(plan, stored)).collect::<Result<_, _>>()?;
        let mut entity = Entity { row, state, state_release, timers, outstanding, inbox, under_way: 0 };
        entity.under_way = entity.count_under_way();
        Ok(entity)
    }

    /// For each outstanding intent whether only an operator can get it on: it is held, or waits behind one that is, in
    /// its lane or by `after`.
    #[must_use]
    pub fn stuck(&self) -> Vec<bool> {
        if !self.outstanding.iter().any(|intent| intent.held) {
            return vec![false; self.outstanding.len()];
        }
        self.stuck_with(|_| false)
    }

    /// As [`Entity::stuck`], where the effects that `paused` names stand still too.
    #[must_use]
    pub fn stuck_with(&self, paused: impl Fn(&str) -> bool) -> Vec<bool> {
        let mut stuck = vec![false; self.outstanding.len()];
        // The effects of those found stuck so far, and their cases in the same decision.
        let (mut effects, mut cases, mut sequence): (Vec<&Arc<str>>, Vec<u32>, u64) = (Vec::new(), Vec::new(), 0);
        for (index, intent) in self.outstanding.iter().enumerate() {
            if std::mem::replace(&mut sequence, intent.sequence) != intent.sequence {
                cases.clear();
            }
            let Some(mine) = intent.terms.route(intent.case) else { continue };
            let blocked = effects.contains(&&mine.effect) || mine.after.iter().any(|case| cases.contains(case));
            if intent.settled.is_none() && (intent.held || blocked || paused(&mine.effect)) {
                stuck[index] = true;
                cases.push(intent.case);
                if !effects.contains(&&mine.effect) {
                    effects.push(&mine.effect);
                }
            }
        }
        stuck
    }

    /// Lets go of the records of its outstanding intents: the store has them.
    pub(super) fn drop_payloads(&mut self) {
        for intent in &mut self.outstanding {
            intent.payload = None;
        }
    }

    /// Reads back the records of what `pending` ends, and of what is concluded with it: intents of the same decisions,
    /// and those that are settled. Only where the reducer is told of them.
    pub(super) fn restore_payloads(&mut self, reader: &Reader, plan: &Plan, pending: &Pending) -> Result<(), EngineError> {
        let ends = |sequence: u64| {
            pending.conclusions.iter().any(|(key, _)| key.sequence == sequence)
                || pending.orders.iter().any(|order| matches!(order.what, OrderKind::GiveUpIntent(of, _) if of == sequence))
        };
        let is_ended = |intent: &Outstanding| intent.settled.is_some() || ends(intent.sequence);
        let echoes = |intent: &Outstanding| {
            let route = intent.terms.route(intent.case);
            route.and_then(|route| route.outcome.as_ref()).is_some_and(OutcomePlan::has_echo)
        };
        let lacking = |intent: &Outstanding| intent.payload.is_none() && is_ended(intent) && echoes(intent);
        while let Some(sequence) = self.outstanding.iter().find(|intent| lacking(intent)).map(|intent| intent.sequence) {
            let mut stored = reader.outstanding_of(self.row.id, sequence)?.into_iter().map(|stored| outstanding(plan, stored));
            for intent in self.outstanding.iter_mut().filter(|intent| intent.sequence == sequence) {
                // Both in order; the store may have more, of intents that are concluded and not yet committed.
                let payload = stored.find_map(|stored| match stored {
                    Ok(stored) if stored.index != intent.index => None,
                    stored => Some(stored.map(|stored| stored.payload)),
                });
                intent.payload = payload.transpose()?.flatten();
                if intent.payload.is_none() {
                    return Err(EngineError::Stored {
                        what: "intent",
                        reason: format!("{sequence}/{} is not in the outbox", intent.index),
                    });
                }
            }
        }
        Ok(())
    }

    /// How many of its intents are under way.
    #[must_use]
    pub fn count_under_way(&self) -> usize {
        if self.outstanding.iter().any(|intent| intent.held) {
            return self.stuck().iter().filter(|stuck| !**stuck).count();
        }
        self.outstanding.len()
    }
}

fn decode_state(plan: &Plan, release: u64, json: &[u8]) -> Result<Value, EngineError> {
    let codec = plan.earlier.iter().find(|earlier| earlier.generation == release).map_or(&plan.codec, |earlier| &earlier.codec);
    codec.decode_state(json).map_err(|error| EngineError::Stored { what: "state", reason: error.to_string() })
}

pub(super) fn outstanding(plan: &Plan, stored: crate::store::OutstandingRow) -> Result<Outstanding, EngineError> {
    let damaged = |reason: String| EngineError::Stored { what: "intent", reason };
    let terms = if planted(Mistake::PerformedAnew) { &plan.terms } else { plan.terms_of(stored.release)? };
    let intents = terms.codec.decode_intents(&stored.intents).map_err(|error| damaged(error.to_string()))?;
    let Value::List(mut intents) = intents else { return Err(damaged("no list".into())) };
    let index = stored.key.index as usize;
    if index >= intents.len() {
        return Err(damaged(format!("decision {} has no intent {index}", stored.key.sequence)));
    }
    let Value::Variant(case, Some(payload)) = intents.swap_remove(index) else { return Err(damaged("no record".into())) };
    let reason = stored.reason.unwrap_or_default();
    let failure = FailureKind::of_told(&reason);
    Ok(Outstanding {
        sequence: stored.key.sequence,
        index: stored.key.index,
        case,
        terms: terms.clone(),
        asked: stored.now,
        event_id: stored.event_id,
        correlation_id: stored.correlation_id,
        payload: Some(Arc::new(*payload)),
        held: stored.status == OutboxStatus::Held,
        failed: failure.map(|(kind, _)| kind).filter(|_| stored.status == OutboxStatus::Held),
        settled: (stored.status == OutboxStatus::Settled)
            .then(|| failure.map_or((FailureKind::Unknown, reason.clone()), |(kind, text)| (kind, text.to_owned()))),
    })
}
