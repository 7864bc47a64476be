//! One step: deciding for what is ready, handing over the commit, and what follows when it is durable.

use lru::LruCache;

use super::assemble::Consequences;
use super::dispatch::Order;
use super::entity::Entity;
use super::fold::Moment;
use super::input::{EntityName, EventInput, EventOrigin};
use super::planted::{Mistake, planted};
use super::run::{MOST_ITEMS, MOST_KEPT};
use super::state::Work;
use super::workers::{Decided, Item};
use super::{Engine, EngineError};
use crate::journal::{Entry, Kind};
use crate::source::Undecodable;
use crate::store::Batch;

/// Entities that are kept in memory. Few in tests, so that they are read again.
pub(super) const MOST_CACHED: usize = if cfg!(test) { 3 } else { 10_752 };

/// An entity in memory.
pub(super) struct Cached {
    pub(super) entity: Box<Entity>,
    /// The last commit that changed it; 0 for what was read from the store.
    pub(super) batch: u64,
}

impl Engine {
    /// Decides for what is ready and hands the result to the writer.
    pub(super) fn step(&mut self) -> Result<(), EngineError> {
        if self.rows.run_out() {
            return Err(EngineError::NumbersUsedUp { epoch: self.share.epoch });
        }
        let moment =
            if self.course.event_clock { Moment::Event { bound: self.state.bound } } else { Moment::Arrival { now: self.clock.wall() } };
        let count = self.state.ready.len().min(MOST_ITEMS);
        let mut items: Vec<Item> = Vec::with_capacity(count);
        let names: Vec<EntityName> = self.state.ready.drain(..count).collect();
        for name in names {
            let mut pending = self.state.work.remove(&name).unwrap_or_default().pending;
            self.read_anew(&name, &mut pending);
            pending.hold = self.state.pauses.hold(&name);
            let cached = self.state.cache.as_mut().and_then(|cache| cache.pop(&name));
            self.state.told -= pending.conclusions.len();
            items.push((name, cached, pending));
        }
        #[cfg(test)]
        if planted(Mistake::PositionFirst) {
            self.commit_position()?;
        }
        let began = self.spans.as_ref().map_or(0, |_| self.clock.wall());
        let Decided { folded, unread, failure } = self.workers.run(&self.shared, moment, items)?;
        let ended = self.spans.as_ref().map_or(0, |_| self.clock.wall());
        self.put_back(unread);

        self.state.new_events = 0;
        let (mut decided_events, mut new_intents) = (0, 0);
        let mut faults = Vec::new();
        let mut batch = std::mem::take(&mut self.state.draft);
        let mut consequences = Consequences::default();
        if self.course.perform {
            let resumed = self.state.resumptions.drain(..);
            consequences.orders.extend(resumed.map(|(workflow, effect)| Order::Resume { workflow, effect: Some(effect) }));
        }
        self.state.last_batch += 1;
        batch.number = self.state.last_batch;
        for (name, mut folded) in folded {
            self.rows.may_follow(folded.entity.row.expected_head_row, &name.key)?;
            let [accepted, rejected, faulted] = folded.verdicts;
            self.state.summary.accepted += accepted;
            self.state.summary.rejected += rejected;
            self.state.summary.faulted += faulted;
            // An operator who has states taken over knows what fails: that is no reason to pause.
            let is_fault = |entry: &Entry| entry.kind == Kind::Parked && !entry.event_id.is_empty();
            let parked = folded.entries.iter().filter(|folded| is_fault(&folded.entry)).count();
            if parked > 0 {
                faults.push((name.workflow, parked, folded.entity.row.now));
            }
            let pending = std::mem::take(&mut folded.pending);
            self.state.told += pending.conclusions.len();
            if folded.more {
                self.state.ready.push_back(name.clone());
            }
            if folded.more || !pending.is_empty() {
                self.state.work.insert(name.clone(), Work { pending, ready: folded.more });
            }
            self.state.deliveries -= folded.delivered.len();
            let emitted = folded.emitted.len();
            let plan = self.shared.plans[name.workflow].clone();
            let first = batch.entries.len();
            if let Some(spans) = &mut self.spans {
                spans.decided(&plan, &name, &mut folded, (began, ended), &mut consequences.decided);
            }
            let mut assembled = self.rows.assemble(&plan, &name, folded, &mut batch, &mut consequences);
            for answered in assembled.answered {
                consequences.answers.push(self.intake.requests.answer(&plan, &name, answered, &batch.entries[first..]));
            }
            self.state.outstanding = self.state.outstanding + emitted - assembled.concluded;
            decided_events += assembled.done.len();
            new_intents += emitted;
            self.state.summary.concluded += assembled.concluded as u64;
            self.observed.decisions[name.workflow].add([accepted, rejected, faulted], assembled.concluded as u64);
            let under_way = assembled.entity.count_under_way();
            self.state.under_way = self.state.under_way + under_way - assembled.entity.under_way;
            assembled.entity.under_way = under_way;
            for (origin, fingerprint) in assembled.done {
                match origin {
                    EventOrigin::Line(spot) => self.intake.done(name.workflow, spot, Some((fingerprint, &name.key)), &mut batch),
                    EventOrigin::Request(_) => self.intake.request_done(name.workflow, (fingerprint, &name.key), &mut batch),
                    EventOrigin::Host => {
                        self.state.untold -= 1;
                        self.intake.own_done(name.workflow, (fingerprint, &name.key), &mut batch);
                    }
                    EventOrigin::DeadLetter { id, source, line } => {
                        batch.dead_letters_removed.push(id);
                        self.intake.accepted(source, line, fingerprint, Some(&name.key), &mut batch);
                    }
                    EventOrigin::Forwarded { id, source, line } => {
                        if !planted(Mistake::ForwardedKept) {
                            batch.forwarded_removed.push(id);
                        }
                        self.intake.accepted(source, line, fingerprint, Some(&name.key), &mut batch);
                    }
                }
            }
            for event in assembled.dead {
                let reason = format!("entity {:?} is parked or paused and its inbox is full", name.key);
                let undecodable = Undecodable { event_id: Some(event.id.to_string()), code: "inbox-full", path: String::new(), reason };
                self.bury_event(&name, event, undecodable, &mut batch);
            }
            if self.state.outstanding > MOST_KEPT {
                assembled.entity.drop_payloads();
            }
            let cached = Cached { entity: assembled.entity, batch: batch.number };
            self.cache().put(name, cached);
        }
        for (workflow, count, now) in faults {
            self.count_faults(workflow, count, now, &mut batch)?;
        }
        if decided_events > 0 {
            self.state.intents_per_event = new_intents.div_ceil(decided_events);
        }
        self.state.erasing.begin(&batch.erasing, batch.number);
        consequences.sent_on = std::mem::take(&mut self.intake.sent_on);
        self.intake.finish(&mut batch);
        if !batch.sources.is_empty() && self.positions().is_some() {
            consequences.positions = self.intake.positions();
        }
        self.state.deliveries += consequences.deliveries.len();
        self.state.look_for_timers |= !batch.timers_set.is_empty();
        if batch.is_empty() {
            self.state.last_batch -= 1;
            return failure.map_or(Ok(()), |error| Err(error.into()));
        }
        if planted(Mistake::ActBeforeCommit) {
            let tasks = std::mem::take(&mut consequences.tasks);
            self.perform(tasks);
        }
        if planted(Mistake::AnsweredEarly) {
            for answer in std::mem::take(&mut consequences.answers) {
                self.intake.requests.tell(answer);
            }
        }
        self.state.emitted += consequences.tasks.len() as u64;
        consequences.entries = batch.entries.len();
        consequences.handed_over = self.clock.elapsed();
        self.state.in_flight.push_back((batch.number, self.rows.entry, consequences));
        if let Err(gone) = self.writer.hand_over(batch) {
            // What ended the writer says more than that it ended.
            while let Ok(message) = self.messages.try_recv() {
                self.hear(message)?;
            }
            return Err(gone);
        }
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    /// An event that cannot be decided on after all becomes a dead letter. Sent again, mended or not, it is no duplicate.
    pub(super) fn bury_event(&mut self, name: &EntityName, event: EventInput, undecodable: Undecodable, batch: &mut Batch) {
        self.intake.forget(event.fingerprint);
        match event.origin {
            EventOrigin::Line(spot) => {
                self.intake.bury(name.workflow, spot, undecodable, event.bytes, Some(name.key.clone()), batch);
                self.intake.done(name.workflow, spot, None, batch);
            }
            EventOrigin::Request(request) => self.intake.requests.refuse(request, event.fingerprint, &undecodable),
            EventOrigin::Host => {
                self.state.untold -= 1;
                self.intake.bury_own(name.workflow, undecodable, event.bytes, Some(name.key.clone()), batch);
            }
            // It stays a dead letter.
            EventOrigin::DeadLetter { .. } => {}
            EventOrigin::Forwarded { id, source, line } => {
                batch.forwarded_removed.push(id);
                let key = Some(name.key.clone());
                self.intake.letter(name.workflow, (source, line), undecodable, event.bytes, key, batch);
            }
        }
    }

    /// Has what could not be read wait for the next step, before all others.
    fn put_back(&mut self, unread: Vec<Item>) {
        if planted(Mistake::UnreadForgotten) {
            return;
        }
        for (name, cached, pending) in unread.into_iter().rev() {
            self.state.told += pending.conclusions.len();
            if let Some(cached) = cached {
                self.cache().put(name.clone(), cached);
            }
            self.state.ready.push_front(name.clone());
            self.state.work.insert(name, Work { pending, ready: true });
        }
    }

    pub(super) fn cache(&mut self) -> &mut LruCache<EntityName, Cached> {
        self.state.cache.get_or_insert_with(LruCache::unbounded)
    }

    /// A commit is durable: only now its consequences may begin.
    pub(super) fn committed(&mut self, number: u64) {
        self.state.committed = number;
        if std::mem::take(&mut self.state.store_down) {
            self.tell_store();
        }
        self.state.summary.commits += 1;
        self.state.look_for_timers = true;
        while self.state.in_flight.front().is_some_and(|(front, ..)| *front <= number) {
            let Some((_, row, consequences)) = self.state.in_flight.pop_front() else { break };
            self.state.committed_row = row;
            let took = self.clock.elapsed().saturating_sub(consequences.handed_over);
            self.observed.commits.durable(consequences.entries, took);
            if let Some(spans) = &self.spans {
                spans.durable(consequences.decided, consequences.entries, took);
            }
            if let Some(positions) = self.positions().filter(|_| !consequences.positions.is_empty()) {
                positions.set(&consequences.positions);
            }
            self.perform(consequences.tasks);
            for order in consequences.orders {
                // The lanes end only with the engine.
                drop(self.orders.send(order));
            }
            for answer in consequences.answers {
                self.intake.requests.tell(answer);
            }
            for sent in consequences.sent_on {
                self.sent_on(sent);
            }
            for delivery in consequences.deliveries {
                if !self.share.shards.has_key(&delivery.key) {
                    // Another host decides it.
                    self.state.deliveries -= 1;
                    continue;
                }
                let workflow = self.shared.plans.iter().position(|plan| plan.workflow.name == delivery.workflow);
                match workflow {
                    Some(workflow) => {
                        let name = EntityName { workflow, key: delivery.key.clone() };
                        self.pending(name).deliveries.push(delivery);
                    }
                    // It waits in the store for a host that runs that workflow.
                    None => self.state.deliveries -= 1,
                }
            }
        }
        self.shrink_cache();
    }

    pub(super) fn shrink_cache(&mut self) {
        let committed = self.state.committed;
        let cache = self.cache();
        while cache.len() > MOST_CACHED {
            // What is not committed yet cannot be read back from the store.
            let is_durable = |batch| batch <= committed || planted(Mistake::EvictedTooEarly);
            if cache.peek_lru().is_none_or(|(_, cached)| !is_durable(cached.batch)) {
                break;
            }
            cache.pop_lru();
        }
    }

    /// Commits how far was read, and nothing of what was read.
    #[cfg(test)]
    fn commit_position(&mut self) -> Result<(), EngineError> {
        let mut batch = std::mem::take(&mut self.state.draft);
        self.state.last_batch += 1;
        batch.number = self.state.last_batch;
        self.intake.finish(&mut batch);
        self.state.in_flight.push_back((batch.number, self.rows.entry, Consequences::default()));
        self.writer.hand_over(batch)
    }
}
