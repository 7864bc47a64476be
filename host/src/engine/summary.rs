//! What a run did, for people and machines.

/// Counts of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Lines taken from the source.
    pub events: u64,
    /// Events known already.
    pub duplicates: u64,
    /// Events that could not be taken.
    pub dead_letters: u64,
    /// Accepted decisions.
    pub accepted: u64,
    /// Rejected decisions.
    pub rejected: u64,
    /// Faulted decisions.
    pub faulted: u64,
    /// Intents concluded.
    pub concluded: u64,
    /// Intents that wait for an operator.
    pub held: u64,
    /// Entities that wait for an operator.
    pub parked: u64,
    /// Workflows, effects and entities that are paused.
    pub paused: u64,
    /// Commits.
    pub commits: u64,
}

/// A look at a run under way.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What it has done so far.
    pub summary: Summary,
    /// Intents under way.
    pub outstanding: usize,
    /// Whether the source has been read to its end.
    pub source_ended: bool,
}
