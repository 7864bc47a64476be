//! A workflow as the engine runs it: loaded, linked and registered in the store.

use std::sync::Arc;

use purefold_wit::{Codec, Type};

use super::dispatch::EffectStatus;
use crate::sandbox::{DecisionCodec, ENGINE_BUILD, Reducer, Sandbox, SandboxError};
use crate::trace::Traces;
use crate::workflow::{RoutePlan, Workflow};

/// Everything that deciding needs and that does not change while a release is in force.
pub struct Plan {
    /// The checked workflow.
    pub workflow: Workflow,
    /// Its reducer.
    pub reducer: Reducer,
    /// Codecs of its decisions.
    pub codec: DecisionCodec,
    /// Its id in the store.
    pub id: i64,
    /// The journal's id.
    pub journal: (u64, u64),
    /// Generation of the release in force.
    pub release: u64,
    /// Semantic profile and engine build.
    pub profile: Arc<str>,
    /// The profile's id in the store.
    pub profile_id: i64,
    /// Most inputs that may wait for one parked entity before its events become dead letters.
    pub inbox: usize,
    /// Earlier releases, for states that have not been taken over yet.
    pub earlier: Vec<EarlierRelease>,
    /// For each intent case, how its record goes to another entity, where it is routed to one.
    pub deliveries: Vec<Option<Delivery>>,
    /// How the effects stand that intents are routed to, each once.
    pub effects: Vec<Arc<EffectStatus>>,
    /// Where spans are told, where they are.
    pub traces: Option<Arc<Traces>>,
}

/// How an intent's record goes to another entity.
pub struct Delivery {
    /// Codec of the record.
    pub codec: Codec,
    /// Names of the key's cases, where it is an enum.
    pub key_names: Option<Vec<String>>,
}

/// A release that some state may still be of.
pub struct EarlierRelease {
    /// Its generation.
    pub generation: u64,
    /// Its component.
    pub reducer: Reducer,
    /// Its codecs.
    pub codec: DecisionCodec,
    /// Fingerprint of its state's type.
    pub state_type: String,
}

impl Plan {
    /// A plan with nothing registered and no release in force: enough to replay by.
    ///
    /// # Errors
    /// Where the component cannot be loaded.
    pub fn new(workflow: Workflow, sandbox: &Sandbox, id: i64, journal: (u64, u64)) -> Result<Self, SandboxError> {
        let reducer = sandbox.load(&workflow.component, workflow.contract.clone(), workflow.manifest.limits())?;
        Ok(Plan::of(workflow, reducer, id, journal))
    }

    /// As [`Plan::new`], with the workflow's own reducer, loaded already.
    pub(crate) fn of(workflow: Workflow, reducer: Reducer, id: i64, journal: (u64, u64)) -> Self {
        Plan {
            codec: DecisionCodec::new(&workflow.contract, reducer.limits()),
            profile: Plan::profile_of(&reducer),
            deliveries: Plan::deliveries_of(&workflow),
            effects: Plan::effects_of(&workflow),
            inbox: workflow.manifest.limits.inbox,
            workflow,
            reducer,
            id,
            journal,
            release: 0,
            profile_id: 0,
            earlier: Vec::new(),
            traces: None,
        }
    }

    /// Semantic profile and engine build as the journal names them.
    #[must_use]
    pub fn profile_of(reducer: &Reducer) -> Arc<str> {
        format!("{} {ENGINE_BUILD}", reducer.limits().semantic_profile()).into()
    }

    /// A status for each effect that intents are routed to, whatever the case.
    fn effects_of(workflow: &Workflow) -> Vec<Arc<EffectStatus>> {
        let mut effects: Vec<Arc<EffectStatus>> = Vec::new();
        for route in &workflow.routes {
            if let RoutePlan::Effect(route) = route
                && !effects.iter().any(|known| *known.effect() == route.effect)
            {
                effects.push(Arc::new(EffectStatus::new(workflow.name.clone(), route.effect.clone())));
            }
        }
        effects
    }

    /// For each intent case, how its record goes to another entity.
    #[must_use]
    pub fn deliveries_of(workflow: &Workflow) -> Vec<Option<Delivery>> {
        let cases = &workflow.contract.intent.cases;
        let delivery = |(case, route): (&purefold_wit::Case, &RoutePlan)| match (route, &case.payload) {
            (RoutePlan::Deliver(route), Some(Type::Record(record))) => Some(Delivery {
                codec: Codec::new(&Type::Record(record.clone())),
                key_names: record.fields.get(route.key_field).and_then(|field| super::key::key_names(&field.ty)),
            }),
            _ => None,
        };
        cases.iter().zip(&workflow.routes).map(delivery).collect()
    }

    /// Whether any intent of this workflow goes to another entity.
    #[must_use]
    pub fn delivers(&self) -> bool {
        self.deliveries.iter().any(Option::is_some)
    }
}
