//! Releases made ready, away from the threads that decide: loaded, compiled, held against what waits, their effects started.

use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::Sender;
use purefold_wit::{Contract, Finding};
use tokio::runtime::Handle;

use super::EngineError;
use super::ground::is_in_force;
use super::plan::{EarlierRelease, Plan};
use super::planted::{Mistake, planted};
use super::run::Message;
use crate::deploy::{Compiler, closed_terms, compatibility};
use crate::journal::Warrant;
use crate::sandbox::{DecisionCodec, Sandbox};
use crate::store::{Reader, Release, Store, StoreError};
use crate::trace::Traces;
use crate::workflow::{Workflow, link};

/// Releases before the one in force whose terms are kept although the store has no intent of theirs: a host that is a little
/// behind may still commit some.
const KEPT_TERMS: u64 = 8;

/// Has the workflow of a release, from the path that its manifest is taken to stand at, the manifest's text and the component.
pub type Loader = dyn Fn(&Path, &str, &Arc<[u8]>) -> Result<Workflow, Vec<Finding>> + Send + Sync;

/// What readies releases of the workflows of one store.
#[derive(Clone)]
pub(super) struct Workshop {
    pub(super) store: Arc<Store>,
    pub(super) sandbox: Sandbox,
    pub(super) loader: Arc<Loader>,
    pub(super) compiler: Option<Compiler>,
    pub(super) traces: Option<Arc<Traces>>,
    /// Where effects are started on, where intents are performed.
    pub(super) runtime: Option<Handle>,
}

/// What an operator brings into force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deployment {
    /// The command's id.
    pub(super) command: i64,
    pub(super) warrant: Warrant,
    /// Digests of component and manifest, both in the store.
    pub(super) component: String,
    pub(super) manifest: String,
    /// The generation that it was judged against, where it was.
    pub(super) base: Option<u64>,
}

impl Deployment {
    /// Why it does not come into force after the release of that generation: it was judged against another one.
    pub(super) fn overtaken_by(&self, in_force: u64) -> Option<Finding> {
        let base = self.base.filter(|base| *base != in_force && !planted(Mistake::BaseUnheeded))?;
        let cause = format!("the gates held it against release {base}, and release {in_force} has come into force since");
        let help = "look at `purefold releases`, and have it pass the gates once more";
        Some(Finding::new("release-base-changed", "release", cause, help))
    }
}

/// Which release is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// One that another host has brought into force, by its generation.
    InForce(u64),
    /// A new one.
    New(Deployment),
}

/// A release to make ready.
#[derive(Clone)]
pub(super) struct Job {
    /// Index of the workflow in the host.
    pub(super) workflow: usize,
    /// The host's workflows as they are.
    pub(super) plans: Arc<Vec<Arc<Plan>>>,
    pub(super) wanted: Wanted,
}

/// A release that is ready to be taken up.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) plan: Plan,
    /// Whether it is not in the store yet.
    pub(super) is_new: bool,
}

/// What became of a [`Job`].
#[derive(Debug)]
pub(super) struct Readied {
    pub(super) workflow: usize,
    pub(super) wanted: Wanted,
    pub(super) result: Result<Ready, EngineError>,
}

/// Takes jobs and tells the engine what became of each.
pub(super) trait Readying: Send {
    /// Begins with `job`; one of a workflow at a time.
    ///
    /// # Errors
    /// Where nothing can be begun.
    fn begin(&mut self, job: Job) -> Result<(), EngineError>;
}

/// Readies each release on a thread of its own.
pub(super) struct Threads {
    pub(super) workshop: Workshop,
    pub(super) to_engine: Sender<Message>,
}

impl Readying for Threads {
    fn begin(&mut self, job: Job) -> Result<(), EngineError> {
        let (workshop, to_engine) = (self.workshop.clone(), self.to_engine.clone());
        let work = move || {
            let readied = workshop.readied(&job);
            // The engine is gone only when it ended: the next one takes up what is in force.
            let _ = to_engine.send(Message::Readied(Box::new(readied)));
        };
        let thread = std::thread::Builder::new().name("release".into()).spawn(work);
        thread.map(drop).map_err(|cause| EngineError::Thread { cause })
    }
}

impl Workshop {
    pub(super) fn readied(&self, job: &Job) -> Readied {
        let current = &job.plans[job.workflow];
        let result = match &job.wanted {
            Wanted::InForce(generation) => self.in_force(current, *generation).map(|plan| Ready { plan, is_new: false }),
            Wanted::New(deployment) => self.new_release(job, deployment),
        };
        Readied { workflow: job.workflow, wanted: job.wanted.clone(), result }
    }

    /// The workflow of `current` under the release of that generation, which the store has.
    pub(super) fn in_force(&self, current: &Plan, generation: u64) -> Result<Plan, EngineError> {
        let reader = self.store.reader()?;
        let releases = reader.releases(current.id)?;
        let release = releases.iter().find(|release| release.generation == generation);
        let release = release.ok_or_else(|| StoreError::Corrupt(format!("release {generation} is missing")))?;
        let plan = self.follow(current, &release.component, &release.manifest, generation, (&reader, &releases))?;
        self.start(&plan, current)?;
        Ok(plan)
    }

    fn new_release(&self, job: &Job, deployment: &Deployment) -> Result<Ready, EngineError> {
        let current = &job.plans[job.workflow];
        let reader = self.store.reader()?;
        let releases = reader.releases(current.id)?;
        let in_force = releases.last().map_or(0, |release| release.generation);
        let generation = in_force + 1;
        if let Some(finding) = deployment.overtaken_by(in_force) {
            return Err(refusal(&current.workflow.name, generation, &[finding]));
        }
        let plan = self.follow(current, &deployment.component, &deployment.manifest, generation, (&reader, &releases))?;
        let refused = |findings: &[Finding]| refusal(&current.workflow.name, generation, findings);
        let others = job.plans.iter().enumerate().filter(|(index, _)| *index != job.workflow).map(|(_, plan)| &plan.workflow);
        let linked = link(std::iter::once(&plan.workflow).chain(others));
        if !linked.is_empty() {
            return Err(refused(&linked));
        }
        self.start(&plan, current)?;
        // Last of all: what was asked for meanwhile is looked at too.
        let mut terms_of = |generation| {
            // Those that nothing is performed under any more are not loaded; timers may be left of them.
            plan.terms_of(generation).cloned().or_else(|_| closed_terms(&reader, &plan.workflow, &releases, generation))
        };
        let found = compatibility(&reader, plan.id, &current.terms, &mut terms_of, &plan.workflow)?;
        if !found.is_empty() {
            return Err(refused(&found));
        }
        Ok(Ready { plan, is_new: true })
    }

    /// The plan that follows `current`.
    fn follow(
        &self,
        current: &Plan,
        component: &str,
        manifest: &str,
        generation: u64,
        (reader, releases): (&Reader, &[Release]),
    ) -> Result<Plan, EngineError> {
        let name = &current.workflow.name;
        let text = reader.manifest(manifest)?;
        let component: Arc<[u8]> = if *component == *current.workflow.component_digest {
            current.workflow.component.clone()
        } else {
            let bytes = reader.component(component)?;
            let is_loaded = of_component(&current.earlier, component).is_some();
            if let Some(compiler) = self.compiler.as_ref().filter(|_| !is_loaded) {
                compiler.compile(&bytes).map_err(|reason| EngineError::Release { workflow: name.to_string(), generation, reason })?;
            }
            bytes.into()
        };
        let workflow = (self.loader)(&current.workflow.manifest.path, &text, &component);
        let workflow = workflow.map_err(|findings| refusal(name, generation, &findings))?;
        if workflow.name != *name {
            let reason = format!("its manifest calls the workflow `{}`; a release is of the workflow that it follows", workflow.name);
            return Err(EngineError::Release { workflow: name.to_string(), generation, reason });
        }
        let mut plan = Plan::new(workflow, &self.sandbox, current.id, current.journal)?;
        plan.release = generation;
        plan.profile_id = if plan.profile == current.profile { current.profile_id } else { self.store.writer()?.profile(&plan.profile)? };
        plan.traces.clone_from(&self.traces);
        plan.reducer = plan.reducer.counting_on(current.reducer.spent());
        plan.reads_since = if plan.reads_like(current) { current.reads_since } else { generation };
        if plan.timers_as.is_none() {
            plan.timers_as.clone_from(&current.timers_as);
        }
        if let Some(terms) = current.all_terms().into_iter().find(|terms| terms.hold_for(&plan.workflow)) {
            plan.share(terms);
        }
        let asked = reader.releases_outstanding(plan.id)?;
        let is_kept = |generation: u64| generation + KEPT_TERMS > current.release || asked.contains(&generation);
        let past = current.past.iter().filter(|(past, _)| *past < generation && is_kept(*past)).cloned();
        // One that was never committed is nobody's past.
        let was = |release: &Release| release.generation == current.release && is_in_force(&current.workflow, release);
        let last = releases.iter().any(was).then(|| (current.release, current.terms.clone()));
        plan.past = past.chain(last.filter(|(last, _)| *last < generation)).collect();
        // Figures and queues of effects go on.
        let effects = std::mem::replace(&mut plan.effects, current.effects.clone());
        plan.effects.extend(effects.into_iter().filter(|new| !current.effects.iter().any(|known| known.effect() == new.effect())));
        plan.earlier = earlier(&plan, &self.sandbox, reader, releases, Some(current))?;
        self.load_asked(&mut plan, reader, releases)?;
        Ok(plan)
    }

    /// Starts the effects that `current` does not have.
    fn start(&self, plan: &Plan, current: &Plan) -> Result<(), EngineError> {
        let Some(runtime) = &self.runtime else { return Ok(()) };
        let known = current.all_terms();
        let new = plan.all_terms().into_iter().filter(|terms| !known.iter().any(|known| Arc::ptr_eq(known, terms)));
        new.into_iter().try_for_each(|terms| super::start::start_terms(runtime, terms))
    }

    /// What earlier releases leave to `plan`: how to read their states, and under what their intents are performed.
    pub(super) fn complete(&self, plan: &mut Plan, reader: &Reader, releases: &[Release]) -> Result<(), EngineError> {
        plan.earlier = earlier(plan, &self.sandbox, reader, releases, None)?;
        if plan.timers_as.is_none() {
            plan.timers_as = timers_before(plan, reader, releases)?;
        }
        self.load_asked(plan, reader, releases)
    }

    /// Loads the terms of releases that have intents without a conclusion, where `plan` does not have them.
    fn load_asked(&self, plan: &mut Plan, reader: &Reader, releases: &[Release]) -> Result<(), EngineError> {
        for generation in reader.releases_outstanding(plan.id)? {
            if plan.terms_of(generation).is_ok() {
                continue;
            }
            let Some(release) = releases.iter().find(|release| release.generation == generation) else { continue };
            let (text, component) = (reader.manifest(&release.manifest)?, reader.component(&release.component)?.into());
            let workflow = (self.loader)(&plan.workflow.manifest.path, &text, &component).map_err(|findings| EngineError::PastRelease {
                workflow: plan.workflow.name.to_string(),
                generation,
                reason: told(&findings),
            })?;
            let known = plan.all_terms().into_iter().find(|terms| terms.hold_for(&workflow)).cloned();
            let terms = known.unwrap_or_else(|| {
                let codec = DecisionCodec::new(&workflow.contract, &workflow.manifest.limits());
                Arc::new(super::terms::Terms::of(&workflow, codec))
            });
            plan.add_effects(&terms);
            plan.past.push((generation, terms));
        }
        Ok(())
    }
}

/// The input case by which the timers of earlier releases come, under one that sets none.
fn timers_before(plan: &Plan, reader: &Reader, releases: &[Release]) -> Result<Option<Arc<str>>, EngineError> {
    // Hosts that are a little behind may still set some.
    let since = if reader.count_timers_of(plan.id)? > 0 { 0 } else { plan.release.saturating_sub(KEPT_TERMS) };
    let mut tried: Vec<(&str, &str)> = vec![(&plan.workflow.component_digest, &plan.workflow.manifest_digest)];
    for release in releases.iter().rev().filter(|release| (since..plan.release).contains(&release.generation)) {
        let made_of = (release.component.as_str(), release.manifest.as_str());
        if tried.contains(&made_of) {
            continue;
        }
        tried.push(made_of);
        match closed_terms(reader, &plan.workflow, releases, release.generation) {
            Ok(terms) => {
                if let Some(case) = terms.timers_as() {
                    return Ok(Some(case.into()));
                }
            }
            // A name is not worth not to start.
            Err(EngineError::PastRelease { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn of_component<'a>(earlier: &'a [EarlierRelease], component: &str) -> Option<&'a EarlierRelease> {
    earlier.iter().find(|earlier| *earlier.component == *component)
}

fn refusal(workflow: &str, generation: u64, findings: &[Finding]) -> EngineError {
    EngineError::Release { workflow: workflow.to_owned(), generation, reason: told(findings) }
}

pub(super) fn told(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What is needed to read states that earlier releases wrote. `known` may have some of it.
pub(crate) fn earlier(
    plan: &Plan,
    sandbox: &Sandbox,
    reader: &Reader,
    releases: &[Release],
    known: Option<&Plan>,
) -> Result<Vec<EarlierRelease>, EngineError> {
    let limits = *plan.reducer.limits();
    let current = plan.workflow.contract.state_fingerprint();
    // All of one type: nothing is ever taken over, and each can read the others' states.
    let all_alike = releases.iter().all(|release| release.state_type == current);
    let mut earlier: Vec<EarlierRelease> = Vec::new();
    for release in releases.iter().filter(|release| release.generation < plan.release) {
        let own = (plan.workflow.component_digest.clone(), plan.reducer.clone(), plan.codec.clone());
        let (component, reducer, codec) = if all_alike || *release.component == *plan.workflow.component_digest {
            own
        } else if let Some(same) = of_component(&earlier, &release.component)
            .or_else(|| known.and_then(|known| of_component(&known.earlier, &release.component)))
            .filter(|same| *same.reducer.limits() == limits)
        {
            (same.component.clone(), same.reducer.clone(), same.codec.clone())
        } else if let Some(known) = known
            && *known.workflow.component_digest == *release.component
            && *known.reducer.limits() == limits
        {
            (known.workflow.component_digest.clone(), known.reducer.clone(), known.codec.clone())
        } else {
            let component = reader.component(&release.component)?;
            let contract = Contract::read(&component).map_err(|findings| EngineError::Stored {
                what: "component",
                reason: findings.first().map(ToString::to_string).unwrap_or_default(),
            })?;
            let codec = DecisionCodec::new(&contract, &limits);
            (release.component.as_str().into(), sandbox.load(&component, Arc::new(contract), limits)?, codec)
        };
        let (generation, state_type) = (release.generation, release.state_type.clone());
        earlier.push(EarlierRelease { generation, component, reducer, codec, state_type });
    }
    Ok(earlier)
}
