//! Releases brought into force: the gates that one passes before, one file each, and what they come to.
//!
//! A gate looks at a [`Candidate`] and says what it found. [`gates`] lists them in their order; whoever adds one adds a file and
//! a line there.

mod budget;
mod checks;
mod compatible;
mod compilation;
mod compile;
mod fits;
mod migration;
mod report;
mod shadow;
mod signature;
mod trust;
mod waiting;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use purefold_wit::Finding;

use crate::engine::{EngineError, Plan};
use crate::replay::{Lineage, MigrationReport, ReplayError, ShadowReport};
use crate::sandbox::Sandbox;
use crate::store::{Reader, Release, StoreError};
use crate::workflow::{Workflow, load_release_closed};

pub use budget::Budget;
pub use compatible::{States, Waiting, check, takes};
pub use compile::{COMPILE_COMMAND, CompileLimits, Compiler};
pub use report::{Report, Step, Verdict};
pub use trust::{Trust, may_trust, trust_of};
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
    /// By how much it may differ from what there is.
    pub budget: Budget,
    /// On how many threads it is tried.
    pub threads: usize,
    /// Is told how far a gate is that takes its time: decisions compared, states taken over.
    pub progress: Box<dyn Fn(u64) + 'a>,
    /// The workflow that it is, as soon as a gate has loaded it.
    pub workflow: Option<Workflow>,
    /// The candidate among the releases that decided, as soon as it is tried on history.
    pub trial: Option<Trial>,
    /// What the gate found that it passes at the moment.
    pub found: Found,
}

/// A candidate as it would decide, among the releases that decided.
pub struct Trial {
    /// These.
    pub lineage: Lineage,
    /// The candidate; it performs nothing.
    pub plan: Arc<Plan>,
}

/// What gates find that is more than a line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// What taking over the states comes to.
    pub migration: Option<MigrationReport>,
    /// What would have been decided otherwise.
    pub shadow: Option<ShadowReport>,
}

impl Candidate<'_> {
    /// Loads the releases that decided, and the candidate after them.
    ///
    /// # Errors
    /// Where one of them cannot be loaded.
    pub fn load_trial(&mut self) -> Result<(), Refusal> {
        if self.trial.is_none() {
            let lineage = Lineage::load(self.reader, &self.sandbox, self.id, &self.path)?;
            let workflow = load_release_closed(&self.path, &self.manifest, &self.component).map_err(Refusal::Findings)?;
            let plan = lineage.candidate(self.reader, &self.sandbox, workflow)?;
            self.trial = Some(Trial { lineage, plan });
        }
        Ok(())
    }
}

/// What keeps a candidate from passing a gate.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// What is wrong with it.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Findings(Vec<Finding>),
    /// The gate itself failed.
    #[error(transparent)]
    Failed(#[from] ReplayError),
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        Refusal::Failed(error.into())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Refusal::Failed(error.into())
    }
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
    let mut gates = gates_back();
    gates.push(Box::new(shadow::ShadowReplay));
    gates
}

/// The gates for what was in force before. What was decided since was decided otherwise: that is why somebody goes back.
#[must_use]
pub fn gates_back() -> Vec<Box<dyn Gate>> {
    vec![
        Box::new(checks::Checks),
        Box::new(signature::Signature),
        Box::new(compilation::Compilation),
        Box::new(fits::Compatibility),
        Box::new(migration::Migration),
    ]
}

/// The gates that look at a candidate with a history, whose workflow was loaded before.
#[must_use]
pub fn gates_of_history() -> Vec<Box<dyn Gate>> {
    vec![Box::new(fits::Compatibility), Box::new(migration::Migration), Box::new(shadow::ShadowReplay)]
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
) -> Result<Vec<Step>, ReplayError> {
    let mut steps = Vec::with_capacity(gates.len());
    for gate in gates {
        begins(gate.name());
        let began = Instant::now();
        let (verdict, told, findings) = match gate.pass(candidate) {
            Ok(told) => (Verdict::Passed, told, Vec::new()),
            Err(Refusal::Findings(findings)) => (Verdict::Refused, Vec::new(), findings),
            Err(Refusal::Failed(error)) => return Err(error),
        };
        let Found { migration, shadow } = std::mem::take(&mut candidate.found);
        let step = Step { gate: gate.name(), verdict, took: began.elapsed(), told, findings, migration, shadow };
        ends(&step);
        steps.push(step);
        if verdict == Verdict::Refused {
            break;
        }
    }
    Ok(steps)
}
