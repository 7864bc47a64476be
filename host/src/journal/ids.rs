//! Ids made by hash: the same on every retry, host and replay, different between journals.

use purefold_effects::IntentId;
use sha2::{Digest, Sha256};

use super::entry::{hex, sha256};

/// Keeps the hashes of different purposes apart, and every text apart from its neighbours.
fn hash(purpose: &str, journal: (u64, u64), texts: &[&str], numbers: &[u64]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(purpose.as_bytes());
    hasher.update(journal.0.to_be_bytes());
    hasher.update(journal.1.to_be_bytes());
    for text in texts {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    }
    for number in numbers {
        hasher.update(number.to_be_bytes());
    }
    hasher.finalize().into()
}

fn halves(hash: &[u8; 32]) -> (u64, u64) {
    let mut high = [0; 8];
    let mut low = [0; 8];
    high.copy_from_slice(&hash[..8]);
    low.copy_from_slice(&hash[8..16]);
    (u64::from_be_bytes(high), u64::from_be_bytes(low))
}

/// The id of the intent at `index` of the decision `sequence`: a UUID of version 8 (RFC 9562, section 5.8) by SHA-256.
#[must_use]
pub fn intent_id(journal: (u64, u64), workflow: &str, entity: &str, sequence: u64, index: u32) -> IntentId {
    let (high, low) = halves(&hash("purefold intent", journal, &[workflow, entity], &[sequence, u64::from(index)]));
    IntentId((high & !0xf000) | 0x8000, (low & !(0b11 << 62)) | (0b10 << 62))
}

/// The entropy that the decision `sequence` may use.
#[must_use]
pub fn seed(journal: (u64, u64), workflow: &str, entity: &str, sequence: u64) -> (u64, u64) {
    halves(&hash("purefold seed", journal, &[workflow, entity], &[sequence]))
}

/// What two deliveries of one event have in common: its workflow, source and id, by the first 128 bits of SHA-256.
#[must_use]
pub fn event_fingerprint(workflow: &str, source: &str, id: &str) -> u128 {
    let (high, low) = halves(&hash("purefold event", (0, 0), &[workflow, source, id], &[]));
    (u128::from(high) << 64) | u128::from(low)
}

/// What two readings of one dead letter have in common: the workflow's id in its store, and the bytes.
#[must_use]
pub fn letter_fingerprint(workflow: i64, bytes: &[u8]) -> u128 {
    let (high, low) = halves(&hash("purefold letter", (0, 0), &[&hex(&sha256(bytes))], &[workflow.unsigned_abs()]));
    (u128::from(high) << 64) | u128::from(low)
}

/// The trace of everything that has this correlation id, where no other was handed in. Never 0.
#[must_use]
pub fn trace_id(journal: (u64, u64), correlation_id: &str) -> u128 {
    let (high, low) = halves(&hash("purefold trace", journal, &[correlation_id], &[]));
    (u128::from(high) << 64) | u128::from(low.max(1))
}

/// The span of the decision `sequence`. Never 0.
#[must_use]
pub fn decision_span(journal: (u64, u64), workflow: &str, entity: &str, sequence: u64) -> u64 {
    halves(&hash("purefold span", journal, &[workflow, entity], &[sequence])).0.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOURNAL: (u64, u64) = (1, 2);

    #[test]
    fn an_intent_id_is_a_uuid_of_version_8_and_differs_in_every_part() {
        let id = intent_id(JOURNAL, "w", "e", 1, 0);
        assert_eq!(id.to_string().as_bytes()[14], b'8');
        assert!(matches!(id.to_string().as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
        for other in [
            intent_id((1, 3), "w", "e", 1, 0),
            intent_id(JOURNAL, "we", "", 1, 0),
            intent_id(JOURNAL, "w", "f", 1, 0),
            intent_id(JOURNAL, "w", "e", 2, 0),
            intent_id(JOURNAL, "w", "e", 1, 1),
        ] {
            assert_ne!(id, other);
        }
        assert_eq!(id, intent_id(JOURNAL, "w", "e", 1, 0));
    }

    #[test]
    fn a_fingerprint_keeps_source_and_id_apart() {
        assert_ne!(event_fingerprint("w", "ab", "c"), event_fingerprint("w", "a", "bc"));
        assert_ne!(event_fingerprint("w", "a", "b"), event_fingerprint("v", "a", "b"));
    }
}
