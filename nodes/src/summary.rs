//! What a fleet did and heard.

use std::fmt;

/// Counts of what a fleet did and heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Nodes that began to live.
    pub started: u64,
    /// Announcements, those upon a request among them.
    pub announcements: u64,
    /// Requests that a node heard and answered.
    pub answered: u64,
    /// Acceptances that a node heard of itself.
    pub accepted: u64,
    /// Acknowledgements.
    pub acks: u64,
    /// Heartbeats.
    pub heartbeats: u64,
    /// Events that were sent a second time.
    pub duplicates: u64,
    /// Heartbeats that were overtaken.
    pub reordered: u64,
    /// What nobody can read.
    pub garbage: u64,
    /// Nodes that died.
    pub died: u64,
    /// Nodes that came back.
    pub returned: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = [
            ("nodes started", self.started),
            ("announcements", self.announcements),
            ("  of these upon a request", self.answered),
            ("acceptances heard", self.accepted),
            ("acknowledgements", self.acks),
            ("heartbeats", self.heartbeats),
            ("sent twice", self.duplicates),
            ("overtaken", self.reordered),
            ("unreadable", self.garbage),
            ("nodes died", self.died),
            ("nodes came back", self.returned),
        ];
        for (index, (what, count)) in lines.iter().enumerate() {
            let end = if index + 1 < lines.len() { "\n" } else { "" };
            write!(f, "{what:<26}{count:>8}{end}")?;
        }
        Ok(())
    }
}
