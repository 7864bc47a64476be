//! Finding out what a certificate says: the gates, fuzzing, and histories, one after the other.

use std::path::Path;
use std::sync::Arc;

use purefold_wit::{Case, Contract, Finding, uuid};

use super::ExamineError;
use super::statement::{Checked, ComponentPart, ContractPart, Fuzzed, History, ManifestPart, Replayed, Statement, Verified};
use crate::deploy::{self, Budget, Candidate, Compiler, Found};
use crate::fuzz::{Fuzzer, Target};
use crate::gate;
use crate::journal::{hex, sha256};
use crate::replay::{self, Lineage, ShadowReport};
use crate::sandbox::{Limits, Sandbox};
use crate::store::{Location, Reader};
use crate::workflow::{Workflow, load_release_closed};

/// A manifest: where it stands, and its text.
type Given<'a> = (&'a Path, &'a str);

/// A component that is being examined.
pub struct Examination<'a> {
    component: Arc<[u8]>,
    contract: Arc<Contract>,
    manifest: Option<Given<'a>>,
    statement: Statement,
}

/// A history to try the component on.
pub struct Past<'a> {
    /// Where it is.
    pub location: &'a Location,
    /// Whose it is.
    pub workflow: &'a str,
    /// Where the manifests of its releases are taken to stand.
    pub path: &'a Path,
    /// By how much the component may decide otherwise.
    pub budget: &'a Budget,
    /// On how many threads.
    pub threads: usize,
    /// Is told how many entries or decisions are done.
    pub progress: &'a dyn Fn(u64),
}

impl<'a> Examination<'a> {
    /// Passes the component through the first gate: purity, profile, contract, and the manifest against it where there is one. No
    /// backend is asked anything.
    ///
    /// # Errors
    /// With everything that is wrong: there is nothing to be said of a component that no sandbox takes.
    pub fn begin(component: Arc<[u8]>, manifest: Option<Given<'a>>) -> Result<Self, ExamineError> {
        let (contract, limits, about) = match manifest {
            Some((path, text)) => {
                let workflow = load_release_closed(path, text, &component).map_err(ExamineError::Findings)?;
                let about = ManifestPart { workflow: workflow.name.to_string(), sha256: workflow.manifest_digest.to_string() };
                (workflow.contract.clone(), workflow.manifest.limits(), Some(about))
            }
            None => (Arc::new(read(&component).map_err(ExamineError::Findings)?), Limits::default(), None),
        };
        let surface = gate::surface(&component);
        let sha256 = hex(&sha256(&component));
        let part = ComponentPart { sha256, bytes: component.len() as u64, imports: surface.imports, features: surface.features };
        let mut statement = Statement::of(part, contract_part(&contract), limits.semantic_profile());
        statement.manifest = about;
        statement.gates.push(Checked::new("checks", Vec::new()));
        Ok(Examination { component, contract, manifest, statement })
    }

    /// What was found so far.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// Compiles it in a process of its own, within limits. Gives whether that could be done: without it nothing more is tried.
    pub fn compile(&mut self, compiler: &Compiler) -> bool {
        let found = compiler.compile(&self.component).err();
        let compiled = found.is_none();
        self.statement.gates.push(Checked::new("compilation", found.into_iter().collect()));
        compiled
    }

    /// Feeds it with `runs` lives of entities from `seed`. `progress` is told how many are done.
    ///
    /// # Errors
    /// For the host's own failures.
    pub fn fuzz(&mut self, seed: u64, runs: u64, progress: &dyn Fn(u64)) -> Result<(), ExamineError> {
        let target = match self.manifest {
            Some((path, text)) => Target::workflow(self.load(path, text)?)?,
            None => Target::component(&self.component, &self.contract)?,
        };
        let mut fuzzer = Fuzzer::new(&target, seed);
        let mut findings = Vec::new();
        for run in 0..runs {
            for found in fuzzer.run()? {
                findings.push(format!("{} on {}: {}", found.wrong.code, target.case(&found.input), found.wrong.reason));
            }
            progress(run + 1);
        }
        let tally = fuzzer.tally();
        self.statement.gates.push(Checked::new("fuzz", findings.clone()));
        self.statement.fuzz.push(Fuzzed { seed, runs, decisions: tally.decisions, cases: tally.cases.clone(), findings });
        Ok(())
    }

    /// Tries it on a history: whether that is what it says to be, whether the component can take over from the release in force there,
    /// and what it would have decided otherwise.
    ///
    /// # Errors
    /// Where the history is of another workflow or cannot be read.
    pub fn replay(&mut self, past: &Past<'_>, compiler: &Compiler) -> Result<(), ExamineError> {
        let reader = Reader::open(past.location)?;
        let sandbox = Sandbox::new()?;
        let missing = || ExamineError::OtherWorkflow { history: past.workflow.to_owned(), manifest: self.workflow_name().to_owned() };
        if self.statement.manifest.as_ref().is_some_and(|manifest| manifest.workflow != past.workflow) {
            return Err(missing());
        }
        let (id, _) = reader.workflow(past.workflow)?.ok_or_else(missing)?;
        let releases = reader.releases(id)?;
        let release = releases.last().ok_or_else(missing)?.clone();
        let lineage = Lineage::load(&reader, &sandbox, id, past.path)?;
        let found = replay::verify(lineage.in_force()?, &sandbox, past.location, past.threads, past.progress)?;
        let tally = reader.tally(id)?.unwrap_or_default();
        let (high, low) = reader.journal()?;
        let (path, text) = match self.manifest {
            Some((path, text)) => (path, text.to_owned()),
            None => (past.path, reader.manifest(&release.manifest)?),
        };
        let mut workflow = self.load(path, &text)?;
        workflow.manifest.store.location = past.location.clone();
        let manifest = workflow.manifest_digest.to_string();
        let mismatches = (found.mismatches > 0)
            .then(|| format!("{} entries are not what they should be; `purefold verify` names them", found.mismatches));
        let mut history = History {
            workflow: past.workflow.to_owned(),
            journal: uuid::format(high, low),
            release: release.generation,
            manifest,
            entities: tally.entities.unsigned_abs(),
            entries: tally.entries.unsigned_abs(),
            heads: hex(&tally.heads),
            verified: Verified { entries: found.entries, decisions: found.decisions, mismatches: found.mismatches },
            replayed: None,
            gates: vec![Checked::new("verify", mismatches.into_iter().collect())],
        };
        let mut candidate = Candidate {
            path: path.to_path_buf(),
            manifest: text,
            component: self.component.clone(),
            lies_at: None,
            reader: &reader,
            id,
            releases,
            compiler: compiler.clone(),
            sandbox,
            budget: past.budget.clone(),
            threads: past.threads,
            progress: Box::new(past.progress),
            workflow: Some(workflow),
            trial: None,
            found: Found::default(),
        };
        let steps = deploy::pass(&deploy::gates_of_history(), &mut candidate, |_| {}, |_| {})?;
        for step in steps {
            let findings = step.findings.iter().map(ToString::to_string).collect();
            history.gates.push(Checked { gate: step.gate.to_owned(), verdict: step.verdict, findings });
            history.replayed = history.replayed.or(step.shadow.map(|shadow| replayed(&shadow, past.budget)));
        }
        self.statement.histories.push(history);
        Ok(())
    }

    /// The end of it.
    #[must_use]
    pub fn finish(self) -> Statement {
        self.statement
    }

    fn workflow_name(&self) -> &str {
        self.statement.manifest.as_ref().map_or("", |manifest| &manifest.workflow)
    }

    fn load(&self, path: &Path, text: &str) -> Result<Workflow, ExamineError> {
        load_release_closed(path, text, &self.component).map_err(ExamineError::Findings)
    }
}

fn read(component: &[u8]) -> Result<Contract, Vec<Finding>> {
    let findings = gate::inspect(component);
    if findings.is_empty() { Contract::read(component) } else { Err(findings) }
}

fn contract_part(contract: &Contract) -> ContractPart {
    let names = |cases: &[Case]| cases.iter().map(|case| case.name.kebab().to_owned()).collect();
    ContractPart {
        world: contract.world.clone(),
        fingerprint: contract.fingerprint(),
        state: contract.state_fingerprint(),
        migrates_from: contract.migrates_from(),
        downgrades_to: contract.downgrades_to(),
        inputs: names(&contract.input.cases),
        intents: names(&contract.intent.cases),
    }
}

fn replayed(found: &ShadowReport, budget: &Budget) -> Replayed {
    let ShadowReport { entities, decisions, different, expected, unfollowed, not_executed, diverged, ref kinds, .. } = *found;
    Replayed {
        entities,
        decisions,
        different,
        expected,
        diverged,
        unfollowed,
        not_executed,
        expect: budget.expected.paths().to_vec(),
        allow: budget.differing,
        kinds: kinds.0.iter().map(|(kind, seen)| (kind.clone(), seen.count)).collect(),
    }
}
