//! A place in a distributed trace, as it is handed on: the `traceparent` of W3C Trace Context.

use std::fmt;

/// Length of version 00.
const LENGTH: usize = 55;

/// Bit of the flags: the one before records the trace.
const SAMPLED: u8 = 1;

/// Which span of which trace something follows from.
///
/// ```
/// use purefold_effects::TraceParent;
///
/// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let parent = TraceParent::parse(text).expect("it is well formed");
/// assert!(parent.sampled);
/// assert_eq!(parent.to_string(), text);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace; never 0.
    pub trace: u128,
    /// The span; never 0.
    pub span: u64,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

impl TraceParent {
    /// Reads a `traceparent`; none where it is not well formed. Of later versions what version 00 has is read.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let version = hex(bytes.get(..2)?)?;
        let fits = match version {
            0 => bytes.len() == LENGTH,
            0xff => false,
            _ => bytes.get(LENGTH).is_none_or(|byte| *byte == b'-'),
        };
        if !fits || bytes.len() < LENGTH || [2, 35, 52].iter().any(|at| bytes[*at] != b'-') {
            return None;
        }
        let (trace, span) = (hex(&bytes[3..35])?, u64::try_from(hex(&bytes[36..52])?).ok()?);
        let flags = u8::try_from(hex(&bytes[53..55])?).ok()?;
        (trace != 0 && span != 0).then_some(TraceParent { trace, span, sampled: flags & SAMPLED != 0 })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

/// Digits in lower case, as the standard has them; up to 32.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |value: u128, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_well_formed_is_read() {
        for (text, sampled) in [
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Some(true)),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", Some(false)),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03", Some(true)),
            ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", Some(true)),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", None),
            ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more", None),
            ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None),
            ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", None),
            ("00-00000000000000000000000000000000-b7ad6b7169203331-01", None),
            ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", None),
            ("00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01", None),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", None),
            ("00-0af7651916cd43dd8448eb211c8031\u{e4}-b7ad6b7169203331-01", None),
            ("", None),
        ] {
            assert_eq!(TraceParent::parse(text).map(|parent| parent.sampled), sampled, "{text}");
        }
    }
}
