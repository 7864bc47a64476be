//! What an error of SQLite means for the call that met it.

use rusqlite::{Error, ErrorCode};

use crate::EffectError;

/// Constraints and values that do not fit are refused for good; everything else (busy, full, unreadable, a table gone)
/// has not happened and may be mended from outside.
///
/// The texts of SQLite name tables and columns, never values.
pub(super) fn classify(error: &Error, attempted: &str) -> EffectError {
    let text = format!("{attempted}: {error}");
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig | ErrorCode::ParameterOutOfRange) => {
            EffectError::Refused(text)
        }
        _ => EffectError::NotDone { reason: text, retry_after: None },
    }
}

/// What a failed commit means. A write that failed may yet be found whole after a crash.
pub(super) fn classify_commit(error: &Error, attempted: &str) -> EffectError {
    match error.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure) => EffectError::Unknown(format!("{attempted}: {error}")),
        _ => classify(error, attempted),
    }
}
