//! What can be decided next for an entity.

use std::collections::VecDeque;
use std::sync::Arc;

use purefold_effects::Reply;
use purefold_wit::Value;

use crate::journal::{EntryHash, Warrant};
use crate::store::{DeliveryRow, InboxRow, IntentKey};
use crate::trace::Incoming;

/// An entity's name: which workflow of the host, and the key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityName {
    /// Index of the workflow in the host.
    pub workflow: usize,
    /// The key's text; never empty.
    pub key: Arc<str>,
}

/// A line of the source, by its number from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line(pub u64);

/// Where a line stands in what an engine reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Index of the part of the source: of one partition among those that the engine has, else 0.
    pub part: usize,
    /// The line there.
    pub line: Line,
}

impl Spot {
    /// In a source of one part.
    #[must_use]
    pub fn of(line: Line) -> Self {
        Spot { part: 0, line }
    }
}

/// Where an event was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOrigin {
    /// In the source.
    Line(Spot),
    /// In a request of this number, whose sender waits for the answer.
    Request(u64),
    /// Nowhere: the host tells of its own start.
    Host,
    /// Among the dead letters: an operator has it decided after all.
    DeadLetter {
        /// Its id.
        id: i64,
        /// The source that it came from.
        source: i64,
        /// Its line there.
        line: Line,
    },
    /// By another host, which left it to the owner of its entity.
    Forwarded {
        /// Its id.
        id: i64,
        /// The source that it came from.
        source: i64,
        /// Its line there; 0 where it was sent.
        line: Line,
    },
}

/// A decoded event.
#[derive(Clone, Debug)]
pub struct EventInput {
    /// Where it was read.
    pub origin: EventOrigin,
    /// The event's id.
    pub id: Arc<str>,
    /// Its correlation id.
    pub correlation_id: Arc<str>,
    /// Its own time; the arrival's where the clock is the wall's.
    pub time: u64,
    /// See [`crate::journal::event_fingerprint`].
    pub fingerprint: u128,
    /// The input variant.
    pub input: Value,
    /// The release that read it so.
    pub release: u64,
    /// The topic that it came from, where its type alone does not say what it means.
    pub topic: Option<Arc<str>>,
    /// The original bytes.
    pub bytes: Arc<[u8]>,
    /// Their SHA-256.
    pub hash: EntryHash,
    /// How it came, where traces are told.
    pub incoming: Option<Box<Incoming>>,
}

/// Why an intent has no success: the cases of the standard `failure`, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The backend will never do it.
    Refused,
    /// Attempts or time are used up; it has not happened.
    Exhausted,
    /// It may or may not have happened.
    Unknown,
    /// It happened; the reply does not fit.
    UnreadableReply,
}

impl FailureKind {
    /// All of them, in the order of the standard `failure`.
    pub const ALL: [FailureKind; 4] = [FailureKind::Refused, FailureKind::Exhausted, FailureKind::Unknown, FailureKind::UnreadableReply];

    /// Index of the case in the standard `failure`.
    #[must_use]
    pub fn case(self) -> u32 {
        self as u32
    }

    /// The case's name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FailureKind::Refused => "refused",
            FailureKind::Exhausted => "exhausted",
            FailureKind::Unknown => "unknown",
            FailureKind::UnreadableReply => "unreadable_reply",
        }
    }

    /// The failure as the outbox keeps it: the case's name, then the text.
    #[must_use]
    pub fn told(self, text: &str) -> String {
        format!("{}: {text}", self.name())
    }

    /// The kind and text of a failure that the outbox keeps; none of a text that names no kind.
    #[must_use]
    pub fn of_told(told: &str) -> Option<(Self, &str)> {
        let (name, text) = told.split_once(": ")?;
        FailureKind::ALL.into_iter().find(|kind| kind.name() == name).map(|kind| (kind, text))
    }
}

/// The final result of an intent.
pub type Conclusion = Result<Reply, (FailureKind, String)>;

/// Everything that waits to be decided for one entity.
#[derive(Debug, Default)]
pub struct Pending {
    /// Conclusions that have arrived, in the order of arrival.
    pub conclusions: Vec<(IntentKey, Conclusion)>,
    /// Deliveries, in the order of commits.
    pub deliveries: Vec<DeliveryRow>,
    /// Timers that fell due, by name and generation (arrival clock; on the event clock the entity knows its own).
    pub timers: Vec<(Arc<str>, u64, u32)>,
    /// Events, in the order of the source.
    pub events: VecDeque<EventInput>,
    /// What an operator asks.
    pub orders: Vec<Order>,
    /// How attempts stand that have not come to an end.
    pub notes: Vec<(IntentKey, Note)>,
    /// What of it must wait because of a pause.
    pub hold: Hold,
}

/// What a pause holds back of an entity's inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// Nothing.
    #[default]
    Nothing,
    /// The workflow is paused: no event is taken and no timer fires; what was asked for comes to its end.
    Beginnings,
    /// The entity is paused: every input waits in its inbox.
    Everything,
}

/// How an intent stands that has no conclusion yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whether it waits for an operator.
    pub held: bool,
    /// Attempts so far.
    pub attempts: u32,
    /// Why the last one failed.
    pub reason: String,
}

impl Pending {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.conclusions.is_empty()
            && self.deliveries.is_empty()
            && self.timers.is_empty()
            && self.events.is_empty()
            && self.orders.is_empty()
            && self.notes.is_empty()
    }
}

/// What an operator asks of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The command's id.
    pub command: i64,
    /// What to do.
    pub what: OrderKind,
    /// Who asks, and why.
    pub warrant: Warrant,
}

/// What an operator can ask of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderKind {
    /// Decide the head of the parked entity's inbox again and go on.
    RedriveHead,
    /// Drop the head of the parked entity's inbox and go on.
    DropHead,
    /// Try a held intent again: decision and index.
    RedriveIntent(u64, u32),
    /// Conclude an intent as failed: decision and index.
    GiveUpIntent(u64, u32),
    /// Take its state over from the release that it is of.
    Migrate,
    /// Erase what its entries hold; but for the state that it is in, where that is to stay.
    Erase { keep_state: bool },
}

/// One input, ready to be decided.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    pub(super) origin: Origin,
    /// The time that it carries: the decision's `now` is this or the entity's latest, whichever is later.
    pub(super) time: u64,
    pub(super) event_id: Arc<str>,
    pub(super) correlation_id: Arc<str>,
    pub(super) input: Value,
    /// The asking intent of an outcome, timer or delivery.
    pub(super) asked: (u64, u32),
    pub(super) event: Option<(Arc<[u8]>, EntryHash)>,
    /// Its row in the inbox, where it waited there.
    pub(super) inbox: Option<i64>,
    pub(super) follows: Follows,
}

/// What an input follows from, for traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Follows {
    /// An event; with how it came, where traces are told.
    Event(Option<Box<Incoming>>),
    /// The asking decision of the same entity.
    Asking,
    /// The asking decision of this sender, a workflow and an entity.
    Sender(String),
    /// Nobody knows any more: a delivery that waited in an inbox.
    Unknown,
}

impl Ready {
    /// Name and due time, where it is a timer that fell due.
    pub(super) fn timer(&self) -> Option<(Arc<str>, u64)> {
        let (Origin::Timer, Value::Variant(_, Some(record))) = (self.origin, &self.input) else { return None };
        let Value::Record(fields) = &**record else { return None };
        match &**fields {
            [Value::String(name), Value::Instant(due)] => Some((name.as_ref().into(), *due)),
            _ => None,
        }
    }
}

/// Where an input came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Event,
    Outcome,
    Timer,
    Delivery,
}

impl Origin {
    pub(super) fn name(self) -> &'static str {
        match self {
            Origin::Event => "event",
            Origin::Outcome => "outcome",
            Origin::Timer => "timer",
            Origin::Delivery => "delivery",
        }
    }

    pub(super) fn of(row: &InboxRow) -> Self {
        match row.origin {
            "outcome" => Origin::Outcome,
            "timer" => Origin::Timer,
            "delivery" => Origin::Delivery,
            _ => Origin::Event,
        }
    }
}
