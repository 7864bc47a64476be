//! A decision of a rehearsal, in the contract's types again.

use purefold_wit::{Type, UnknownFields, Value};

use crate::engine::{EntityName, Plan};
use crate::journal::{Kind, Verdict};
use crate::rehearsal::Happened;

/// A decision.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The entity.
    pub name: EntityName,
    /// The decision's number.
    pub sequence: u64,
    /// Its `now`.
    pub now: u64,
    /// What it was made on: a variant of the contract's input type.
    pub input: Value,
    /// How it went.
    pub result: Outcome,
}

/// How a decision went.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The new state, and what is asked for: variants of the contract's intent type.
    Accepted(Option<Value>, Vec<Value>),
    /// A value of the contract's rejection type.
    Rejected(Value),
    /// Code and reason.
    Faulted(String, String),
}

impl Decided {
    /// The decision of an entry; none where it is another kind of entry.
    #[must_use]
    pub fn of(plan: &Plan, happened: &Happened) -> Option<Decided> {
        let entry = &happened.entry;
        if entry.kind != Kind::Decided {
            return None;
        }
        // All of it was encoded by the same codecs just before.
        let result = match entry.verdict? {
            Verdict::Accepted => {
                let state = entry.state.as_ref().map(|state| plan.codec.decode_state(state)).transpose().ok()?;
                let Ok(Value::List(intents)) = plan.codec.decode_intents(&entry.output) else { return None };
                Outcome::Accepted(state, intents)
            }
            Verdict::Rejected => Outcome::Rejected(plan.codec.decode_rejection(&entry.output).ok()?),
            Verdict::Faulted => {
                let fault: serde_json::Value = serde_json::from_slice(&entry.output).ok()?;
                let text = |name: &str| fault[name].as_str().unwrap_or_default().to_owned();
                Outcome::Faulted(text("code"), text("reason"))
            }
        };
        Some(Decided {
            name: happened.name.clone(),
            sequence: entry.sequence,
            now: entry.now,
            input: plan.codec.input().decode("input", &entry.input, UnknownFields::Refuse).ok()?,
            result,
        })
    }

    /// The input case, in kebab case.
    #[must_use]
    pub fn input_case<'p>(&self, plan: &'p Plan) -> &'p str {
        case_name(&plan.workflow.contract.input.cases, &self.input)
    }

    /// What was asked for.
    #[must_use]
    pub fn intents(&self) -> &[Value] {
        match &self.result {
            Outcome::Accepted(_, intents) => intents,
            _ => &[],
        }
    }

    /// `accepted`, `rejected` or `faulted`.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        match self.result {
            Outcome::Accepted(..) => "accepted",
            Outcome::Rejected(_) => "rejected",
            Outcome::Faulted(..) => "faulted",
        }
    }
}

/// The name of a variant's case, in kebab case.
pub(super) fn case_name<'p>(cases: &'p [purefold_wit::Case], value: &Value) -> &'p str {
    match value {
        Value::Variant(case, _) => cases.get(*case as usize).map_or("", |case| case.name.kebab()),
        _ => "",
    }
}

/// What a variant's case carries: its type and its value.
pub(super) fn carried<'p, 'v>(cases: &'p [purefold_wit::Case], value: &'v Value) -> Option<(&'p Type, &'v Value)> {
    match value {
        Value::Variant(case, Some(payload)) => Some((cases.get(*case as usize)?.payload.as_ref()?, payload)),
        _ => None,
    }
}
