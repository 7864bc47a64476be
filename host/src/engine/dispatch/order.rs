//! What the engine tells the dispatcher, and what it is told back of an operator's order.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::lane::{LaneKey, Place};
use crate::engine::assemble::Task;
use crate::engine::input::EntityName;
use crate::engine::plan::Plan;
use crate::store::IntentKey;

/// What the engine tells the dispatcher.
#[derive(Debug)]
pub(in crate::engine) enum Order {
    /// Intents of a durable commit, in order.
    Perform(Vec<Task>),
    /// What was asked for by [`Wanted`], lane by lane.
    Found(Vec<FoundLane>),
    /// Try a held intent, or one that waits for its next attempt, at once and with fresh attempts.
    Redrive(EntityName, IntentKey),
    /// Take an intent out of its lane, wherever it stands: no attempt at it starts any more. The engine concludes it once
    /// that is answered. During an attempt the answer waits for its end.
    GiveUp(EntityName, IntentKey),
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
    /// Another release of a workflow is in force. What its earlier ones asked for is performed as they say.
    Release {
        /// Index of the workflow in the host.
        workflow: usize,
        /// The workflow under that release.
        plan: Arc<Plan>,
    },
    /// Start no more attempts; report when those under way have ended, or after this time.
    Drain(Duration),
}

/// A lane whose next intents are only in the store.
#[derive(Debug)]
pub(in crate::engine) struct Wanted {
    pub(in crate::engine) lane: LaneKey,
    /// Index of the workflow in the host.
    pub(in crate::engine) workflow: usize,
    /// The effect's name in the manifest.
    pub(in crate::engine) effect: Arc<str>,
    /// Where the lane goes on.
    pub(in crate::engine) from: Place,
}

/// What the store has of a lane.
#[derive(Debug)]
pub(in crate::engine) struct FoundLane {
    pub(in crate::engine) lane: LaneKey,
    /// Its next intents, in order.
    pub(in crate::engine) tasks: Vec<Task>,
    /// Where it goes on after these. None: nothing more was committed when this was read.
    pub(in crate::engine) rest: Option<Place>,
}

/// What became of a [`Order::Redrive`] or [`Order::GiveUp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Answer {
    /// It is tried again.
    Redriven,
    /// No attempt at it starts any more: the engine may conclude it.
    GivenUp,
    /// An attempt did what was to be given up: there is a conclusion.
    Done,
    /// An attempt is under way: nothing was done.
    Busy,
    /// It is concluded already, or it is not its turn in its lane: nothing was done.
    NotWaiting,
}

impl Answer {
    /// Whether it is the answer to [`Order::GiveUp`].
    pub(in crate::engine) fn is_to_giving_up(self) -> bool {
        matches!(self, Answer::GivenUp | Answer::Done)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Answer::Redriven => "redriven: it is tried again",
            Answer::GivenUp => "given up: it is tried no more",
            Answer::Done => "refused: an attempt did it, and its conclusion stands",
            Answer::Busy => "refused: an attempt is under way; ask again when it has ended",
            Answer::NotWaiting => "refused: it is concluded already, or earlier intents of its entity and effect stand before it",
        })
    }
}
