//! Where a store is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use super::postgres::Place;

/// Where a store is. Told to people, it holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A schema in a PostgreSQL database.
    Postgres(Arc<Place>),
}

impl Location {
    /// Whether several hosts can share it.
    #[must_use]
    pub fn can_be_shared(&self) -> bool {
        matches!(self, Location::Postgres(_))
    }

    /// How long the question has been under way that has waited longest for its answer; none where nobody waits, or waiting
    /// is not noticed, as with a file.
    #[must_use]
    pub fn silent_for(&self) -> Option<Duration> {
        match self {
            Location::Sqlite(_) => None,
            Location::Postgres(place) => place.silent_for(),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Sqlite(path) => write!(f, "{}", path.display()),
            Location::Postgres(place) => place.fmt(f),
        }
    }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        Location::Sqlite(path)
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Location::Sqlite(path.to_path_buf())
    }
}
