//! The journal in PostgreSQL, as far as PostgreSQL differs.
//!
//! Callers wait for their answers; the connections are driven by a thread of their own. A connection that broke comes
//! about again when it is needed next, and what it was in the middle of fails as something that may pass.

#[cfg(test)]
mod cut;
mod dialect;
mod encode;
mod failure;
mod ownership;
mod questions;
mod schema;
mod session;
mod transaction;
mod value;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use purefold_effects::postgres::Server;
use purefold_effects::settings::Settings;

use self::questions::Questions;
use super::StoreError;

pub(super) use ownership::Ownership;
pub(super) use session::{Session, View, mapped};
pub(super) use transaction::Transaction;
pub(super) use value::value;
pub(super) use writer::Commits;

/// The schema that the tables stand in, where the settings name none.
const SCHEMA: &str = "purefold";

/// Longest name in PostgreSQL, in bytes.
const MOST_NAME_BYTES: usize = 63;

/// A database, and the schema in it. Told to people, it holds no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    server: Server,
    schema: String,
    told: String,
    questions: Questions,
}

impl Place {
    /// Reads `postgres`, `ca`, `timeout` and `schema`. What is wrong is reported.
    pub(crate) fn read(settings: &mut Settings<'_>, base: &Path) -> Option<Self> {
        let schema = settings.string("schema").unwrap_or(SCHEMA).to_owned();
        let server = Server::read(settings, base);
        if schema.len() > MOST_NAME_BYTES || schema.starts_with("pg_") || schema.contains('\0') {
            let help = format!("give it a name of at most {MOST_NAME_BYTES} bytes that does not begin with `pg_`");
            settings.report("setting-range", "schema", "is no name that PostgreSQL has for a schema of others", help);
            return None;
        }
        let server = server?;
        let told = format!("{} (schema {schema})", server.place());
        Some(Place { server, schema, told, questions: Questions::default() })
    }

    /// What an administrator executes so that a role that may neither make nor change tables can run hosts.
    #[must_use]
    pub fn script(&self) -> String {
        schema::script(self)
    }

    /// How long the question has been under way that has waited longest for its answer.
    pub(super) fn silent_for(&self) -> Option<Duration> {
        self.questions.oldest()
    }

    pub(super) fn quoted_schema(&self) -> String {
        dialect::quoted(&self.schema)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.told).finish()
    }
}

/// Takes the store, `alone` or with others that share it, with a new journal of that id where there is none.
pub(super) fn open(place: &Arc<Place>, id: (u64, u64), alone: bool) -> Result<(Arc<Ownership>, Session), StoreError> {
    let ownership = Arc::new(Ownership::take(place, id, alone)?);
    Ok((ownership, Session::connect(place)?))
}

/// A connection to commit through: of a store that is shared once an engine has its epoch.
pub(super) fn connect(place: &Arc<Place>, ownership: &Arc<Ownership>) -> Result<(Session, Option<Commits>), StoreError> {
    let session = Session::connect(place)?;
    let commits = (ownership.epoch > 0).then(|| Commits::new(&session, ownership.epoch)).transpose()?;
    Ok((session, commits))
}

/// A connection to a store that is there and of this version, beside a running host or not.
pub(super) fn open_beside(place: &Arc<Place>) -> Result<Session, StoreError> {
    let session = Session::connect(place)?;
    session.ask_for(async |open, place| schema::STEPS.check(&open.client, place).await)?;
    Ok(session)
}
