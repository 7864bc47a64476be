//! Audit bundles: one workflow's history with all that is needed to execute it again, in one file.
//!
//! A bundle is a line that names the format, a zstd stream, and two lines at the end:
//!
//! ```text
//! purefold bundle 1
//! (zstd: JSON lines)
//! bytes 00000000000001234567
//! sha256 (64 digits)
//! ```
//!
//! The hash covers everything before its own line. The first of the JSON lines is the [`Head`], each later one a row of a table as the
//! store has it, `["journal", [...]]`, and the last `["end", [count of rows]]`. There are no paths of files in it. Both ways go through it
//! row by row, in memory that does not grow with it.

mod costs;
mod read;
mod write;

use std::path::PathBuf;

use crate::signing::SignatureError;
use crate::store::{RowError, StoreError};

pub use read::{Bounds, Opened, unpack};
pub use write::{Written, pack};

/// The first line.
const FORMAT: &[u8] = b"purefold bundle 1\n";

/// Bytes of the two last lines.
const TAIL_BYTES: u64 = 28 + HASH_BYTES;

/// Bytes of the last.
const HASH_BYTES: u64 = 72;

/// Longest JSON line: a component as Base64 is the largest thing that is taken anywhere.
const MOST_LINE_BYTES: u64 = 64 << 20;

/// What ends the rows.
const END: &str = "end";

/// What a bundle says of itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The workflow's name.
    pub workflow: String,
    /// The journal's id, as a UUID.
    pub journal: String,
    /// Whether it holds some of the entities only.
    pub partial: bool,
}

/// Why a bundle cannot be made or taken.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file fails.
    #[error("cannot {what} {}: {cause}", file.display())]
    File {
        /// What was done.
        what: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// It does not begin as a bundle does.
    #[error("{0} is no audit bundle of this version; `purefold export` makes one")]
    NotOne(PathBuf),
    /// Its bytes are not those that were written.
    #[error("the bundle {file} is not as it was written: {reason}; have it sent again")]
    Altered {
        /// The file.
        file: PathBuf,
        /// How that shows.
        reason: String,
    },
    /// It is whole, and what it holds cannot be taken.
    #[error("the bundle {file} cannot be taken: {reason}")]
    Unfit {
        /// The file.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// It is larger than was allowed.
    #[error("the bundle {file} unpacks to {bytes} bytes, and {most} are allowed; where that is expected, allow more by --most-gib")]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// What it says.
        bytes: u64,
        /// What may be.
        most: u64,
    },
    /// Nobody who is trusted signed it.
    #[error("the signature of the bundle {file} is worth nothing here: {reason}")]
    Signature {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: SignatureError,
    },
    /// There is no signature.
    #[error("the bundle {0} has no signature beside it, and keys were named that must have signed it; `purefold export --sign` signs")]
    Unsigned(PathBuf),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BundleError {
    /// Whether the answer is that this is not what was handed out: no failure of anything here.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        matches!(self, BundleError::Altered { .. } | BundleError::Signature { .. } | BundleError::Unsigned(_))
    }

    /// Whether another file is to be named.
    #[must_use]
    pub fn is_wrong_input(&self) -> bool {
        matches!(self, BundleError::NotOne(_) | BundleError::Unfit { .. } | BundleError::TooLarge { .. })
    }

    fn of_row(file: &std::path::Path, error: RowError) -> Self {
        match error {
            RowError::Store(error) => BundleError::Store(error),
            unfit @ RowError::Unfit { .. } => BundleError::Unfit { file: file.into(), reason: unfit.to_string() },
        }
    }
}

#[cfg(test)]
mod tests;
