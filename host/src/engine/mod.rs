//! The engine: one loop that takes events, has them decided, commits, and hands intents to their effects.
//!
//! ```text
//! source ─► intake ─► pending by entity ─► workers (fold) ─► assemble ─► writer (commit) ─► lanes ─► effects
//!                          ▲                                                                 │
//!                          └──────────────── conclusions, timers, deliveries ◄───────────────┘
//! ```
//! Everything that can happen to the loop is a [`run::Message`] or a batch of what was taken from the source.

mod acts;
mod assemble;
mod dispatch;
mod entity;
mod erasing;
mod error;
mod fold;
mod ground;
mod handle;
mod input;
mod intake;
pub mod key;
mod migrate;
mod migrating;
mod operators;
mod order;
mod others;
mod outcome;
mod own;
mod pauses;
mod plan;
mod planted;
mod reads;
mod ready;
mod reposition;
mod requests;
mod retention;
mod run;
mod sent_on;
mod sessions;
mod share;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "what a test cannot go on from should stop it")]
mod simulation;
mod spans;
mod start;
mod started;
mod state;
mod step;
mod stored;
mod summary;
mod swap;
mod terms;
mod timers;
mod workers;
mod writer;

pub(crate) use fold::check;
pub(crate) use input::{Note, Order, OrderKind};
pub(crate) use ready::earlier;

pub use dispatch::{BreakerState, EffectStatus};
pub use entity::{Entity, Outstanding};
pub use error::EngineError;
pub use fold::{Folded, Ids, Moment, fold};
pub use input::{Conclusion, EntityName, EventInput, EventOrigin, FailureKind, Follows, Line, Pending, Spot};
pub use migrate::migrate;
pub use plan::{EarlierRelease, Plan, Plans};
pub use ready::Loader;
pub use requests::Answered;
pub use run::Engine;
pub use sessions::{Sessions, Stopper};
pub use share::{Lease, Share};
pub use spans::Trail;
pub use start::{Clock, Options, start};
pub use summary::{Progress, Summary};
pub use terms::Terms;
