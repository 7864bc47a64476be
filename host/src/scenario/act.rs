//! What can be done to a workflow on a stage.

use std::fmt;
use std::time::Duration;

use super::expect::Expected;
use super::yaml::Node;

/// One thing that is done, and what is expected of it.
#[derive(Clone, Debug)]
pub struct Act {
    /// Where it stands in its file; 0 where it stands in none.
    pub line: usize,
    /// What is done.
    pub what: What,
    /// What is expected of it.
    pub then: Option<Expected>,
}

/// What is done.
#[derive(Clone, Debug)]
pub enum What {
    /// An event arrives.
    Event {
        /// Its type.
        ty: String,
        /// Its id, where it matters.
        id: Option<String>,
        /// Its source, where it matters.
        source: Option<String>,
        /// The extension attribute `correlationid`.
        correlation_id: Option<String>,
        /// Its data, as JSON.
        data: String,
    },
    /// An input arrives, without an event around it.
    Input {
        /// The workflow, where it is not the first.
        workflow: Option<String>,
        /// The entity, where the input does not name it.
        entity: Option<String>,
        /// The input variant, as JSON.
        input: String,
    },
    /// The event of that id arrives once more.
    Repeat(String),
    /// An entity is put there.
    State {
        /// The workflow, where it is not the first.
        workflow: Option<String>,
        /// The entity.
        entity: String,
        /// Its state, as JSON.
        state: String,
        /// Its timers: name and due time.
        timers: Vec<(String, u64)>,
    },
    /// Time passes, and timers fire as they fall due.
    Advance(Until),
    /// Time passes and no timer fires: they are late.
    Stall(Until),
    /// An intent ends.
    Answer {
        /// Which.
        intent: Which,
        /// How, as JSON.
        with: String,
    },
    /// A held intent is tried again.
    Redrive(Which),
    /// A held intent is given up.
    GiveUp(Which),
    /// What was sent to that entity is handed over, the oldest first.
    Deliver(String),
    /// The parked entity goes on.
    Resume(String),
    /// The parked entity's faulting input is dropped.
    Drop(String),
}

/// How far time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// For so long.
    After(Duration),
    /// Up to then.
    At(u64),
}

impl Until {
    /// When that is, from `now`; never past the last instant.
    #[must_use]
    pub fn moment(self, now: u64) -> u64 {
        let time = match self {
            Until::After(time) => now.saturating_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
            Until::At(time) => time,
        };
        time.min(purefold_wit::instant::LAST)
    }
}

/// Written `30s`, or as a moment.
impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Until::After(time) => f.write_str(&purefold_effects::settings::format_duration(*time)),
            Until::At(time) => f.write_str(&purefold_wit::instant::format(*time).unwrap_or_default()),
        }
    }
}

/// An intent without a conclusion.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// The intent case, in kebab case.
    pub case: String,
    /// Who asked, where that matters.
    pub entity: Option<String>,
    /// What must be in its record.
    pub filter: Option<Node>,
}

impl What {
    /// The keys that say what is done, each known by one of them.
    pub(super) const KEYS: [&'static str; 12] =
        ["event", "input", "repeat", "state", "advance", "stall", "answer", "redrive", "give-up", "deliver", "resume", "drop"];
}
