//! The journal's entries: the append-only, hash-chained log of everything that changed an entity.

mod entry;
mod ids;
mod warrant;

pub use entry::{Entry, EntryHash, Kind, Payloads, UnknownName, Verdict, hex, sha256};
pub use ids::{decision_span, event_fingerprint, intent_id, letter_fingerprint, seed, trace_id};
pub use warrant::Warrant;
