//! What keeps a replay from being made.

use crate::engine::EngineError;
use crate::sandbox::SandboxError;
use crate::store::StoreError;

/// What keeps a replay from being made; what it finds is in its report.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The host could not decide.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A thread cannot be started or ended badly.
    #[error("a replaying thread failed")]
    Thread,
    /// A host commits all the time.
    #[error("the store changes too fast to be looked at as of one moment; try again, or verify a copy of it")]
    Restless,
    /// A release cannot decide again.
    #[error("release {generation} cannot decide again: {reason}")]
    Release {
        /// Its generation.
        generation: u64,
        /// Why not.
        reason: String,
    },
    /// The file of what was checked cannot be used.
    #[error("cannot keep in {file} what was checked: {reason}; name another file, or delete it to begin anew")]
    Progress {
        /// The file.
        file: String,
        /// Why not.
        reason: String,
    },
    /// A change of history does not fit the reducer.
    #[error("decision {sequence} cannot be changed so: {reason}")]
    Edit {
        /// The decision.
        sequence: u64,
        /// Why not.
        reason: String,
    },
}
