//! What keeps the engine from going on.

use crate::sandbox::SandboxError;
use crate::source::SourceError;
use crate::store::StoreError;

/// A failure of the host. Nothing that was not committed is kept; a restart goes on from the last commit.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sandbox failed: no memory, no instance.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The source cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store holds what the workflow's types do not admit.
    #[error("the stored {what} does not fit the workflow's types: {reason}")]
    Stored {
        /// What was read.
        what: &'static str,
        /// Where it departs.
        reason: String,
    },
    /// The journal runs on another clock.
    #[error("this journal runs on the {journal} clock and cannot go on on the {asked} clock; use --clock {journal} or a new store")]
    OtherClock {
        /// The journal's.
        journal: String,
        /// The command line's.
        asked: String,
    },
    /// Virtual time orders the inputs of all entities.
    #[error("--clock event orders the inputs of all entities and needs the store for itself; stop the other hosts, or use --clock arrival")]
    SharedVirtualTime,
    /// An earlier release, under which intents wait to be performed, cannot be loaded.
    #[error(
        "release {generation} of {workflow} asked for intents that are not concluded, and it cannot be loaded to perform them: {reason}; give \
         it what it needs, or give these intents up with the program and the manifest that it ran with"
    )]
    PastRelease {
        /// The workflow.
        workflow: String,
        /// The release's generation.
        generation: u64,
        /// Why not.
        reason: String,
    },
    /// The engine's numbers for rows are used up.
    #[error("the row numbers of epoch {epoch} are used up; the engine goes on with a new epoch")]
    NumbersUsedUp {
        /// The epoch.
        epoch: u64,
    },
    /// The new release cannot take over.
    #[error("release {generation} of {workflow} cannot take over: {reason}")]
    Release {
        /// The workflow.
        workflow: String,
        /// The generation that would have been.
        generation: u64,
        /// Why not, and what to do.
        reason: String,
    },
    /// An effect cannot be started.
    #[error("effect {effect} cannot be started: {reason}")]
    Effect {
        /// Its name.
        effect: String,
        /// Why.
        reason: String,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread: {cause}")]
    Thread {
        /// What the system said.
        cause: std::io::Error,
    },
    /// A reducing worker ended.
    #[error("the reducing workers ended unexpectedly")]
    WorkersGone,
    /// The writer ended.
    #[error("the store's writer ended unexpectedly")]
    WriterGone,
}
