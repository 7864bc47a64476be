//! What is fuzzed: a component, or a workflow with all that it demands of its reducer.

use std::sync::Arc;

use purefold_wit::{Contract, Value};

use crate::engine::{Plan, check};
use crate::sandbox::{Context, Decision, DecisionCodec, Encoded, Limits, Reducer, Sandbox, SandboxError};
use crate::workflow::{RoutePlan, Workflow};

/// The code of decisions that are not the same twice.
const NOT_DETERMINED: &str = "not-deterministic";

/// Faults that the host finds in decisions which the sandbox has no objection to.
const HOST_FAULTS: [&str; 3] = ["machine", "deliver-key", "too-many-timers"];

/// What is wrong with a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// A fault's code, or `not-deterministic`.
    pub code: String,
    /// What happened.
    pub reason: String,
}

/// A reducer that is fuzzed.
pub struct Target {
    reducer: Reducer,
    /// The same component, compiled for another engine.
    other: Reducer,
    contract: Arc<Contract>,
    codec: DecisionCodec,
    plan: Option<Plan>,
}

impl Target {
    /// A component by itself, under the limits that a workflow has by default.
    ///
    /// # Errors
    /// Where it cannot be loaded.
    pub fn component(component: &[u8], contract: &Arc<Contract>) -> Result<Self, SandboxError> {
        let limits = Limits::default();
        let reducer = Sandbox::new()?.load(component, contract.clone(), limits)?;
        let other = Sandbox::new()?.load(component, contract.clone(), limits)?;
        Ok(Target { reducer, other, contract: contract.clone(), codec: DecisionCodec::new(contract, &limits), plan: None })
    }

    /// A workflow's reducer: its machine and its routes bind it too.
    ///
    /// # Errors
    /// Where it cannot be loaded.
    pub fn workflow(workflow: Workflow) -> Result<Self, SandboxError> {
        let limits = workflow.manifest.limits();
        let other = Sandbox::new()?.load(&workflow.component, workflow.contract.clone(), limits)?;
        let plan = Plan::new(workflow, &Sandbox::new()?, 0, (0, 0))?;
        let (reducer, contract) = (plan.reducer.clone(), plan.workflow.contract.clone());
        Ok(Target { reducer, other, codec: DecisionCodec::new(&contract, &limits), contract, plan: Some(plan) })
    }

    /// Its contract.
    #[must_use]
    pub fn contract(&self) -> &Arc<Contract> {
        &self.contract
    }

    /// The codecs of its decisions.
    #[must_use]
    pub fn codec(&self) -> &DecisionCodec {
        &self.codec
    }

    /// The name of an input's case, in kebab case.
    #[must_use]
    pub fn case(&self, input: &Value) -> &str {
        match input {
            Value::Variant(case, _) => self.contract.input.cases.get(*case as usize).map_or("", |case| case.name.kebab()),
            _ => "",
        }
    }

    /// Whether a fault is the reducer's whatever state and input it was made on. The machine, and the keys of what is sent on,
    /// are kept only by states that decisions led to, and by inputs that other entities would send.
    #[must_use]
    pub fn is_to_blame(&self, wrong: &Wrong, is_reached: bool, input: &Value) -> bool {
        !HOST_FAULTS.contains(&wrong.code.as_str()) || (is_reached && self.comes_from_outside(input))
    }

    /// Whether events carry inputs of that case, rather than other entities.
    fn comes_from_outside(&self, input: &Value) -> bool {
        let (Some(plan), Value::Variant(case, _)) = (&self.plan, input) else { return true };
        let mut routes = plan.workflow.routes.iter();
        let by_routes = routes.any(|route| match route {
            RoutePlan::Timer { input_case } => input_case == case,
            RoutePlan::Effect(route) => route.outcome.as_ref().is_some_and(|outcome| outcome.input_case == *case),
            _ => false,
        });
        by_routes || plan.workflow.inputs.values().any(|event| event.case == *case)
    }

    /// One decision, and what is wrong with it.
    ///
    /// # Errors
    /// Only for the host's own failures.
    pub fn decide(&self, context: &Context, state: Option<&Value>, input: &Value) -> Result<(Decision, Option<Wrong>), SandboxError> {
        let first = self.once(&self.reducer, context, state, input)?;
        for (reducer, which) in [(&self.reducer, "a second sandbox"), (&self.other, "another engine")] {
            let again = self.once(reducer, context, state, input)?;
            if let Some(reason) = differs(&first, &again) {
                let reason = format!("{which} decides otherwise: {reason}");
                return Ok((first.0, Some(Wrong { code: NOT_DETERMINED.into(), reason })));
            }
            // What runs into a limit takes long, and was compared with its like.
            if matches!(first.0, Decision::Faulted(_)) {
                break;
            }
        }
        let wrong = match &first.0 {
            Decision::Faulted(fault) => Some(Wrong { code: fault.code.to_owned(), reason: fault.reason.clone() }),
            _ => None,
        };
        Ok((first.0, wrong))
    }

    fn once(
        &self,
        reducer: &Reducer,
        context: &Context,
        state: Option<&Value>,
        input: &Value,
    ) -> Result<(Decision, Encoded), SandboxError> {
        let decision = reducer.reduce(context, state, input)?;
        let decision = match &self.plan {
            Some(plan) => check(plan, &[], state, decision),
            None => decision,
        };
        Ok(self.codec.encode(decision))
    }
}

/// Where two results of one decision differ. Faults by a limit may be met at another point: their codes count.
fn differs((first, one): &(Decision, Encoded), (second, other): &(Decision, Encoded)) -> Option<String> {
    match (first, second) {
        (Decision::Faulted(one), Decision::Faulted(other)) => (one.code != other.code).then(|| format!("{} and {}", one.code, other.code)),
        _ if one == other => None,
        _ => {
            let text = |encoded: &Encoded| {
                let state = encoded.state.as_deref().unwrap_or(b"null");
                format!("{} {}", String::from_utf8_lossy(state), String::from_utf8_lossy(&encoded.output))
            };
            Some(format!("{} and {}", text(one), text(other)))
        }
    }
}
