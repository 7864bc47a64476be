//! Decisions held against the properties that their workflows declare.

use std::collections::BTreeMap;
use std::sync::Arc;

use purefold_wit::{Codec, Type, Value};

use super::decided::{Decided, Outcome};
use crate::engine::{EntityName, Plan};
use crate::workflow::{Demand, Property, properties};

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name.
    pub property: String,
    /// Of which entity, after which decision, and what was found.
    pub told: String,
}

/// What properties remember of the decisions that they have seen.
#[derive(Clone)]
pub struct Watch {
    workflows: Arc<Vec<(Vec<Property>, Codec)>>,
    /// How often intents were asked for that may be asked for once, in the present life of an entity.
    asked: BTreeMap<(EntityName, u32), u32>,
}

impl Watch {
    /// The properties of these workflows, with nothing seen yet.
    #[must_use]
    pub fn of(plans: &[Arc<Plan>]) -> Self {
        let of = |plan: &Arc<Plan>| {
            let contract = &plan.workflow.contract;
            (properties(&plan.workflow.manifest, contract), Codec::new(&Type::Record(contract.state.clone())))
        };
        Watch { workflows: Arc::new(plans.iter().map(of).collect()), asked: BTreeMap::new() }
    }

    /// How many properties there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.workflows.iter().map(|(properties, _)| properties.len()).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it remembers, for whoever tells situations apart.
    pub fn remembered(&self) -> impl Iterator<Item = (&EntityName, u32, u32)> {
        self.asked.iter().map(|((name, case), count)| (name, *case, *count))
    }

    /// The properties that a decision breaks.
    pub fn see(&mut self, decided: &Decided) -> Vec<Violation> {
        let Outcome::Accepted(state, intents) = &decided.result else { return Vec::new() };
        let workflows = Arc::clone(&self.workflows);
        let (properties, codec) = &workflows[decided.name.workflow];
        if properties.is_empty() {
            return Vec::new();
        }
        let json = state.as_ref().map_or(serde_json::Value::Null, |state| {
            let mut json = Vec::new();
            // It was encoded when it was decided.
            codec.encode(state, &mut json).ok().and_then(|()| serde_json::from_slice(&json).ok()).unwrap_or_default()
        });
        let mut violations = Vec::new();
        for property in properties {
            let broken = match &property.demand {
                Demand::Always(condition) => (state.is_some() && !condition.holds(&json)).then(|| format!("the state is {json}")),
                Demand::Never(condition) => (state.is_some() && condition.holds(&json)).then(|| format!("the state is {json}")),
                Demand::Once(case) => self.count(&decided.name, *case, intents),
                Demand::Asks(case, condition) => (intents.iter().any(|intent| is(intent, *case)) && !condition.holds(&json))
                    .then(|| format!("it is asked for where the state is {json}")),
            };
            violations.extend(broken.map(|found| Violation {
                property: property.name.clone(),
                told: format!("{} #{}: {found}", decided.name.key, decided.sequence),
            }));
        }
        if state.is_none() {
            self.asked.retain(|(name, _), _| *name != decided.name);
        }
        violations
    }

    fn count(&mut self, name: &EntityName, case: u32, intents: &[Value]) -> Option<String> {
        let new = u32::try_from(intents.iter().filter(|intent| is(intent, case)).count()).unwrap_or(u32::MAX);
        if new == 0 {
            return None;
        }
        let count = self.asked.entry((name.clone(), case)).or_default();
        // Twice is as bad as ever so often.
        *count = count.saturating_add(new).min(2);
        (*count > 1).then(|| "it is asked for once more".to_owned())
    }
}

fn is(intent: &Value, case: u32) -> bool {
    matches!(intent, Value::Variant(of, _) if *of == case)
}
