//! What was done to hosts and services, and when.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Told as it happens, and kept for the report of a failure.
pub(super) struct Chronicle {
    begun: Instant,
    lines: Mutex<Vec<String>>,
    faults: Mutex<Vec<String>>,
    troubles: Mutex<BTreeMap<&'static str, u64>>,
}

impl Chronicle {
    /// Begins now.
    pub(super) fn begin() -> Chronicle {
        Chronicle { begun: Instant::now(), lines: Mutex::default(), faults: Mutex::default(), troubles: Mutex::default() }
    }

    /// Something happened.
    pub(super) fn tell(&self, what: impl Display) {
        let line = format!("{:7.1} s  {what}", self.begun.elapsed().as_secs_f64());
        eprintln!("{line}");
        lock(&self.lines).push(line);
    }

    /// Trouble of that kind was made.
    pub(super) fn trouble(&self, kind: &'static str, what: impl Display) {
        self.tell(what);
        *lock(&self.troubles).entry(kind).or_default() += 1;
    }

    /// How often each kind of trouble was made.
    pub(super) fn troubles(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.troubles).clone()
    }

    /// Something happened that must not.
    pub(super) fn fault(&self, what: impl Display) {
        self.tell(format!("WRONG: {what}"));
        lock(&self.faults).push(what.to_string());
    }

    /// Everything that happened, a line each.
    pub(super) fn text(&self) -> String {
        lock(&self.lines).join("\n")
    }

    /// What happened that must not.
    pub(super) fn faults(&self) -> Vec<String> {
        lock(&self.faults).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Who failed while it held it has said so.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
