//! Durations as settings write them: a whole number and one unit.

use std::time::Duration;

/// Units from the smallest, in milliseconds.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It does not consist of a whole number and a known unit.
    #[error("\"{0}\" is not a duration")]
    Malformed(String),
    /// It is longer than 64 bits of milliseconds hold.
    #[error("\"{0}\" is too long a duration")]
    TooLong(String),
}

/// Reads `200ms`, `30s`, `5m`, `1h` or `1d`.
///
/// # Errors
/// A text without a number, without a unit, or too large.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let malformed = || DurationError::Malformed(text.to_owned());
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(malformed)?;
    if number.is_empty() {
        return Err(malformed());
    }
    let too_long = || DurationError::TooLong(text.to_owned());
    let number: u64 = number.parse().map_err(|_| too_long())?;
    number.checked_mul(*unit).map(Duration::from_millis).ok_or_else(too_long)
}

/// The shortest text that [`parse_duration`] reads back as `duration`, cut to milliseconds.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let (name, unit) = UNITS.iter().rev().find(|(_, unit)| millis.is_multiple_of(u128::from(*unit)) && millis > 0).unwrap_or(&UNITS[0]);
    format!("{}{name}", millis / u128::from(*unit))
}
