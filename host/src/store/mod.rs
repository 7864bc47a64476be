//! The journal's home: a SQLite file on one machine, or a schema in a PostgreSQL database.
//!
//! One host at a time writes it; everybody may read it meanwhile. [`Writer::commit`] takes one [`Batch`] in one transaction
//! and returns when it is durable.

#[cfg(test)]
mod alike;
mod archive;
mod batch;
mod cell;
mod change;
mod checked;
mod connection;
mod epoch;
mod erase;
mod error;
mod events;
pub(crate) mod faults;
mod forward;
mod history;
mod inspect;
mod lease;
mod load;
mod location;
mod operate;
mod pending;
mod postgres;
mod read;
mod release;
mod retain;
mod shard;
mod sqlite;
mod status;
mod tally;
mod timers;
#[cfg(test)]
pub(crate) mod trial;
pub(crate) mod value;
mod write;

pub use archive::{Carried, Filling, RowError};
pub use batch::{
    AcceptedRow, AskedRow, Batch, DeadLetterRow, DeliveryRow, EntityId, EntityRow, EntryRow, ErasedRow, ErasingRow, ForwardedRow, InboxRow,
    IntentKey, OutboxChange, OutboxRow, OutboxStatus, PauseRow, Row, Scope, SourceReset, SourceRow, TimerRow, Truncation,
};
pub use cell::{CarriedRow, Cell};
pub use checked::{CheckedHead, CheckedHeads};
pub use epoch::Numbers;
pub use erase::Erased;
pub use error::{Outlook, StoreError};
pub use events::DeadLetter;
pub use history::ReadEntry;
pub use inspect::{Chain, Ended, Link, Orphan, OutboxLine, Snapshot, Standing, WaitingInput};
pub use lease::{HostRow, Ownership};
pub use load::Loaded;
pub use location::{Location, Place};
pub use operate::{CommandRow, Question};
pub use pending::HeldState;
pub use read::{OutstandingRow, Reader, StoredEntry};
pub use release::{NewRelease, Release, TakenUp};
pub use retain::{Aged, Chained, Checkpoint, Protection};
pub(crate) use shard::murmur2;
pub use shard::{SHARDS, ShardSet, shard_of};
pub use status::Standings;
pub(crate) use status::{NO_SOURCE, STREAM};
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
    /// Nothing: each commit asks whether its epoch is in force.
    #[cfg(test)]
    Epochs,
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
                let (ownership, session) = postgres::open(place, id.unwrap_or(random), true)?;
                let journal = journal_id(&Connection::Postgres(session))?;
                (location.clone(), Hold::Postgres(ownership), journal)
            }
        };
        Store::with(location, hold, journal, id)
    }

    /// Opens the store at `location` as one of the hosts that share it, each engine of which commits under an epoch of its own.
    ///
    /// # Errors
    /// As [`Store::open`]; also where somebody has it alone, or it is one that cannot be shared.
    pub fn join(location: &Location, id: Option<(u64, u64)>, random: (u64, u64)) -> Result<Self, StoreError> {
        let (hold, journal) = match location {
            #[cfg(not(test))]
            Location::Sqlite(_) => return Err(StoreError::Taken { store: location.to_string() }),
            // Hosts on one thread can share a file: that is what simulations do.
            #[cfg(test)]
            Location::Sqlite(path) => {
                let connection = sqlite::open_shared(path, id.unwrap_or(random))?;
                (Hold::Epochs, journal_id(&Connection::Sqlite(connection))?)
            }
            Location::Postgres(place) => {
                let (ownership, session) = postgres::open(place, id.unwrap_or(random), false)?;
                (Hold::Postgres(ownership), journal_id(&Connection::Postgres(session))?)
            }
        };
        Store::with(location.clone(), hold, journal, id)
    }

    fn with(location: Location, hold: Hold, journal: (u64, u64), id: Option<(u64, u64)>) -> Result<Self, StoreError> {
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
                Ok(Writer::new(Connection::Postgres(session), commits))
            }
            (Location::Sqlite(path), _) => Ok(Writer::new(Connection::Sqlite(sqlite::connect(path)?), None)),
            (Location::Postgres(place), _) => Err(StoreError::Missing { store: place.to_string() }),
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

/// Whether a host has begun a journal here, or there are only its tables, made beforehand.
fn is_begun(connection: &Connection) -> Result<bool, StoreError> {
    let begun = "SELECT 1 FROM meta WHERE name = 'journal' UNION ALL SELECT 1 FROM workflows LIMIT 1";
    Ok(connection.row(begun, &[], |row| row.get::<i64>(0))?.is_some())
}

/// The id of the journal that the store holds.
fn journal_id(connection: &Connection) -> Result<(u64, u64), StoreError> {
    let text: Option<String> = connection.row("SELECT value FROM meta WHERE name = 'journal'", &[], |row| row.get(0))?;
    let text = text.ok_or_else(|| StoreError::Corrupt("the journal's id is gone from the table meta".into()))?;
    purefold_wit::uuid::parse(&text).ok_or_else(|| StoreError::Corrupt(format!("the journal's id is {text:?}")))
}
