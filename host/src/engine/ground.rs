//! The ground that engines stand on: the store opened, and the workflows' releases brought into force.

use std::sync::Arc;

use purefold_wit::Contract;

use super::assemble::Rows;
use super::entity::Entity;
use super::plan::{EarlierRelease, Plan};
use super::{Clock, EngineError, Options};
use crate::journal::{Entry, Kind};
use crate::observe::{Decisions, Observed};
use crate::sandbox::{DecisionCodec, Sandbox};
use crate::store::{Batch, EntityRow, EntryRow, NewRelease, Numbers, Reader, Release, Store, Writer};
use crate::time::HostClock;
use crate::workflow::Workflow;

/// What engines of one process share that follow each other on a store: the lock on it stays held between them, and their
/// figures go on.
pub(super) struct Ground {
    pub(super) store: Arc<Store>,
    pub(super) plans: Vec<Arc<Plan>>,
    pub(super) observed: Arc<Observed>,
    pub(super) clock: Arc<dyn HostClock>,
}

impl Ground {
    /// Opens the store and brings `workflows` into force. `random` is a new journal's id where the manifest names none.
    pub(super) fn open(
        workflows: Vec<Workflow>,
        sandbox: &Sandbox,
        options: &Options,
        clock: Arc<dyn HostClock>,
        random: (u64, u64),
    ) -> Result<Self, EngineError> {
        assert!(!workflows.is_empty(), "an engine runs at least one workflow");
        let settings = workflows[0].manifest.store.clone();
        let open = if options.share.is_shared() { Store::join } else { Store::open };
        Ground::on(open(&settings.location, settings.id, random)?, workflows, sandbox, options, clock)
    }

    /// The same on a store that is open.
    pub(super) fn on(
        store: Store,
        workflows: Vec<Workflow>,
        sandbox: &Sandbox,
        options: &Options,
        clock: Arc<dyn HostClock>,
    ) -> Result<Self, EngineError> {
        let epoch = options.share.epoch;
        let mut writer = store.writer()?.of_epoch(epoch)?;
        let journal_clock = writer.clock(options.clock.name())?;
        if journal_clock != options.clock.name() {
            return Err(EngineError::OtherClock { journal: journal_clock, asked: options.clock.name().into() });
        }
        let reader = store.reader()?.of_epoch(epoch, &options.share.shards);
        let mut rows = Rows {
            numbers: Numbers::of(epoch),
            entity: reader.numbered_to("entities", "id")?,
            entry: reader.numbered_to("journal", "row")?,
        };
        let wall = (options.clock == Clock::Arrival).then(|| clock.wall());
        let mut plans = Vec::with_capacity(workflows.len());
        for workflow in workflows {
            let mut plan = plan(workflow, sandbox, &store, &mut writer, &reader, &mut rows, wall)?;
            plan.traces.clone_from(&options.traces);
            plans.push(Arc::new(plan));
        }
        let decisions = plans.iter().map(|plan| Decisions::new(plan.workflow.name.clone(), plan.reducer.spent().clone())).collect();
        let effects = plans.iter().flat_map(|plan| plan.effects.iter().cloned()).collect();
        let observed = Observed::new(
            clock.clone(),
            store.location().clone(),
            decisions,
            effects,
            options.traces.as_ref().map(|traces| traces.counts()),
        );
        Ok(Ground { store: Arc::new(store), plans, observed: Arc::new(observed), clock })
    }

    /// Fails where another host has put a younger release in force.
    pub(super) fn is_in_force(&self) -> Result<(), EngineError> {
        let reader = self.store.reader()?;
        for plan in &self.plans {
            let in_force = reader.releases(plan.id)?.last().map_or(0, |release| release.generation);
            if in_force != plan.release {
                return Err(EngineError::Superseded { workflow: plan.workflow.name.to_string(), in_force, ours: plan.release });
            }
        }
        Ok(())
    }
}

fn plan(
    workflow: Workflow,
    sandbox: &Sandbox,
    store: &Store,
    writer: &mut Writer,
    reader: &Reader,
    rows: &mut Rows,
    wall: Option<u64>,
) -> Result<Plan, EngineError> {
    let id = writer.workflow(&workflow.name)?;
    let releases = reader.releases(id)?;
    let mut plan = Plan::new(workflow, sandbox, id, store.journal())?;
    plan.profile_id = writer.profile(&plan.profile)?;
    plan.release = match releases.last() {
        Some(last) if is_in_force(&plan, last) => last.generation,
        last => match release(&plan, last, writer, reader, rows, wall) {
            // Another host that starts at this moment may have put the same one in force.
            Err(EngineError::Store(error)) if error.is_overtaken() => match reader.releases(id)?.last() {
                Some(last) if is_in_force(&plan, last) => last.generation,
                _ => return Err(error.into()),
            },
            released => released?,
        },
    };
    plan.earlier = earlier(&plan, sandbox, reader, &reader.releases(id)?)?;
    Ok(plan)
}

fn is_in_force(plan: &Plan, release: &Release) -> bool {
    *release.component == *plan.workflow.component_digest && *release.manifest == *plan.workflow.manifest_digest
}

/// Brings the loaded workflow into force and journals it, at the time `wall` or, without one, of the virtual clock.
fn release(
    plan: &Plan,
    last: Option<&Release>,
    writer: &mut Writer,
    reader: &Reader,
    rows: &mut Rows,
    wall: Option<u64>,
) -> Result<u64, EngineError> {
    let contract = &plan.workflow.contract;
    let release = Release {
        generation: last.map_or(0, |last| last.generation) + 1,
        component: plan.workflow.component_digest.to_string(),
        manifest: plan.workflow.manifest_digest.to_string(),
        contract: contract.fingerprint(),
        state_type: contract.state_fingerprint(),
    };
    if let Some(last) = last {
        may_take_over(plan, contract, last, &release, reader)?;
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
    let text = serde_json::json!({ "component": release.component, "generation": release.generation, "manifest": release.manifest });
    let entry = Entry {
        sequence: 0,
        ordinal: previous.ordinal + 1,
        kind: Kind::Released,
        release: release.generation,
        now: now.max(previous.now),
        event_id: "".into(),
        correlation_id: "".into(),
        input: text.to_string().into_bytes().into(),
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
    let generation = release.generation;
    batch.release = Some(NewRelease {
        workflow: plan.id,
        release,
        component: plan.workflow.component.clone(),
        manifest: plan.workflow.manifest.text.as_str().into(),
    });
    writer.commit(&batch)?;
    Ok(generation)
}

/// Whether the states, and the work under way, of the release before can go on under this one.
fn may_take_over(plan: &Plan, contract: &Contract, last: &Release, new: &Release, reader: &Reader) -> Result<(), EngineError> {
    let refuse =
        |reason: String| Err(EngineError::Release { workflow: plan.workflow.name.to_string(), generation: new.generation, reason });
    if new.state_type != last.state_type {
        match contract.migrates_from() {
            None => {
                return refuse(format!(
                    "its state's type differs from that of release {} and the component exports no `migrate`; export one, or keep the state's type",
                    last.generation
                ));
            }
            Some(from) if from != last.state_type => {
                return refuse(format!("its `migrate` takes over another type than the state of release {}", last.generation));
            }
            Some(_) => {}
        }
    }
    if new.contract != last.contract {
        let outstanding = reader.count_with_outstanding(plan.id)?;
        let waiting = reader.count_parked(plan.id)? + reader.count_resuming(plan.id)?;
        if outstanding + waiting > 0 {
            return refuse(format!(
                "its contract differs, and {outstanding} entities have intents without a conclusion and {waiting} have inputs waiting; \
                 run release {} until these are done",
                last.generation
            ));
        }
    }
    Ok(())
}

/// What is needed to read states that earlier releases wrote.
pub(crate) fn earlier(plan: &Plan, sandbox: &Sandbox, reader: &Reader, releases: &[Release]) -> Result<Vec<EarlierRelease>, EngineError> {
    let mut earlier = Vec::new();
    for release in releases.iter().filter(|release| release.generation != plan.release) {
        let (reducer, codec) = if *release.component == *plan.workflow.component_digest {
            (plan.reducer.clone(), plan.codec.clone())
        } else if releases.iter().all(|other| other.state_type == release.state_type) {
            // All of one type: nothing is ever taken over, and each can read the others' states.
            (plan.reducer.clone(), plan.codec.clone())
        } else {
            let component = reader.component(&release.component)?;
            let contract = Contract::read(&component).map_err(|findings| EngineError::Stored {
                what: "component",
                reason: findings.first().map(ToString::to_string).unwrap_or_default(),
            })?;
            let limits = *plan.reducer.limits();
            let codec = DecisionCodec::new(&contract, &limits);
            (sandbox.load(&component, Arc::new(contract), limits)?, codec)
        };
        earlier.push(EarlierRelease { generation: release.generation, reducer, codec, state_type: release.state_type.clone() });
    }
    Ok(earlier)
}
