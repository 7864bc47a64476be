//! What an error of PostgreSQL means for the store.

use purefold_effects::postgres::told;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::store::StoreError;
use crate::store::error::Outlook;

/// What `error` means. It is told with the place, never with what it was connected with.
pub(super) fn failed(store: &str, error: &Error) -> StoreError {
    StoreError::Postgres { store: store.into(), reason: told(error), outlook: outlook(error.code()) }
}

/// There is no connection, or it broke off, or no answer comes.
pub(super) fn unreachable(store: &str, reason: impl Into<String>) -> StoreError {
    StoreError::Postgres { store: store.into(), reason: reason.into(), outlook: Outlook::Passing }
}

fn outlook(code: Option<&SqlState>) -> Outlook {
    let Some(code) = code else { return Outlook::Passing };
    match (code.code().get(..2).unwrap_or_default(), code) {
        // Wrong data, constraints, programs' limits: the same statement will fail for ever.
        ("21" | "22" | "23" | "44" | "54", _) => Outlook::Lasting,
        (_, code) if *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED => Outlook::Damage,
        ("XX", _) => Outlook::Damage,
        // Connections, transactions, resources, locks, the administrator, the system underneath.
        ("08" | "40" | "53" | "55" | "57" | "58", _) => Outlook::Passing,
        // A password, a right or a database that is taken away can be given back; a standby can become the primary.
        ("28" | "3D", _) => Outlook::Passing,
        (_, code) if *code == SqlState::INSUFFICIENT_PRIVILEGE || *code == SqlState::READ_ONLY_SQL_TRANSACTION => Outlook::Passing,
        _ => Outlook::Lasting,
    }
}

/// Whether the error is the one by which a statement says that rows are not as they were expected.
pub(super) fn is_overtaken(error: &Error) -> bool {
    error.code() == Some(&SqlState::DIVISION_BY_ZERO)
}

/// Whether it is the one by which a new row meets another of the same key.
pub(super) fn is_there_already(error: &Error) -> bool {
    error.code() == Some(&SqlState::UNIQUE_VIOLATION)
}
