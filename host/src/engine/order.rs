//! The order in which the inputs of one entity are decided.
//!
//! On the arrival clock it is the order in which they came, what is outstanding first; on the event clock it is a
//! function of the inputs alone.

use std::sync::Arc;

use purefold_wit::{UnknownFields, Value};

use super::EngineError;
use super::entity::Outstanding;
use super::fold::{Fold, Moment};
use super::input::{Conclusion, EventOrigin, FailureKind, Follows, Hold, Origin, Ready};
use super::outcome::outcome_input;
use super::planted::{Mistake, planted};
use crate::journal::{intent_id, sha256};
use crate::sandbox::Fault;
use crate::source::CloudEvent;
use crate::store::{DeliveryRow, InboxRow, OutboxStatus, TimerRow};
use crate::trace::Incoming;
use crate::workflow::timer_case;

/// The case by which a timer comes where nobody knows any more which one it was.
const TIMER: &str = "timer";

pub(super) enum Next {
    Decide(Ready),
    Conclude(Outstanding, Conclusion),
    /// What waited there is void.
    Nothing,
    Wait,
}

impl Fold<'_> {
    /// The next input in the order that the clock demands.
    pub(super) fn next(&mut self) -> Result<Next, EngineError> {
        match self.moment {
            Moment::Arrival { now } => self.next_arrived(now),
            Moment::Event { bound } => self.next_by_time(bound),
        }
    }

    fn next_arrived(&mut self, now: u64) -> Result<Next, EngineError> {
        if let Some(index) = self.out.entity.outstanding.iter().position(|intent| intent.settled.is_some()) {
            return Ok(self.settle(index, now));
        }
        if !self.stands_still() && !self.out.entity.inbox.is_empty() {
            return self.next_waiting();
        }
        if !self.out.pending.conclusions.is_empty() {
            let (key, conclusion) = self.out.pending.conclusions.remove(0);
            let outstanding = &self.out.entity.outstanding;
            let found = outstanding.iter().position(|o| (o.sequence, o.index) == (key.sequence, key.index));
            // A second conclusion of the same intent is void: the first one stands in the journal.
            return Ok(found.map_or(Next::Nothing, |index| self.concluded(index, conclusion, now)));
        }
        if !self.out.pending.deliveries.is_empty() {
            let delivery = self.out.pending.deliveries.remove(0);
            return Ok(self.delivered(delivery, Some(now)));
        }
        if self.out.pending.hold == Hold::Beginnings {
            return Ok(Next::Wait);
        }
        // What the source had when a timer fell due comes before it: a sign of life counts, however late it is read.
        if let Some(next) = self.event() {
            return Ok(next);
        }
        if !self.out.pending.timers.is_empty() {
            let (name, sequence, index) = self.out.pending.timers.remove(0);
            let timers = &self.out.entity.timers;
            let same = |t: &TimerRow| (t.sequence, t.index) == (sequence, index) || planted(Mistake::TimerGenerationForgotten);
            let found = timers.iter().position(|t| t.name == name && same(t) && !t.waits);
            // Replaced or taken back in the meantime: another generation is in force.
            return Ok(found.map_or(Next::Nothing, |index| self.timer(index, Some(now))));
        }
        Ok(Next::Wait)
    }

    fn next_by_time(&mut self, bound: Option<u64>) -> Result<Next, EngineError> {
        // Outcomes carry the time of the decision that asked, which is never later than the entity's latest: first of all.
        if let Some(index) = self.out.entity.stuck().iter().position(|stuck| !stuck) {
            let intent = &self.out.entity.outstanding[index];
            let (key, asked) = ((intent.sequence, intent.index), intent.asked);
            if intent.settled.is_some() {
                return Ok(self.settle(index, asked));
            }
            let arrived = self.out.pending.conclusions.iter().position(|(k, _)| (k.sequence, k.index) == key);
            let Some(arrived) = arrived else { return Ok(Next::Wait) };
            let (_, conclusion) = self.out.pending.conclusions.swap_remove(arrived);
            return Ok(self.concluded(index, conclusion, asked));
        }
        if !self.stands_still() && !self.out.entity.inbox.is_empty() {
            return self.next_waiting();
        }
        let begins = self.out.pending.hold != Hold::Beginnings;
        let latest = self.out.entity.row.now;
        let deliveries = self.out.pending.deliveries.iter().enumerate();
        let delivery = deliveries
            .min_by(|(_, a), (_, b)| (a.now, a.sequence, a.index, &a.sender).cmp(&(b.now, b.sequence, b.index, &b.sender)))
            .map(|(index, delivery)| (delivery.now, index));
        let event = self.out.pending.events.front().filter(|_| begins).map(|event| event.time.max(latest));
        let timers = self.out.entity.timers.iter().enumerate();
        let timer = timers
            .filter(|(_, timer)| !timer.waits)
            .min_by(|(_, a), (_, b)| (a.due, a.sequence, a.index).cmp(&(b.due, b.sequence, b.index)))
            .map(|(index, timer)| (timer.due, index));
        // A timer fires once something at or after its due time follows, or the input is over.
        let reach = [delivery.map(|(time, _)| time), event, bound].into_iter().flatten().max();
        let timer = timer.filter(|(due, _)| begins && reach.is_some_and(|reach| *due <= reach));
        let next = [delivery.map(|(time, _)| (time, 1)), timer.map(|(due, _)| (due, 2)), event.map(|time| (time, 3))];
        match (next.into_iter().flatten().min(), delivery, timer) {
            (Some((_, 1)), Some((_, index)), _) => {
                let delivery = self.out.pending.deliveries.remove(index);
                Ok(self.delivered(delivery, None))
            }
            (Some((_, 2)), _, Some((_, index))) => Ok(self.timer(index, None)),
            (Some((_, 3)), ..) => Ok(self.event().unwrap_or(Next::Wait)),
            _ => Ok(Next::Wait),
        }
    }

    fn settle(&mut self, index: usize, time: u64) -> Next {
        let failure = self.out.entity.outstanding[index].settled.clone();
        self.concluded(index, Err(failure.unwrap_or((FailureKind::Unknown, String::new()))), time)
    }

    /// The outcome of the intent at `index`: an input where it is routed to one, else an entry of its own.
    fn concluded(&mut self, index: usize, conclusion: Conclusion, time: u64) -> Next {
        let intent = self.out.entity.outstanding.remove(index);
        self.out.concluded.push((intent.sequence, intent.index));
        if conclusion.is_err() {
            self.settle_dependents(&intent);
        }
        // It may have been asked for under an earlier release, and is told of by the names that it had there.
        let terms = if planted(Mistake::AskedUnderForgotten) { self.plan.terms.clone() } else { intent.terms.clone() };
        let Some(outcome) = terms.route(intent.case).and_then(|route| route.outcome.as_ref()) else {
            return Next::Conclude(intent, conclusion);
        };
        let id = intent_id(self.plan.journal, &self.plan.workflow.name, &self.out.entity.row.key, intent.sequence, intent.index);
        let ready = Ready {
            origin: Origin::Outcome,
            time,
            event_id: id.to_string().into(),
            correlation_id: intent.correlation_id.clone(),
            asked: (intent.sequence, intent.index),
            input: outcome_input(outcome, &intent, id, conclusion),
            event: None,
            inbox: None,
            follows: Follows::Asking,
        };
        if Arc::ptr_eq(&terms, &self.plan.terms) || terms.contract.input == self.plan.terms.contract.input {
            return Next::Decide(ready);
        }
        let mut json = Vec::new();
        if let Err(error) = terms.codec.input().encode(&ready.input, &mut json) {
            return self.set_aside(&ready, json.into(), &error.reason);
        }
        self.read_as_now("outcome", ready, &json)
    }

    /// An input whose JSON form was made under an earlier release.
    fn read_as_now(&mut self, what: &'static str, ready: Ready, json: &[u8]) -> Next {
        match self.plan.codec.input().decode(what, json, UnknownFields::Ignore) {
            Ok(input) => Next::Decide(Ready { input, ..ready }),
            Err(error) => self.set_aside(&ready, json.into(), &error.to_string()),
        }
    }

    /// What the release in force cannot read waits at the head of the inbox, like what it faults on: for a release that can,
    /// or an operator who drops it.
    fn set_aside(&mut self, ready: &Ready, input: Box<[u8]>, reason: &str) -> Next {
        if self.stands_still() {
            self.wait(ready, input);
        } else {
            let fault = Fault { code: "input-unfit", reason: format!("release {} cannot read it: {reason}", self.plan.release) };
            tracing::warn!(
                workflow = %self.plan.workflow.name, entity = %self.out.entity.row.key, correlation_id = %ready.correlation_id,
                code = fault.code, reason = fault.reason, "an input of an earlier release does not fit: the entity is parked"
            );
            self.park(ready, input, &fault);
        }
        Next::Nothing
    }

    /// Intents of the same decision that come after a failed one are not performed.
    fn settle_dependents(&mut self, failed: &Outstanding) {
        if planted(Mistake::DependentsForgotten) {
            return;
        }
        for intent in &mut self.out.entity.outstanding {
            let Some(route) = intent.terms.route(intent.case) else { continue };
            if intent.sequence == failed.sequence && intent.settled.is_none() && route.after.contains(&failed.case) {
                let reason = format!("after {}", failed.terms.case(failed.case).kebab());
                let told = FailureKind::Refused.told(&reason);
                intent.settled = Some((FailureKind::Refused, reason));
                intent.held = false;
                self.out.changed.push((intent.sequence, intent.index, OutboxStatus::Settled, 0, told));
            }
        }
    }

    fn next_waiting(&mut self) -> Result<Next, EngineError> {
        let row = &self.out.entity.inbox[0];
        let timer = self.waiting_timer(row);
        if Origin::of(row) == Origin::Timer && timer.is_none() {
            // Set anew, taken back or gone with its entity by what was decided before it.
            self.out.inbox_removed.push(row.id);
            self.out.entity.inbox.remove(0);
            return Ok(Next::Nothing);
        }
        let json = row.input.clone();
        let ready = Ready {
            origin: Origin::of(row),
            time: row.now,
            event_id: row.event_id.clone(),
            correlation_id: row.correlation_id.clone(),
            input: Value::Bool(false),
            asked: (row.sequence, row.index),
            event: row.bytes.as_ref().map(|bytes| (bytes.clone(), sha256(bytes))),
            inbox: Some(row.id),
            follows: self.waiting_follows(row),
        };
        let next = self.read_as_now("input", ready, &json);
        if let (Next::Decide(_), Some(index)) = (&next, timer) {
            // What cannot be read waits on, and its timer with it.
            self.take_timer(index);
        }
        Ok(next)
    }

    /// What an input of the inbox follows from. Of an event its bytes still tell.
    fn waiting_follows(&self, row: &InboxRow) -> Follows {
        match Origin::of(row) {
            Origin::Outcome | Origin::Timer => Follows::Asking,
            Origin::Delivery => Follows::Unknown,
            Origin::Event => Follows::Event(self.plan.traces.as_ref().map(|_| {
                let event = row.bytes.as_ref().and_then(|bytes| CloudEvent::read(bytes).ok());
                Box::new(Incoming { at: None, parent: event.and_then(|event| event.trace_parent()) })
            })),
        }
    }

    /// The timer whose input waits in `row`, where it is in force still.
    fn waiting_timer(&self, row: &InboxRow) -> Option<usize> {
        let waits = |timer: &TimerRow| timer.waits && (timer.sequence, timer.index) == (row.sequence, row.index);
        self.out.entity.timers.iter().position(waits).filter(|_| Origin::of(row) == Origin::Timer)
    }

    /// Takes the timer whose input waits in `row` out of force.
    pub(super) fn take_waiting_timer(&mut self, row: &InboxRow) {
        if let Some(index) = self.waiting_timer(row) {
            self.take_timer(index);
        }
    }

    fn take_timer(&mut self, index: usize) {
        let timer = self.out.entity.timers.remove(index);
        self.touch(&timer.name);
    }

    fn delivered(&mut self, delivery: DeliveryRow, now: Option<u64>) -> Next {
        let contract = &self.plan.workflow.contract;
        let name = match contract.input.case(&delivery.input) {
            Some((case, _)) => contract.input.cases[case as usize].name.snake().to_owned(),
            None => delivery.input.replace('-', "_"),
        };
        let mut json = Vec::with_capacity(delivery.payload.len() + name.len() + 6);
        json.extend_from_slice(b"{\"");
        json.extend_from_slice(name.as_bytes());
        json.extend_from_slice(b"\":");
        json.extend_from_slice(&delivery.payload);
        json.push(b'}');
        self.out.delivered.push(delivery.id);
        let ready = Ready {
            origin: Origin::Delivery,
            time: now.unwrap_or(delivery.now),
            event_id: delivery.event_id,
            correlation_id: delivery.correlation_id,
            input: Value::Bool(false),
            asked: (delivery.sequence, delivery.index),
            event: None,
            inbox: None,
            follows: Follows::Sender(delivery.sender),
        };
        self.read_as_now("delivery", ready, &json)
    }

    fn timer(&mut self, index: usize, now: Option<u64>) -> Next {
        let timer = &self.out.entity.timers[index];
        let id = intent_id(self.plan.journal, &self.plan.workflow.name, &self.out.entity.row.key, timer.sequence, timer.index);
        let ready = Ready {
            origin: Origin::Timer,
            // A clock that was set back meanwhile does not let it come before its time.
            time: now.unwrap_or(timer.due).max(timer.due),
            event_id: id.to_string().into(),
            correlation_id: timer.correlation_id.clone(),
            input: Value::Bool(false),
            asked: (timer.sequence, timer.index),
            event: None,
            inbox: None,
            follows: Follows::Asking,
        };
        let (name, due) = (timer.name.clone(), timer.due);
        self.touch(&name);
        if let Some(case) = timer_case(&self.plan.workflow.routes) {
            self.out.entity.timers.remove(index);
            let record = Value::Record(Box::new([Value::String(name.as_ref().into()), Value::Instant(due)]));
            return Next::Decide(Ready { input: Value::Variant(case, Some(Box::new(record))), ..ready });
        }
        if planted(Mistake::UnroutedTimerForgotten) {
            self.out.entity.timers.remove(index);
            return Next::Nothing;
        }
        // The release in force sets no timers. It was set under an earlier one, and comes by the name that its case had there.
        let case = self.plan.timers_as.as_deref().unwrap_or(TIMER);
        let at = purefold_wit::instant::format(due).unwrap_or_default();
        let json = serde_json::json!({ case: { "name": &*name, "due": at } }).to_string();
        let next = self.read_as_now("timer", ready, json.as_bytes());
        if let Next::Decide(_) = next {
            self.out.entity.timers.remove(index);
        } else {
            // It stays in force while its input waits.
            self.out.entity.timers[index].waits = true;
        }
        next
    }

    fn event(&mut self) -> Option<Next> {
        let event = self.out.pending.events.pop_front()?;
        if self.stands_still() && self.out.entity.inbox.len() >= self.plan.inbox {
            self.out.dead.push(event);
            return Some(Next::Nothing);
        }
        if let EventOrigin::Request(request) = event.origin {
            self.request = Some((request, event.fingerprint));
        }
        self.out.done.push((event.origin, event.fingerprint));
        Some(Next::Decide(Ready {
            origin: Origin::Event,
            time: event.time,
            event_id: event.id,
            correlation_id: event.correlation_id,
            input: event.input,
            asked: (0, 0),
            event: Some((event.bytes, event.hash)),
            inbox: None,
            follows: Follows::Event(event.incoming),
        }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "what a test cannot go on from should stop it")]
mod tests;
