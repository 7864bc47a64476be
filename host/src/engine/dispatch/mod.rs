//! Dispatch: committed intents to their effects, in lanes.
//!
//! A lane is an effect of a workflow and an entity: first in, first out. Lanes of an effect take turns, up to a bound of
//! attempts at a time; a lane goes to the back after each attempt, and a breaker keeps attempts from a backend that is
//! down. An attempt is no fact; what a lane reports is the conclusion, once, or that the intent is held.
//!
//! [`queue`] says who may go next, [`breaker`] whether anybody may, [`retry`] what follows a failure, [`outage`] when that is
//! told; this module makes the attempts. What does not fit into memory is read back from the store (`engine/stored.rs`).

mod attempt;
mod breaker;
mod lane;
mod operate;
mod order;
mod outage;
mod queue;
mod retry;
mod spans;
mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use hashbrown::{HashMap, HashSet};
use purefold_effects::{EffectError, Reply};
use tokio::sync::mpsc;
use tokio::time::Instant;

pub(super) use self::queue::Bounds;
pub use breaker::BreakerState;
pub(super) use lane::Place;
pub(super) use order::{Answer, FoundLane, Order, Wanted};
pub use status::EffectStatus;

use self::lane::{LaneKey, Standing};
use self::queue::{Admitted, Queue};
use super::assemble::Task;
use super::input::{Conclusion, EntityName, Note};
use super::plan::Plan;
use super::planted::{Mistake, planted};
use super::run::Message;
use super::share::Lease;
#[cfg(test)]
use super::stored::MOST_ROWS;
use super::terms::Terms;
use crate::store::{EntityId, IntentKey};
use crate::trace::Span;

/// Conclusions that are handed to the engine together.
const MOST_TOGETHER: usize = 1024;

/// How long a stop waits for attempts under way. What is cut off then is repeated by the next start under the same id.
pub(super) const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// How often a lease that does not hold is looked at again.
const LEASE_INTERVAL: Duration = Duration::from_millis(100);

/// Uniform over all of `u64`.
pub(super) type Random = Box<dyn FnMut() -> u64 + Send>;

/// What the dispatcher waits for besides orders.
enum Ended {
    /// With when it began, whether it was a probe, and who it was for.
    Attempt(LaneKey, Result<Reply, EffectError>, Began, Asked),
    Delay(LaneKey, u64),
    /// A breaker's cooldown, by its queue and number.
    Cooldown(usize, u64),
    /// The longest wait of a queue is to be looked for.
    Look(usize),
    /// Whether a queue has been answered lately is to be looked at.
    Silence(usize),
    /// Whether the lease holds again is to be looked at.
    Lease,
    Stop,
}

/// Who an attempt is for.
struct Asked {
    terms: Arc<Terms>,
    span: Option<Box<Span>>,
}

/// How an attempt began.
#[derive(Clone, Copy, Debug)]
struct Began {
    at: Instant,
    probe: bool,
}

struct Dispatcher {
    /// The workflows under the releases in force.
    plans: Vec<Arc<Plan>>,
    bounds: Bounds,
    journal: Arc<str>,
    queues: Vec<Queue>,
    under_way: FuturesUnordered<BoxFuture<'static, Ended>>,
    /// Intents that others wait for, with the lanes to look at when they end.
    awaited: HashMap<IntentKey, Vec<LaneKey>>,
    /// Entities of which lanes are being read from the store: how many, and what was concluded meanwhile. The reader may
    /// not have known of it.
    reading: HashMap<EntityId, (usize, Vec<(Place, bool)>)>,
    /// Intents that operators gave up while an attempt was under way.
    leaving: HashSet<IntentKey>,
    conclusions: Vec<(EntityName, IntentKey, Conclusion)>,
    engine: Sender<Message>,
    random: Random,
    /// Counts delays: the end of one that was cut short means nothing.
    delays: u64,
    draining: bool,
    stop_over: bool,
    /// How long attempts may start, where others may take over.
    lease: Option<Arc<Lease>>,
    /// Whether the end of a wait for the lease is arranged.
    waits_for_lease: bool,
}

/// Performs intents until the engine is gone or drained.
///
/// `random` gives uniform numbers, for the jitter of delays.
pub(super) async fn run(
    plans: Vec<Arc<Plan>>,
    engine: Sender<Message>,
    orders: mpsc::UnboundedReceiver<Order>,
    random: Random,
    bounds: Bounds,
    lease: Option<Arc<Lease>>,
) {
    let dispatcher = Dispatcher::new(plans, engine, random, bounds);
    Dispatcher { lease, ..dispatcher }.run(orders).await;
}

#[cfg(test)]
impl Bounds {
    /// Intents of an effect that may be in memory: a lane that was let in, or is read up to the end of a decision with so many
    /// intents, comes whole, whether it waits for others or not.
    pub(super) fn most(self, of_decision: usize) -> usize {
        self.tasks + self.dependent + self.in_lane + 2 * self.loading * (MOST_ROWS as usize + of_decision)
    }
}

impl Dispatcher {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            tokio::select! {
                biased;
                ended = self.under_way.next(), if !self.under_way.is_empty() => {
                    if let Some(ended) = ended {
                        self.ended(ended);
                    }
                }
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => break,
                },
            }
            // Whatever else has ended by now goes with it.
            while self.conclusions.len() < MOST_TOGETHER {
                let Some(Some(ended)) = self.under_way.next().now_or_never() else { break };
                self.ended(ended);
            }
            if !self.report() {
                break;
            }
        }
    }

    fn new(plans: Vec<Arc<Plan>>, engine: Sender<Message>, random: Random, bounds: Bounds) -> Self {
        let journal = plans.first().map_or((0, 0), |plan| plan.journal);
        let mut dispatcher = Dispatcher {
            plans: plans.clone(),
            bounds,
            journal: purefold_wit::uuid::format(journal.0, journal.1).into(),
            queues: Vec::new(),
            under_way: FuturesUnordered::new(),
            awaited: HashMap::new(),
            reading: HashMap::new(),
            leaving: HashSet::new(),
            conclusions: Vec::new(),
            engine,
            random,
            delays: 0,
            draining: false,
            stop_over: false,
            lease: None,
            waits_for_lease: false,
        };
        for (workflow, plan) in plans.into_iter().enumerate() {
            dispatcher.goes_on_under(workflow, plan);
        }
        dispatcher
    }

    /// Has a release in force: its effects have queues, and those that there were go on by its limits.
    fn goes_on_under(&mut self, workflow: usize, plan: Arc<Plan>) {
        for status in &plan.effects {
            let limits = plan.workflow.effect_limits(status.effect());
            match self.queues.iter_mut().find(|queue| queue.workflow == workflow && queue.effect == *status.effect()) {
                Some(queue) => queue.limit(limits),
                None => self.queues.push(Queue::new(workflow, limits, status.clone(), self.bounds)),
            }
        }
        self.plans[workflow] = plan;
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Perform(tasks) => self.perform(tasks),
            Order::Found(lanes) => lanes.into_iter().for_each(|lane| self.found(lane)),
            Order::Redrive(name, key) => self.redrive(name, key),
            Order::GiveUp(name, key) => self.give_up(name, key),
            Order::Pause { workflow, effect } => self.pause(workflow, effect.as_deref(), true),
            Order::Resume { workflow, effect } => self.pause(workflow, effect.as_deref(), false),
            Order::Release { workflow, plan } => self.goes_on_under(workflow, plan),
            Order::Drain(attempts) => {
                self.draining = true;
                self.under_way.push(Box::pin(async move {
                    tokio::time::sleep(attempts).await;
                    Ended::Stop
                }));
            }
        }
    }

    fn perform(&mut self, tasks: Vec<Task>) {
        for task in tasks {
            let Some(key) = self.lane_of(&task) else { continue };
            if task.intent.held {
                // A new start of the host is a new chance for what waited for an operator.
                self.send(Message::Noted(task.name.clone(), task.key, Note { held: false, attempts: 0, reason: String::new() }));
            }
            let (intent, waits) = (task.key, task.waits.clone());
            let admitted = self.queues[key.0].admit(task);
            if admitted != Admitted::Stored {
                self.await_all(key, intent, &waits);
            }
            if admitted == Admitted::First {
                self.look(key);
            }
        }
    }

    fn lane_of(&self, task: &Task) -> Option<LaneKey> {
        let effect = &task.intent.terms.route(task.intent.case)?.effect;
        let queue = self.queues.iter().position(|queue| queue.workflow == task.name.workflow && queue.effect == *effect)?;
        Some((queue, task.key.entity))
    }

    /// Takes what the engine read of a lane.
    fn found(&mut self, found: FoundLane) {
        let FoundLane { lane: key, mut tasks, rest } = found;
        let meanwhile = match self.reading.get_mut(&key.1) {
            Some((lanes, _)) if *lanes > 1 => {
                *lanes -= 1;
                self.reading[&key.1].1.clone()
            }
            _ => self.reading.remove(&key.1).map(|(_, concluded)| concluded).unwrap_or_default(),
        };
        tasks.retain_mut(|task| {
            let ended =
                |index: u32| meanwhile.iter().find(|(place, _)| *place == (task.key.sequence, index)).map(|(_, succeeded)| *succeeded);
            // Given up meanwhile; and the engine concludes what comes after a failed one.
            if ended(task.key.index).is_some() || task.waits.iter().any(|index| ended(*index) == Some(false)) {
                return false;
            }
            let waits = std::mem::take(&mut task.waits);
            task.waits = waits.into_iter().filter(|index| ended(*index).is_none()).collect();
            true
        });
        let waits: Vec<_> = tasks.iter().map(|task| (task.key, task.waits.clone())).collect();
        self.queues[key.0].loaded(key.1, tasks, rest);
        for (intent, waits) in waits {
            self.await_all(key, intent, &waits);
        }
        self.look(key);
    }

    fn await_all(&mut self, key: LaneKey, intent: IntentKey, waits: &[u32]) {
        for index in waits {
            let lanes = self.awaited.entry(IntentKey { index: *index, ..intent }).or_default();
            if !lanes.contains(&key) {
                lanes.push(key);
            }
        }
    }

    fn await_no_more(&mut self, key: LaneKey, intent: IntentKey, waits: &[u32]) {
        for index in waits {
            let awaited = IntentKey { index: *index, ..intent };
            if let Some(lanes) = self.awaited.get_mut(&awaited) {
                lanes.retain(|lane| *lane != key);
                if lanes.is_empty() {
                    self.awaited.remove(&awaited);
                }
            }
        }
    }

    /// Finds out what a lane can do whose head has changed.
    fn look(&mut self, key: LaneKey) {
        let queue = &mut self.queues[key.0];
        let Some(lane) = queue.lanes.get(&key.1) else { return };
        let Some(head) = lane.tasks.front() else {
            match lane.rest {
                Some(_) => queue.stand(key.1, Standing::Loading),
                None => queue.end(key.1),
            }
            return;
        };
        if head.task.waits.is_empty() {
            queue.stand(key.1, Standing::Ready);
        } else if queue.has_room_for_dependents() {
            queue.stand(key.1, Standing::Dependent(Vec::new()));
        } else {
            let (intent, waits) = (head.task.key, head.task.waits.clone());
            self.put_back(key);
            self.await_all(key, intent, &waits);
            self.queues[key.0].stand(key.1, Standing::Dependent(waits));
        }
    }

    /// Leaves a lane's intents to the store.
    fn put_back(&mut self, key: LaneKey) {
        for waiting in self.queues[key.0].put_back(key.1) {
            self.await_no_more(key, waiting.task.key, &waiting.task.waits);
        }
    }

    fn conclude(&mut self, key: LaneKey, conclusion: Conclusion) {
        if conclusion.is_ok() && planted(Mistake::SuccessRepeated) {
            return self.queues[key.0].stand(key.1, Standing::Ready);
        }
        let Some(done) = self.queues[key.0].take_head(key.1) else { return };
        tracing::debug!(
            workflow = %self.plans[done.task.name.workflow].workflow.name, effect = %self.queues[key.0].effect,
            entity = %done.task.name.key, sequence = done.task.key.sequence, index = done.task.key.index,
            event_id = %done.task.intent.event_id, correlation_id = %done.task.intent.correlation_id, attempt = done.attempts,
            succeeded = conclusion.is_ok(), "intent concluded"
        );
        self.concluded(done.task.name, done.task.key, conclusion);
        self.look(key);
    }

    /// Tells of a conclusion: the engine, and whoever waits for it.
    fn concluded(&mut self, name: EntityName, intent: IntentKey, conclusion: Conclusion) {
        let succeeded = conclusion.is_ok();
        self.conclusions.push((name, intent, conclusion));
        self.let_go(intent, succeeded);
    }

    /// Tells whoever waits for an intent that it is over.
    fn let_go(&mut self, intent: IntentKey, succeeded: bool) {
        if let Some((_, meanwhile)) = self.reading.get_mut(&intent.entity) {
            meanwhile.push((lane::place(intent), succeeded));
        }
        for key in self.awaited.remove(&intent).unwrap_or_default() {
            self.release(key, intent, succeeded);
        }
    }

    /// Lets go what waits for `intent` in a lane, or strikes it out where that failed: the engine concludes it then.
    fn release(&mut self, key: LaneKey, intent: IntentKey, succeeded: bool) {
        let Some(lane) = self.queues[key.0].lanes.get_mut(&key.1) else { return };
        if let (Standing::Dependent(waits), true) = (&lane.standing, lane.tasks.is_empty()) {
            let waits = waits.clone();
            self.await_no_more(key, intent, &waits);
            self.queues[key.0].stand(key.1, Standing::Loading);
            return;
        }
        let mut struck = Vec::new();
        for waiting in &mut lane.tasks {
            let task = &mut waiting.task;
            if task.key.sequence == intent.sequence && task.waits.contains(&intent.index) {
                task.waits.retain(|index| *index != intent.index);
                if !succeeded {
                    struck.push(task.key);
                }
            }
        }
        let awaits = matches!(lane.standing, Standing::Dependent(_));
        for strike in struck {
            if let Some(gone) = self.queues[key.0].strike(key.1, lane::place(strike)) {
                self.await_no_more_of(key, strike, &gone.task.waits);
            }
        }
        if awaits {
            self.look(key);
        }
    }

    /// As [`Dispatcher::await_no_more`], unless others of the lane's intents wait for the same.
    fn await_no_more_of(&mut self, key: LaneKey, intent: IntentKey, waits: &[u32]) {
        let Some(lane) = self.queues[key.0].lanes.get(&key.1) else { return self.await_no_more(key, intent, waits) };
        let shared =
            |index: &u32| lane.tasks.iter().any(|other| other.task.key.sequence == intent.sequence && other.task.waits.contains(index));
        let alone: Vec<u32> = waits.iter().copied().filter(|index| !shared(index)).collect();
        self.await_no_more(key, intent, &alone);
    }

    fn send(&self, message: Message) {
        // The engine is gone only when the process ends; the outbox keeps what it did not hear.
        let _ = self.engine.send(message);
    }

    fn tell_conclusions(&mut self) {
        if !self.conclusions.is_empty() {
            let conclusions = std::mem::take(&mut self.conclusions);
            self.send(Message::Concluded(conclusions));
        }
    }

    /// Tells the engine and all who look what has happened. Gives whether there is more to do.
    fn report(&mut self) -> bool {
        // A lane that starts may come to its end at once, and let others go.
        if self.may_start() {
            while (0..self.queues.len()).any(|queue| self.start_ready(queue)) {}
        }
        self.tell_conclusions();
        if !self.draining {
            // After the conclusions: the engine knows them when it reads.
            self.load();
        }
        for index in 0..self.queues.len() {
            if self.queues[index].publish() && !self.draining {
                self.under_way.push(Box::pin(async move {
                    tokio::time::sleep(queue::LOOK_INTERVAL).await;
                    Ended::Look(index)
                }));
            }
        }
        if !self.draining {
            return true;
        }
        let cut_off: usize = self.queues.iter().map(|queue| queue.under_way).sum();
        if cut_off > 0 && !self.stop_over {
            return true;
        }
        if cut_off > 0 {
            tracing::warn!(attempts = cut_off, "attempts were cut off by the stop; the next start repeats them under the same ids");
        }
        self.send(Message::Drained);
        false
    }

    /// Whether attempts may start: not where another host may have begun to make them.
    fn may_start(&mut self) -> bool {
        let holds = self.lease.as_ref().is_none_or(|lease| lease.holds()) || planted(Mistake::LeaseUnheeded);
        if !holds && !self.draining && !std::mem::replace(&mut self.waits_for_lease, true) {
            self.under_way.push(Box::pin(async {
                tokio::time::sleep(LEASE_INTERVAL).await;
                Ended::Lease
            }));
        }
        holds
    }

    /// Asks the engine for what is only in the store and has its turn.
    fn load(&mut self) {
        let mut wanted = Vec::new();
        for (index, queue) in self.queues.iter_mut().enumerate() {
            let (workflow, effect) = (queue.workflow, queue.effect.clone());
            let lanes = queue.take_loads().into_iter();
            wanted.extend(lanes.map(|(entity, from)| Wanted { lane: (index, entity), workflow, effect: effect.clone(), from }));
        }
        if wanted.is_empty() {
            return;
        }
        for lane in &wanted {
            self.reading.entry(lane.lane.1).or_default().0 += 1;
        }
        self.send(Message::Wanted(wanted));
    }
}
