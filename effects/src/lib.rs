//! Effects: the only modules that do I/O for a workflow, one for each capability and backend.
//!
//! An effect is opened from its settings, binds the routes that name it when the workflow is loaded, and performs
//! intents when it runs. It sees intents, never states, and knows no reducer.

#[cfg(test)]
mod answers;
mod backend;
mod body;
mod by_path;
mod client;
mod consul;
mod http;
pub mod kafka;
mod key_value;
pub mod postgres;
mod publish;
mod route;
mod secret;
mod service_registry;
pub mod settings;
mod sql;
mod sqlite;
mod table;
mod template;
mod trace_parent;
#[cfg(any(test, feature = "trial"))]
pub mod trial;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use purefold_wit::{Finding, Record, Type, Value};

pub use backend::open;
pub use client::{causes, client};
pub use secret::Secret;
pub use trace_parent::TraceParent;

/// One intent case that is routed to an effect.
pub struct Route<'a> {
    /// The workflow's name.
    pub workflow: &'a str,
    /// The intent case, in kebab case. Findings name the place `intents.<case>.<setting>`.
    pub case: &'a str,
    /// The record that the case carries.
    pub intent: &'a Arc<Record>,
    /// `T` of the outcome's `result<T, failure>`: what a reply must fill. `None` where no outcome is routed or it is `result<_, failure>`.
    pub reply: Option<&'a Type>,
    /// The route's settings without those that every route has (`effect`, `outcome`, `after`, `on-exhausted`, `retry`).
    pub settings: &'a toml::Table,
}

/// A capability on one backend, opened from the settings of one `[effects.NAME]` table.
pub trait Effect: Send + Sync {
    /// Binds all routes of one workflow that name this effect: one operation for each route, in order.
    ///
    /// Changes nothing outside the process: it may read what exists (a table's columns), it creates nothing.
    ///
    /// # Errors
    /// Everything that keeps a route from being served, all at once.
    fn bind(&self, routes: &[Route<'_>]) -> Result<Vec<Arc<dyn Operation>>, Vec<Finding>>;

    /// The statements in SQL that make what these routes need of a database, each safe to execute where it is there already.
    /// Reads no database. None for backends that need nothing of the kind.
    ///
    /// # Errors
    /// Routes that say too little, or contradict each other.
    fn schema(&self, routes: &[Route<'_>]) -> Result<Vec<String>, Vec<Finding>> {
        let _ = routes;
        Ok(Vec::new())
    }

    /// Makes the backend ready (opens files, creates tables). Called once, after every bind and before the first perform.
    ///
    /// # Errors
    /// What keeps the backend from being used.
    fn start(&self) -> BoxFuture<'_, Result<(), EffectError>>;

    /// Lets go of the backend (closes files, so that everything is in them), and waits until that is done. Called once, after
    /// the last attempt. What holds nothing has nothing to do.
    fn stop(&self) {}
}

/// A bound route: what performs the intents of one case.
pub trait Operation: Send + Sync {
    /// One attempt at one intent. A repeat carries the same [`Call::id`]. Dropping the future abandons the attempt,
    /// which may still take effect.
    fn perform(&self, call: Call) -> BoxFuture<'static, Result<Reply, EffectError>>;

    /// Whether one repeat more does no harm, however many there were: the backend knows what it did for an intent, or comes to
    /// the same by doing it again, or whoever gets it twice knows it by its id.
    fn bears_repeats(&self) -> bool {
        false
    }
}

/// One attempt at one intent.
#[derive(Clone, Debug)]
pub struct Call {
    /// The intent's id: its idempotency key, the same on every attempt, host and replay.
    pub id: IntentId,
    /// The journal that the intent stands in, as canonical UUID text.
    pub journal: Arc<str>,
    /// The workflow's name.
    pub workflow: Arc<str>,
    /// The entity's key.
    pub entity: Arc<str>,
    /// The decision that emitted the intent.
    pub sequence: u64,
    /// The intent's place in that decision, from 0.
    pub index: u32,
    /// The decision's `now`, in microseconds since the Unix epoch.
    pub now: u64,
    /// The decision's correlation id.
    pub correlation_id: Arc<str>,
    /// The intent's record: a [`Value::Record`] of the bound route's type.
    pub payload: Arc<Value>,
    /// The attempt's span, where traces are told: what it leads to elsewhere follows from it.
    pub trace: Option<TraceParent>,
}

/// An intent's id: high and low half of a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IntentId(pub u64, pub u64);

impl std::fmt::Display for IntentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&purefold_wit::uuid::format(self.0, self.1))
    }
}

/// What a success carries: a value of the route's reply type, where it has one.
pub type Reply = Option<Value>;

/// Why an attempt failed, and with it what may be done next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EffectError {
    /// Permanent: the backend will never do this.
    #[error("refused: {0}")]
    Refused(String),
    /// It has not happened and may be tried again.
    #[error("not done: {reason}")]
    NotDone {
        /// What went wrong.
        reason: String,
        /// The earliest time for the next attempt, where the backend named one.
        retry_after: Option<std::time::Duration>,
    },
    /// It may have happened; a repeat under the same id is safe as far as the backend's guarantee goes.
    #[error("unknown: {0}")]
    Unknown(String),
    /// It happened, but the reply does not fit the outcome's type.
    #[error("unreadable reply: {0}")]
    UnreadableReply(String),
}

impl EffectError {
    /// The earliest time for the next attempt, where the backend named one.
    #[must_use]
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            EffectError::NotDone { retry_after, .. } => *retry_after,
            EffectError::Refused(_) | EffectError::Unknown(_) | EffectError::UnreadableReply(_) => None,
        }
    }

    /// The same failure, told in other words.
    #[must_use]
    pub fn map_text(self, told: impl FnOnce(String) -> String) -> Self {
        match self {
            EffectError::Refused(text) => EffectError::Refused(told(text)),
            EffectError::NotDone { reason, retry_after } => EffectError::NotDone { reason: told(reason), retry_after },
            EffectError::Unknown(text) => EffectError::Unknown(told(text)),
            EffectError::UnreadableReply(text) => EffectError::UnreadableReply(told(text)),
        }
    }
}
