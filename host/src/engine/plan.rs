//! A workflow as the engine runs it: loaded, linked and registered in the store.

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use purefold_wit::{Codec, Type};

use super::EngineError;
use super::dispatch::EffectStatus;
use super::terms::Terms;
use crate::sandbox::{DecisionCodec, ENGINE_BUILD, Reducer, Sandbox, SandboxError};
use crate::store::{NewRelease, Release};
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
    /// Earlier releases, oldest first, for states that have not been taken over yet.
    pub earlier: Vec<EarlierRelease>,
    /// Under what its intents are performed.
    pub terms: Arc<Terms>,
    /// The same of earlier releases that may still have intents without a conclusion.
    pub past: Vec<(u64, Arc<Terms>)>,
    /// The input case by which timers come, in snake case: as the own routes say, else those of the last release before that had some.
    pub timers_as: Option<Arc<str>>,
    /// The first of the generations, up to this one, that all read events alike.
    pub reads_since: u64,
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
    /// SHA-256 of the component that `reducer` is made of, in hex.
    pub component: Arc<str>,
    /// A component that has states of its type, its own where it takes any over.
    pub reducer: Reducer,
    /// Its codecs.
    pub codec: DecisionCodec,
    /// Fingerprint of its state's type.
    pub state_type: String,
}

/// The workflows of a host, each under the release in force. Whoever looks has them as of that moment.
#[derive(Clone)]
pub struct Plans(Arc<ArcSwap<Vec<Arc<Plan>>>>);

impl From<Vec<Arc<Plan>>> for Plans {
    fn from(plans: Vec<Arc<Plan>>) -> Self {
        Plans(Arc::new(ArcSwap::from_pointee(plans)))
    }
}

impl Plans {
    /// Those in force, for a short look.
    #[must_use]
    pub fn now(&self) -> Guard<Arc<Vec<Arc<Plan>>>> {
        self.0.load()
    }

    /// Has a workflow go on under another release.
    pub(super) fn put(&self, workflow: usize, plan: Arc<Plan>) {
        let mut plans = Vec::clone(&self.0.load());
        plans[workflow] = plan;
        self.0.store(Arc::new(plans));
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("workflow", &self.workflow.name).field("release", &self.release).finish_non_exhaustive()
    }
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
        let codec = DecisionCodec::new(&workflow.contract, reducer.limits());
        let terms = Arc::new(Terms::of(&workflow, codec.clone()));
        let mut plan = Plan {
            terms: terms.clone(),
            past: Vec::new(),
            timers_as: terms.timers_as().map(Into::into),
            reads_since: 0,
            codec,
            profile: Plan::profile_of(&reducer),
            deliveries: Plan::deliveries_of(&workflow),
            effects: Vec::new(),
            inbox: workflow.manifest.limits.inbox,
            workflow,
            reducer,
            id,
            journal,
            release: 0,
            profile_id: 0,
            earlier: Vec::new(),
            traces: None,
        };
        plan.add_effects(&terms);
        plan
    }

    /// Semantic profile and engine build as the journal names them.
    #[must_use]
    pub fn profile_of(reducer: &Reducer) -> Arc<str> {
        format!("{} {ENGINE_BUILD}", reducer.limits().semantic_profile()).into()
    }

    /// Adds a status for each effect that intents are routed to under `terms`, whatever the case.
    pub(super) fn add_effects(&mut self, terms: &Terms) {
        for route in &*terms.routes {
            if let RoutePlan::Effect(route) = route
                && !self.effects.iter().any(|known| *known.effect() == route.effect)
            {
                self.effects.push(Arc::new(EffectStatus::new(self.workflow.name.clone(), route.effect.clone())));
            }
        }
    }

    /// Is performed under `terms`, which hold for it, and not under its own.
    pub(super) fn share(&mut self, terms: &Arc<Terms>) {
        self.workflow.routes = terms.routes.clone();
        self.workflow.effects.clone_from(&terms.effects);
        self.terms = terms.clone();
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
        cases.iter().zip(&*workflow.routes).map(delivery).collect()
    }

    /// The terms under which the release of that generation asked for intents.
    ///
    /// # Errors
    /// Where they are not loaded.
    pub fn terms_of(&self, release: u64) -> Result<&Arc<Terms>, EngineError> {
        if release == self.release {
            return Ok(&self.terms);
        }
        let past = self.past.iter().find(|(generation, _)| *generation == release);
        past.map(|(_, terms)| terms).ok_or_else(|| EngineError::Stored {
            what: "intent",
            reason: format!("release {release} asked for it, and this host has loaded release {} only", self.release),
        })
    }

    /// All terms that intents may be performed under, each once.
    #[must_use]
    pub fn all_terms(&self) -> Vec<&Arc<Terms>> {
        let mut all = vec![&self.terms];
        for (_, terms) in &self.past {
            if !all.iter().any(|known| Arc::ptr_eq(known, terms)) {
                all.push(terms);
            }
        }
        all
    }

    /// It as the release of that generation, to be written down.
    pub(super) fn released_as(&self, generation: u64) -> NewRelease {
        let Workflow { component_digest, manifest_digest, component, contract, manifest, .. } = &self.workflow;
        let release = Release {
            generation,
            component: component_digest.to_string(),
            manifest: manifest_digest.to_string(),
            contract: contract.fingerprint(),
            state_type: contract.state_fingerprint(),
        };
        NewRelease { workflow: self.id, release, component: component.clone(), manifest: manifest.text.as_str().into() }
    }

    /// Whether an event that this plan has read would be read alike by `other`.
    #[must_use]
    pub fn reads_like(&self, other: &Plan) -> bool {
        let (one, other) = (&self.workflow, &other.workflow);
        one.contract.input == other.contract.input
            && one.manifest.inputs == other.manifest.inputs
            && one.manifest.reducer.key == other.manifest.reducer.key
    }

    /// The first of the generations, up to this one, whose states all have its type: those of earlier ones are taken over.
    #[must_use]
    pub fn states_since(&self) -> u64 {
        let state_type = self.workflow.contract.state_fingerprint();
        let alike = self.earlier.iter().rev().take_while(|earlier| earlier.state_type == state_type);
        alike.last().map_or(self.release, |earlier| earlier.generation)
    }

    /// Whether any intent of this workflow goes to another entity.
    #[must_use]
    pub fn delivers(&self) -> bool {
        self.deliveries.iter().any(Option::is_some)
    }
}
