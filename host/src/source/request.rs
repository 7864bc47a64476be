//! What was taken from a source: a line, or an event that somebody sent and waits for an answer to.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::decode::{Decoded, Undecodable};
use super::lines::TakenLine;
use crate::engine::Line;
use crate::journal::Verdict;

/// What was taken from a source.
#[derive(Debug)]
pub enum Taken {
    /// A line: its number is its position, and what is not done is read again.
    Line(TakenLine),
    /// An event without a position: what is not answered is sent again.
    Request(TakenRequest),
    /// Up to and with this line a part of the source holds no more events.
    Passed {
        /// Index of the part.
        part: usize,
        /// The line.
        line: Line,
    },
    /// Everything that the source had at this time, in microseconds since the Unix epoch, was handed on before.
    Looked(u64),
}

/// An event that was sent, decoded for every workflow that takes it.
#[derive(Debug)]
pub struct TakenRequest {
    /// What it means, by workflow.
    pub taken: Vec<(usize, Decoded)>,
    /// Who waits for the answer.
    pub ticket: Ticket,
}

/// Somebody waits for what becomes of an event.
#[derive(Debug)]
pub struct Ticket {
    decisions: bool,
    reply: oneshot::Sender<Reply>,
}

/// What became of an event. Told only when it is durable.
#[derive(Debug)]
pub struct Reply {
    /// Taken or not.
    pub fate: Fate,
    /// The decisions on it, one for each workflow that decided, where they were asked for.
    pub decisions: Vec<Decided>,
}

/// Whether an event was taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    /// By one workflow at least, for the first time.
    Accepted,
    /// Every workflow that takes it had it already.
    Duplicate,
    /// Not, or not by every workflow.
    Refused(Undecodable),
}

/// A decision on an event, as it stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The workflow's name.
    pub workflow: Arc<str>,
    /// The entity's key.
    pub entity: Arc<str>,
    /// The decision; none where the entity is parked and the event waits in its inbox.
    pub decision: Option<DecidedEntry>,
}

/// The parts of the journal's entry that a sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecidedEntry {
    /// The decision's number.
    pub sequence: u64,
    /// What it was.
    pub verdict: Verdict,
    /// The new state as JSON, where an accepted decision left one.
    pub state: Option<Box<[u8]>>,
    /// Intents, rejection or fault as JSON.
    pub output: Box<[u8]>,
}

impl Ticket {
    /// A ticket and where its reply arrives. With `decisions` the reply carries them.
    #[must_use]
    pub fn new(decisions: bool) -> (Self, oneshot::Receiver<Reply>) {
        let (reply, arrives) = oneshot::channel();
        (Ticket { decisions, reply }, arrives)
    }

    /// Whether the sender wants the decisions told.
    #[must_use]
    pub fn wants_decisions(&self) -> bool {
        self.decisions
    }

    /// Tells what became of the event.
    pub fn answer(self, reply: Reply) {
        // A sender that hung up learns it as a duplicate when it sends the event again.
        let _ = self.reply.send(reply);
    }
}
