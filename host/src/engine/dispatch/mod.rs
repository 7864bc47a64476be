//! Dispatch: committed intents to their effects, in lanes.
//!
//! A lane is an effect of a workflow and an entity: first in, first out. Lanes run side by side, up to a bound for each
//! effect. An attempt is no fact; what a lane reports is the conclusion, once, or that the intent is held.

mod order;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use hashbrown::{HashMap, HashSet};
use purefold_effects::{Call, EffectError, Reply};
use tokio::sync::mpsc;
use tokio::time::Instant;

pub(super) use order::{Answer, Order};

use super::assemble::Task;
use super::input::{Conclusion, EntityName, FailureKind, Note};
use super::plan::Plan;
use super::run::Message;
use crate::journal::intent_id;
use crate::store::{EntityId, IntentKey};
use crate::workflow::{EffectRoute, OnExhausted, Retry, RoutePlan};

/// Conclusions that are handed to the engine together.
const MOST_TOGETHER: usize = 1024;

/// Longest text of a failure that is kept.
const MOST_REASON_BYTES: usize = 1024;

/// Uniform over all of `u64`.
pub(super) type Random = Box<dyn FnMut() -> u64 + Send>;

/// A lane: workflow, effect within it, entity.
type LaneKey = (usize, usize, EntityId);

struct Waiting {
    task: Task,
    attempts: u32,
    first: Option<Instant>,
    maybe_done: bool,
}

#[derive(Default)]
struct Lane {
    queue: VecDeque<Waiting>,
    busy: bool,
    /// Whether an attempt at its head is under way.
    attempting: bool,
    /// Counts the delays before an attempt: an earlier one's end means nothing.
    delays: u64,
}

enum Ended {
    Attempt(LaneKey, Result<Reply, EffectError>),
    Backoff(LaneKey, u64),
}

struct Lanes {
    plans: Vec<Arc<Plan>>,
    journal: Arc<str>,
    /// For each workflow, the effect of each intent case.
    effects: Vec<Vec<usize>>,
    lanes: HashMap<LaneKey, Lane>,
    attempts: FuturesUnordered<BoxFuture<'static, Ended>>,
    /// Attempts under way and lanes that wait for a place, by effect.
    running: HashMap<(usize, usize), usize>,
    queued: HashMap<(usize, usize), VecDeque<LaneKey>>,
    /// Intents that others wait for, with the lanes to look at when they end.
    awaited: HashMap<IntentKey, Vec<LaneKey>>,
    /// Intents that will not be performed, because one that they come after failed: the engine concludes them.
    refused: HashSet<IntentKey>,
    conclusions: Vec<(EntityName, IntentKey, Conclusion)>,
    engine: Sender<Message>,
    random: Random,
    paused: HashSet<(usize, Option<Arc<str>>)>,
    draining: bool,
}

/// Runs the lanes until the engine is gone or drained.
///
/// `random` gives uniform numbers, for the jitter of delays.
pub(super) async fn run(plans: Vec<Arc<Plan>>, engine: Sender<Message>, mut orders: mpsc::UnboundedReceiver<Order>, random: Random) {
    let journal = plans.first().map_or((0, 0), |plan| plan.journal);
    let effects = plans.iter().map(|plan| effect_indices(plan)).collect();
    let mut lanes = Lanes {
        plans,
        journal: purefold_wit::uuid::format(journal.0, journal.1).into(),
        effects,
        lanes: HashMap::new(),
        attempts: FuturesUnordered::new(),
        running: HashMap::new(),
        queued: HashMap::new(),
        awaited: HashMap::new(),
        refused: HashSet::new(),
        conclusions: Vec::new(),
        engine,
        random,
        paused: HashSet::new(),
        draining: false,
    };
    loop {
        tokio::select! {
            biased;
            ended = lanes.attempts.next(), if !lanes.attempts.is_empty() => {
                if let Some(ended) = ended {
                    lanes.ended(ended);
                }
            }
            order = orders.recv() => match order {
                Some(Order::Perform(tasks)) => lanes.perform(tasks),
                Some(Order::Redrive(name, key)) => lanes.redrive(name, key),
                Some(Order::GiveUp(name, key, reason)) => lanes.give_up(name, key, reason),
                Some(Order::Pause { workflow, effect }) => {
                    lanes.paused.insert((workflow, effect));
                }
                Some(Order::Resume { workflow, effect }) => lanes.resume(workflow, effect),
                Some(Order::Drain) => lanes.draining = true,
                None => break,
            },
        }
        // Whatever else has ended by now goes with it.
        while lanes.conclusions.len() < MOST_TOGETHER {
            let Some(Some(ended)) = futures_util::FutureExt::now_or_never(lanes.attempts.next()) else { break };
            lanes.ended(ended);
        }
        if !lanes.report() {
            break;
        }
    }
}

/// Effects of one name are one effect, whatever the case.
fn effect_indices(plan: &Plan) -> Vec<usize> {
    let mut names: Vec<Arc<str>> = Vec::new();
    let index = |route: &RoutePlan| match route {
        RoutePlan::Effect(route) => names.iter().position(|name| *name == route.effect).unwrap_or_else(|| {
            names.push(route.effect.clone());
            names.len() - 1
        }),
        _ => usize::MAX,
    };
    plan.workflow.routes.iter().map(index).collect()
}

impl Lanes {
    fn perform(&mut self, tasks: Vec<Task>) {
        for task in tasks {
            let effect = self.effects[task.name.workflow][task.intent.case as usize];
            let key = (task.name.workflow, effect, task.key.entity);
            for index in &task.waits {
                let awaited = IntentKey { index: *index, ..task.key };
                self.awaited.entry(awaited).or_default().push(key);
            }
            let held = task.intent.held;
            let lane = self.lanes.entry(key).or_default();
            lane.queue.push_back(Waiting { task, attempts: 0, first: None, maybe_done: false });
            if held {
                // A new start of the host is a new chance for what waited for an operator.
                self.note_pending(key);
            }
            self.look(key);
        }
    }

    fn note_pending(&mut self, key: LaneKey) {
        let Some(waiting) = self.lanes.get(&key).and_then(|lane| lane.queue.back()) else { return };
        let note = Note { held: false, attempts: 0, reason: String::new() };
        self.send(Message::Noted(waiting.task.name.clone(), waiting.task.key, note));
    }

    /// Starts the head of a lane, if it may start.
    fn look(&mut self, key: LaneKey) {
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        while lane.queue.front().is_some_and(|waiting| self.refused.contains(&waiting.task.key)) {
            if let Some(gone) = lane.queue.pop_front() {
                self.refused.remove(&gone.task.key);
            }
        }
        let Some(head) = lane.queue.front() else {
            self.lanes.remove(&key);
            return;
        };
        if lane.busy || !head.task.waits.is_empty() || self.draining {
            return;
        }
        lane.busy = true;
        self.queued.entry((key.0, key.1)).or_default().push_back(key);
        self.start_queued((key.0, key.1));
    }

    /// Starts the lanes that wait for a place, those that have waited longest first.
    fn start_queued(&mut self, effect: (usize, usize)) {
        while !self.draining
            && !self.is_paused(effect)
            && *self.running.entry(effect).or_default() < self.plans[effect.0].workflow.manifest.limits.parallel
        {
            let Some(next) = self.queued.get_mut(&effect).and_then(VecDeque::pop_front) else { return };
            self.start(next);
        }
    }

    fn is_paused(&self, (workflow, effect): (usize, usize)) -> bool {
        if self.paused.is_empty() {
            return false;
        }
        let case = self.effects[workflow].iter().position(|index| *index == effect).and_then(|case| u32::try_from(case).ok());
        let name = case.and_then(|case| route(&self.plans[workflow], case)).map(|route| route.effect.clone());
        self.paused.contains(&(workflow, None)) || self.paused.contains(&(workflow, name))
    }

    fn resume(&mut self, workflow: usize, effect: Option<Arc<str>>) {
        self.paused.remove(&(workflow, effect));
        for index in 0..self.effects[workflow].len() {
            self.start_queued((workflow, index));
        }
    }

    /// The lane whose head an operator may order about, or why there is none.
    fn waiting_head(&self, name: &EntityName, key: IntentKey) -> Result<LaneKey, Answer> {
        for index in 0..self.effects[name.workflow].len() {
            let lane_key = (name.workflow, index, key.entity);
            let Some(lane) = self.lanes.get(&lane_key) else { continue };
            if lane.queue.front().is_some_and(|waiting| waiting.task.key == key && waiting.attempts > 0) {
                return if lane.attempting { Err(Answer::Busy) } else { Ok(lane_key) };
            }
        }
        Err(Answer::NotWaiting)
    }

    fn redrive(&mut self, name: EntityName, key: IntentKey) {
        let answer = match self.waiting_head(&name, key) {
            Err(answer) => answer,
            Ok(lane_key) => {
                if let Some(lane) = self.lanes.get_mut(&lane_key) {
                    lane.delays += 1;
                    if let Some(head) = lane.queue.front_mut() {
                        (head.attempts, head.first, head.maybe_done) = (0, None, false);
                    }
                }
                self.send(Message::Noted(name.clone(), key, Note { held: false, attempts: 0, reason: String::new() }));
                self.unqueue(lane_key);
                self.queued.entry((lane_key.0, lane_key.1)).or_default().push_back(lane_key);
                self.start_queued((lane_key.0, lane_key.1));
                Answer::Redriven
            }
        };
        self.send(Message::Answered(name, key, answer));
    }

    fn give_up(&mut self, name: EntityName, key: IntentKey, reason: String) {
        let answer = match self.waiting_head(&name, key) {
            Err(answer) => answer,
            Ok(lane_key) => {
                self.unqueue(lane_key);
                self.conclude(lane_key, Err((FailureKind::Exhausted, shortened(&reason))));
                Answer::GivenUp
            }
        };
        self.send(Message::Answered(name, key, answer));
    }

    fn unqueue(&mut self, key: LaneKey) {
        if let Some(queued) = self.queued.get_mut(&(key.0, key.1)) {
            queued.retain(|queued| *queued != key);
        }
    }

    fn start(&mut self, key: LaneKey) {
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        let Some(waiting) = lane.queue.front_mut() else { return };
        lane.attempting = true;
        let plan = &self.plans[key.0];
        let Some(route) = route(plan, waiting.task.intent.case) else { return };
        *self.running.entry((key.0, key.1)).or_default() += 1;
        let first = *waiting.first.get_or_insert_with(Instant::now);
        waiting.attempts += 1;
        let intent = &waiting.task.intent;
        let entity = waiting.task.name.key.clone();
        let call = Call {
            id: intent_id(plan.journal, &plan.workflow.name, &entity, intent.sequence, intent.index),
            journal: self.journal.clone(),
            workflow: plan.workflow.name.clone(),
            entity,
            sequence: intent.sequence,
            index: intent.index,
            now: intent.asked,
            correlation_id: intent.correlation_id.clone(),
            payload: intent.payload.clone(),
        };
        let attempt = route.operation.perform(call);
        let deadline = first + route.retry.deadline;
        self.attempts.push(Box::pin(async move {
            let result = tokio::time::timeout_at(deadline, attempt).await;
            Ended::Attempt(key, result.unwrap_or_else(|_| Err(EffectError::Unknown("no answer by the deadline".into()))))
        }));
    }

    fn ended(&mut self, ended: Ended) {
        match ended {
            Ended::Backoff(key, delay) => {
                if self.lanes.get(&key).is_some_and(|lane| lane.delays == delay) {
                    self.queued.entry((key.0, key.1)).or_default().push_back(key);
                    self.start_queued((key.0, key.1));
                }
            }
            Ended::Attempt(key, result) => {
                let effect = (key.0, key.1);
                *self.running.entry(effect).or_default() -= 1;
                if let Some(lane) = self.lanes.get_mut(&key) {
                    lane.attempting = false;
                }
                self.attempted(key, result);
                self.start_queued(effect);
            }
        }
    }

    fn attempted(&mut self, key: LaneKey, result: Result<Reply, EffectError>) {
        let Some(waiting) = self.lanes.get_mut(&key).and_then(|lane| lane.queue.front_mut()) else { return };
        let plan = self.plans[key.0].clone();
        let Some(route) = route(&plan, waiting.task.intent.case) else { return };
        let error = match result {
            Ok(reply) => return self.conclude(key, Ok(reply)),
            Err(error) => error,
        };
        tracing::debug!(
            workflow = %plan.workflow.name, effect = %route.effect, entity = %waiting.task.name.key, sequence = waiting.task.key.sequence,
            index = waiting.task.key.index, correlation_id = %waiting.task.intent.correlation_id, attempt = waiting.attempts, %error,
            "attempt failed"
        );
        let elapsed = waiting.first.map_or(Duration::ZERO, |first| first.elapsed());
        waiting.maybe_done |= matches!(error, EffectError::Unknown(_));
        match after_failure(&route.retry, waiting.attempts, elapsed, &error, waiting.maybe_done, (self.random)()) {
            Verdict::Again(delay) => {
                let note = Note { held: false, attempts: waiting.attempts, reason: shortened(&error.to_string()) };
                let (name, intent) = (waiting.task.name.clone(), waiting.task.key);
                self.send(Message::Noted(name, intent, note));
                let Some(lane) = self.lanes.get_mut(&key) else { return };
                lane.delays += 1;
                let delays = lane.delays;
                self.attempts.push(Box::pin(async move {
                    tokio::time::sleep(delay).await;
                    Ended::Backoff(key, delays)
                }));
            }
            Verdict::Over(kind, text) if route.on_exhausted == OnExhausted::Outcome => self.conclude(key, Err((kind, shortened(&text)))),
            Verdict::Over(kind, text) => {
                // The lane stays busy: nothing passes a held intent.
                let note = Note { held: true, attempts: waiting.attempts, reason: shortened(&format!("{}: {text}", kind.name())) };
                let (name, intent) = (waiting.task.name.clone(), waiting.task.key);
                tracing::warn!(
                    workflow = %plan.workflow.name, effect = %route.effect, entity = %name.key, sequence = intent.sequence, index = intent.index,
                    correlation_id = %waiting.task.intent.correlation_id, reason = note.reason, "intent held"
                );
                self.send(Message::Noted(name, intent, note));
            }
        }
    }

    fn conclude(&mut self, key: LaneKey, conclusion: Conclusion) {
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        lane.busy = false;
        lane.delays += 1;
        let Some(done) = lane.queue.pop_front() else { return };
        tracing::debug!(
            workflow = %self.plans[key.0].workflow.name, entity = %done.task.name.key, sequence = done.task.key.sequence, index = done.task.key.index,
            correlation_id = %done.task.intent.correlation_id, attempts = done.attempts, succeeded = conclusion.is_ok(), "intent concluded"
        );
        self.release_dependents(done.task.key, conclusion.is_ok());
        self.conclusions.push((done.task.name, done.task.key, conclusion));
        self.look(key);
    }

    /// Lets go what waited for `intent`, or strikes it out where that failed.
    fn release_dependents(&mut self, intent: IntentKey, succeeded: bool) {
        for lane in self.awaited.remove(&intent).unwrap_or_default() {
            let mut struck = Vec::new();
            for waiting in self.lanes.get_mut(&lane).map(|lane| &mut lane.queue).into_iter().flatten() {
                let task = &mut waiting.task;
                if (task.key.entity, task.key.sequence) != (intent.entity, intent.sequence) || !task.waits.contains(&intent.index) {
                    continue;
                }
                task.waits.retain(|index| *index != intent.index);
                if !succeeded {
                    struck.push(task.key);
                }
            }
            for key in struck {
                if self.refused.insert(key) {
                    self.release_dependents(key, false);
                }
            }
            self.look(lane);
        }
    }

    fn send(&self, message: Message) {
        // The engine is gone only when the process ends; the outbox keeps what it did not hear.
        let _ = self.engine.send(message);
    }

    /// Hands conclusions to the engine. Gives whether there is more to do.
    fn report(&mut self) -> bool {
        if !self.conclusions.is_empty() {
            let conclusions = std::mem::take(&mut self.conclusions);
            self.send(Message::Concluded(conclusions));
        }
        if self.draining && self.running.values().all(|running| *running == 0) {
            self.send(Message::Drained);
            return false;
        }
        true
    }
}

fn route(plan: &Plan, case: u32) -> Option<&EffectRoute> {
    match plan.workflow.routes.get(case as usize) {
        Some(RoutePlan::Effect(route)) => Some(route),
        _ => None,
    }
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Again(Duration),
    Over(FailureKind, String),
}

/// What follows a failed attempt. `random` is uniform over all of `u64`: the delay is a uniform part of the exponential
/// bound ("full jitter"), but never shorter than what the backend asked for.
fn after_failure(retry: &Retry, attempts: u32, elapsed: Duration, error: &EffectError, maybe_done: bool, random: u64) -> Verdict {
    let asked = match error {
        EffectError::Refused(text) => return Verdict::Over(FailureKind::Refused, text.clone()),
        EffectError::UnreadableReply(text) => return Verdict::Over(FailureKind::UnreadableReply, text.clone()),
        EffectError::NotDone { retry_after, .. } => *retry_after,
        EffectError::Unknown(_) => None,
    };
    let bound = retry.first.saturating_mul(1 << attempts.saturating_sub(1).min(30)).min(retry.most);
    #[allow(clippy::cast_precision_loss)]
    let part = random as f64 / u64::MAX as f64;
    let delay = bound.mul_f64(part).max(asked.unwrap_or_default());
    if attempts < retry.attempts && elapsed + delay < retry.deadline {
        return Verdict::Again(delay);
    }
    let kind = if maybe_done { FailureKind::Unknown } else { FailureKind::Exhausted };
    let text = match error {
        EffectError::NotDone { reason, .. } => reason,
        EffectError::Unknown(text) | EffectError::Refused(text) | EffectError::UnreadableReply(text) => text,
    };
    Verdict::Over(kind, format!("{text} (after {attempts} attempts)"))
}

fn shortened(text: &str) -> String {
    let mut end = text.len().min(MOST_REASON_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    const RETRY: Retry =
        Retry { attempts: 3, first: Duration::from_millis(200), most: Duration::from_secs(30), deadline: Duration::from_secs(300) };

    fn not_done(retry_after: Option<Duration>) -> EffectError {
        EffectError::NotDone { reason: "down".into(), retry_after }
    }

    #[test]
    fn delays_double_up_to_the_bound_and_are_jittered() {
        let delay = |retry: &Retry, attempts, random| match after_failure(retry, attempts, Duration::ZERO, &not_done(None), false, random) {
            Verdict::Again(delay) => delay,
            over @ Verdict::Over(..) => panic!("{over:?}"),
        };
        assert_eq!(delay(&RETRY, 1, u64::MAX), Duration::from_millis(200));
        assert_eq!(delay(&RETRY, 2, u64::MAX), Duration::from_millis(400));
        assert_eq!(delay(&RETRY, 2, 0), Duration::ZERO);
        assert_eq!(delay(&Retry { attempts: 99, ..RETRY }, 60, u64::MAX), Duration::from_secs(30));
    }

    #[test]
    fn what_the_backend_asks_for_is_honoured_up_to_the_deadline() {
        let wait = Duration::from_secs(7);
        assert_eq!(after_failure(&RETRY, 1, Duration::ZERO, &not_done(Some(wait)), false, 0), Verdict::Again(wait));
        let late = after_failure(&RETRY, 1, Duration::from_secs(295), &not_done(Some(wait)), false, 0);
        assert_eq!(late, Verdict::Over(FailureKind::Exhausted, "down (after 1 attempts)".into()));
    }

    #[test]
    fn a_failure_that_may_have_been_a_success_stays_unknown() {
        let over = |maybe_done| after_failure(&RETRY, 3, Duration::ZERO, &not_done(None), maybe_done, 0);
        assert!(matches!(over(false), Verdict::Over(FailureKind::Exhausted, _)));
        assert!(matches!(over(true), Verdict::Over(FailureKind::Unknown, _)));
    }

    #[test]
    fn a_refusal_is_final_at_once() {
        let refused = EffectError::Refused("no".into());
        assert_eq!(after_failure(&RETRY, 1, Duration::ZERO, &refused, false, 0), Verdict::Over(FailureKind::Refused, "no".into()));
    }
}
