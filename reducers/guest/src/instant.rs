//! Arithmetic of instants. Sums stop at the last instant that has a text form instead of wrapping or trapping.

use core::time::Duration;

use crate::types::Instant;

/// The last instant: 9999-12-31T23:59:59.999999Z.
pub const LAST: Instant = 253_402_300_799_999_999;

/// `duration` after `instant`, or [`LAST`] where that would be later. Fractions of a microsecond are dropped.
///
/// ```
/// use core::time::Duration;
/// use purefold_guest::instant;
///
/// assert_eq!(instant::after(1_000_000, Duration::from_secs(30)), 31_000_000);
/// assert_eq!(instant::after(instant::LAST, Duration::from_micros(1)), instant::LAST);
/// ```
#[must_use]
pub const fn after(instant: Instant, duration: Duration) -> Instant {
    let seconds = duration.as_secs().saturating_mul(1_000_000);
    let micros = seconds.saturating_add(duration.subsec_micros() as u64);
    let sum = instant.saturating_add(micros);
    if sum > LAST { LAST } else { sum }
}

/// The first instant later than `instant`: when a timer for a deadline that still counts has to fall due.
#[must_use]
pub const fn just_after(instant: Instant) -> Instant {
    after(instant, Duration::from_micros(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_stop_at_the_last_instant() {
        assert_eq!(after(0, Duration::from_nanos(1_999)), 1);
        assert_eq!(after(5, Duration::ZERO), 5);
        assert_eq!(after(LAST - 1, Duration::from_micros(1)), LAST);
        assert_eq!(after(LAST - 1, Duration::from_micros(2)), LAST);
        assert_eq!(after(LAST, Duration::MAX), LAST);
        assert_eq!(after(u64::MAX, Duration::MAX), LAST);
        assert_eq!(just_after(LAST), LAST);
        assert_eq!(just_after(41), 42);
    }
}
