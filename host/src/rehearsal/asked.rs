//! Intents of a rehearsal: what was asked for and has no conclusion.

use std::sync::Arc;

use purefold_wit::Value;

use super::{Rehearsal, RehearsalError, Step, unknown};
use crate::engine::{Conclusion, Entity, EntityName, FailureKind, Note, Order, OrderKind, Pending, Plan};
use crate::journal::Warrant;
use crate::store::IntentKey;
use crate::workflow::{OnExhausted, RoutePlan};

/// How an intent without a conclusion stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its effect may perform it now.
    Ready,
    /// Others of its lane, or those that it comes after, stand before it.
    Waiting,
    /// It waits for an operator.
    Held,
}

/// An intent that an effect is to perform, and that has no conclusion yet.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Who asked.
    pub name: EntityName,
    /// The decision that asked.
    pub sequence: u64,
    /// The intent's index there.
    pub index: u32,
    /// The intent case.
    pub case: u32,
    /// Its record.
    pub payload: Arc<Value>,
    /// How it stands.
    pub standing: Standing,
}

impl Rehearsal {
    /// Intents without a conclusion: by entity, those of one entity in the order of asking.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        let of = |(name, entity): (&EntityName, &Entity)| {
            let standings = standings(&self.plans()[name.workflow], entity);
            let asked = entity.outstanding.iter().zip(standings).map(|(intent, standing)| Asked {
                name: name.clone(),
                sequence: intent.sequence,
                index: intent.index,
                case: intent.case,
                payload: intent.payload.clone().unwrap_or_else(|| Arc::new(Value::Record(Box::default()))),
                standing,
            });
            asked.collect::<Vec<_>>()
        };
        self.entities().flat_map(of).collect()
    }

    /// Says how an intent ended. Where its attempts are used up and the route says `hold`, it is held instead.
    ///
    /// # Errors
    /// Where it is not the intent's turn, or for the host's own failures.
    pub fn conclude(&mut self, asked: &Asked, conclusion: Conclusion) -> Result<Step, RehearsalError> {
        match self.standing(asked) {
            Some(Standing::Ready) => {}
            Some(Standing::Waiting) => return Err(unknown("intent", "earlier intents stand before it")),
            Some(Standing::Held) => return Err(unknown("intent", "it is held: redrive it or give it up")),
            None => return Err(unknown("intent", "it is concluded already, or was never asked for")),
        }
        let plan = &self.plans()[asked.name.workflow];
        let mut pending = Pending::default();
        match (&plan.workflow.routes[asked.case as usize], conclusion) {
            (RoutePlan::Effect(route), Err((kind, text))) if holds(route.on_exhausted, kind) => {
                pending.notes.push((key(asked), Note { held: true, attempts: route.retry.attempts, reason: kind.told(&text) }));
            }
            (_, conclusion) => pending.conclusions.push((key(asked), conclusion)),
        }
        self.fold(&asked.name, pending)
    }

    /// Has a held intent tried again: it can be concluded after that.
    ///
    /// # Errors
    /// Where it is not held, or for the host's own failures.
    pub fn redrive(&mut self, asked: &Asked) -> Result<Step, RehearsalError> {
        self.of_held(asked, OrderKind::RedriveIntent(asked.sequence, asked.index))
    }

    /// Gives a held intent up: it is concluded as the failure that its attempts ended with.
    ///
    /// # Errors
    /// Where it is not held, or for the host's own failures.
    pub fn give_up(&mut self, asked: &Asked) -> Result<Step, RehearsalError> {
        self.of_held(asked, OrderKind::GiveUpIntent(asked.sequence, asked.index))
    }

    /// Has a parked entity go on: its input is decided again, or dropped.
    ///
    /// # Errors
    /// Where it is not parked, or for the host's own failures.
    pub fn resume(&mut self, name: &EntityName, drops: bool) -> Result<Step, RehearsalError> {
        if !self.entity(name).is_some_and(|entity| entity.row.parked) {
            return Err(unknown("entity", format!("{:?} is not parked", name.key)));
        }
        self.order(name, if drops { OrderKind::DropHead } else { OrderKind::RedriveHead })
    }

    fn of_held(&mut self, asked: &Asked, what: OrderKind) -> Result<Step, RehearsalError> {
        if self.standing(asked) != Some(Standing::Held) {
            return Err(unknown("intent", "it is not held"));
        }
        self.order(&asked.name, what)
    }

    fn order(&mut self, name: &EntityName, what: OrderKind) -> Result<Step, RehearsalError> {
        let warrant = Warrant { by: "rehearsal".into(), reason: None };
        self.fold(name, Pending { orders: vec![Order { command: 0, what, warrant }], ..Pending::default() })
    }

    fn standing(&self, asked: &Asked) -> Option<Standing> {
        let entity = self.entity(&asked.name)?;
        let at = entity.outstanding.iter().position(|intent| (intent.sequence, intent.index) == (asked.sequence, asked.index))?;
        standings(self.plans().get(asked.name.workflow)?, entity).get(at).copied()
    }
}

fn key(asked: &Asked) -> IntentKey {
    IntentKey { entity: 0, sequence: asked.sequence, index: asked.index }
}

fn holds(on_exhausted: OnExhausted, kind: FailureKind) -> bool {
    on_exhausted == OnExhausted::Hold && matches!(kind, FailureKind::Exhausted | FailureKind::Unknown)
}

/// A lane is first in, first out; what comes after others waits for them, and its lane with it.
fn standings(plan: &Plan, entity: &Entity) -> Vec<Standing> {
    let mut lanes: Vec<&str> = Vec::new();
    let mut standings = Vec::with_capacity(entity.outstanding.len());
    for intent in &entity.outstanding {
        let RoutePlan::Effect(route) = &plan.workflow.routes[intent.case as usize] else {
            standings.push(Standing::Waiting);
            continue;
        };
        let earlier = |other: &crate::engine::Outstanding| other.sequence == intent.sequence && other.index < intent.index;
        let waits = entity.outstanding.iter().any(|other| earlier(other) && route.after.contains(&other.case));
        let is_first = !lanes.contains(&&*route.effect);
        standings.push(match (intent.held, is_first && !waits) {
            (true, _) => Standing::Held,
            (false, true) => Standing::Ready,
            (false, false) => Standing::Waiting,
        });
        lanes.push(&route.effect);
    }
    standings
}
