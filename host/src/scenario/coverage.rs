//! What scenarios exercise of a workflow, and what none does.

use std::collections::BTreeMap;

use purefold_wit::{Type, Value};

use super::decided::{Decided, Outcome, case_name};
use crate::engine::{FailureKind, Plan};
use crate::workflow::{OutcomeField, RoutePlan};

/// How often each thing that a workflow can do was done, by what it is called: `input opened`, `phase open -> closed`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<String, u64>);

impl Coverage {
    /// Everything that `plan` can do, done never.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let workflow = &plan.workflow;
        let mut names: Vec<String> = Vec::new();
        let outcomes: Vec<u32> = workflow.routes.iter().filter_map(outcome_case).collect();
        for (index, case) in (0..).zip(&workflow.contract.input.cases) {
            match outcome_of(plan, index).filter(|_| outcomes.contains(&index)) {
                None => names.push(format!("input {}", case.name.kebab())),
                Some(has_reply) => {
                    let kinds = [FailureKind::Refused, FailureKind::Exhausted, FailureKind::Unknown].map(FailureKind::name);
                    let unreadable = has_reply.then(|| FailureKind::UnreadableReply.name());
                    let told = ["ok"].into_iter().chain(kinds).chain(unreadable);
                    names.extend(told.map(|kind| format!("outcome {} {kind}", case.name.kebab())));
                }
            }
        }
        names.extend(workflow.contract.intent.cases.iter().map(|case| format!("intent {}", case.name.kebab())));
        match &workflow.contract.rejection {
            Type::Variant(variant) => names.extend(variant.cases.iter().map(|case| format!("rejection {}", case.name.kebab()))),
            Type::Enum(cases) => names.extend(cases.cases.iter().map(|name| format!("rejection {}", name.kebab()))),
            _ => names.push("rejection".to_owned()),
        }
        if let Some(machine) = &workflow.machine {
            let phases = || machine.phases.iter().enumerate();
            names.extend(phases().filter(|(index, _)| machine.start[*index]).map(|(_, phase)| step(None, Some(phase))));
            names.extend(phases().filter(|(index, _)| machine.end[*index]).map(|(_, phase)| step(Some(phase), None)));
            for (from, name) in phases() {
                let to = phases().filter(|(to, _)| machine.allowed[from][*to] && *to != from);
                names.extend(to.map(|(_, to)| step(Some(name), Some(to))));
            }
        }
        Coverage(names.into_iter().map(|name| (name, 0)).collect())
    }

    /// Counts a decision, made on the state `before`.
    pub(crate) fn count(&mut self, plan: &Plan, before: Option<&Value>, decided: &Decided) {
        let input = decided.input_case(plan);
        match outcome_kind(plan, &decided.input) {
            Some(kind) => self.hit(&format!("outcome {input} {kind}")),
            None => self.hit(&format!("input {input}")),
        }
        for intent in decided.intents() {
            self.hit(&format!("intent {}", case_name(&plan.workflow.contract.intent.cases, intent)));
        }
        match (&decided.result, &plan.workflow.contract.rejection) {
            (Outcome::Rejected(rejection), Type::Variant(variant)) => {
                self.hit(&format!("rejection {}", case_name(&variant.cases, rejection)));
            }
            (Outcome::Rejected(Value::Enum(case)), Type::Enum(cases)) => {
                let name = cases.cases.get(*case as usize).map_or("", |name| name.kebab());
                self.hit(&format!("rejection {name}"));
            }
            (Outcome::Rejected(_), _) => self.hit("rejection"),
            (Outcome::Accepted(after, _), _) => {
                if let Some(machine) = &plan.workflow.machine {
                    let (from, to) =
                        (before.and_then(|state| machine.phase_name(state)), after.as_ref().and_then(|state| machine.phase_name(state)));
                    if from != to {
                        self.hit(&step(from, to));
                    }
                }
            }
            _ => {}
        }
    }

    fn hit(&mut self, name: &str) {
        if let Some(count) = self.0.get_mut(name) {
            *count += 1;
        }
    }

    /// Adds what another scenario exercised.
    pub fn add(&mut self, other: &Coverage) {
        for (name, count) in &other.0 {
            *self.0.entry(name.clone()).or_default() += count;
        }
    }

    /// Everything, with how often it was done.
    pub fn counts(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }

    /// How many things were done, of how many.
    #[must_use]
    pub fn share(&self) -> (usize, usize) {
        (self.0.values().filter(|count| **count > 0).count(), self.0.len())
    }
}

fn step(from: Option<&str>, to: Option<&str>) -> String {
    format!("phase {} -> {}", from.unwrap_or("(begin)"), to.unwrap_or("(end)"))
}

fn outcome_case(route: &RoutePlan) -> Option<u32> {
    match route {
        RoutePlan::Effect(route) => route.outcome.as_ref().map(|outcome| outcome.input_case),
        _ => None,
    }
}

/// The place of the result in the record of an outcome's case.
fn result_field(plan: &Plan, case: u32) -> Option<usize> {
    plan.workflow.routes.iter().find_map(|route| match route {
        RoutePlan::Effect(route) => {
            let outcome = route.outcome.as_ref().filter(|outcome| outcome.input_case == case)?;
            outcome.fields.iter().position(|field| *field == OutcomeField::Result)
        }
        _ => None,
    })
}

/// Whether an outcome's case carries a reply; none where it is no outcome's.
fn outcome_of(plan: &Plan, case: u32) -> Option<bool> {
    let field = result_field(plan, case)?;
    let Some(Type::Record(record)) = &plan.workflow.contract.input.cases[case as usize].payload else { return None };
    match &record.fields.get(field)?.ty {
        Type::Result(result) => Some(result.ok.is_some()),
        _ => None,
    }
}

/// How the intent ended that an input tells of.
fn outcome_kind(plan: &Plan, input: &Value) -> Option<&'static str> {
    let Value::Variant(case, Some(record)) = input else { return None };
    let Value::Record(fields) = &**record else { return None };
    match fields.get(result_field(plan, *case)?)? {
        Value::Result(Ok(_)) => Some("ok"),
        Value::Result(Err(Some(failure))) => match &**failure {
            Value::Variant(kind, _) => {
                let kinds = [FailureKind::Refused, FailureKind::Exhausted, FailureKind::Unknown, FailureKind::UnreadableReply];
                kinds.into_iter().find(|known| known.case() == *kind).map(FailureKind::name)
            }
            _ => None,
        },
        _ => None,
    }
}
