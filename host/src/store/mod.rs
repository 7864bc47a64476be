//! The journal's home: a SQLite file on one machine, or a schema in a PostgreSQL database.
//!
//! One host at a time writes it; everybody may read it meanwhile. [`Writer::commit`] takes one [`Batch`] in one transaction
//! and returns when it is durable.

#[cfg(test)]
mod alike;
mod batch;
mod change;
mod connection;
mod erase;
mod error;
pub(crate) mod faults;
mod inspect;
mod load;
mod location;
mod operate;
mod postgres;
mod read;
mod release;
mod retain;
mod sqlite;
mod status;
mod tally;
mod timers;
#[cfg(test)]
pub(crate) mod trial;
pub(crate) mod value;
mod write;

pub use batch::{
    AcceptedRow, Batch, DeadLetterRow, DeliveryRow, EntityId, EntityRow, EntryRow, ErasedRow, ErasingRow, InboxRow, IntentKey,
    OutboxChange, OutboxRow, OutboxStatus, PauseRow, Row, Scope, SourceReset, SourceRow, TimerRow, Truncation,
};
pub use erase::Erased;
pub use error::{Outlook, StoreError};
pub use inspect::{Chain, Ended, Link, Orphan, OutboxLine, Snapshot, Standing, WaitingInput};
pub use load::Loaded;
pub use location::{Location, Place};
pub use operate::{CommandRow, Question};
pub use read::{DeadLetter, OutstandingRow, Reader, StoredEntry};
pub use release::{NewRelease, Release};
pub use retain::{Aged, Chained, Checkpoint, Protection};
pub(crate) use status::NO_SOURCE;
pub use status::Standings;
pub use tally::Tally;
pub use timers::DueTimer;
pub use write::Writer;

use std::sync::Arc;

use connection::Connection;

/// A store that this process has to itself for writing.
pub struct Store {
    location: Location,
    journal: (u64, u64),
    // The store is this process's for as long as it lives.
    hold: Hold,
}

/// What keeps other hosts away.
enum Hold {
    Sqlite {
        // Held, not read: the lock goes with it.
        _lock: std::fs::File,
    },
    Postgres(Arc<postgres::Ownership>),
}

impl Store {
    /// Opens the store at `location`, made where it is missing, and keeps other hosts from it.
    ///
    /// `id` is the journal's id, where the manifest sets it; `random` is taken where a new store is to choose its own.
    ///
    /// # Errors
    /// Where another host has it, it is of another version, its id is another one, or it cannot be used.
    pub fn open(location: &Location, id: Option<(u64, u64)>, random: (u64, u64)) -> Result<Self, StoreError> {
        let (location, hold, journal) = match location {
            Location::Sqlite(path) => {
                let (path, lock, connection) = sqlite::open(path, id.unwrap_or(random))?;
                let journal = journal_id(&Connection::Sqlite(connection))?;
                (Location::Sqlite(path), Hold::Sqlite { _lock: lock }, journal)
            }
            Location::Postgres(place) => {
                let (ownership, session) = postgres::open(place, id.unwrap_or(random))?;
                let journal = journal_id(&Connection::Postgres(session))?;
                (location.clone(), Hold::Postgres(ownership), journal)
            }
        };
        if let Some(expected) = id.filter(|id| *id != journal) {
            return Err(StoreError::OtherJournal {
                store: location.to_string(),
                expected: purefold_wit::uuid::format(expected.0, expected.1),
                found: purefold_wit::uuid::format(journal.0, journal.1),
            });
        }
        Ok(Store { location, journal, hold })
    }

    /// The journal's id.
    #[must_use]
    pub fn journal(&self) -> (u64, u64) {
        self.journal
    }

    /// Where it is.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// A connection to commit through.
    ///
    /// # Errors
    /// Where the store cannot be opened.
    pub fn writer(&self) -> Result<Writer, StoreError> {
        match (&self.location, &self.hold) {
            (Location::Postgres(place), Hold::Postgres(ownership)) => {
                let (session, commits) = postgres::connect(place, ownership)?;
                Ok(Writer::new(Connection::Postgres(session), Some(commits)))
            }
            (Location::Sqlite(path), _) => Ok(Writer::new(Connection::Sqlite(sqlite::connect(path)?), None)),
            (Location::Postgres(place), Hold::Sqlite { .. }) => Err(StoreError::Missing { store: place.to_string() }),
        }
    }

    /// A connection to read through.
    ///
    /// # Errors
    /// Where the store cannot be opened.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        Reader::open(&self.location)
    }
}

/// The id of the journal that the store holds.
fn journal_id(connection: &Connection) -> Result<(u64, u64), StoreError> {
    let text: Option<String> = connection.row("SELECT value FROM meta WHERE name = 'journal'", &[], |row| row.get(0))?;
    let text = text.ok_or_else(|| StoreError::Corrupt("the journal's id is gone from the table meta".into()))?;
    purefold_wit::uuid::parse(&text).ok_or_else(|| StoreError::Corrupt(format!("the journal's id is {text:?}")))
}
