//! Instants: microseconds since the Unix epoch, as RFC 3339 text.
//!
//! The canonical form is UTC with six decimals. It is what the host writes and mostly reads, so both directions have
//! a path of plain arithmetic; every other form goes through `jiff`'s civil dates.

use jiff::civil::DateTime;

/// The last instant, `9999-12-31T23:59:59.999999Z`, in microseconds.
pub const LAST: u64 = 253_402_300_799_999_999;

/// Length of the canonical text in bytes.
pub const TEXT_LEN: usize = 27;

const MICROS_PER_SECOND: u64 = 1_000_000;
const SECONDS_PER_DAY: u64 = 86_400;

/// The canonical text as ASCII bytes, for callers that append it to a buffer; `None` past [`LAST`].
#[must_use]
pub fn text(micros: u64) -> Option<[u8; TEXT_LEN]> {
    if micros > LAST {
        return None;
    }
    let (seconds, fraction) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
    let (year, month, day) = civil_from_days(seconds / SECONDS_PER_DAY);
    let second_of_day = seconds % SECONDS_PER_DAY;
    let mut out = *b"0000-00-00T00:00:00.000000Z";
    put(&mut out[0..4], year);
    put(&mut out[5..7], month);
    put(&mut out[8..10], day);
    put(&mut out[11..13], second_of_day / 3600);
    put(&mut out[14..16], second_of_day / 60 % 60);
    put(&mut out[17..19], second_of_day % 60);
    put(&mut out[20..26], fraction);
    Some(out)
}

/// The canonical text: `2026-02-13T12:00:00.000000Z`; `None` past [`LAST`].
#[must_use]
pub fn format(micros: u64) -> Option<String> {
    text(micros).map(|text| text.map(char::from).iter().collect())
}

/// Reads an RFC 3339 text with any offset and up to six decimals, from the epoch to [`LAST`].
///
/// # Errors
/// What is wrong with the text, without the text itself: no RFC 3339 form, no such date, no offset, more than six
/// decimals, before the epoch or past the last instant. A leap second (`:60`) is no instant and is refused.
pub fn parse(text: &str) -> Result<u64, String> {
    canonical(text.as_bytes()).map_or_else(|| general(text), Ok)
}

/// The canonical form by plain arithmetic; `None` leaves the text to [`general`], which also says what is wrong.
fn canonical(text: &[u8]) -> Option<u64> {
    let text: &[u8; TEXT_LEN] = text.try_into().ok()?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (26, b'Z')];
    if separators.iter().any(|&(at, byte)| text[at] != byte) {
        return None;
    }
    let (year, month, day) = (number(&text[0..4])?, number(&text[5..7])?, number(&text[8..10])?);
    let (hour, minute, second) = (number(&text[11..13])?, number(&text[14..16])?, number(&text[17..19])?);
    let fraction = number(&text[20..26])?;
    // Days after the 28th depend on the month; the few dates that have them may take the general path.
    let plain = year >= 1970 && (1..=12).contains(&month) && (1..=28).contains(&day) && hour < 24 && minute < 60 && second < 60;
    plain.then(|| {
        let seconds = days_from_civil(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
        seconds * MICROS_PER_SECOND + fraction
    })
}

/// Every admitted form, by `jiff`. The shape is checked here because `jiff` reads much that is no RFC 3339.
fn general(text: &str) -> Result<u64, String> {
    const FORM: &str = "not an RFC 3339 time such as 2026-02-13T12:00:00.000000Z";
    let bytes = text.as_bytes();
    let date_time = bytes.get(..19).ok_or(FORM)?;
    let shaped = date_time.iter().enumerate().all(|(at, &byte)| match at {
        4 | 7 => byte == b'-',
        10 => matches!(byte, b'T' | b't'),
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    });
    if !shaped {
        return Err(FORM.into());
    }
    let (fraction, offset) = fraction(&bytes[19..])?;
    let offset_seconds = offset_seconds(offset)?;
    if &date_time[17..19] == b"60" {
        return Err("a leap second is not an instant".into());
    }
    // The first 19 bytes are ASCII, so this slice ends at a character.
    let date_time: DateTime = text[..19].to_ascii_uppercase().parse().map_err(|_| "no such date or time of day".to_owned())?;
    let seconds = date_time.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).as_secs() - offset_seconds;
    let seconds = u64::try_from(seconds).map_err(|_| "before 1970-01-01T00:00:00Z")?;
    let micros = seconds * MICROS_PER_SECOND + fraction;
    if micros > LAST { Err("past 9999-12-31T23:59:59.999999Z".into()) } else { Ok(micros) }
}

/// The microseconds of an optional `.digits` at the start of `rest`, and what follows it.
fn fraction(rest: &[u8]) -> Result<(u64, &[u8]), String> {
    let Some(rest) = rest.strip_prefix(b".") else { return Ok((0, rest)) };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match digits {
        0 => Err("no digit after the decimal point".into()),
        1..=6 => {
            let (digits, rest) = rest.split_at(digits);
            let scale = [100_000, 10_000, 1_000, 100, 10, 1][digits.len() - 1];
            Ok((number(digits).unwrap_or(0) * scale, rest))
        }
        _ => Err("more than six decimals".into()),
    }
}

/// The seconds that `Z` or `±HH:MM` is ahead of UTC.
fn offset_seconds(offset: &[u8]) -> Result<i64, String> {
    match offset {
        b"Z" | b"z" => Ok(0),
        b"" => Err("no offset from UTC at its end: Z or ±HH:MM".into()),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[*h1, *h2]).unwrap_or(24), number(&[*m1, *m2]).unwrap_or(60));
            if hours > 23 || minutes > 59 {
                return Err("an offset that is not within ±23:59".into());
            }
            let seconds = (hours * 3600 + minutes * 60).cast_signed();
            Ok(if *sign == b'+' { seconds } else { -seconds })
        }
        _ => Err("an offset that is neither Z nor ±HH:MM".into()),
    }
}

/// Decimal digits as a number; `None` where a byte is no digit.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, &byte| byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0')))
}

/// Writes `number` right-aligned into `out`, with leading zeros.
fn put(out: &mut [u8], mut number: u64) {
    for byte in out.iter_mut().rev() {
        *byte = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of a day counted from the epoch. The years begin in March, so that leap days end them; the
/// arithmetic is Howard Hinnant's <https://howardhinnant.github.io/date_algorithms.html>, for days from the epoch on.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// The inverse of [`civil_from_days`], for years from 1970 on.
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use proptest::prelude::*;

    #[test]
    fn reads_rfc_3339_and_says_what_is_wrong_with_the_rest() {
        const FORM: &str = "not an RFC 3339 time such as 2026-02-13T12:00:00.000000Z";
        let noon = Ok(1_770_984_000_000_000);
        let cases: [(&str, Result<u64, &str>); 35] = [
            ("2026-02-13T12:00:00.000000Z", noon),
            ("2026-02-13T12:00:00Z", noon),
            ("2026-02-13t12:00:00z", noon),
            ("2026-02-13T12:00:00+00:00", noon),
            ("2026-02-13T12:00:00-00:00", noon),
            ("2026-02-13T13:30:00+01:30", noon),
            ("2026-02-12T23:00:00.0-13:00", noon),
            ("2026-02-13T12:00:00.5Z", Ok(1_770_984_000_500_000)),
            ("2026-02-13T12:00:00.000001Z", Ok(1_770_984_000_000_001)),
            ("2024-02-29T00:00:00.000000Z", Ok(1_709_164_800_000_000)),
            ("1970-01-01T00:00:00.000000Z", Ok(0)),
            ("1970-01-01T01:00:00+01:00", Ok(0)),
            ("1969-12-31T23:00:00-01:00", Ok(0)),
            ("9999-12-31T23:59:59.999999Z", Ok(LAST)),
            ("9999-12-31T22:59:59.999999-01:00", Ok(LAST)),
            ("9999-12-31T23:59:59.999999-00:01", Err("past 9999-12-31T23:59:59.999999Z")),
            ("1969-12-31T23:59:59.999999Z", Err("before 1970-01-01T00:00:00Z")),
            ("1970-01-01T00:00:00+00:01", Err("before 1970-01-01T00:00:00Z")),
            ("2026-02-13T12:00:00.0000000Z", Err("more than six decimals")),
            ("2026-02-13T12:00:00.Z", Err("no digit after the decimal point")),
            ("2026-02-13T12:00:00", Err("no offset from UTC at its end: Z or ±HH:MM")),
            ("2026-02-13T12:00:00 ", Err("an offset that is neither Z nor ±HH:MM")),
            ("2026-02-13T12:00:00+0100", Err("an offset that is neither Z nor ±HH:MM")),
            ("2026-02-13T12:00:00[UTC]", Err("an offset that is neither Z nor ±HH:MM")),
            ("2026-02-13T12:00:00+24:00", Err("an offset that is not within ±23:59")),
            ("2026-02-13T12:00:00+00:60", Err("an offset that is not within ±23:59")),
            ("2026-02-30T12:00:00Z", Err("no such date or time of day")),
            ("2025-02-29T12:00:00.000000Z", Err("no such date or time of day")),
            ("2026-02-13T24:00:00Z", Err("no such date or time of day")),
            ("2016-12-31T23:59:60Z", Err("a leap second is not an instant")),
            ("2026-02-13 12:00:00Z", Err(FORM)),
            ("2026-02-13T12:00Z", Err(FORM)),
            ("+02026-02-13T12:00:00Z", Err(FORM)),
            ("2026-02-13T12:00:0éZ", Err(FORM)),
            ("", Err(FORM)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn nothing_past_the_last_instant_has_a_text() {
        assert_eq!(format(LAST).as_deref(), Some("9999-12-31T23:59:59.999999Z"));
        assert_eq!(format(LAST + 1), None);
        assert_eq!(format(u64::MAX), None);
        assert_eq!(format(0).as_deref(), Some("1970-01-01T00:00:00.000000Z"));
    }

    #[test]
    fn every_day_of_a_whole_cycle_of_the_calendar_agrees_with_jiff() {
        let mut date = jiff::civil::date(1970, 1, 1);
        for day in 0..146_097 {
            let micros = day * SECONDS_PER_DAY * MICROS_PER_SECOND;
            let text = format(micros).unwrap();
            assert_eq!(text, format!("{date}T00:00:00.000000Z"));
            assert_eq!(parse(&text), Ok(micros));
            assert_eq!(general(&text), Ok(micros));
            date = date.tomorrow().unwrap();
        }
    }

    proptest! {
        #[test]
        fn round_trips_and_agrees_with_jiff(micros in 0..=LAST) {
            let text = format(micros).unwrap();
            prop_assert_eq!(parse(&text), Ok(micros));
            prop_assert_eq!(general(&text), Ok(micros));
            // jiff's timestamps end a little before the year does.
            if let Ok(timestamp) = Timestamp::from_microsecond(micros.cast_signed()) {
                prop_assert_eq!(text, format!("{timestamp:.6}"));
            }
        }

        #[test]
        fn reads_any_offset_as_jiff_does(micros in SECONDS_PER_DAY * MICROS_PER_SECOND..LAST - 2 * SECONDS_PER_DAY * MICROS_PER_SECOND, minutes in -1439i32..1440) {
            let timestamp = Timestamp::from_microsecond(micros.cast_signed()).unwrap();
            let offset = jiff::tz::Offset::from_seconds(minutes * 60).unwrap();
            let text = timestamp.display_with_offset(offset).to_string();
            prop_assert_eq!(parse(&text), Ok(micros), "{}", text);
        }

        #[test]
        fn never_panics(text in "[0-9TZtz:.+\\-é ]{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn agrees_with_jiff_on_mutated_texts(micros in 0..=LAST, at in 0usize..TEXT_LEN, byte in b' '..=b'~') {
            let mut bytes = text(micros).unwrap();
            bytes[at] = byte;
            let text = std::str::from_utf8(&bytes).unwrap();
            if let Ok(read) = parse(text) {
                prop_assert_eq!(general(text), Ok(read));
                if let Ok(timestamp) = text.parse::<Timestamp>() {
                    prop_assert_eq!(timestamp.as_microsecond(), read.cast_signed());
                }
            }
        }
    }
}
