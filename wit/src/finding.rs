//! A finding: one thing that is wrong with a component, a contract or a manifest.

use std::fmt;

/// One thing that is wrong, told so that its reader can mend it.
///
/// Findings are collected, not thrown: a check reports all of them at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable code in kebab case; `docs/errors/<code>.md` explains it.
    pub code: &'static str,
    /// Where: a path in the manifest (`intents.upsert-record.table`), a contract's type, an import.
    pub place: String,
    /// What is wrong, with the offending name or value.
    pub cause: String,
    /// What to do about it.
    pub help: String,
}

impl Finding {
    /// A finding of `code` at `place`.
    pub fn new(code: &'static str, place: impl Into<String>, cause: impl Into<String>, help: impl Into<String>) -> Self {
        Finding { code, place: place.into(), cause: cause.into(), help: help.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}; {}", self.code, self.place, self.cause, self.help)
    }
}

/// The known name nearest to `name`, where one is near enough to be meant.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().max(name.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
