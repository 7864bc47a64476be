//! What can go wrong with the store.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Whether a failure may be over later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// The same may succeed later.
    Passing,
    /// What is stored looks damaged.
    Damage,
    /// The same will fail again.
    Lasting,
}

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened or read.
    #[error("cannot open the store {}: {reason}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// There is none.
    #[error("there is no store {store}; has the workflow run yet?")]
    Missing {
        /// Where it should be.
        store: String,
    },
    /// It cannot be read where it lies.
    #[error(
        "cannot read the store {0}: its folder cannot be written, and {0}-wal holds changes that are not in the file; \
         copy both files to a folder that can be written and read them there ({reason})",
        path.display()
    )]
    Unfolded {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The lock file cannot be used.
    #[error("cannot lock the store by {}: {cause}", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Another process has the store.
    #[error("the store {store} is in use by another host; stop that one, or give this one a store of its own")]
    Taken {
        /// Where it is.
        store: String,
    },
    /// A host that shares the store runs other workflows.
    #[error(
        "the hosts that share a store run the same workflows: {host} runs {theirs} there, and this one is to run {ours}; start this one with \
         those, or when the others have ended, or give it a schema of its own"
    )]
    OtherWorkflows {
        /// One of those that are there.
        host: String,
        /// What it runs.
        theirs: String,
        /// What was asked for.
        ours: String,
    },
    /// The tables are of another version.
    #[error(
        "the store {store} has tables of version {found}, and this host knows version {known} only; go on with the purefold that made it, \
         or begin a new store"
    )]
    OtherVersion {
        /// Where it is.
        store: String,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The manifest names another journal.
    #[error("the store {store} is journal {found}; the manifest's `store.id` is {expected}")]
    OtherJournal {
        /// Where it is.
        store: String,
        /// What the manifest says.
        expected: String,
        /// What the store says.
        found: String,
    },
    /// The store is not as the engine read it: somebody else wrote it.
    #[error("{what}; nothing was committed")]
    Overtaken {
        /// What was changed, and by whom as far as that is known.
        what: String,
    },
    /// Its tables are not what is needed, and cannot be brought to it.
    #[error("the store {store} cannot be used: {reason}")]
    Unprepared {
        /// Where it is.
        store: String,
        /// What is wrong with it, and the way out.
        reason: String,
    },
    /// PostgreSQL failed.
    #[error("the store {store} failed: {reason}")]
    Postgres {
        /// Where it is.
        store: String,
        /// What the server or the system said.
        reason: String,
        /// Whether it may be over later.
        outlook: Outlook,
    },
    /// A source's position is not as the engine read it: somebody else has read on.
    #[error(
        "the position of source {source_id} was moved by somebody else (it was {expected}) between reading and committing; nothing was committed"
    )]
    PositionMoved {
        /// The source's id.
        source_id: i64,
        /// The position that the engine knew.
        expected: u64,
    },
    /// The store holds what no host wrote.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// SQLite failed. Its own causes say nothing more.
    #[error("the store failed: {0}")]
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::Sql(error)
    }
}

impl StoreError {
    pub(super) fn open(path: &Path, error: &rusqlite::Error) -> Self {
        StoreError::Open { path: path.into(), reason: error.to_string() }
    }

    /// Whether another host has overtaken this one. Nothing of the engine's is to be kept; another one can go on from the
    /// store.
    #[must_use]
    pub fn is_overtaken(&self) -> bool {
        matches!(self, StoreError::Overtaken { .. })
    }

    /// Whether the same commit may succeed later: the disk is full, fails or is busy, the server is away.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        let error = match self {
            StoreError::Postgres { outlook, .. } => return *outlook == Outlook::Passing,
            StoreError::Sql(error) => error,
            _ => return false,
        };
        matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::ReadOnly
                    | ErrorCode::CannotOpen
                    | ErrorCode::OutOfMemory
            )
        )
    }

    /// Whether the file looks damaged. A disk that cannot be read for a while looks the same: SQLite tells the I/O error of
    /// a read as damage.
    #[must_use]
    pub fn looks_like_damage(&self) -> bool {
        match self {
            StoreError::Postgres { outlook, .. } => *outlook == Outlook::Damage,
            StoreError::Sql(error) => error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt),
            _ => false,
        }
    }
}
