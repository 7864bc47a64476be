//! What the engine tells the dispatcher, and what it is told back of an operator's order.

use std::fmt;
use std::sync::Arc;

use crate::engine::assemble::Task;
use crate::engine::input::EntityName;
use crate::store::IntentKey;

/// What the engine tells the dispatcher.
#[cfg_attr(not(test), allow(dead_code, reason = "operators' commands give the orders"))]
pub(in crate::engine) enum Order {
    /// Intents of a durable commit, in order.
    Perform(Vec<Task>),
    /// Try a held intent, or one that waits for its next attempt, at once and with fresh attempts.
    Redrive(EntityName, IntentKey),
    /// Conclude a held intent, or one that waits for its next attempt, as exhausted, for this reason.
    GiveUp(EntityName, IntentKey, String),
    /// Start no attempts of the effect of that name, or of any effect of the workflow. What is under way ends by itself.
    Pause {
        /// Index of the workflow in the host.
        workflow: usize,
        /// The effect's name in the manifest.
        effect: Option<Arc<str>>,
    },
    /// Takes back a pause of the same extent.
    Resume {
        /// Index of the workflow in the host.
        workflow: usize,
        /// The effect's name in the manifest.
        effect: Option<Arc<str>>,
    },
    /// Start no more attempts; report when those under way have ended.
    Drain,
}

/// What became of a [`Order::Redrive`] or [`Order::GiveUp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Answer {
    /// It is tried again.
    Redriven,
    /// It is concluded; the conclusion follows as any other.
    GivenUp,
    /// An attempt is under way: nothing was done.
    Busy,
    /// It is concluded already, or it is not its turn in its lane: nothing was done.
    NotWaiting,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Answer::Redriven => "redriven: it is tried again",
            Answer::GivenUp => "given up: it is concluded as exhausted",
            Answer::Busy => "refused: an attempt is under way; ask again when it has ended",
            Answer::NotWaiting => "refused: it is concluded already, or earlier intents of its entity and effect stand before it",
        })
    }
}
