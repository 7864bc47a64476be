//! A finished order stays for a while, for what may still come about it, and then ends.

use core::time::Duration;

use crate::domain::Transition;

/// How long a finished order stays.
pub(crate) const STAY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The timer's name.
pub(crate) const TIMER: &str = "archive";

/// The order ends; what it was stands in its row and in the journal.
pub(crate) fn end() -> Transition {
    Transition { state: None, intents: Vec::new() }
}
