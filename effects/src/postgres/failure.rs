//! What an error of PostgreSQL means for the call that met it.

use std::error::Error as _;

use deadpool_postgres::PoolError;
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::EffectError;

/// Whether the server can have done it by the time of the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The statement itself: what the server answers an error to has not happened.
    Statement,
    /// The commit of a transaction: some errors leave it open whether it stands.
    Commit,
}

/// What an error means, by its SQLSTATE where the server sent one.
///
/// What lies at the intent's values is refused. What lies at the server, the table or the rights of the role can be mended
/// from outside: it is not done, and waits.
pub(super) fn sort(error: &Error, attempted: &str, stage: Stage) -> EffectError {
    let reason = format!("{attempted}: {}", told(error));
    match error.as_db_error() {
        Some(error) => sort_by_code(error.code(), stage, reason),
        // Sent, as far as anybody knows, and not answered.
        None => EffectError::Unknown(reason),
    }
}

fn sort_by_code(code: &SqlState, stage: Stage, reason: String) -> EffectError {
    match (code.code().get(..2).unwrap_or_default(), stage) {
        _ if is_refusal(code) => EffectError::Refused(reason),
        // Connection, resources, operator intervention, system and internal errors: while committing, nobody knows.
        ("08" | "53" | "57" | "58" | "XX", Stage::Commit) => EffectError::Unknown(reason),
        _ if *code == SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN => EffectError::Unknown(reason),
        _ => EffectError::NotDone { reason, retry_after: None },
    }
}

/// Whether the intent's own values are at fault: data exceptions, constraints, checks of views, exceptions that a trigger
/// raises, rows past the limits.
pub(super) fn is_refusal(code: &SqlState) -> bool {
    matches!(code.code().get(..2), Some("21" | "22" | "23" | "44" | "54" | "P0"))
}

/// No connection: nothing was sent.
pub(super) fn not_connected(error: &PoolError, attempted: &str) -> EffectError {
    let why = match error {
        PoolError::Backend(error) => told(error),
        PoolError::PostCreateHook(deadpool_postgres::HookError::Backend(error)) => told(error),
        PoolError::Timeout(_) => "no connection in time".to_owned(),
        other => other.to_string(),
    };
    EffectError::NotDone { reason: format!("{attempted}: {why}"), retry_after: None }
}

/// What to do where the two sides do not agree on who they are.
const TLS_HELP: &str = "; have `ca` name the certificates that vouch for the server, and its certificate the host that is connected to";

/// Whether the server has no way in for who comes without TLS.
fn is_for_want_of_tls(error: &DbError) -> bool {
    *error.code() == SqlState::INVALID_AUTHORIZATION_SPECIFICATION && error.message().ends_with("no encryption")
}

fn is_of_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let Some(inner) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) else { return false };
    inner.is::<rustls::Error>()
}

/// The error in words. A server's details are left out: they repeat values.
#[must_use]
pub fn told(error: &Error) -> String {
    match error.as_db_error() {
        Some(error) => {
            let help = if is_for_want_of_tls(error) { "; ask for TLS by sslmode=require" } else { "" };
            format!("{} (SQLSTATE {}){help}", told_by_server(error), error.code().code())
        }
        None => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(inner) = cause {
                text = format!("{text}: {inner}");
                if is_of_tls(inner) {
                    text.push_str(TLS_HELP);
                }
                cause = inner.source();
            }
            text
        }
    }
}

fn told_by_server(error: &DbError) -> String {
    let message = error.message();
    if !error.code().code().starts_with("22") {
        return message.to_owned();
    }
    // `invalid input syntax for type integer: "…"` and its like end with the value.
    let bare = message.split_once(": \"").map_or(message, |(bare, _)| bare);
    match error.column() {
        Some(column) => format!("{bare}, in the column {column}"),
        None => bare.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What docs/guide/effects.md says of each class: while a statement is executed, and while committing.
    #[test]
    fn every_class_means_what_the_guide_says() {
        let kind = |code: &str, stage| match sort_by_code(&SqlState::from_code(code), stage, "why".to_owned()) {
            EffectError::Refused(_) => "refused",
            EffectError::NotDone { .. } => "not done",
            EffectError::Unknown(_) => "unknown",
            EffectError::UnreadableReply(_) => "unreadable reply",
        };
        for (code, statement, commit) in [
            // The intent's values: cardinality, data, constraints, a view's check, a limit, a trigger's exception.
            ("21000", "refused", "refused"),
            ("22003", "refused", "refused"),
            ("22P02", "refused", "refused"),
            ("23502", "refused", "refused"),
            ("23505", "refused", "refused"),
            ("44000", "refused", "refused"),
            ("54000", "refused", "refused"),
            ("P0001", "refused", "refused"),
            // A deadlock, a serialization failure, a lock; and where the server itself does not know.
            ("40001", "not done", "not done"),
            ("40P01", "not done", "not done"),
            ("40003", "unknown", "unknown"),
            ("55P03", "not done", "not done"),
            // The server, the table or the rights.
            ("28P01", "not done", "not done"),
            ("28000", "not done", "not done"),
            ("3D000", "not done", "not done"),
            ("42501", "not done", "not done"),
            ("42P01", "not done", "not done"),
            ("42703", "not done", "not done"),
            ("25006", "not done", "not done"),
            // Connection, resources, intervention, system, internal: a commit may stand.
            ("08006", "not done", "unknown"),
            ("53100", "not done", "unknown"),
            ("53200", "not done", "unknown"),
            ("53300", "not done", "unknown"),
            ("57014", "not done", "unknown"),
            ("57P01", "not done", "unknown"),
            ("57P03", "not done", "unknown"),
            ("58030", "not done", "unknown"),
            ("XX000", "not done", "unknown"),
            ("XX001", "not done", "unknown"),
        ] {
            assert_eq!((kind(code, Stage::Statement), kind(code, Stage::Commit)), (statement, commit), "{code}");
        }
    }
}
