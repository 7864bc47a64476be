//! The ground that engines stand on: the store opened, and the workflows' releases brought into force.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::assemble::Rows;
use super::entity::Entity;
use super::plan::{Plan, Plans};
use super::planted::{Mistake, planted};
use super::ready::{Loader, Workshop, told};
use super::{Clock, EngineError, Options};
use crate::deploy::{Trust, closed_terms, compatibility, may_trust, trust_of};
use crate::journal::{Entry, Kind};
use crate::observe::{Decisions, Observed};
use crate::sandbox::Sandbox;
use crate::store::{Batch, EntityRow, EntryRow, Numbers, Reader, Release, Store, StoreError, Writer};
use crate::time::HostClock;
use crate::workflow::{Workflow, load_release, load_release_closed};

/// How often it is looked whether the store is free.
const STORE_LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// What engines of one process share that follow each other on a store: the lock on it stays held between them, and their
/// figures go on.
pub(super) struct Ground {
    pub(super) workshop: Workshop,
    /// The workflows under the releases in force.
    pub(super) plans: Plans,
    pub(super) observed: Arc<Observed>,
    pub(super) clock: Arc<dyn HostClock>,
}

/// Has releases as the process's own surroundings have them; closed, where no intent is performed.
pub(super) fn standard_loader(options: &Options) -> Arc<Loader> {
    if options.perform { Arc::new(load_release) } else { Arc::new(load_release_closed) }
}

impl Ground {
    /// Opens the store and brings `workflows` into force. `random` is a new journal's id where the manifest names none.
    pub(super) fn open(
        workflows: Vec<Workflow>,
        sandbox: &Sandbox,
        options: &Options,
        (clock, loader): (Arc<dyn HostClock>, Arc<Loader>),
        random: (u64, u64),
    ) -> Result<Self, EngineError> {
        assert!(!workflows.is_empty(), "an engine runs at least one workflow");
        let settings = workflows[0].manifest.store.clone();
        let open = if options.share.is_shared() { Store::join } else { Store::open };
        let began = clock.elapsed();
        let store = loop {
            match open(&settings.location, settings.id, random) {
                Err(StoreError::Taken { .. }) if clock.elapsed() - began < options.store_wait => std::thread::sleep(STORE_LOOK_INTERVAL),
                opened => break opened?,
            }
        };
        Ground::on(store, workflows, sandbox, options, (clock, loader))
    }

    /// The same on a store that is open.
    pub(super) fn on(
        store: Store,
        workflows: Vec<Workflow>,
        sandbox: &Sandbox,
        options: &Options,
        (clock, loader): (Arc<dyn HostClock>, Arc<Loader>),
    ) -> Result<Self, EngineError> {
        let epoch = options.share.epoch;
        let writer = store.writer()?.of_epoch(epoch)?;
        let journal_clock = writer.clock(options.clock.name())?;
        if journal_clock != options.clock.name() {
            return Err(EngineError::OtherClock { journal: journal_clock, asked: options.clock.name().into() });
        }
        let reader = store.reader()?.of_epoch(epoch, &options.share.shards);
        let rows = Rows {
            numbers: Numbers::of(epoch),
            entity: reader.numbered_to("entities", "id")?,
            entry: reader.numbered_to("journal", "row")?,
        };
        let wall = (options.clock == Clock::Arrival).then(|| clock.wall());
        let workshop = Workshop {
            store: Arc::new(store),
            sandbox: sandbox.clone(),
            loader,
            compiler: options.compiler.clone(),
            traces: options.traces.clone(),
            runtime: None,
        };
        let mut setting = Setting { workshop: &workshop, writer, reader, rows, wall, keeps_releases: options.keeps_releases };
        let plans = workflows.into_iter().map(|workflow| setting.plan(workflow).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
        let decisions = plans.iter().map(|plan| Decisions::new(plan.workflow.name.clone(), plan.reducer.spent().clone())).collect();
        let effects = plans.iter().flat_map(|plan| plan.effects.iter().cloned()).collect();
        let observed = Observed::new(
            clock.clone(),
            workshop.store.location().clone(),
            decisions,
            effects,
            options.traces.as_ref().map(|traces| traces.counts()),
        );
        Ok(Ground { workshop, plans: plans.into(), observed: Arc::new(observed), clock })
    }

    /// Takes up what other hosts have put in force since, and what they have asked for: no engine begins under another release
    /// than the store's youngest. The one before may have ended with a release that was never committed.
    pub(super) fn catch_up(&self, runtime: Option<&Handle>) -> Result<(), EngineError> {
        let reader = self.workshop.store.reader()?;
        let workshop = Workshop { runtime: runtime.cloned(), ..self.workshop.clone() };
        for (workflow, plan) in self.plans.now().iter().enumerate() {
            let releases = reader.releases(plan.id)?;
            let Some(youngest) = releases.last() else { continue };
            let goes_on = youngest.generation == plan.release && is_in_force(&plan.workflow, youngest);
            let can_perform = || -> Result<bool, EngineError> {
                Ok(reader.releases_outstanding(plan.id)?.into_iter().all(|generation| plan.terms_of(generation).is_ok()))
            };
            if (goes_on && can_perform()?) || planted(Mistake::YoungestUnheeded) {
                continue;
            }
            let plan = workshop.in_force(plan, youngest.generation)?;
            if !goes_on {
                tracing::info!(workflow = %plan.workflow.name, release = plan.release, "the engine begins under the release in force");
            }
            self.plans.put(workflow, Arc::new(plan));
        }
        Ok(())
    }
}

pub(super) fn is_in_force(workflow: &Workflow, release: &Release) -> bool {
    *release.component == *workflow.component_digest && *release.manifest == *workflow.manifest_digest
}

/// What bringing a workflow into force needs.
struct Setting<'a> {
    workshop: &'a Workshop,
    writer: Writer,
    reader: Reader,
    rows: Rows,
    /// The time; without one it is the virtual clock's.
    wall: Option<u64>,
    keeps_releases: bool,
}

impl Setting<'_> {
    fn plan(&mut self, workflow: Workflow) -> Result<Plan, EngineError> {
        let id = self.writer.workflow(&workflow.name)?;
        let releases = self.reader.releases(id)?;
        let workflow = match releases.last() {
            Some(last) if !is_in_force(&workflow, last) && self.goes_on(&workflow, &releases) && !planted(Mistake::YoungestUnheeded) => {
                self.loaded(&workflow, last)?
            }
            _ => workflow,
        };
        let mut plan = Plan::new(workflow, &self.workshop.sandbox, id, self.workshop.store.journal())?;
        plan.profile_id = self.writer.profile(&plan.profile)?;
        plan.release = match releases.last() {
            Some(last) if is_in_force(&plan.workflow, last) => last.generation,
            Some(_) if planted(Mistake::YoungestUnheeded) && releases.iter().any(|release| is_in_force(&plan.workflow, release)) => {
                releases.iter().find(|release| is_in_force(&plan.workflow, release)).map_or(0, |release| release.generation)
            }
            last => match self.release(&plan, last, &releases) {
                // Another host that starts at this moment may have put the same one in force.
                Err(EngineError::Store(error)) if error.is_overtaken() => match self.reader.releases(id)?.last() {
                    Some(last) if is_in_force(&plan.workflow, last) => last.generation,
                    _ => return Err(error.into()),
                },
                released => released?,
            },
        };
        plan.reads_since = plan.release;
        self.workshop.complete(&mut plan, &self.reader, &self.reader.releases(id)?)?;
        plan.traces.clone_from(&self.workshop.traces);
        Ok(plan)
    }

    /// Whether the release in force goes on, although the files given are others: those of an earlier release only say that
    /// nobody has put the younger one's in their place.
    fn goes_on(&self, workflow: &Workflow, releases: &[Release]) -> bool {
        let Some(earlier) = releases.iter().rev().find(|release| is_in_force(workflow, release)) else { return self.keeps_releases };
        let in_force = releases.last().map_or(0, |last| last.generation);
        if !self.keeps_releases {
            tracing::warn!(
                workflow = %workflow.name, given = earlier.generation, in_force,
                "the files given are those of an earlier release; the one in force goes on, and `purefold rollback` goes back"
            );
        }
        true
    }

    /// The workflow of a release, as the store has it.
    fn loaded(&self, given: &Workflow, release: &Release) -> Result<Workflow, EngineError> {
        let (text, component) = (self.reader.manifest(&release.manifest)?, self.reader.component(&release.component)?.into());
        (self.workshop.loader)(&given.manifest.path, &text, &component).map_err(|findings| EngineError::Release {
            workflow: given.name.to_string(),
            generation: release.generation,
            reason: told(&findings),
        })
    }

    /// Brings the loaded workflow into force and journals it.
    fn release(&mut self, plan: &Plan, last: Option<&Release>, releases: &[Release]) -> Result<u64, EngineError> {
        let Setting { writer, reader, rows, wall, .. } = self;
        let generation = last.map_or(0, |last| last.generation) + 1;
        let new = plan.released_as(generation);
        if let Some(last) = last {
            let manifest = &plan.workflow.manifest;
            let trusts = trust_of(&manifest.path, &reader.manifest(&last.manifest)?).and_then(|in_force| {
                let may = may_trust(&in_force, &Trust::from(&manifest.reducer), &manifest.text, Some(&manifest.path));
                may.map_err(|finding| vec![finding])
            });
            let mut closed = |generation: u64| closed_terms(reader, &plan.workflow, releases, generation);
            let before = closed(last.generation)?;
            let mut found = compatibility(reader, plan.id, &before, &mut closed, &plan.workflow)?;
            found.extend(trusts.err().into_iter().flatten());
            if !found.is_empty() {
                let workflow = plan.workflow.name.to_string();
                return Err(EngineError::Release { workflow, generation, reason: told(&found) });
            }
        }
        let virtual_clock = reader.workflow(&plan.workflow.name)?.map_or(0, |(_, clock)| clock);
        let now = wall.unwrap_or(virtual_clock);
        let mut batch = Batch { number: 0, ..Batch::default() };
        let before = reader.entity(plan.id, "")?;
        rows.may_follow(before.as_ref().map_or(0, |own| own.head_row), "")?;
        let previous = before.clone().unwrap_or_else(|| {
            rows.entity += 1;
            EntityRow { id: rows.entity, ..Entity::unknown(plan, "".into()).row }
        });
        let entry = Entry {
            sequence: 0,
            ordinal: previous.ordinal + 1,
            kind: Kind::Released,
            release: generation,
            now: now.max(previous.now),
            event_id: "".into(),
            correlation_id: "".into(),
            input: new.release.about().to_string().into_bytes().into(),
            verdict: None,
            state: None,
            output: Box::default(),
            event_hash: None,
        };
        let hash = entry.hash(&previous.head, &plan.workflow.name, "", &plan.profile);
        rows.entry += 1;
        let row = EntityRow { ordinal: entry.ordinal, now: entry.now, head: hash, head_row: rows.entry, ..previous.clone() };
        batch.entities.push(row);
        batch.entries.push(EntryRow {
            row: rows.entry,
            entity: previous.id,
            previous_row: previous.head_row,
            profile: plan.profile_id,
            hash,
            entry,
            event: None,
        });
        batch.releases.push(new);
        writer.commit(&batch)?;
        Ok(generation)
    }
}
