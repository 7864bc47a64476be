//! Replay: what the journal says, executed again.

mod condition;
mod derived;
mod diff;
mod releases;
mod verify;
mod whole;

pub use condition::{Condition, ConditionError};
pub use diff::{Difference, differences};
pub use verify::{Mismatch, Report, VerifyError, verify};
