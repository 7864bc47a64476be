//! Deciding: everything that waits for one entity, folded over it in order.
//!
//! Pure but for the sandbox: it takes an entity and its pending inputs and gives what is to be committed. Nothing here
//! reads a clock, a file or the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use purefold_wit::Value;

use super::EngineError;
use super::entity::{Entity, Outstanding};
use super::input::{Conclusion, EventInput, EventOrigin, FailureKind, Hold, Origin, Pending, Ready};
use super::order::Next;
use super::outcome::{concluded_input, concluded_output};
use super::plan::Plan;
use super::planted::{Mistake, planted};
use super::requests::Answered;
use super::spans::Trail;
use crate::journal::{Entry, EntryHash, Kind, Verdict, intent_id, seed};
use crate::sandbox::{Context, Decision, Encoded, Fault};
use crate::store::{DeliveryRow, InboxRow, OutboxStatus, TimerRow};
use crate::workflow::{DeliverRoute, RoutePlan};

/// Inputs of one entity in one commit; what is left over waits for the next.
const MOST_INPUTS: usize = 256;

/// Pending timers of one entity.
const MOST_TIMERS: usize = 256;

/// Which clock holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The wall's: inputs are decided in the order of arrival, at this time.
    Arrival {
        /// Now.
        now: u64,
    },
    /// The events': inputs are decided in the order of their times.
    Event {
        /// Timers that are due by then fire even where no event of the entity follows.
        bound: Option<u64>,
    },
}

/// Ids that workers give out.
#[derive(Debug, Default)]
pub struct Ids {
    /// The last delivery's.
    pub delivery: AtomicI64,
    /// The last inbox row's.
    pub inbox: AtomicI64,
}

/// What folding changed.
#[derive(Debug)]
pub struct Folded {
    /// The entity afterwards.
    pub entity: Box<Entity>,
    /// What could not be decided yet.
    pub pending: Pending,
    /// Whether the entity's row changed.
    pub dirty: bool,
    /// New entries.
    pub entries: Vec<FoldedEntry>,
    /// Intents for effects: the entry that holds each, and the intent.
    pub emitted: Vec<(usize, Outstanding)>,
    /// Intents concluded.
    pub concluded: Vec<(u64, u32)>,
    /// Intents whose standing changed.
    pub changed: Vec<(u64, u32, OutboxStatus, u32, String)>,
    /// Names of timers that were set or removed.
    pub timers: Vec<Arc<str>>,
    /// Inputs for other entities.
    pub deliveries: Vec<DeliveryRow>,
    /// Deliveries that were decided or put into the inbox.
    pub delivered: Vec<i64>,
    /// Inputs that wait.
    pub inbox_added: Vec<InboxRow>,
    /// Inputs that wait no more.
    pub inbox_removed: Vec<i64>,
    /// Events that found the inbox full.
    pub dead: Vec<EventInput>,
    /// Events that are done, with their fingerprints.
    pub done: Vec<(EventOrigin, u128)>,
    /// Events of requests that are done.
    pub answered: Vec<Answered>,
    /// Intents, by decision and index, that an operator has tried again once that is durable.
    pub redriven: Vec<(u64, u32)>,
    /// Whether the entity is to be erased: for which command, and whether its state stays.
    pub erasing: Option<(i64, bool)>,
    /// Answers to operators.
    pub answers: Vec<(i64, String)>,
    /// Decisions by verdict: accepted, rejected, faulted.
    pub verdicts: [u64; 3],
    /// What led to each decision and what it cost, where traces are told.
    pub trails: Vec<Trail>,
    /// Whether the bound on inputs ended it: there is more to decide.
    pub more: bool,
}

/// An entry without its place.
#[derive(Debug)]
pub struct FoldedEntry {
    /// The entry.
    pub entry: Entry,
    /// Its hash.
    pub hash: EntryHash,
    /// The event's original bytes.
    pub event: Option<Arc<[u8]>>,
    /// What it does to the entity's state row: `Some(true)` it holds the state, `Some(false)` there is none, `None` as before.
    pub state: Option<bool>,
}

pub(super) struct Fold<'a> {
    pub(super) plan: &'a Plan,
    ids: &'a Ids,
    pub(super) moment: Moment,
    /// The request whose event is being decided.
    pub(super) request: Option<(u64, u128)>,
    pub(super) out: Folded,
}

/// Decides what waits for `entity`, as far as it can be decided now.
///
/// # Errors
/// Only for the host's own failures: nothing may be committed then.
pub fn fold(plan: &Plan, ids: &Ids, entity: Box<Entity>, pending: Pending, moment: Moment) -> Result<Folded, EngineError> {
    let mut fold = Fold::of(plan, ids, entity, pending, moment);
    fold.notes();
    fold.orders()?;
    for _ in 0..MOST_INPUTS {
        match fold.next()? {
            Next::Decide(ready) => {
                fold.take(&ready)?;
                // Not decided: it waits in the inbox.
                fold.answer_request(None);
            }
            Next::Conclude(intent, conclusion) => fold.conclude(&intent, &conclusion),
            Next::Nothing => {}
            Next::Wait => {
                fold.out.more = false;
                break;
            }
        }
    }
    // What an operator gave up, or what was concluded already, is concluded once: a late conclusion is void.
    let Folded { entity, pending, .. } = &mut fold.out;
    pending.conclusions.retain(|(key, _)| entity.outstanding.iter().any(|o| (o.sequence, o.index) == (key.sequence, key.index)));
    Ok(fold.out)
}

impl<'a> Fold<'a> {
    /// Nothing folded yet.
    pub(super) fn of(plan: &'a Plan, ids: &'a Ids, entity: Box<Entity>, pending: Pending, moment: Moment) -> Self {
        let out = Folded {
            entity,
            pending,
            dirty: false,
            entries: Vec::new(),
            emitted: Vec::new(),
            concluded: Vec::new(),
            changed: Vec::new(),
            timers: Vec::new(),
            deliveries: Vec::new(),
            delivered: Vec::new(),
            inbox_added: Vec::new(),
            inbox_removed: Vec::new(),
            dead: Vec::new(),
            done: Vec::new(),
            answered: Vec::new(),
            redriven: Vec::new(),
            erasing: None,
            answers: Vec::new(),
            verdicts: [0; 3],
            trails: Vec::new(),
            more: true,
        };
        Fold { plan, ids, moment, request: None, out }
    }
}

impl Fold<'_> {
    fn entity(&mut self) -> &mut Entity {
        &mut self.out.entity
    }

    fn notes(&mut self) {
        for (key, note) in std::mem::take(&mut self.out.pending.notes) {
            let outstanding = &mut self.out.entity.outstanding;
            let Some(intent) = outstanding.iter_mut().find(|o| (o.sequence, o.index) == (key.sequence, key.index)) else { continue };
            intent.held = note.held;
            intent.failed = FailureKind::of_told(&note.reason).map(|(kind, _)| kind).filter(|_| note.held);
            let status = if note.held { OutboxStatus::Held } else { OutboxStatus::Pending };
            self.out.changed.push((key.sequence, key.index, status, note.attempts, note.reason));
        }
    }

    fn take(&mut self, ready: &Ready) -> Result<(), EngineError> {
        let input = self.encode_input(&ready.input)?;
        let passes = ready.origin == Origin::Event && planted(Mistake::InboxPassed);
        if self.stands_still() && !passes {
            self.keep_timer(ready);
            self.wait(ready, input);
            return Ok(());
        }
        if let Some(fault) = self.migrate()? {
            self.park(ready, input, &fault);
            return Ok(());
        }
        self.decide(ready, input)
    }

    /// Whether inputs wait instead of being decided on.
    pub(super) fn stands_still(&self) -> bool {
        self.out.entity.row.parked || self.out.pending.hold == Hold::Everything
    }

    fn encode_input(&self, input: &Value) -> Result<Box<[u8]>, EngineError> {
        let mut json = Vec::with_capacity(512);
        let encoded = self.plan.codec.input().encode(input, &mut json);
        encoded.map_err(|error| EngineError::Stored { what: "input", reason: format!("{}: {}", error.path, error.reason) })?;
        Ok(json.into())
    }

    fn decide(&mut self, ready: &Ready, input: Box<[u8]>) -> Result<(), EngineError> {
        let row = &self.out.entity.row;
        let sequence = row.sequence + 1;
        let context = Context {
            now: ready.time.max(row.now),
            entity: row.key.clone(),
            sequence,
            event_id: ready.event_id.clone(),
            correlation_id: ready.correlation_id.clone(),
            seed: seed(self.plan.journal, &self.plan.workflow.name, &row.key, sequence),
        };
        let before = self.out.entity.state.clone();
        let (decision, cost) = self.plan.reducer.measure(&context, before.as_deref(), &ready.input)?;
        let timers: Vec<&str> = self.out.entity.timers.iter().map(|timer| &*timer.name).collect();
        let decision = check(self.plan, &timers, before.as_deref(), decision);
        let (decision, encoded) = self.plan.codec.encode(decision);

        let verdict = match &decision {
            Decision::Accepted { .. } => Verdict::Accepted,
            Decision::Rejected(_) => Verdict::Rejected,
            Decision::Faulted(_) => Verdict::Faulted,
        };
        self.out.verdicts[verdict as usize] += 1;
        if self.plan.traces.is_some() {
            let fault = if let Decision::Faulted(fault) = &decision { Some(fault.code) } else { None };
            self.out.trails.push(Trail::new(self.out.entries.len(), ready, cost, fault));
        }
        tracing::debug!(
            workflow = %self.plan.workflow.name, entity = %context.entity, sequence, event_id = %context.event_id,
            correlation_id = %context.correlation_id, origin = ready.origin.name(), verdict = verdict.as_str(), "decided"
        );
        if let Decision::Faulted(fault) = &decision {
            tracing::warn!(
                workflow = %self.plan.workflow.name, entity = %context.entity, sequence, event_id = %context.event_id,
                correlation_id = %context.correlation_id, code = fault.code, reason = fault.reason, "the reducer faulted: the entity is parked"
            );
        }
        let Encoded { state, output } = encoded;
        let waits = (verdict == Verdict::Faulted).then(|| input.clone());
        let entry = Entry {
            sequence,
            ordinal: 0,
            kind: Kind::Decided,
            release: self.plan.release,
            now: context.now,
            event_id: context.event_id,
            correlation_id: context.correlation_id,
            input,
            verdict: Some(verdict),
            state,
            output: output.into(),
            event_hash: ready.event.as_ref().map(|(_, hash)| *hash),
        };
        let holds = (verdict == Verdict::Accepted).then_some(entry.state.is_some());
        self.push(entry, ready.event.as_ref().map(|(bytes, _)| bytes.clone()), holds);
        self.answer_request(Some(self.out.entries.len() - 1));
        match decision {
            Decision::Accepted { state, intents } => {
                self.leave_inbox(ready);
                self.accept(before.is_some(), state, intents, ready, context.now);
            }
            Decision::Rejected(_) => {
                self.leave_inbox(ready);
                if planted(Mistake::RejectionUncounted) {
                    self.out.entity.row.sequence -= 1;
                }
            }
            Decision::Faulted(fault) => self.park(ready, waits.unwrap_or_default(), &fault),
        }
        Ok(())
    }

    fn answer_request(&mut self, entry: Option<usize>) {
        let answered = self.request.take().map(|(request, fingerprint)| Answered { request, fingerprint, entry });
        self.out.answered.extend(answered);
    }

    fn accept(&mut self, lived: bool, state: Option<Value>, intents: Vec<Value>, ready: &Ready, now: u64) {
        let at = self.out.entries.len() - 1;
        let sequence = self.out.entity.row.sequence;
        let ended = lived && state.is_none();
        self.out.entity.state = state.map(Arc::new);
        self.out.entity.state_release = self.plan.release;
        for (index, intent) in (0..).zip(intents) {
            let Value::Variant(case, Some(payload)) = intent else { continue };
            match &self.plan.workflow.routes[case as usize] {
                RoutePlan::Effect(_) => {
                    let intent = Outstanding {
                        sequence,
                        index,
                        case,
                        terms: self.plan.terms.clone(),
                        asked: now,
                        event_id: ready.event_id.clone(),
                        correlation_id: ready.correlation_id.clone(),
                        payload: Some(Arc::new(*payload)),
                        held: false,
                        failed: None,
                        settled: None,
                    };
                    self.out.entity.outstanding.push(intent.clone());
                    self.out.emitted.push((at, intent));
                }
                RoutePlan::Timer { .. } => self.set_timer(*payload, sequence, index, &ready.correlation_id),
                RoutePlan::TimerCancel => self.cancel_timer(&payload),
                RoutePlan::Deliver(route) => self.deliver(route, case, &payload, (sequence, index), now, &ready.correlation_id),
            }
        }
        if ended {
            for timer in std::mem::take(&mut self.out.entity.timers) {
                self.touch(&timer.name);
            }
            self.note_entry(Kind::Ended, ready.event_id.clone(), ready.correlation_id.clone(), (*b"null").into(), Box::default());
        }
    }

    fn set_timer(&mut self, payload: Value, sequence: u64, index: u32, correlation_id: &Arc<str>) {
        let Value::Record(fields) = payload else { return };
        let [Value::String(name), Value::Instant(due)] = &*fields else { return };
        let name: Arc<str> = name.as_ref().into();
        let entity = self.out.entity.row.id;
        let (correlation_id, workflow) = (correlation_id.clone(), self.plan.id);
        let timer = TimerRow { entity, name: name.clone(), due: *due, sequence, index, correlation_id, waits: false, workflow };
        let timers = &mut self.entity().timers;
        match timers.iter_mut().find(|known| known.name == name) {
            Some(known) => *known = timer,
            None => timers.push(timer),
        }
        self.touch(&name);
    }

    fn cancel_timer(&mut self, payload: &Value) {
        let Value::Record(fields) = payload else { return };
        let [Value::String(name)] = &**fields else { return };
        if let Some(index) = self.out.entity.timers.iter().position(|timer| *timer.name == **name) {
            let timer = self.out.entity.timers.remove(index);
            self.touch(&timer.name);
        }
    }

    pub(super) fn touch(&mut self, name: &Arc<str>) {
        if !self.out.timers.contains(name) {
            self.out.timers.push(name.clone());
        }
    }

    fn deliver(&mut self, route: &DeliverRoute, case: u32, payload: &Value, asked: (u64, u32), now: u64, correlation_id: &Arc<str>) {
        let Some(delivery) = &self.plan.deliveries[case as usize] else { return };
        let Some(key) = delivery_key(route, delivery, payload) else { return };
        let mut json = Vec::new();
        // The intents were encoded before: this is the same record.
        if delivery.codec.encode(payload, &mut json).is_err() {
            return;
        }
        let id = intent_id(self.plan.journal, &self.plan.workflow.name, &self.out.entity.row.key, asked.0, asked.1);
        self.out.deliveries.push(DeliveryRow {
            id: self.ids.delivery.fetch_add(1, Ordering::Relaxed) + 1,
            workflow: route.workflow.clone(),
            key: key.into(),
            input: route.input.clone(),
            payload: json.into(),
            now,
            sender: format!("{}/{}", self.plan.workflow.name, self.out.entity.row.key),
            sequence: asked.0,
            index: asked.1,
            event_id: id.to_string().into(),
            correlation_id: correlation_id.clone(),
        });
    }

    fn conclude(&mut self, intent: &Outstanding, conclusion: &Conclusion) {
        let id = intent_id(self.plan.journal, &self.plan.workflow.name, &self.out.entity.row.key, intent.sequence, intent.index);
        let case = intent.terms.case(intent.case).snake();
        let input = concluded_input(case, intent.sequence, intent.index);
        let output = concluded_output(conclusion);
        self.note_entry(Kind::Concluded, id.to_string().into(), intent.correlation_id.clone(), input, output);
    }

    pub(super) fn park(&mut self, ready: &Ready, input: Box<[u8]>, fault: &Fault) {
        self.out.entity.row.parked = true;
        self.keep_timer(ready);
        if ready.inbox.is_none() {
            self.wait(ready, input.clone());
        }
        self.note_entry(Kind::Parked, ready.event_id.clone(), ready.correlation_id.clone(), input, fault_told(fault));
    }

    /// A timer that fell due stays in force while its input waits: what is decided before it may set it anew or take it back.
    fn keep_timer(&mut self, ready: &Ready) {
        let Some((name, due)) = ready.timer() else { return };
        let (sequence, index) = ready.asked;
        let (entity, correlation_id) = (self.out.entity.row.id, ready.correlation_id.clone());
        let workflow = self.plan.id;
        self.out.entity.timers.push(TimerRow { entity, name: name.clone(), due, sequence, index, correlation_id, waits: true, workflow });
        self.touch(&name);
    }

    /// Puts an input at the end of the inbox.
    pub(super) fn wait(&mut self, ready: &Ready, input: Box<[u8]>) {
        let row = InboxRow {
            id: self.ids.inbox.fetch_add(1, Ordering::Relaxed) + 1,
            entity: self.out.entity.row.id,
            origin: ready.origin.name(),
            sequence: ready.asked.0,
            index: ready.asked.1,
            now: ready.time,
            event_id: ready.event_id.clone(),
            correlation_id: ready.correlation_id.clone(),
            input,
            bytes: ready.event.as_ref().map(|(bytes, _)| bytes.clone()),
        };
        self.out.entity.inbox.push(row.clone());
        self.out.inbox_added.push(row);
    }

    fn leave_inbox(&mut self, ready: &Ready) {
        if let Some(id) = ready.inbox {
            self.out.entity.inbox.retain(|row| row.id != id);
            self.out.inbox_removed.push(id);
        }
    }

    /// An entry that is no decision: under the last sequence, with the next ordinal.
    pub(super) fn note_entry(&mut self, kind: Kind, event_id: Arc<str>, correlation_id: Arc<str>, input: Box<[u8]>, output: Box<[u8]>) {
        let release = self.plan.release;
        let row = &self.out.entity.row;
        let entry = Entry {
            sequence: row.sequence,
            ordinal: row.ordinal + 1,
            kind,
            release,
            now: row.now,
            event_id,
            correlation_id,
            input,
            verdict: None,
            state: None,
            output,
            event_hash: None,
        };
        self.push(entry, None, None);
    }

    pub(super) fn push(&mut self, entry: Entry, event: Option<Arc<[u8]>>, state: Option<bool>) {
        let row = &mut self.out.entity.row;
        let hash = entry.hash(&row.head, &self.plan.workflow.name, &row.key, &self.plan.profile);
        row.sequence = entry.sequence;
        row.ordinal = entry.ordinal;
        row.now = entry.now;
        row.head = hash;
        self.out.dirty = true;
        self.out.entries.push(FoldedEntry { entry, hash, event, state });
    }
}

/// Why an entity is parked, as its entry says it.
pub(super) fn fault_told(fault: &Fault) -> Box<[u8]> {
    serde_json::json!({ "code": fault.code, "reason": fault.reason }).to_string().into_bytes().into()
}

/// Holds an accepted decision to the machine and to the bounds that the routes set. `timers` are the names of those pending before it.
pub(crate) fn check(plan: &Plan, timers: &[&str], before: Option<&Value>, decision: Decision) -> Decision {
    let Decision::Accepted { state, intents } = &decision else { return decision };
    if let Some(machine) = &plan.workflow.machine
        && let Err(reason) = machine.check(before, state.as_ref())
    {
        return Decision::Faulted(Fault { code: "machine", reason });
    }
    let mut new_timers: Vec<&str> = Vec::new();
    for intent in intents {
        let Value::Variant(case, Some(payload)) = intent else { continue };
        match (&plan.workflow.routes[*case as usize], &plan.deliveries[*case as usize], &**payload) {
            (RoutePlan::Timer { .. }, _, Value::Record(fields)) => {
                let Some(Value::String(name)) = fields.first() else { continue };
                if !new_timers.contains(&&**name) && !timers.contains(&&**name) {
                    new_timers.push(name);
                }
            }
            (RoutePlan::Deliver(route), Some(delivery), payload) if delivery_key(route, delivery, payload).is_none() => {
                let case = plan.workflow.contract.intent.cases[*case as usize].name.kebab();
                let reason = format!("the intent {case} names no entity: a key has 1 to {} bytes", super::key::MOST_KEY_BYTES);
                return Decision::Faulted(Fault { code: "deliver-key", reason });
            }
            _ => {}
        }
    }
    if timers.len() + new_timers.len() > MOST_TIMERS {
        return Decision::Faulted(Fault { code: "too-many-timers", reason: format!("more than {MOST_TIMERS} pending timers") });
    }
    decision
}

fn delivery_key(route: &DeliverRoute, delivery: &super::plan::Delivery, payload: &Value) -> Option<String> {
    let Value::Record(fields) = payload else { return None };
    super::key::key_text(fields.get(route.key_field)?, delivery.key_names.as_deref())
}
