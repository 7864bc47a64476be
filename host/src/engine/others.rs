//! What other hosts on the same store leave for this one: events that they read and this one owns, deliveries to its
//! entities, pauses. What it leaves for them is committed like everything else (`Intake::forward`, `deliveries`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};

use super::input::{EntityName, EventOrigin, Line};
use super::planted::{Mistake, planted};
use super::{Engine, EngineError};
use crate::source::{Undecodable, topic_of};
use crate::store::{DeliveryRow, ForwardedRow};

/// How often the tables are looked into where nobody tells of something new.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How often pauses, and what waits for others, are looked at.
const SLOW_INTERVAL: Duration = Duration::from_secs(1);

/// Events of others that are in memory at a time, and deliveries.
const MOST_TAKEN: usize = 2048;

/// Rows that are read beyond those that are known.
const ROWS_TOGETHER: usize = 512;

/// Events that wait for other hosts above which no events are taken.
const MOST_FORWARDED: u32 = 8192;

/// Rows of a table that are taken and not gone yet.
#[derive(Debug, Default)]
struct TakenRows(HashSet<i64>);

impl TakenRows {
    /// How many rows to read: those that are known come again.
    fn limit(&self) -> u32 {
        u32::try_from(self.0.len() + ROWS_TOGETHER.min(MOST_TAKEN.saturating_sub(self.0.len()))).unwrap_or(u32::MAX)
    }

    /// Of what was found, by id, with at most `limit` rows, that which is new.
    fn new_of<R>(&mut self, found: Vec<R>, limit: u32, id: impl Fn(&R) -> i64) -> Vec<R> {
        // Up to the last one nothing was left out.
        let known_to = if found.len() < limit as usize { i64::MAX } else { found.last().map_or(i64::MAX, &id) };
        let there: HashSet<i64> = found.iter().map(&id).collect();
        self.0.retain(|known| *known > known_to || there.contains(known));
        found.into_iter().filter(|row| self.0.len() < MOST_TAKEN && self.0.insert(id(row))).collect()
    }

    /// These were not taken after all.
    fn forget(&mut self, ids: impl IntoIterator<Item = i64>) {
        for id in ids {
            self.0.remove(&id);
        }
    }
}

/// What is known of other hosts' doings.
#[derive(Debug, Default)]
pub(super) struct Others {
    forwarded: TakenRows,
    deliveries: TakenRows,
    next_look: Duration,
    next_slow_look: Duration,
    /// Whether the last look found nothing that is new.
    pub(super) quiet: bool,
    /// Whether everything was seen that had been left here before the engine began. It may be earlier events of entities
    /// whose shards this host did not have then: until then it takes no lines, which would pass them.
    pub(super) caught_up: bool,
    /// Events that wait for other hosts than the ones that read them.
    pub(super) backlog: u64,
    /// Events that hosts under a younger release left, which cannot be read under the one here.
    unread: Vec<i64>,
    /// Topics of the sources that such events came from; as many as the store has sources.
    topics: HashMap<i64, Option<Arc<str>>>,
}

impl Others {
    /// Whether so much waits for other hosts that no more events are taken.
    pub(super) fn are_behind(&self) -> bool {
        self.backlog >= u64::from(MOST_FORWARDED)
    }

    /// Whether something waits for a younger release than the one here.
    pub(super) fn waits_for_release(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Another release is in force here: what could not be read under the one before is looked at again, before any line.
    pub(super) fn look_again(&mut self) {
        if self.unread.is_empty() {
            return;
        }
        self.forwarded.forget(self.unread.drain(..));
        (self.caught_up, self.next_look) = (false, Duration::ZERO);
    }
}

impl Engine {
    /// Takes what other hosts left.
    pub(super) fn look_for_others(&mut self) -> Result<(), EngineError> {
        let now = self.clock.elapsed();
        if !self.share.is_shared() || now < self.state.others.next_look {
            return Ok(());
        }
        let (events, deliveries) = (self.state.others.forwarded.limit(), self.state.others.deliveries.limit());
        let forwarded = self.reader.forwarded(events)?;
        let delivered = self.reader.deliveries_of_others(deliveries)?;
        if now >= self.state.others.next_slow_look {
            self.state.others.backlog = self.reader.count_forwarded(MOST_FORWARDED)?;
            self.observed.forwarded(self.state.others.backlog);
            self.hear_pauses()?;
            self.state.others.next_slow_look = now + SLOW_INTERVAL;
        }
        let is_all = forwarded.len() < events as usize;
        let forwarded = self.state.others.forwarded.new_of(forwarded, events, |row| row.id);
        let delivered = self.state.others.deliveries.new_of(delivered, deliveries, |row| row.id);
        self.state.others.quiet = forwarded.is_empty() && delivered.is_empty();
        let is_seen = is_all || (forwarded.is_empty() && self.state.work.is_empty());
        for delivery in delivered {
            self.take_delivery(delivery);
        }
        let mut left = VecDeque::from(forwarded);
        while let Some(event) = left.pop_front() {
            let id = event.id;
            // Nothing passes what waits for a younger release: it may be of the same entity.
            if self.state.others.waits_for_release() {
                self.state.others.unread.push(id);
            } else if let Err(error) = self.take_forwarded(event) {
                // They come again with the next look, in their order.
                self.state.others.forwarded.forget(std::iter::once(id).chain(left.iter().map(|event| event.id)));
                return Err(error);
            }
        }
        // Rows of a workflow that does not run here stay, and are not waited for.
        self.state.others.caught_up |= is_seen;
        self.state.others.next_look = if self.state.others.quiet { now + LOOK_INTERVAL } else { now };
        Ok(())
    }

    fn take_delivery(&mut self, delivery: DeliveryRow) {
        // Of other workflows: it waits for a host that runs them.
        let Some(workflow) = self.shared.plans.iter().position(|plan| plan.workflow.name == delivery.workflow) else { return };
        self.delivery_found(EntityName { workflow, key: delivery.key.clone() }, delivery);
    }

    /// Takes an event that another host read. Whether it is a duplicate is known here, where all events of its entity are
    /// decided.
    fn take_forwarded(&mut self, forwarded: ForwardedRow) -> Result<(), EngineError> {
        let Some(workflow) = self.shared.plans.iter().position(|plan| plan.id == forwarded.workflow) else { return Ok(()) };
        let ForwardedRow { id, source, line, bytes, .. } = forwarded;
        let origin = EventOrigin::Forwarded { id, source, line: Line(line) };
        let topic = self.topic_of_source(source)?;
        let decoded =
            self.decoder.decode_from(topic.as_deref(), &bytes, origin, self.clock.wall()).into_iter().find(|(taker, _)| *taker == workflow);
        match decoded {
            Some((_, Ok((key, event)))) => {
                if self.intake.knows(event.fingerprint) && !planted(Mistake::ForwardedTwice) {
                    self.intake.duplicates += 1;
                    self.state.draft.forwarded_removed.push(id);
                    return Ok(());
                }
                self.intake.remember(event.fingerprint);
                self.state.summary.events += 1;
                self.pending(EntityName { workflow, key }).events.push_back(event);
            }
            // It was decodable where it was read: perhaps under a younger release, which comes here too.
            Some((_, Err(_))) | None
                if self.reader.youngest_release(self.shared.plans[workflow].id)? > self.shared.plans[workflow].release =>
            {
                self.state.others.unread.push(id);
            }
            unread => {
                let unroutable = || {
                    let reason = "the release in force takes no events of that type".to_owned();
                    Undecodable { event_id: None, code: "type-unroutable", path: "type".into(), reason }
                };
                let undecodable = unread.and_then(|(_, decoded)| decoded.err()).unwrap_or_else(unroutable);
                self.state.draft.forwarded_removed.push(id);
                self.intake.letter(workflow, (source, Line(line)), undecodable, bytes, None, &mut self.state.draft);
            }
        }
        Ok(())
    }

    /// The topic that a source reads: it says what an event means where its type alone does not.
    fn topic_of_source(&mut self, source: i64) -> Result<Option<Arc<str>>, EngineError> {
        if let Some(topic) = self.state.others.topics.get(&source) {
            return Ok(topic.clone());
        }
        let topic: Option<Arc<str>> = self.reader.source_name(source)?.as_deref().and_then(topic_of).map(Into::into);
        self.state.others.topics.insert(source, topic.clone());
        Ok(topic)
    }
}
