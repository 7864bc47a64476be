//! The sandbox: one engine with the determinism profile, an empty linker, a fresh instance for every decision.
//!
//! Nothing survives in a sandbox from one decision to the next: each decision gets its own store and instance from the
//! pool, and both are dropped after it.

mod convert;
mod decision;
mod encode;
mod linked;
mod profile;
mod reducer;
mod spent;

use std::sync::Arc;

use linked::Linked;
use purefold_wit::Contract;
use wasmtime::{Engine, Result as EngineResult};

pub use decision::{Context, Decision, Fault};
pub use encode::{DecisionCodec, Encoded};
pub use profile::{CACHE_VARIABLE, ENGINE_BUILD, Limits, MOST_INSTANCES, MOST_MEMORY_BYTES, STACK_BYTES};
pub use reducer::{Arguments, Reducer};
pub use spent::{Cost, Spent};

/// The host's own failure to make a sandbox or to run one: never the fault of the entity being decided.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine could not be set up.
    #[error("cannot set up the WebAssembly engine: {0}")]
    Engine(String),
    /// The component could not be compiled or linked against the empty linker.
    #[error("cannot load the component: {0}")]
    Load(String),
    /// No instance, no memory: the host cannot decide at all.
    #[error("cannot run the reducer: {0}")]
    Host(String),
    /// A value does not fit the component's own types.
    #[error("the {what} does not fit the component's type: {reason}")]
    Shape {
        /// `context`, `state`, `input` or `result`.
        what: &'static str,
        /// Where it departs.
        reason: String,
    },
}

/// The engine that all reducers of a process share.
#[derive(Clone)]
pub struct Sandbox {
    engine: Engine,
    linked: Arc<Linked>,
}

impl Sandbox {
    /// An engine under the determinism profile, with compiled code cached in a private directory.
    ///
    /// # Errors
    /// Where the engine cannot reserve its pool or its cache directory.
    pub fn new() -> Result<Self, SandboxError> {
        let engine =
            profile::config().and_then(|config| Engine::new(&config)).map_err(|error| SandboxError::Engine(format!("{error:#}")))?;
        Ok(Sandbox { engine, linked: Arc::default() })
    }

    /// Compiles `component` (or takes it from the cache) and links it. What was loaded lately is at hand: an engine that begins
    /// anew in the same process reads and links nothing.
    ///
    /// # Errors
    /// Where it is no valid component under the profile, imports a function, or exports no `reduce`.
    pub fn load(&self, component: &[u8], contract: Arc<Contract>, limits: Limits) -> Result<Reducer, SandboxError> {
        self.link(component, contract, limits).map_err(|error| SandboxError::Load(format!("{error:#}")))
    }

    fn link(&self, component: &[u8], contract: Arc<Contract>, limits: Limits) -> EngineResult<Reducer> {
        let (component, instance) = self.linked.of(&self.engine, component)?;
        Reducer::new(self.engine.clone(), &component, instance, contract, limits)
    }
}
