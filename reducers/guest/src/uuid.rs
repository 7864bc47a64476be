//! UUIDs without a source of randomness: made from a decision's seed, written as text.

use crate::types::Uuid;

/// A version 4 UUID whose free bits are those of `seed`, so that a replayed decision makes the same one.
///
/// A decision that needs several must make their seeds differ, for instance by counting in one half.
#[must_use]
pub const fn from_seed(seed: (u64, u64)) -> Uuid {
    let high = (seed.0 & !0xF000) | 0x4000; // version 4
    let low = (seed.1 & (u64::MAX >> 2)) | (1 << 63); // variant 10
    (high, low)
}

/// The canonical text: hyphenated, in lower case.
///
/// ```
/// assert_eq!(purefold_guest::uuid::text((0x1111_1111_1111_4111, 0x8111_1111_1111_111f)), "11111111-1111-4111-8111-11111111111f");
/// ```
#[must_use]
pub fn text(uuid: Uuid) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(36);
    for half in [uuid.0, uuid.1] {
        for digit in 0..16 {
            if matches!((text.len(), digit), (8 | 13 | 18 | 23, _)) {
                text.push('-');
            }
            text.push(char::from(DIGITS[(half >> (60 - 4 * digit) & 0xF) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_its_hyphens_and_all_digits() {
        assert_eq!(text((0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210)), "01234567-89ab-cdef-fedc-ba9876543210");
        assert_eq!(text((0, 0)), "00000000-0000-0000-0000-000000000000");
        assert_eq!(text((u64::MAX, u64::MAX)), "ffffffff-ffff-ffff-ffff-ffffffffffff");
    }

    #[test]
    fn a_uuid_from_a_seed_has_the_layout_of_version_4_and_keeps_the_other_bits() {
        assert_eq!(text(from_seed((0, 0))), "00000000-0000-4000-8000-000000000000");
        assert_eq!(text(from_seed((u64::MAX, u64::MAX))), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(from_seed((1 << 16, 7)), (1 << 16 | 0x4000, 1 << 63 | 7));
    }
}
