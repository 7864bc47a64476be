//! One entry and the hash that chains it to the entity's entry before.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// SHA-256 of an entry, which the entity's next entry commits to. An entity's first entry follows the hash of zeros.
pub type EntryHash = [u8; 32];

/// The closed list of what can stand in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One `reduce`: accepted, rejected or faulted. The only kind that counts a sequence number.
    Decided,
    /// An intent without an outcome route came to its end.
    Concluded,
    /// The entity faulted: its inputs wait.
    Parked,
    /// An operator had a parked entity go on; under the workflow itself: what was paused.
    Resumed,
    /// An operator dropped the head of a parked entity's inbox; under the workflow itself: a dead letter.
    Dropped,
    /// The state was taken over by a newer component's `migrate`.
    Migrated,
    /// The entity ended: an accepted decision left no state.
    Ended,
    /// A release came into force. Stands under the workflow itself, whose key is empty.
    Released,
    /// An operator had a held intent tried again; under the workflow itself: had a dead letter decided after all.
    Redriven,
    /// An operator gave an intent up: it is concluded as failed.
    Abandoned,
    /// The workflow, one of its effects or one of its entities stands still. Stands under the workflow itself, as the
    /// entry `resumed` that ends it.
    Paused,
    /// An operator set how far a source was read. Stands under the workflow itself.
    Repositioned,
    /// An operator had the payloads of the entity's earlier entries erased. Their hashes are kept.
    Erased,
}

/// A stored name that this version does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} {name:?} in the store: it was written by a newer version or altered")]
pub struct UnknownName {
    /// What kind of name.
    pub what: &'static str,
    /// The name.
    pub name: String,
}

macro_rules! names {
    ($type:ident, $what:literal, $($case:ident = $name:literal),+ $(,)?) => {
        impl $type {
            /// The name that the store and the command line use.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $($type::$case => $name),+ }
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl FromStr for $type {
            type Err = UnknownName;
            fn from_str(name: &str) -> Result<Self, UnknownName> {
                match name { $($name => Ok($type::$case),)+ _ => Err(UnknownName { what: $what, name: name.to_owned() }) }
            }
        }
    };
}

impl Kind {
    /// Whether somebody outside the reducer did it: the output is a [`super::Warrant`].
    #[must_use]
    pub fn is_act(self) -> bool {
        matches!(self, Kind::Resumed | Kind::Dropped | Kind::Redriven | Kind::Abandoned | Kind::Paused | Kind::Repositioned | Kind::Erased)
    }
}

names!(
    Kind,
    "kind of entry",
    Decided = "decided",
    Concluded = "concluded",
    Parked = "parked",
    Resumed = "resumed",
    Dropped = "dropped",
    Migrated = "migrated",
    Ended = "ended",
    Released = "released",
    Redriven = "redriven",
    Abandoned = "abandoned",
    Paused = "paused",
    Repositioned = "repositioned",
    Erased = "erased",
);

/// How a decision came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// A new state and intents.
    Accepted,
    /// A typed reason; nothing changed.
    Rejected,
    /// The reducer broke off or broke a limit; nothing changed.
    Faulted,
}

names!(Verdict, "verdict", Accepted = "accepted", Rejected = "rejected", Faulted = "faulted");

/// One entry. Texts are canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The last decision's number, this one's own where it is [`Kind::Decided`]; 0 before the first.
    pub sequence: u64,
    /// 0 for the decision itself, then 1, 2, … for what followed it.
    pub ordinal: u32,
    /// What happened.
    pub kind: Kind,
    /// Generation of the release in force.
    pub release: u64,
    /// The decision's `now`, or the entity's latest, in microseconds.
    pub now: u64,
    /// The event's id, or that of the intent that led here.
    pub event_id: Arc<str>,
    /// Carried through from the first event.
    pub correlation_id: Arc<str>,
    /// What was decided on (decided), or what it is about (other kinds).
    pub input: Box<[u8]>,
    /// Only for [`Kind::Decided`].
    pub verdict: Option<Verdict>,
    /// The state that an accepted decision or a migration left.
    pub state: Option<Box<[u8]>>,
    /// Intents, rejection or fault of a decision; the result of a conclusion; the [`super::Warrant`] of an operator's
    /// act; else empty.
    pub output: Box<[u8]>,
    /// SHA-256 of the event's original bytes, where an event led here.
    pub event_hash: Option<EntryHash>,
}

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> EntryHash {
    Sha256::digest(bytes).into()
}

/// `bytes` in lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Hashes of what an entry holds, as its own hash takes them in: they are enough to check the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payloads {
    /// Of the input.
    pub input: EntryHash,
    /// Of the state, where there is one.
    pub state: Option<EntryHash>,
    /// Of the output.
    pub output: EntryHash,
}

impl Entry {
    /// Hashes of what it holds.
    #[must_use]
    pub fn payloads(&self) -> Payloads {
        Payloads { input: sha256(&self.input), state: self.state.as_deref().map(sha256), output: sha256(&self.output) }
    }

    /// The entry's hash after `previous`, under the semantic profile and engine build that `profile` names.
    ///
    /// Input, state, output and event bytes enter by their own hashes, so that any of them can be erased from the
    /// store and the chain still be checked against the hash that is kept.
    #[must_use]
    pub fn hash(&self, previous: &EntryHash, workflow: &str, entity: &str, profile: &str) -> EntryHash {
        self.hash_over(&self.payloads(), previous, workflow, entity, profile)
    }

    /// As [`Entry::hash`], where `payloads` says what it held: some of it may be erased.
    #[must_use]
    pub fn hash_over(&self, payloads: &Payloads, previous: &EntryHash, workflow: &str, entity: &str, profile: &str) -> EntryHash {
        let mut hasher = Sha256::new();
        hasher.update(b"purefold entry 1");
        hasher.update(previous);
        for text in [workflow, entity, profile, &self.event_id, &self.correlation_id] {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text.as_bytes());
        }
        hasher.update(self.sequence.to_be_bytes());
        hasher.update(self.ordinal.to_be_bytes());
        hasher.update([self.kind as u8, self.verdict.map_or(0, |verdict| verdict as u8 + 1)]);
        hasher.update(self.release.to_be_bytes());
        hasher.update(self.now.to_be_bytes());
        hasher.update(payloads.input);
        for part in [payloads.state, Some(payloads.output), self.event_hash] {
            hasher.update([u8::from(part.is_some())]);
            hasher.update(part.unwrap_or_default());
        }
        hasher.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            sequence: 1,
            ordinal: 0,
            kind: Kind::Decided,
            release: 1,
            now: 5,
            event_id: "e".into(),
            correlation_id: "c".into(),
            input: (*b"{}").into(),
            verdict: Some(Verdict::Accepted),
            state: Some((*b"{}").into()),
            output: (*b"[]").into(),
            event_hash: Some([7; 32]),
        }
    }

    #[test]
    fn what_is_erased_leaves_the_hash() {
        let whole = entry();
        let erased = Entry { input: Box::default(), state: None, output: Box::default(), ..entry() };
        let hash = erased.hash_over(&whole.payloads(), &[0; 32], "w", "k", "p");
        assert_eq!(hash, whole.hash(&[0; 32], "w", "k", "p"));
        assert_ne!(hash, erased.hash(&[0; 32], "w", "k", "p"));
    }

    #[test]
    fn every_field_changes_the_hash() {
        let hash = |entry: &Entry| entry.hash(&[0; 32], "w", "k", "p");
        let original = hash(&entry());
        let changes: [fn(&mut Entry); 12] = [
            |e| e.sequence = 2,
            |e| e.ordinal = 1,
            |e| e.kind = Kind::Concluded,
            |e| e.release = 2,
            |e| e.now = 6,
            |e| e.event_id = "f".into(),
            |e| e.correlation_id = "d".into(),
            |e| e.input = (*b"[]").into(),
            |e| e.verdict = None,
            |e| e.state = None,
            |e| e.output = (*b"{}").into(),
            |e| e.event_hash = None,
        ];
        for change in changes {
            let mut changed = entry();
            change(&mut changed);
            assert_ne!(hash(&changed), original, "{changed:?}");
        }
        assert_ne!(entry().hash(&[1; 32], "w", "k", "p"), original);
        assert_ne!(entry().hash(&[0; 32], "wk", "", "p"), original);
        assert_ne!(entry().hash(&[0; 32], "w", "k", "q"), original);
    }

    /// The bytes that every earlier version wrote must keep their meaning: this hash never changes.
    #[test]
    fn the_hash_is_what_version_1_wrote() {
        let hex: String = entry().hash(&[0; 32], "w", "k", "p").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "94b0484be63d98aafa92bcfa5474655fe6897a688d63a8afc431c5871c768b37");
    }
}
