//! Workflows rehearsed: entities in memory, decided for by the engine's own [`fold`], on virtual time, without a store and
//! without effects.
//!
//! Whoever rehearses plays everything around the engine: it hands in events, moves the clock and fires timers, hands
//! deliveries over, and says what became of intents. Nothing happens by itself, so that every order of things can be tried.
//! Decisions are made as a host makes them on the arrival clock: the order within an entity, `after`, `hold`, parking, the
//! machine and all limits are the engine's.
//!
//! ```no_run
//! use purefold::rehearsal::Rehearsal;
//! use purefold::sandbox::Sandbox;
//! use purefold::workflow::load_to_read;
//!
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let workflow = load_to_read("workflow.toml".as_ref()).map_err(|findings| format!("{findings:?}"))?;
//! let mut rehearsal = Rehearsal::new(vec![workflow], &Sandbox::new()?)?;
//! rehearsal.set_now(1_770_984_000_000_000);
//! let step = rehearsal.event(br#"{"specversion":"1.0","id":"1","source":"/a","type":"a","data":{}}"#)?;
//! for happened in &step.entries {
//!     println!("{}: {:?}", happened.name.key, happened.entry.verdict);
//! }
//! for asked in rehearsal.asked() {
//!     let reply = rehearsal.conclusion(&asked, r#""ok""#.as_bytes())?;
//!     rehearsal.conclude(&asked, reply)?;
//! }
//! # Ok(())
//! # }
//! ```
//! A copy of a [`Rehearsal`] is cheap: entities are shared until one of the copies decides for them.

mod asked;
mod due;
mod reply;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use purefold_wit::{DecodeError, UnknownFields, Value};

use crate::engine::{Entity, EntityName, EventInput, EventOrigin, Folded, Ids, Line, Moment, Pending, Plan, Spot, fold, key};
use crate::journal::{Entry, event_fingerprint, sha256};
use crate::sandbox::{Sandbox, SandboxError};
use crate::source::{Decoder, Undecodable};
use crate::store::{DeliveryRow, TimerRow};
use crate::workflow::Workflow;

pub use asked::{Asked, Standing};
pub use due::Due;
pub use reply::{Replies, ReplyError};

/// The journal's id where the manifest has none, so that ids and seeds are the same in every rehearsal.
pub const JOURNAL: (u64, u64) = (0x7265_6865_6172_8000, 0x8000_0000_0000_0001);

/// Folds over one entity for one thing that happens: each takes many inputs of an inbox that is let go.
const MOST_FOLDS: u32 = 1_000;

/// Why a rehearsal cannot go on. What the reducer does wrong is no such reason: it is a faulted decision.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// The host's own failure.
    #[error(transparent)]
    Engine(#[from] crate::engine::EngineError),
    /// The component cannot be loaded.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// What was handed in does not fit the contract.
    #[error("{0}")]
    Misfit(#[from] DecodeError),
    /// What was handed in names nothing that is there.
    #[error("{what}: {reason}")]
    Unknown {
        /// What was handed in.
        what: &'static str,
        /// What is not there.
        reason: String,
    },
    /// Something does not come to an end.
    #[error("more than {most} {what}: the workflow does not come to rest")]
    Endless {
        /// What there are too many of.
        what: &'static str,
        /// The bound.
        most: u32,
    },
}

/// Something that would be journaled.
#[derive(Clone, Debug)]
pub struct Happened {
    /// The entity.
    pub name: EntityName,
    /// The entry: a decision, or what followed from one.
    pub entry: Entry,
}

/// What one thing that was handed in led to.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// In order.
    pub entries: Vec<Happened>,
    /// Workflows that took the event before.
    pub duplicates: u32,
    /// Why the event could not be taken.
    pub dead_letters: Vec<Undecodable>,
}

impl Step {
    /// Adds what followed.
    pub fn extend(&mut self, other: Step) {
        self.entries.extend(other.entries);
        self.duplicates += other.duplicates;
        self.dead_letters.extend(other.dead_letters);
    }
}

/// What copies of a rehearsal share for good.
struct Cast {
    plans: Vec<Arc<Plan>>,
    decoder: Decoder,
    replies: Vec<Replies>,
}

/// Workflows on a stage of their own.
#[derive(Clone)]
pub struct Rehearsal {
    cast: Arc<Cast>,
    now: u64,
    entities: BTreeMap<EntityName, Arc<Entity>>,
    deliveries: VecDeque<Arc<DeliveryRow>>,
    /// Of workflows that are not rehearsed.
    elsewhere: u64,
    accepted: Arc<HashSet<u128>>,
    /// The last delivery's, inbox row's and event's number.
    last: (i64, i64, u64),
}

impl Rehearsal {
    /// Workflows with nothing decided yet, at the beginning of 1970. All are on the journal of the first one that names one.
    ///
    /// # Errors
    /// Where a component cannot be loaded.
    pub fn new(workflows: Vec<Workflow>, sandbox: &Sandbox) -> Result<Self, RehearsalError> {
        let journal = workflows.iter().find_map(|workflow| workflow.manifest.store.id).unwrap_or(JOURNAL);
        let plans = (1..).zip(workflows).map(|(id, workflow)| Ok(Arc::new(Plan::new(workflow, sandbox, id, journal)?)));
        Ok(Rehearsal::of_plans(plans.collect::<Result<_, SandboxError>>()?))
    }

    /// As [`Rehearsal::new`], with plans that are loaded already.
    #[must_use]
    pub fn of_plans(plans: Vec<Arc<Plan>>) -> Self {
        let replies = plans.iter().map(|plan| Replies::of(plan)).collect();
        let decoder = Decoder::new(plans.clone(), false);
        Rehearsal {
            cast: Arc::new(Cast { plans, decoder, replies }),
            now: 0,
            entities: BTreeMap::new(),
            deliveries: VecDeque::new(),
            elsewhere: 0,
            accepted: Arc::default(),
            last: (0, 0, 0),
        }
    }

    /// The workflows.
    #[must_use]
    pub fn plans(&self) -> &[Arc<Plan>] {
        &self.cast.plans
    }

    /// The clock.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Moves the clock on and fires nothing: a timer that falls due meanwhile is late. It never goes back.
    pub fn set_now(&mut self, now: u64) {
        self.now = self.now.max(now);
    }

    /// An entity that something was decided for.
    #[must_use]
    pub fn entity(&self, name: &EntityName) -> Option<&Entity> {
        self.entities.get(name).map(|entity| &**entity)
    }

    /// All entities that something was decided for, by workflow and key.
    pub fn entities(&self) -> impl Iterator<Item = (&EntityName, &Entity)> {
        self.entities.iter().map(|(name, entity)| (name, &**entity))
    }

    /// Puts an entity there in a state that it is given, as if one decision had been made for it.
    ///
    /// # Errors
    /// Where the state does not fit the contract.
    pub fn put(&mut self, name: EntityName, state: &[u8], timers: &[(&str, u64)]) -> Result<(), RehearsalError> {
        let plan = self.plan(&name)?.clone();
        let mut entity = Entity::unknown(&plan, name.key.clone());
        entity.state = Some(Arc::new(plan.codec.decode_state(state)?));
        entity.row.sequence = 1;
        entity.row.now = self.now;
        entity.timers = (0..)
            .zip(timers)
            .map(|(index, (timer, due))| TimerRow {
                entity: 0,
                name: (*timer).into(),
                due: *due,
                sequence: 1,
                index,
                correlation_id: "".into(),
                waits: false,
                workflow: plan.id,
            })
            .collect();
        self.entities.insert(name, Arc::new(entity));
        Ok(())
    }

    /// Hands in an event: a CloudEvent as a source would read it. One that was taken before is a duplicate.
    ///
    /// # Errors
    /// Only for the host's own failures: what cannot be taken is told in the step.
    pub fn event(&mut self, bytes: &[u8]) -> Result<Step, RehearsalError> {
        self.last.2 += 1;
        let origin = EventOrigin::Line(Spot::of(Line(self.last.2)));
        let decoded = self.cast.decoder.clone().decode(&bytes.into(), origin, self.now);
        let mut step = Step::default();
        for (workflow, decoded) in decoded {
            match decoded {
                Err(undecodable) => step.dead_letters.push(undecodable),
                Ok((_, event)) if self.accepted.contains(&event.fingerprint) => step.duplicates += 1,
                Ok((key, event)) => {
                    Arc::make_mut(&mut self.accepted).insert(event.fingerprint);
                    let pending = Pending { events: [event].into(), ..Pending::default() };
                    step.extend(self.fold(&EntityName { workflow, key }, pending)?);
                }
            }
        }
        Ok(step)
    }

    /// Hands in an input variant without an event around it. `id` is the event's; the entity is `key`, or what the manifest's
    /// key field names.
    ///
    /// # Errors
    /// Where the input does not fit the contract, or names no entity.
    pub fn input(&mut self, workflow: usize, key: Option<&str>, id: &str, input: &[u8]) -> Result<Step, RehearsalError> {
        let plan = self.cast.plans.get(workflow).ok_or_else(|| unknown("workflow", workflow))?.clone();
        let value = plan.codec.input().decode("input", input, UnknownFields::Refuse)?;
        let key = match key {
            Some(key) => key.to_owned(),
            None => key_of(&plan, &value).ok_or_else(|| unknown("input", "it has no key field: say which entity it is for"))?,
        };
        self.last.2 += 1;
        let bytes: Arc<[u8]> = input.into();
        let event = EventInput {
            release: plan.release,
            topic: None,
            origin: EventOrigin::Line(Spot::of(Line(self.last.2))),
            id: id.into(),
            correlation_id: id.into(),
            time: self.now,
            fingerprint: event_fingerprint(&plan.workflow.name, "/rehearsal", id),
            input: value,
            hash: sha256(&bytes),
            bytes,
            incoming: None,
        };
        self.fold(&EntityName { workflow, key: key.into() }, Pending { events: [event].into(), ..Pending::default() })
    }

    /// Inputs from one entity to another that were not handed over yet, in the order of asking.
    pub fn deliveries(&self) -> impl Iterator<Item = &DeliveryRow> {
        self.deliveries.iter().map(|delivery| &**delivery)
    }

    /// How many inputs went to workflows that are not rehearsed.
    #[must_use]
    pub fn elsewhere(&self) -> u64 {
        self.elsewhere
    }

    /// Whether the delivery of that index comes next for its entity: those of one entity keep their order.
    #[must_use]
    pub fn is_next_delivery(&self, index: usize) -> bool {
        let Some(delivery) = self.deliveries.get(index) else { return false };
        !self.deliveries.iter().take(index).any(|earlier| (&earlier.workflow, &earlier.key) == (&delivery.workflow, &delivery.key))
    }

    /// Hands a delivery over: the one of that index.
    ///
    /// # Errors
    /// Where there is none, or for the host's own failures.
    pub fn deliver(&mut self, index: usize) -> Result<Step, RehearsalError> {
        let delivery = self.deliveries.remove(index).ok_or_else(|| unknown("delivery", index))?;
        let Some(workflow) = self.cast.plans.iter().position(|plan| plan.workflow.name == delivery.workflow) else {
            return Ok(Step::default());
        };
        let name = EntityName { workflow, key: delivery.key.clone() };
        self.fold(&name, Pending { deliveries: vec![Arc::unwrap_or_clone(delivery)], ..Pending::default() })
    }

    fn plan(&self, name: &EntityName) -> Result<&Arc<Plan>, RehearsalError> {
        self.cast.plans.get(name.workflow).ok_or_else(|| unknown("workflow", name.workflow))
    }

    /// Has the engine decide what waits for an entity, and keeps what came of it.
    fn fold(&mut self, name: &EntityName, mut pending: Pending) -> Result<Step, RehearsalError> {
        let plan = self.plan(name)?.clone();
        let mut step = Step::default();
        for _ in 0..MOST_FOLDS {
            let entity = match self.entities.remove(name) {
                Some(entity) => Box::new(Arc::unwrap_or_clone(entity)),
                None => Box::new(Entity::unknown(&plan, name.key.clone())),
            };
            let ids = Ids { delivery: AtomicI64::new(self.last.0), inbox: AtomicI64::new(self.last.1) };
            let folded = fold(&plan, &ids, entity, pending, Moment::Arrival { now: self.now })?;
            (self.last.0, self.last.1) = (ids.delivery.load(Ordering::Relaxed), ids.inbox.load(Ordering::Relaxed));
            let Folded { entity, pending: rest, entries, deliveries, dead, more, .. } = folded;
            self.entities.insert(name.clone(), Arc::from(entity));
            step.entries.extend(entries.into_iter().map(|folded| Happened { name: name.clone(), entry: folded.entry }));
            for delivery in deliveries {
                if self.cast.plans.iter().any(|plan| plan.workflow.name == delivery.workflow) {
                    self.deliveries.push_back(Arc::new(delivery));
                } else {
                    self.elsewhere += 1;
                }
            }
            for event in dead {
                Arc::make_mut(&mut self.accepted).remove(&event.fingerprint);
                step.dead_letters.push(Undecodable {
                    event_id: Some(event.id.to_string()),
                    code: "inbox-full",
                    path: String::new(),
                    reason: format!("entity {:?} is parked and its inbox is full", name.key),
                });
            }
            if !more {
                return Ok(step);
            }
            pending = rest;
        }
        Err(RehearsalError::Endless { what: "rounds of decisions for one entity", most: MOST_FOLDS })
    }
}

/// The entity that an input names by the manifest's key field.
#[must_use]
pub fn key_of(plan: &Plan, input: &Value) -> Option<String> {
    let Value::Variant(case, Some(record)) = input else { return None };
    let Value::Record(fields) = &**record else { return None };
    let case = plan.workflow.contract.input.cases.get(*case as usize)?;
    let Some(purefold_wit::Type::Record(shape)) = &case.payload else { return None };
    let (index, ty) = shape.field(&plan.workflow.manifest.reducer.key)?;
    key::key_text(fields.get(index)?, key::key_names(ty).as_deref())
}

fn unknown(what: &'static str, reason: impl std::fmt::Display) -> RehearsalError {
    RehearsalError::Unknown { what, reason: reason.to_string() }
}
