//! UUIDs as canonical text: hyphenated, lower case when written, any case when read.

/// Length of the canonical text in bytes.
pub const TEXT_LEN: usize = 36;

/// Where the canonical text has its hyphens.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The canonical text as ASCII bytes, for callers that append it to a buffer.
#[must_use]
pub fn text(high: u64, low: u64) -> [u8; TEXT_LEN] {
    let mut out = [b'-'; TEXT_LEN];
    let mut at = 0;
    for byte in high.to_be_bytes().into_iter().chain(low.to_be_bytes()) {
        if HYPHENS.contains(&at) {
            at += 1;
        }
        out[at] = DIGITS[usize::from(byte >> 4)];
        out[at + 1] = DIGITS[usize::from(byte & 0xf)];
        at += 2;
    }
    out
}

/// The canonical text: `123e4567-e89b-12d3-a456-426614174000`.
#[must_use]
pub fn format(high: u64, low: u64) -> String {
    text(high, low).map(char::from).iter().collect()
}

/// High and low half of a hyphenated UUID in any case, of any version; `None` for every other text.
#[must_use]
pub fn parse(text: &str) -> Option<(u64, u64)> {
    let bytes: &[u8; TEXT_LEN] = text.as_bytes().try_into().ok()?;
    let mut number = 0u128;
    for (at, &byte) in bytes.iter().enumerate() {
        if HYPHENS.contains(&at) {
            if byte != b'-' {
                return None;
            }
        } else {
            number = number << 4 | u128::from(digit(byte)?);
        }
    }
    Some(((number >> 64) as u64, number as u64))
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_hyphenated_text_in_any_case_and_nothing_else() {
        let id = Some((0x123e_4567_e89b_12d3, 0xa456_4266_1417_4000));
        let cases = [
            ("123e4567-e89b-12d3-a456-426614174000", id),
            ("123E4567-E89B-12D3-A456-426614174000", id),
            ("00000000-0000-0000-0000-000000000000", Some((0, 0))),
            ("ffffffff-ffff-ffff-ffff-ffffffffffff", Some((u64::MAX, u64::MAX))),
            ("", None),
            ("123e4567e89b12d3a456426614174000", None),
            ("{123e4567-e89b-12d3-a456-426614174000}", None),
            ("urn:uuid:123e4567-e89b-12d3-a456-426614174000", None),
            ("123e4567-e89b-12d3-a456-42661417400", None),
            ("123e4567-e89b-12d3-a456-4266141740000", None),
            ("123e4567-e89b-12d3-a456-42661417400g", None),
            ("123e456-7e89b-12d3-a456-426614174000", None),
            (" 23e4567-e89b-12d3-a456-426614174000", None),
            ("+23e4567-e89b-12d3-a456-426614174000", None),
            ("é3e4567-e89b-12d3-a456-426614174000", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(high: u64, low: u64) {
            let text = format(high, low);
            prop_assert_eq!(text.len(), TEXT_LEN);
            prop_assert_eq!(parse(&text), Some((high, low)));
            prop_assert_eq!(parse(&text.to_uppercase()), Some((high, low)));
            prop_assert_eq!(text, format!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, high >> 16 & 0xffff, high & 0xffff, low >> 48, low & 0xffff_ffff_ffff));
        }

        #[test]
        fn never_panics(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}
