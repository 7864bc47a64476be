//! From what was folded to the rows of one commit.

use std::sync::Arc;
use std::time::Duration;

use purefold_effects::TraceParent;
use purefold_wit::Value;

use super::dispatch::Order;
use super::entity::{Entity, Outstanding};
use super::fold::Folded;
use super::input::{EntityName, EventInput, EventOrigin};
use super::plan::Plan;
use super::planted::{Mistake, planted};
use super::requests::{Answer, Answered, SentOn};
use super::spans::DecidedSpan;
use crate::journal::Kind;
use crate::store::{
    Batch, DeliveryRow, EntityId, EntryRow, ErasingRow, IntentKey, Numbers, OutboxChange, OutboxRow, OutboxStatus, Row, StoreError,
};

/// An intent on its way to an effect.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// Which intent.
    pub(super) key: IntentKey,
    /// The entity that asked.
    pub(super) name: EntityName,
    /// The intent.
    pub(super) intent: Outstanding,
    /// Its record.
    pub(super) payload: Arc<Value>,
    /// Indices of intents of the same decision that must have succeeded first.
    pub(super) waits: Vec<u32>,
    /// Whether an attempt of an earlier run may have done it.
    pub(super) maybe_done: bool,
    /// The span of the decision that asked, where traces are told.
    pub(super) trace: Option<TraceParent>,
}

impl Task {
    /// The task that an intent is, as long as its record is in memory.
    pub(super) fn of(key: IntentKey, name: &EntityName, intent: Outstanding, waits: Vec<u32>) -> Option<Self> {
        let payload = intent.payload.clone()?;
        Some(Task { key, name: name.clone(), intent, payload, waits, maybe_done: false, trace: None })
    }
}

/// What a commit leads to, once it is durable.
#[derive(Debug, Default)]
pub(super) struct Consequences {
    pub(super) tasks: Vec<Task>,
    pub(super) deliveries: Vec<DeliveryRow>,
    pub(super) entities: Vec<EntityName>,
    /// Journal entries of the commit, and when it was handed over.
    pub(super) entries: usize,
    pub(super) handed_over: Duration,
    pub(super) answers: Vec<Answer>,
    /// Decisions whose spans are told when they are durable.
    pub(super) decided: Vec<DecidedSpan>,
    /// What the lanes are to hear of operators' acts.
    pub(super) orders: Vec<Order>,
    /// Events of requests that were left to other hosts.
    pub(super) sent_on: Vec<SentOn>,
    /// Up to where each part of the source is decided, where that is told.
    pub(super) positions: Vec<u64>,
}

/// What the engine must know at once, commit or not.
pub(super) struct Assembled {
    pub(super) entity: Box<Entity>,
    pub(super) done: Vec<(EventOrigin, u128)>,
    pub(super) answered: Vec<Answered>,
    pub(super) dead: Vec<EventInput>,
    pub(super) concluded: usize,
}

/// Gives out the row ids of entities and entries.
#[derive(Debug)]
pub(super) struct Rows {
    /// Those that this engine may give out.
    pub(super) numbers: Numbers,
    pub(super) entity: EntityId,
    pub(super) entry: Row,
}

impl Rows {
    /// Fails where an entity's last entry was written by a younger engine: no entry of this one can follow it. The commit
    /// would find out; but what was decided on belongs to somebody else already.
    pub(super) fn may_follow(&self, head_row: Row, key: &str) -> Result<(), StoreError> {
        if head_row <= self.entry {
            return Ok(());
        }
        let epoch = Numbers::with(head_row).epoch();
        Err(StoreError::Overtaken { what: format!("entity {key:?} was decided on in epoch {epoch}") })
    }

    /// Whether the engine should go on with numbers of a new epoch.
    pub(super) fn run_out(&self) -> bool {
        self.numbers.run_out_at(self.entry.max(self.entity))
    }

    /// Adds what `folded` changed to `batch` and to the commit's `consequences`.
    pub(super) fn assemble(
        &mut self,
        plan: &Plan,
        name: &EntityName,
        folded: Folded,
        batch: &mut Batch,
        consequences: &mut Consequences,
    ) -> Assembled {
        let Folded { mut entity, .. } = folded;
        if folded.dirty && entity.row.id == 0 {
            self.entity += 1;
            entity.row.id = self.entity;
        }
        let id = entity.row.id;
        let rows = self.entries(plan, &mut entity, folded.entries, batch);
        for (at, intent) in folded.emitted {
            let key = IntentKey { entity: id, sequence: intent.sequence, index: intent.index };
            let Some(effect) = intent.terms.route(intent.case).map(|route| route.effect.clone()) else { continue };
            if !planted(Mistake::OutboxForgotten) {
                batch.outbox_added.push(OutboxRow { key, row: rows[at], effect });
            }
            let waits = waits(&entity.outstanding, &intent);
            // Concluded in the same commit: an intent it comes after had failed.
            if entity.outstanding.iter().any(|o| (o.sequence, o.index) == (intent.sequence, intent.index)) {
                consequences.tasks.extend(Task::of(key, name, intent, waits));
            }
        }
        if let Some((command, keep_state)) = folded.erasing {
            let erased = batch.entries.iter().rev().find(|entry| entry.entity == id && entry.entry.kind == Kind::Erased);
            let keep_row = entity.row.state_row.filter(|_| keep_state);
            batch.erasing.extend(erased.map(|entry| ErasingRow { entity: id, next_row: entry.previous_row, keep_row, command }));
        }
        let key = |(sequence, index)| IntentKey { entity: id, sequence, index };
        let concluded = folded.concluded.len();
        if !planted(Mistake::OutboxKept) {
            batch.outbox_removed.extend(folded.concluded.into_iter().map(key));
        }
        let change = |(sequence, index, status, attempts, reason): (u64, u32, OutboxStatus, u32, String)| OutboxChange {
            key: key((sequence, index)),
            status,
            attempts,
            reason,
        };
        batch.outbox_changed.extend(folded.changed.into_iter().map(change));
        for timer in &mut entity.timers {
            timer.entity = id;
        }
        for timer in folded.timers {
            match entity.timers.iter().find(|known| known.name == timer) {
                Some(known) => batch.timers_set.push(known.clone()),
                None => batch.timers_removed.push((id, timer)),
            }
        }
        for row in entity.inbox.iter_mut().filter(|row| row.entity == 0) {
            row.entity = id;
        }
        if !planted(Mistake::InboxForgotten) {
            batch.inbox_added.extend(folded.inbox_added.into_iter().map(|mut row| {
                row.entity = id;
                row
            }));
        }
        batch.inbox_removed.extend(folded.inbox_removed);
        batch.deliveries_removed.extend(folded.delivered);
        batch.answers.extend(folded.answers);
        consequences.orders.extend(folded.redriven.into_iter().map(|asked| Order::Redrive(name.clone(), key(asked))));
        batch.deliveries_added.extend(folded.deliveries.iter().cloned());
        consequences.deliveries.extend(folded.deliveries);
        if folded.dirty {
            batch.entities.push(entity.row.clone());
            (entity.row.expected_head_row, entity.row.expected_head) = (entity.row.head_row, entity.row.head);
            consequences.entities.push(name.clone());
        }
        Assembled { entity, done: folded.done, answered: folded.answered, dead: folded.dead, concluded }
    }

    fn entries(&mut self, plan: &Plan, entity: &mut Entity, entries: Vec<super::fold::FoldedEntry>, batch: &mut Batch) -> Vec<Row> {
        let mut rows = Vec::with_capacity(entries.len());
        for folded in entries {
            self.entry += 1;
            let row = self.entry;
            rows.push(row);
            match folded.state {
                Some(true) => entity.row.state_row = Some(row),
                Some(false) => entity.row.state_row = None,
                None => {}
            }
            batch.entries.push(EntryRow {
                row,
                entity: entity.row.id,
                previous_row: entity.row.head_row,
                profile: plan.profile_id,
                hash: folded.hash,
                entry: folded.entry,
                event: folded.event,
            });
            entity.row.head_row = row;
        }
        rows
    }
}

/// Indices of the outstanding intents of the same decision that `intent` comes after, also by way of others: where one of
/// them fails, it is known at once that this one will not be performed.
pub(super) fn waits(outstanding: &[Outstanding], intent: &Outstanding) -> Vec<u32> {
    // All of one decision are of one release.
    let after = |case: u32| intent.terms.route(case).map_or(&[][..], |route| &route.after[..]);
    let mut cases = after(intent.case).to_vec();
    if cases.is_empty() || planted(Mistake::AfterIgnored) {
        return Vec::new();
    }
    let mut waits = Vec::new();
    for other in outstanding.iter().rev().filter(|o| o.sequence == intent.sequence && o.index < intent.index) {
        if cases.contains(&other.case) {
            waits.push(other.index);
            cases.extend(after(other.case));
        }
    }
    waits
}

/// The intents of an entity that was just loaded as tasks, in order.
pub(super) fn tasks_of(name: &EntityName, entity: &Entity) -> Vec<Task> {
    let task = |intent: &Outstanding| {
        let key = IntentKey { entity: entity.row.id, sequence: intent.sequence, index: intent.index };
        let task = Task::of(key, name, intent.clone(), waits(&entity.outstanding, intent))?;
        Some(Task { maybe_done: true, ..task })
    };
    entity.outstanding.iter().filter(|intent| intent.settled.is_none()).filter_map(task).collect()
}
