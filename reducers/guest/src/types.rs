//! The types of `purefold:reducer/types@1.0.0`, shared by every reducer's bindings.
//!
//! They are written out here instead of generated, so that a reducer's code and helpers written for any reducer name the same
//! types. Bindings are generated against them: a field that differs from the WIT does not compile.

/// Microseconds since the Unix epoch, UTC, up to [`instant::LAST`](crate::instant::LAST).
pub type Instant = u64;

/// High and low half.
pub type Uuid = (u64, u64);

/// Everything a decision may depend on besides the state and the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// When the host took the input, or the event's own time; never goes back for one entity.
    pub now: Instant,
    /// The key's text.
    pub entity: String,
    /// 1 for the entity's first decision; never restarts.
    pub sequence: u64,
    /// The event's id, or the id of the intent that led to this outcome, timer or delivery.
    pub event_id: String,
    /// The event's, carried through outcomes, timers and deliveries to every intent.
    pub correlation_id: String,
    /// Entropy, the same on every replay of this decision; not secret.
    pub seed: (u64, u64),
}

/// Payload of an intent that asks to be handed back as an input when it is due. The same name replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    /// Which of the entity's timers.
    pub name: String,
    /// When it falls due.
    pub due: Instant,
}

/// Payload of an intent that takes a pending timer back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerCancel {
    /// Which of the entity's timers.
    pub name: String,
}

/// Why an intent has no success; each with the reason as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The backend will never do this.
    Refused(String),
    /// Given up after the last attempt; it has not happened.
    Exhausted(String),
    /// It may or may not have happened.
    Unknown(String),
    /// It happened, but the reply does not fit the outcome's type.
    UnreadableReply(String),
}

impl Failure {
    /// The case's name as JSON writes it, and the reason.
    #[must_use]
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Failure::Refused(text) => ("refused", text),
            Failure::Exhausted(text) => ("exhausted", text),
            Failure::Unknown(text) => ("unknown", text),
            Failure::UnreadableReply(text) => ("unreadable_reply", text),
        }
    }
}
