//! Certificates: what was found of a component, in one text that people read and that is signed like a component.
//!
//! [`Examination`] finds it out and gives the [`Statement`]; [`demanded`] looks whether a component has one that counts. The same
//! inputs give the same bytes: what differs from day to day, such as the time, stands in the signature's comment or nowhere.

mod demand;
mod examine;
mod statement;

use purefold_wit::Finding;

use crate::deploy::Refusal;
use crate::replay::ReplayError;
use crate::sandbox::SandboxError;

pub use demand::{CERTIFICATE_SUFFIX, certificate_of, demanded};
pub use examine::{Examination, Past};
pub use statement::{Checked, ComponentPart, ContractPart, Fuzzed, History, ManifestPart, Replayed, Statement, Unreadable, Verified};

/// What keeps a component from being examined. What is found wrong with it stands in the statement.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// It does not get as far as a contract, or the manifest does not fit it: there is nothing that could be certified.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Findings(Vec<Finding>),
    /// The history is of another workflow.
    #[error("the history is of workflow {history:?}, and the manifest of {manifest:?}")]
    OtherWorkflow {
        /// Whose history it is.
        history: String,
        /// What the manifest says.
        manifest: String,
    },
    /// The history cannot be replayed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

impl From<Refusal> for ExamineError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Findings(findings) => ExamineError::Findings(findings),
            Refusal::Failed(error) => ExamineError::Replay(error),
        }
    }
}

impl From<SandboxError> for ExamineError {
    fn from(error: SandboxError) -> Self {
        ExamineError::Replay(error.into())
    }
}

impl From<crate::store::StoreError> for ExamineError {
    fn from(error: crate::store::StoreError) -> Self {
        ExamineError::Replay(error.into())
    }
}
