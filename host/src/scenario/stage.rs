//! A rehearsal with a script: acts are performed, and what follows by itself follows.

use std::collections::BTreeMap;
use std::sync::Arc;

use purefold_wit::{Type, instant};

use super::act::{What, Which};
use super::matching;
use super::script::{Answer, Script};
use crate::engine::EntityName;
use crate::rehearsal::{Asked, Rehearsal, RehearsalError, Standing, Step};
use crate::workflow::RoutePlan;

/// Deliveries and scripted answers that follow one act.
const MOST_FOLLOWING: u32 = 10_000;

/// Why an act cannot be performed.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The rehearsal cannot go on.
    #[error(transparent)]
    Rehearsal(#[from] RehearsalError),
    /// The act does not fit what is there.
    #[error("{0}")]
    Act(String),
}

/// What an act led to.
#[derive(Clone, Debug, Default)]
pub struct Performed {
    /// Everything, in order.
    pub step: Step,
    /// How many of its entries are the act's own; the others followed by deliveries and scripted answers.
    pub own: usize,
}

/// Which intent of a rehearsal: who asked, in which decision, at which place.
type AskedKey = (EntityName, u64, u32);

/// Workflows on which acts are performed.
#[derive(Clone)]
pub struct Stage {
    rehearsal: Rehearsal,
    script: Arc<Script>,
    /// Whether deliveries wait for an act.
    by_hand: bool,
    /// How many intents of each workflow's cases were asked for.
    counts: BTreeMap<(usize, u32), u32>,
    /// The number among its case of each intent that has no conclusion.
    ordinals: BTreeMap<AskedKey, u32>,
    events: BTreeMap<String, Arc<[u8]>>,
}

impl Stage {
    /// A stage on which intents end as `script` says. Where `by_hand`, deliveries wait for an act.
    #[must_use]
    pub fn new(rehearsal: Rehearsal, script: Script, by_hand: bool) -> Self {
        let (counts, ordinals, events) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Stage { rehearsal, script: Arc::new(script), by_hand, counts, ordinals, events }
    }

    /// What is rehearsed.
    #[must_use]
    pub fn rehearsal(&self) -> &Rehearsal {
        &self.rehearsal
    }

    /// Performs one act, and all that follows from it by itself.
    ///
    /// # Errors
    /// Where the act does not fit what is there, or the rehearsal cannot go on.
    pub fn perform(&mut self, what: &What) -> Result<Performed, StageError> {
        let mut step = self.act(what)?;
        let own = step.entries.len();
        step.extend(self.follow()?);
        Ok(Performed { step, own })
    }

    /// The workflow of that name, or the first.
    ///
    /// # Errors
    /// Where none has that name.
    pub fn workflow(&self, name: Option<&str>) -> Result<usize, StageError> {
        let Some(name) = name else { return Ok(0) };
        let found = self.rehearsal.plans().iter().position(|plan| *plan.workflow.name == *name);
        found.ok_or_else(|| StageError::Act(format!("no workflow {name:?} is rehearsed; name its manifest with --with")))
    }

    fn act(&mut self, what: &What) -> Result<Step, StageError> {
        match what {
            What::Event { ty, id, source, correlation_id, data } => {
                let id = id.clone().unwrap_or_else(|| format!("event-{}", self.events.len() + 1));
                let bytes = self.cloud_event(ty, &id, source.as_deref(), correlation_id.as_deref(), data);
                self.events.insert(id, bytes.clone());
                Ok(self.rehearsal.event(&bytes)?)
            }
            What::Repeat(id) => {
                let bytes = self.events.get(id).cloned();
                let bytes = bytes.ok_or_else(|| StageError::Act(format!("no event {id:?} arrived before")))?;
                Ok(self.rehearsal.event(&bytes)?)
            }
            What::Input { workflow, entity, input } => {
                let workflow = self.workflow(workflow.as_deref())?;
                let id = format!("event-{}", self.events.len() + 1);
                self.events.insert(id.clone(), Arc::default());
                Ok(self.rehearsal.input(workflow, entity.as_deref(), &id, input.as_bytes())?)
            }
            What::State { workflow, entity, state, timers } => {
                let name = EntityName { workflow: self.workflow(workflow.as_deref())?, key: entity.as_str().into() };
                let timers: Vec<(&str, u64)> = timers.iter().map(|(name, due)| (name.as_str(), *due)).collect();
                self.rehearsal.put(name, state.as_bytes(), &timers)?;
                Ok(Step::default())
            }
            What::Advance(until) => self.advance(until.moment(self.rehearsal.now())),
            What::Stall(until) => {
                self.rehearsal.set_now(until.moment(self.rehearsal.now()));
                Ok(Step::default())
            }
            What::Answer { intent, with } => {
                let asked = self.find(intent, Standing::Ready)?;
                self.conclude(&asked, with)
            }
            What::Redrive(intent) => {
                let asked = self.find(intent, Standing::Held)?;
                Ok(self.rehearsal.redrive(&asked)?)
            }
            What::GiveUp(intent) => {
                let asked = self.find(intent, Standing::Held)?;
                Ok(self.rehearsal.give_up(&asked)?)
            }
            What::Deliver(entity) => {
                let found = self.rehearsal.deliveries().position(|delivery| *delivery.key == **entity);
                let index = found.ok_or_else(|| StageError::Act(format!("nothing was sent to {entity:?} that was not handed over")))?;
                Ok(self.rehearsal.deliver(index)?)
            }
            What::Resume(entity) | What::Drop(entity) => {
                let parked = |(name, found): (&EntityName, &crate::engine::Entity)| {
                    (*name.key == **entity && found.row.parked).then(|| name.clone())
                };
                let name = self.rehearsal.entities().find_map(parked);
                let name = name.ok_or_else(|| StageError::Act(format!("entity {entity:?} is not parked")))?;
                Ok(self.rehearsal.resume(&name, matches!(what, What::Drop(_)))?)
            }
        }
    }

    fn advance(&mut self, time: u64) -> Result<Step, StageError> {
        let mut step = Step::default();
        // What follows from one timer is done before the next one fires.
        for _ in 0..MOST_FOLLOWING {
            let Some(due) = self.rehearsal.timers().into_iter().next().filter(|due| due.due <= time) else {
                self.rehearsal.set_now(time);
                return Ok(step);
            };
            step.extend(self.rehearsal.fire(&due)?);
            step.extend(self.follow()?);
        }
        Err(RehearsalError::Endless { what: "timers", most: MOST_FOLLOWING }.into())
    }

    /// Deliveries and scripted answers, until none is left.
    fn follow(&mut self) -> Result<Step, StageError> {
        let mut step = Step::default();
        for _ in 0..MOST_FOLLOWING {
            self.count();
            if !self.by_hand && self.rehearsal.deliveries().next().is_some() {
                step.extend(self.rehearsal.deliver(0)?);
                continue;
            }
            let Some((asked, with)) = self.scripted() else { return Ok(step) };
            step.extend(self.conclude(&asked, &with)?);
        }
        Err(RehearsalError::Endless { what: "deliveries and answers after one act", most: MOST_FOLLOWING }.into())
    }

    /// Numbers the intents that are new.
    fn count(&mut self) {
        let asked = self.rehearsal.asked();
        let key = |asked: &Asked| (asked.name.clone(), asked.sequence, asked.index);
        for asked in &asked {
            if let std::collections::btree_map::Entry::Vacant(vacant) = self.ordinals.entry(key(asked)) {
                let count = self.counts.entry((asked.name.workflow, asked.case)).or_default();
                *count += 1;
                vacant.insert(*count);
            }
        }
    }

    /// The first intent that the script has an answer to. What the reducer is not told of succeeds where it has none.
    fn scripted(&self) -> Option<(Asked, String)> {
        self.rehearsal.asked().into_iter().filter(|asked| asked.standing == Standing::Ready).find_map(|asked| {
            let nth = self.ordinals.get(&(asked.name.clone(), asked.sequence, asked.index)).copied().unwrap_or_default();
            let ty = self.payload_type(&asked);
            let fits = |filter: &super::yaml::Node| ty.is_some_and(|ty| matching::fits(ty, &asked.payload, filter));
            let with = match self.script.answer(self.case(&asked), nth, fits) {
                Some(Answer::Leave) => None,
                Some(Answer::Say(with)) => Some(with.clone()),
                None => (!self.is_told(&asked)).then(|| r#""ok""#.to_owned()),
            };
            with.map(|with| (asked, with))
        })
    }

    /// Whether the reducer is told of the intent's end.
    #[must_use]
    pub fn is_told(&self, asked: &Asked) -> bool {
        let route = &self.rehearsal.plans()[asked.name.workflow].workflow.routes[asked.case as usize];
        matches!(route, RoutePlan::Effect(route) if route.outcome.is_some())
    }

    fn conclude(&mut self, asked: &Asked, with: &str) -> Result<Step, StageError> {
        let conclusion = self.rehearsal.conclusion(asked, with.as_bytes());
        let conclusion = conclusion.map_err(|error| StageError::Act(format!("the answer to {}: {error}", self.case(asked))))?;
        Ok(self.rehearsal.conclude(asked, conclusion)?)
    }

    fn find(&self, which: &Which, standing: Standing) -> Result<Asked, StageError> {
        let asked = self.rehearsal.asked();
        let fits = |asked: &&Asked| {
            self.case(asked) == which.case
                && asked.standing == standing
                && which.entity.as_ref().is_none_or(|entity| **entity == *asked.name.key)
                && which
                    .filter
                    .as_ref()
                    .is_none_or(|filter| self.payload_type(asked).is_some_and(|ty| matching::fits(ty, &asked.payload, filter)))
        };
        asked.iter().find(fits).cloned().ok_or_else(|| {
            let there: Vec<String> = asked
                .iter()
                .map(|asked| format!("{} of {} ({:?})", self.case(asked), asked.name.key, asked.standing).to_lowercase())
                .collect();
            let there = if there.is_empty() { "none is".to_owned() } else { format!("there are {}", there.join(", ")) };
            StageError::Act(format!("no intent {} is {}; {there}", which.case, format!("{standing:?}").to_lowercase()))
        })
    }

    /// The intent's case, in kebab case.
    #[must_use]
    pub fn case(&self, asked: &Asked) -> &str {
        self.rehearsal.plans()[asked.name.workflow].workflow.contract.intent.cases[asked.case as usize].name.kebab()
    }

    fn payload_type(&self, asked: &Asked) -> Option<&Type> {
        self.rehearsal.plans()[asked.name.workflow].workflow.contract.intent.cases[asked.case as usize].payload.as_ref()
    }

    fn cloud_event(&self, ty: &str, id: &str, source: Option<&str>, correlation_id: Option<&str>, data: &str) -> Arc<[u8]> {
        let mut event = serde_json::json!({
            "specversion": "1.0", "id": id, "source": source.unwrap_or("/scenario"), "type": ty,
            "time": instant::format(self.rehearsal.now()),
        });
        if let Some(correlation_id) = correlation_id {
            event["correlationid"] = correlation_id.into();
        }
        // The data stays as it is written: its own order, its own numbers.
        let mut text = event.to_string();
        text.pop();
        text.push_str(",\"data\":");
        text.push_str(data);
        text.push('}');
        text.into_bytes().into()
    }
}
