//! Scenarios: given, when, then, for a workflow rehearsed in memory.
//!
//! A file of YAML holds one scenario in each of its documents. It is read (`read`) into acts (`act`) that a stage performs
//! (`stage`): what happens between two acts, such as deliveries and scripted answers (`script`), is the stage's matter. What
//! came of an act is held against what is expected (`expect`, `matching`) and told as text (`trace`); what was exercised is
//! counted (`coverage`).

mod act;
mod coverage;
mod decided;
mod expect;
mod fields;
mod matching;
mod play;
mod read;
mod script;
mod stage;
mod trace;
mod watch;
mod write;
mod yaml;

pub use act::{Act, Until, What, Which};
pub use coverage::Coverage;
pub use decided::{Decided, Outcome};
pub use expect::{Expected, Failure};
pub use play::{Played, play};
pub use read::{Scenario, read};
pub use script::Script;
pub use stage::{Performed, Stage, StageError};
pub use watch::{Violation, Watch};
pub use write::write;

/// The largest file of scenarios that is read.
pub const SCENARIO_BYTES_MOST: u64 = 4 << 20;

/// Why a file holds no scenarios.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Misread {
    /// From 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}
