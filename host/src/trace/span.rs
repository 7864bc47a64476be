//! Spans, as the engine makes them: data, with nothing of how they are sent.

use std::sync::Arc;
use std::time::Duration;

use purefold_effects::{IntentId, TraceParent};

use crate::journal::Verdict;

/// One thing that was done, in the trace that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its trace and its own id there.
    pub place: TraceParent,
    /// What it follows from.
    pub parent: Option<ParentSpan>,
    /// When it began, in microseconds since the Unix epoch.
    pub began: u64,
    /// When it ended.
    pub ended: u64,
    /// Whom it is about.
    pub subject: Subject,
    /// What was done.
    pub what: What,
}

/// What a span follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParentSpan {
    /// The span.
    pub id: u64,
    /// Whether another process told of it.
    pub remote: bool,
}

/// The decision that a span belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The workflow's name.
    pub workflow: Arc<str>,
    /// The entity's key.
    pub entity: Arc<str>,
    /// The decision.
    pub sequence: u64,
    /// What all that one event led to has in common.
    pub correlation_id: Arc<str>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An event was taken; from its arrival until what was decided on it was durable.
    Accepted {
        /// The event's id.
        event_id: Arc<str>,
    },
    /// A decision was made, among those of one commit.
    Decided {
        /// What led to it: an event, an outcome, a timer or a delivery.
        origin: &'static str,
        /// The event's id, or the asking intent's.
        event_id: Arc<str>,
        /// What it was.
        verdict: Verdict,
        /// The code of the fault, where it was one.
        fault: Option<&'static str>,
        /// Units of fuel burnt.
        fuel: u64,
        /// Its own time in the sandbox.
        took: Duration,
    },
    /// The commit that holds the decision.
    Committed {
        /// Journal entries of the commit.
        entries: usize,
    },
    /// An attempt at an intent.
    Attempted {
        /// The intent.
        intent: IntentId,
        /// Its place in the decision.
        index: u32,
        /// Who performs it.
        effect: Arc<str>,
        /// Which attempt it was, from 1.
        attempt: u32,
        /// How it ended.
        answer: Answered,
    },
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It was done.
    Done,
    /// It failed, for this reason.
    Failed(String),
}

/// How an event came, where traces are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// When; none where it had waited in an inbox.
    pub at: Option<u64>,
    /// The span that it says it follows from.
    pub parent: Option<TraceParent>,
}
