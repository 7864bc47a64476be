//! A workflow, loaded and checked: everything the engine needs to run one manifest.

mod closed;
mod component;
mod deliver;
mod inputs;
mod link;
mod load;
mod machine;
pub mod manifest;
mod order;
mod outcome;
mod properties;
mod release;
mod routes;
mod standard;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use purefold_effects::{Effect, Operation};
use purefold_wit::{Codec, Contract};

use crate::store::Location;

pub use closed::{Statements, load_to_read, only_away, schema};
pub use component::{REDUCERS_VARIABLE, component_path};
pub(crate) use component::{Unsigned, signed, signed_beside};
pub use link::link;
pub use load::{Opener, Surroundings, TopicCheck, load, load_in};
pub use manifest::Manifest;
pub use properties::{Demand, Property, properties};
#[cfg(test)]
pub(crate) use release::load_release_in;
pub use release::{load_release, load_release_closed};

/// The name by which routes call the built-in effect that sets timers and takes them back.
pub const TIMER: &str = "timer";

/// The name by which routes call the built-in effect that hands inputs to other entities.
pub const DELIVER: &str = "deliver";

/// A manifest whose component, contract and routes have been checked against each other.
pub struct Workflow {
    /// The workflow's name.
    pub name: Arc<str>,
    /// The manifest it was loaded from.
    pub manifest: Manifest,
    /// The component's bytes.
    pub component: Arc<[u8]>,
    /// SHA-256 of the component's bytes, lower-case hex.
    pub component_digest: Arc<str>,
    /// SHA-256 of the manifest's text with its `${…}` unexpanded, lower-case hex.
    pub manifest_digest: Arc<str>,
    /// The reducer's contract.
    pub contract: Arc<Contract>,
    /// CloudEvent type (or plain topic) to the input case that it feeds.
    pub inputs: HashMap<String, EventInput>,
    /// One for each intent case, by the case's index.
    pub routes: Arc<[RoutePlan]>,
    /// The state machine that the reducer must keep to.
    pub machine: Option<Machine>,
    /// The effects by name, for `start`.
    pub effects: Vec<(Arc<str>, Arc<dyn Effect>)>,
}

impl Workflow {
    /// `text` with every value that the environment put into the manifest replaced by the `${NAME}` that it came from.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        self.manifest.variables().hide(text)
    }

    /// The same in what a backend answered.
    pub fn hide_in_reply(&self, reply: &mut purefold_wit::Value) {
        self.manifest.variables().hide_in_reply(reply);
    }

    /// What the host itself reads of the settings of the effect of that name.
    #[must_use]
    pub fn effect_limits(&self, effect: &str) -> EffectLimits {
        let settings = self.manifest.effects.iter().find(|settings| settings.name == effect);
        EffectLimits {
            parallel: settings.and_then(|settings| settings.parallel).unwrap_or(self.manifest.limits.parallel),
            breaker: settings.map_or(manifest::DEFAULT_BREAKER, |settings| settings.breaker),
        }
    }
}

/// How events of one type become inputs.
#[derive(Clone)]
pub struct EventInput {
    /// Index of the input case.
    pub case: u32,
    /// Codec of the record that the case carries.
    pub codec: Codec,
    /// Index of the field that names the entity.
    pub key_field: usize,
    /// Index of the field `correlation-id`, where the record has one.
    pub correlation_field: Option<usize>,
}

/// What becomes of the intents of one case.
pub enum RoutePlan {
    /// Performed by an effect.
    Effect(EffectRoute),
    /// Sets a timer; handed back as this input case. The payload is the standard `timer`.
    Timer {
        /// Index of the input case that takes the timer.
        input_case: u32,
    },
    /// Takes a timer back. The payload is the standard `timer-cancel`.
    TimerCancel,
    /// An input for another entity.
    Deliver(DeliverRoute),
}

/// The input case by which timers come, where any of the routes sets some.
#[must_use]
pub fn timer_case(routes: &[RoutePlan]) -> Option<u32> {
    routes.iter().find_map(|route| if let RoutePlan::Timer { input_case } = route { Some(*input_case) } else { None })
}

/// A route to an effect.
pub struct EffectRoute {
    /// The effect's name in the manifest: with the entity it names the lane.
    pub effect: Arc<str>,
    /// The bound operation.
    pub operation: Arc<dyn Operation>,
    /// Where the outcome goes.
    pub outcome: Option<OutcomePlan>,
    /// Indices of intent cases that, where the same decision emitted them earlier, must have succeeded first.
    pub after: Vec<u32>,
    /// What becomes of an intent whose attempts are used up.
    pub on_exhausted: OnExhausted,
    /// How often and how long to try.
    pub retry: Retry,
}

/// How an outcome's record is filled.
pub struct OutcomePlan {
    /// Index of the input case.
    pub input_case: u32,
    /// One for each field of the case's record, in order.
    pub fields: Vec<OutcomeField>,
}

impl OutcomePlan {
    /// Whether the input repeats anything of the intent.
    #[must_use]
    pub fn has_echo(&self) -> bool {
        self.fields.iter().any(|field| matches!(field, OutcomeField::Echo(_)))
    }
}

/// Where a field of an outcome's record comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeField {
    /// The result itself: `result<T, failure>` or `result<_, failure>`.
    Result,
    /// The intent's id.
    IntentId,
    /// The intent's field of this index.
    Echo(usize),
}

/// What becomes of an intent whose attempts are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExhausted {
    /// It is concluded as a failure, which the outcome route tells the reducer.
    Outcome,
    /// It waits for an operator, and its lane behind it.
    Hold,
}

/// What the host itself reads of an effect's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectLimits {
    /// `parallel`: attempts under way at a time.
    pub parallel: usize,
    /// `breaker`
    pub breaker: BreakerSettings,
}

/// When attempts are kept from a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Attempts in a row that were not done, or are unknown, after which it opens.
    pub failures: u32,
    /// From its opening, or a failed probe, to the next probe.
    pub cooldown: Duration,
}

/// A retry policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all, at least 1.
    pub attempts: u32,
    /// Upper end of the first delay.
    pub first: Duration,
    /// Upper end of every delay.
    pub most: Duration,
    /// After which an attempt is cut off.
    pub timeout: Duration,
    /// From the first attempt on, without the time in which the effect's breaker was open or the effect paused; no
    /// attempt starts after it, and none runs past it.
    pub deadline: Duration,
}

/// A route to another entity.
pub struct DeliverRoute {
    /// The workflow that the entity is of.
    pub workflow: Arc<str>,
    /// The input case there, in kebab case.
    pub input: String,
    /// Index of the intent's field that names the entity.
    pub key_field: usize,
}

/// The declared state machine, by case indices of the state's enum field.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Index of the state's field.
    pub field: usize,
    /// The cases' names in kebab case.
    pub phases: Vec<String>,
    /// Phases in which an entity may begin.
    pub start: Vec<bool>,
    /// Phases from which it may end.
    pub end: Vec<bool>,
    /// `allowed[from][to]`; staying is always allowed.
    pub allowed: Vec<Vec<bool>>,
}

/// Where the journal is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Where; a file's path is resolved against the manifest's folder.
    pub location: Location,
    /// The journal's id, where the manifest sets it.
    pub id: Option<(u64, u64)>,
}
