//! Releases brought into force: the gates that one passes before, one file each, and what they come to.
//!
//! A gate looks at a [`Candidate`] and says what it found. [`gates`] lists them in their order; whoever adds one adds a file and
//! a line there.

mod checks;
mod compatible;
mod compilation;
mod compile;
mod fits;
mod report;
mod signature;
mod waiting;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use purefold_wit::Finding;

use crate::engine::EngineError;
use crate::sandbox::Sandbox;
use crate::store::{Reader, Release};
use crate::workflow::Workflow;

pub use compatible::{States, Waiting, check, takes};
pub use compile::{COMPILE_COMMAND, CompileLimits, Compiler};
pub use report::{Report, Step, Verdict};
pub use waiting::{closed_terms, compatibility};

/// A release that is to come into force.
pub struct Candidate<'a> {
    /// Where its manifest is taken to stand: relative paths start there.
    pub path: PathBuf,
    /// The manifest's text, unexpanded.
    pub manifest: String,
    /// The component's bytes.
    pub component: Arc<[u8]>,
    /// Where the component lies, with its signature beside it; none where the store had it before.
    pub lies_at: Option<PathBuf>,
    /// The store that it comes into.
    pub reader: &'a Reader,
    /// The workflow's id there.
    pub id: i64,
    /// The workflow's releases there, oldest first.
    pub releases: Vec<Release>,
    /// What compiles it.
    pub compiler: Compiler,
    /// Where it is loaded to be tried.
    pub sandbox: Sandbox,
    /// The workflow that it is, as soon as a gate has loaded it.
    pub workflow: Option<Workflow>,
}

/// What keeps a candidate from passing a gate.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// What is wrong with it.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Findings(Vec<Finding>),
    /// The gate itself failed.
    #[error(transparent)]
    Failed(#[from] EngineError),
}

/// One of the gates.
pub trait Gate {
    /// What it is called in reports.
    fn name(&self) -> &'static str;

    /// Looks at the candidate. Gives what is worth telling of it.
    ///
    /// # Errors
    /// Why it does not pass.
    fn pass(&self, candidate: &mut Candidate<'_>) -> Result<Vec<String>, Refusal>;
}

/// The gates, in their order.
#[must_use]
pub fn gates() -> Vec<Box<dyn Gate>> {
    vec![Box::new(checks::Checks), Box::new(signature::Signature), Box::new(compilation::Compilation), Box::new(fits::Compatibility)]
}

/// Has the candidate pass one gate after the other, up to the first that it does not pass. `begins` and `ends` are told of each.
///
/// # Errors
/// Where a gate itself fails.
pub fn pass(
    gates: &[Box<dyn Gate>],
    candidate: &mut Candidate<'_>,
    mut begins: impl FnMut(&'static str),
    mut ends: impl FnMut(&Step),
) -> Result<Vec<Step>, EngineError> {
    let mut steps = Vec::with_capacity(gates.len());
    for gate in gates {
        begins(gate.name());
        let began = Instant::now();
        let (verdict, told, findings) = match gate.pass(candidate) {
            Ok(told) => (Verdict::Passed, told, Vec::new()),
            Err(Refusal::Findings(findings)) => (Verdict::Refused, Vec::new(), findings),
            Err(Refusal::Failed(error)) => return Err(error),
        };
        let step = Step { gate: gate.name(), verdict, took: began.elapsed(), told, findings };
        ends(&step);
        steps.push(step);
        if verdict == Verdict::Refused {
            break;
        }
    }
    Ok(steps)
}
