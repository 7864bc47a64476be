//! Under what the intents of a release are performed and told of: its routes, its effects and its types. They hold for an
//! intent until it is concluded, whatever release is in force by then.

use std::fmt;
use std::sync::Arc;

use purefold_effects::Effect;
use purefold_wit::{Contract, Name, Value};

use crate::sandbox::DecisionCodec;
use crate::workflow::manifest::Variables;
use crate::workflow::{EffectRoute, RoutePlan, Workflow, timer_case};

/// The terms of releases that have contract and manifest in common.
pub struct Terms {
    /// The contract.
    pub contract: Arc<Contract>,
    /// Codecs of its decisions.
    pub codec: DecisionCodec,
    /// One for each intent case, by the case's index.
    pub routes: Arc<[RoutePlan]>,
    /// The effects that the routes lead to.
    pub effects: Vec<(Arc<str>, Arc<dyn Effect>)>,
    /// The field by which events name their entity.
    pub key: String,
    manifest_digest: Arc<str>,
    variables: Variables,
}

impl Terms {
    /// The terms of a workflow as it is loaded.
    #[must_use]
    pub fn of(workflow: &Workflow, codec: DecisionCodec) -> Self {
        Terms {
            contract: workflow.contract.clone(),
            codec,
            routes: workflow.routes.clone(),
            effects: workflow.effects.clone(),
            key: workflow.manifest.reducer.key.clone(),
            manifest_digest: workflow.manifest_digest.clone(),
            variables: workflow.manifest.variables().clone(),
        }
    }

    /// Whether these are the terms of `workflow` too.
    #[must_use]
    pub fn hold_for(&self, workflow: &Workflow) -> bool {
        self.manifest_digest == workflow.manifest_digest && self.contract == workflow.contract
    }

    /// The route of an intent case to its effect; none where the commit itself does it.
    #[must_use]
    pub fn route(&self, case: u32) -> Option<&EffectRoute> {
        match self.routes.get(case as usize) {
            Some(RoutePlan::Effect(route)) => Some(route),
            _ => None,
        }
    }

    /// The input case by which timers come, in snake case, where any intent sets some.
    #[must_use]
    pub fn timers_as(&self) -> Option<&str> {
        timer_case(&self.routes).map(|case| self.contract.input.cases[case as usize].name.snake())
    }

    /// The name of an intent case.
    #[must_use]
    pub fn case(&self, case: u32) -> &Name {
        &self.contract.intent.cases[case as usize].name
    }

    /// `text` without what the environment put into the manifest.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        self.variables.hide(text)
    }

    /// Takes out of a reply what the environment put into the manifest.
    pub fn hide_in_reply(&self, reply: &mut Value) {
        self.variables.hide_in_reply(reply);
    }

    /// Has the effects let go of what they hold, once no attempt is under way any more.
    pub fn stop(&self) {
        self.effects.iter().for_each(|(_, effect)| effect.stop());
    }
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms").field("manifest", &self.manifest_digest).finish_non_exhaustive()
    }
}
