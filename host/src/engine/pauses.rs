//! What stands still: a workflow, an effect or an entity, until somebody has it go on.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashSet;

use super::dispatch::Order;
use super::entity::Entity;
use super::input::{EntityName, Hold};
use super::own::OwnEntry;
use super::plan::Plan;
use super::planted::{Mistake, planted};
use super::{Engine, EngineError};
use crate::journal::{Kind, Warrant};
use crate::store::{AskedRow, Batch, PauseRow, Reader, Scope, StoreError};
use crate::workflow::RoutePlan;

/// Entities with outstanding intents that are read together.
const ENTITIES_TOGETHER: u32 = 256;

/// What is paused of the host's workflows.
#[derive(Default)]
pub(super) struct Pauses {
    workflows: Vec<Paused>,
    count: usize,
    /// How many intents could still come to an end, as of a commit.
    movable: Option<(u64, usize)>,
}

#[derive(Default)]
struct Paused {
    id: i64,
    scopes: HashSet<Scope>,
    /// When the latest faults happened, as far as they count.
    faults: VecDeque<u64>,
}

impl Pauses {
    pub(super) fn load(reader: &Reader, plans: &[Arc<Plan>]) -> Result<Self, StoreError> {
        let mut pauses = Pauses::default();
        for plan in plans {
            let rows = if planted(Mistake::PausesForgotten) { Vec::new() } else { reader.pauses(plan.id)? };
            let scopes: HashSet<Scope> = rows.into_iter().map(|row| row.scope).collect();
            pauses.count += scopes.len();
            pauses.workflows.push(Paused { id: plan.id, scopes, faults: VecDeque::new() });
        }
        Ok(pauses)
    }

    /// How many things stand still.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn has(&self, workflow: usize, scope: &Scope) -> bool {
        self.count > 0 && self.workflows[workflow].scopes.contains(scope)
    }

    /// What of an entity's inputs must wait.
    pub(super) fn hold(&self, name: &EntityName) -> Hold {
        if self.count == 0 {
            return Hold::Nothing;
        }
        if self.has(name.workflow, &Scope::Entity(name.key.clone())) {
            return Hold::Everything;
        }
        if self.has(name.workflow, &Scope::Workflow) { Hold::Beginnings } else { Hold::Nothing }
    }

    /// Whether no workflow takes events.
    pub(super) fn holds_all_events(&self) -> bool {
        self.count > 0 && self.workflows.iter().all(|paused| paused.scopes.contains(&Scope::Workflow))
    }

    /// Ids of the host's workflows that fire timers: those that do not stand still.
    pub(super) fn firing_workflows(&self) -> Vec<i64> {
        self.workflows.iter().filter(|paused| !paused.scopes.contains(&Scope::Workflow)).map(|paused| paused.id).collect()
    }

    /// The effects that stand still, by workflow.
    pub(super) fn effects(&self) -> Vec<(usize, Arc<str>)> {
        let effect = |scope: &Scope| match scope {
            Scope::Effect(name) => Some(name.clone()),
            _ => None,
        };
        let paused = self.workflows.iter().enumerate();
        let mut effects: Vec<_> =
            paused.flat_map(|(workflow, paused)| paused.scopes.iter().filter_map(effect).map(move |name| (workflow, name))).collect();
        effects.sort();
        effects
    }

    fn change(&mut self, workflow: usize, scope: Scope, paused: bool) {
        let scopes = &mut self.workflows[workflow].scopes;
        if paused {
            scopes.insert(scope)
        } else {
            scopes.remove(&scope)
        };
        self.count = self.workflows.iter().map(|paused| paused.scopes.len()).sum();
        self.movable = None;
    }
}

impl Engine {
    /// Hears what another host paused, or has go on: whoever owns the workflows' own entities does that, and knows.
    pub(super) fn hear_pauses(&mut self) -> Result<(), EngineError> {
        if self.share.has_own() {
            return Ok(());
        }
        let plans = self.shared.plans.clone();
        for (workflow, plan) in plans.iter().enumerate() {
            let stored: HashSet<Scope> = self.reader.pauses(plan.id)?.into_iter().map(|row| row.scope).collect();
            let known = &self.state.pauses.workflows[workflow].scopes;
            let mut changes: Vec<(Scope, bool)> = stored.difference(known).map(|scope| (scope.clone(), true)).collect();
            changes.extend(known.difference(&stored).map(|scope| (scope.clone(), false)));
            changes.sort();
            for (scope, paused) in changes {
                tracing::info!(workflow = %plan.workflow.name, scope = scope.as_str(), name = scope.name(), paused, "heard of a pause");
                self.state.pauses.change(workflow, scope.clone(), paused);
                match (&scope, paused) {
                    (Scope::Effect(effect), true) => self.order(Order::Pause { workflow, effect: Some(effect.clone()) }),
                    (Scope::Effect(effect), false) => self.order(Order::Resume { workflow, effect: Some(effect.clone()) }),
                    (_, true) => {}
                    (_, false) => self.goes_on(workflow, &scope),
                }
            }
        }
        Ok(())
    }

    /// A workflow or an entity goes on.
    fn goes_on(&mut self, workflow: usize, scope: &Scope) {
        match scope {
            Scope::Workflow => {
                self.state.pauses.workflows[workflow].faults.clear();
                self.reading_begins();
                let mut waiting: Vec<EntityName> = self.state.work.keys().filter(|name| name.workflow == workflow).cloned().collect();
                waiting.sort();
                for name in waiting {
                    self.pending(name);
                }
            }
            Scope::Effect(_) => {}
            Scope::Entity(key) if self.share.shards.has_key(key) => {
                self.pending(EntityName { workflow, key: key.clone() });
            }
            Scope::Entity(_) => {}
        }
    }

    /// Pauses, where it is not paused already. Gives the answer.
    pub(super) fn pause(&mut self, workflow: usize, scope: &Scope, warrant: &Warrant, batch: &mut Batch) -> Result<String, EngineError> {
        if let Some(unknown) = self.unknown_scope(workflow, scope)? {
            return Ok(unknown);
        }
        if self.state.pauses.has(workflow, scope) {
            return Ok(format!("refused: {} is paused already", told(scope)));
        }
        let plan = self.shared.plans[workflow].clone();
        self.note_own(workflow, &OwnEntry { kind: Kind::Paused, event_id: "", about: &scope.about(), warrant }, batch)?;
        batch.pauses_added.push(PauseRow { workflow: plan.id, scope: scope.clone(), since: self.workflow_now(), warrant: warrant.clone() });
        tracing::warn!(workflow = %plan.workflow.name, scope = scope.as_str(), name = scope.name(), by = warrant.by, reason = warrant.reason, "paused");
        self.state.pauses.change(workflow, scope.clone(), true);
        if let Scope::Effect(effect) = scope {
            // Where it was to go on with the next commit, it does not.
            self.state.resumptions.retain(|resumed| *resumed != (workflow, effect.clone()));
            self.order(Order::Pause { workflow, effect: Some(effect.clone()) });
        }
        Ok(format!("paused: {}", told(scope)))
    }

    /// Has what was paused go on. Gives the answer.
    pub(super) fn resume(&mut self, workflow: usize, scope: &Scope, warrant: &Warrant, batch: &mut Batch) -> Result<String, EngineError> {
        if !self.state.pauses.has(workflow, scope) {
            return Ok(format!("refused: {} is not paused", told(scope)));
        }
        let plan = self.shared.plans[workflow].clone();
        self.note_own(workflow, &OwnEntry { kind: Kind::Resumed, event_id: "", about: &scope.about(), warrant }, batch)?;
        batch.pauses_added.retain(|added| (added.workflow, &added.scope) != (plan.id, scope));
        batch.pauses_removed.push((plan.id, scope.clone()));
        tracing::info!(workflow = %plan.workflow.name, scope = scope.as_str(), name = scope.name(), by = warrant.by, "resumed");
        self.state.pauses.change(workflow, scope.clone(), false);
        match scope {
            // Nothing is performed before it is durable that it may be.
            Scope::Effect(effect) if planted(Mistake::ResumedEarly) => {
                self.order(Order::Resume { workflow, effect: Some(effect.clone()) });
            }
            Scope::Effect(effect) => self.state.resumptions.push((workflow, effect.clone())),
            Scope::Workflow | Scope::Entity(_) => self.goes_on(workflow, scope),
        }
        Ok(format!("resumed: {}", told(scope)))
    }

    fn unknown_scope(&self, workflow: usize, scope: &Scope) -> Result<Option<String>, EngineError> {
        let plan = &self.shared.plans[workflow];
        let name = &plan.workflow.name;
        Ok(match scope {
            Scope::Workflow => None,
            Scope::Effect(effect) => {
                let mut known: Vec<&str> = plan.workflow.routes.iter().filter_map(effect_of).collect();
                known.sort_unstable();
                known.dedup();
                let is_known = known.contains(&&**effect);
                (!is_known)
                    .then(|| format!("refused: workflow {name:?} routes nothing to an effect {effect:?}; it has {}", known.join(", ")))
            }
            Scope::Entity(key) => {
                let is_known = !key.is_empty() && self.reader.entity(plan.id, key)?.is_some();
                (!is_known).then(|| format!("refused: workflow {name:?} knows no entity {key:?}"))
            }
        })
    }

    /// Counts faults of a workflow that happened at `now`, and pauses it where they are too many at once.
    pub(super) fn count_faults(&mut self, workflow: usize, count: usize, now: u64, batch: &mut Batch) -> Result<(), EngineError> {
        let settings = self.shared.plans[workflow].workflow.manifest.faults.clone();
        // On virtual time the order in which entities are decided for is open, so that a pause would stop each run elsewhere.
        if settings.count == 0 || self.course.event_clock {
            return Ok(());
        }
        let within = u64::try_from(settings.within.as_micros()).unwrap_or(u64::MAX);
        let faults = &mut self.state.pauses.workflows[workflow].faults;
        faults.extend(std::iter::repeat_n(now, count.min(settings.count)));
        while faults.len() > settings.count || faults.front().is_some_and(|first| first.saturating_add(within) < now) {
            faults.pop_front();
        }
        if faults.len() < settings.count || self.state.pauses.has(workflow, &Scope::Workflow) {
            return Ok(());
        }
        let reason = format!(
            "{} faults within {:?}; see `purefold parked`, mend what is wrong, then `purefold resume`",
            settings.count, settings.within
        );
        let warrant = Warrant { by: Warrant::HOST.into(), reason: Some(reason) };
        if !self.share.has_own() {
            // What stands still is written down by the owner of the workflow's own entity.
            let workflow_name = self.shared.plans[workflow].workflow.name.clone();
            batch.commands_added.push(AskedRow { workflow: workflow_name, command: "pause", subject: "{}".into(), warrant });
            self.state.pauses.workflows[workflow].faults.clear();
            return Ok(());
        }
        self.pause(workflow, &Scope::Workflow, &warrant, batch)?;
        Ok(())
    }

    /// Tells the dispatcher, once everything that was decided before is durable and has been told it.
    pub(super) fn order(&mut self, order: Order) {
        if !self.course.perform {
            return;
        }
        match self.state.in_flight.back_mut() {
            Some((.., consequences)) => consequences.orders.push(order),
            // The lanes end only with the engine.
            None => drop(self.orders.send(order)),
        }
    }

    /// Whether nothing can happen any more until an operator has something go on.
    pub(super) fn is_held_by_pauses(&mut self) -> Result<bool, EngineError> {
        let state = &self.state;
        if state.pauses.count == 0 || !state.ready.is_empty() || !state.in_flight.is_empty() {
            return Ok(false);
        }
        if state.under_way == 0 || !self.course.perform {
            return Ok(true);
        }
        let effects = state.pauses.effects();
        if effects.is_empty() {
            return Ok(false);
        }
        if let Some((committed, movable)) = state.pauses.movable
            && committed == state.committed
        {
            return Ok(movable == 0);
        }
        let mut movable = 0;
        let mut after = 0;
        loop {
            let mut rows = self.reader.entities_with_outstanding(after, ENTITIES_TOGETHER)?;
            let Some(last) = rows.last() else { break };
            after = last.id;
            rows.retain(|row| self.shared.plans.iter().any(|plan| plan.id == row.workflow));
            for loaded in self.reader.load_rows(&rows)? {
                let Some(workflow) = self.shared.plans.iter().position(|plan| plan.id == loaded.row.workflow) else { continue };
                let plan = &self.shared.plans[workflow];
                let is_paused = |effect: &str| effects.iter().any(|(of, name)| *of == workflow && **name == *effect);
                let entity = Entity::of(plan, loaded)?;
                movable += entity.stuck_with(is_paused).iter().filter(|stuck| !**stuck).count();
            }
        }
        self.state.pauses.movable = Some((self.state.committed, movable));
        Ok(movable == 0)
    }
}

fn effect_of(route: &RoutePlan) -> Option<&str> {
    match route {
        RoutePlan::Effect(route) => Some(&route.effect),
        _ => None,
    }
}

fn told(scope: &Scope) -> String {
    match scope {
        Scope::Workflow => "the workflow".into(),
        Scope::Effect(name) => format!("effect {name:?}"),
        Scope::Entity(name) => format!("entity {name:?}"),
    }
}
