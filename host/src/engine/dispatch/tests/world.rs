//! What a dispatcher stands between: an outbox, and effects that do as a test has it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use futures_util::future::BoxFuture;
use purefold_effects::{Call, EffectError, Operation, Reply};
use purefold_wit::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::engine::assemble::{Task, waits};
use crate::engine::dispatch::queue::Bounds;
use crate::engine::dispatch::{Answer, Dispatcher, EffectStatus, FoundLane, Order, Wanted};
use crate::engine::entity::Outstanding;
use crate::engine::input::{Conclusion, EntityName, FailureKind, Note};
use crate::engine::plan::Plan;
use crate::engine::run::Message;
use crate::sandbox::Sandbox;
use crate::store::IntentKey;
use crate::workflow::{RoutePlan, tests::parcels};

/// Intent cases of the workflow, each on an effect of its own. `PRICE` comes after `NOTE`, and `NEWS` holds.
pub(super) const NOTE: u32 = 0;
pub(super) const PRICE: u32 = 1;
pub(super) const NEWS: u32 = 2;

/// How often the test looks at what the dispatcher says.
const LOOK: Duration = Duration::from_millis(5);

/// What becomes of an attempt.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Done,
    NotDone,
    /// Not done, and asked to wait.
    Later(Duration),
    Unknown,
    Refused,
    Hang,
}

/// What an effect sees.
pub(super) struct Seen {
    pub(super) case: u32,
    pub(super) entity: i64,
    pub(super) sequence: u64,
    /// How often the intent was tried before.
    pub(super) before: usize,
    /// Since the test began.
    pub(super) at: Duration,
}

type Behaviour = dyn Fn(&Seen) -> (Duration, Step) + Send + Sync;

#[derive(Default)]
struct Record {
    attempts: Vec<(u32, i64, u64, Duration)>,
    done: HashSet<(u32, i64, u64)>,
    /// The last intent of each lane that was tried, and how often.
    lanes: HashMap<(u32, i64), (u64, usize)>,
}

struct Scripted {
    case: u32,
    began: Instant,
    record: Arc<Mutex<Record>>,
    behaviour: Arc<Behaviour>,
}

impl Operation for Scripted {
    fn perform(&self, call: Call) -> BoxFuture<'static, Result<Reply, EffectError>> {
        let (case, entity, sequence) = (self.case, call.entity.parse().unwrap(), call.sequence);
        let mut record = self.record.lock().unwrap();
        let (last, count) = record.lanes.entry((case, entity)).or_default();
        assert!(*last <= sequence, "{entity}: a lane goes on in order");
        let before = if *last == sequence { *count } else { 0 };
        (*last, *count) = (sequence, before + 1);
        assert!(!record.done.contains(&(case, entity, sequence)), "{entity}/{sequence}: done already");
        assert!(case != PRICE || record.done.contains(&(NOTE, entity, sequence)), "{entity}/{sequence}: comes after its note");
        let at = self.began.elapsed();
        record.attempts.push((case, entity, sequence, at));
        drop(record);
        let (latency, step) = (self.behaviour)(&Seen { case, entity, sequence, before, at });
        let record = self.record.clone();
        Box::pin(async move {
            tokio::time::sleep(latency).await;
            let error = |reason: &str, retry_after| EffectError::NotDone { reason: reason.into(), retry_after };
            let result = match step {
                Step::Done => Ok(None),
                Step::NotDone => Err(error("down", None)),
                Step::Later(wait) => Err(error("busy", Some(wait))),
                Step::Unknown => Err(EffectError::Unknown("lost".into())),
                Step::Refused => Err(EffectError::Refused("no".into())),
                Step::Hang => std::future::pending().await,
            };
            let mut record = record.lock().unwrap();
            if result.is_ok() {
                record.done.insert((case, entity, sequence));
            }
            result
        })
    }

    fn bears_repeats(&self) -> bool {
        self.case == NEWS
    }
}

pub(super) struct World {
    plan: Arc<Plan>,
    orders: mpsc::UnboundedSender<Order>,
    messages: Receiver<Message>,
    record: Arc<Mutex<Record>>,
    began: Instant,
    payload: Arc<Value>,
    /// Committed intents without a conclusion, by entity, in order.
    outbox: BTreeMap<i64, Vec<Outstanding>>,
    looks: u32,
    /// How many looks the engine is too busy to hear anything.
    pub(super) slowness: u32,
    pub(super) concluded: Vec<(IntentKey, Conclusion)>,
    /// Intents that the engine settled, because one that they come after failed.
    pub(super) settled: usize,
    pub(super) notes: Vec<(IntentKey, Note)>,
    pub(super) answered: Vec<(IntentKey, Answer)>,
    pub(super) drained: bool,
}

impl World {
    /// Starts a dispatcher. `changes` are made to the manifest.
    pub(super) fn new(
        changes: &[(&str, &str)],
        bounds: Bounds,
        behaviour: impl Fn(&Seen) -> (Duration, Step) + Send + Sync + 'static,
    ) -> World {
        let mut workflow = parcels(changes);
        let (record, behaviour, began) = (Arc::new(Mutex::new(Record::default())), Arc::new(behaviour), Instant::now());
        for (case, route) in (0..).zip(Arc::get_mut(&mut workflow.routes).unwrap()) {
            if let RoutePlan::Effect(route) = route {
                route.operation = Arc::new(Scripted { case, began, record: record.clone(), behaviour: behaviour.clone() });
            }
        }
        let plan = Arc::new(Plan::new(workflow, &Sandbox::new().unwrap(), 1, (1, 2)).unwrap());
        let (engine, messages) = unbounded();
        let (orders, received) = mpsc::unbounded_channel();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let random = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        tokio::spawn(Dispatcher::new(vec![plan.clone()], engine, Box::new(random), bounds).run(received));
        World {
            plan,
            orders,
            messages,
            record,
            began,
            payload: Arc::new(Value::Record(Box::default())),
            outbox: BTreeMap::new(),
            looks: 0,
            slowness: 0,
            concluded: Vec::new(),
            settled: 0,
            notes: Vec::new(),
            answered: Vec::new(),
            drained: false,
        }
    }

    /// Commits a decision that asks for these cases.
    pub(super) fn decide(&mut self, entity: i64, sequence: u64, cases: &[u32]) {
        let outbox = self.outbox.entry(entity).or_default();
        let first = outbox.len();
        outbox.extend((0..).zip(cases).map(|(index, case)| Outstanding {
            sequence,
            index,
            case: *case,
            terms: self.plan.terms.clone(),
            asked: sequence,
            event_id: "e".into(),
            correlation_id: "c".into(),
            payload: None,
            held: false,
            failed: None,
            settled: None,
        }));
        let tasks = outbox[first..].iter().map(|intent| task(entity, outbox, intent, &self.payload)).collect();
        self.order(Order::Perform(tasks));
    }

    pub(super) fn order(&self, order: Order) {
        self.orders.send(order).unwrap_or_else(|_| panic!("the dispatcher has ended"));
    }

    /// Lets time pass.
    pub(super) async fn pass(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            tokio::time::sleep(LOOK).await;
            self.hear();
        }
    }

    /// Lets time pass until everything is concluded.
    pub(super) async fn pass_until_done(&mut self, most: Duration) {
        let until = Instant::now() + most;
        while self.outstanding() > 0 {
            assert!(Instant::now() < until, "{} intents are left: {:?}", self.outstanding(), self.left());
            self.pass(LOOK).await;
        }
    }

    fn hear(&mut self) {
        self.looks += 1;
        if !self.looks.is_multiple_of(self.slowness + 1) {
            return;
        }
        while let Ok(message) = self.messages.try_recv() {
            match message {
                Message::Concluded(conclusions) => {
                    for (_, key, conclusion) in conclusions {
                        self.conclude(key, conclusion);
                    }
                }
                Message::Noted(_, key, note) => self.notes.push((key, note)),
                Message::Answered(_, key, answer) => {
                    self.answered.push((key, answer));
                    if answer == Answer::GivenUp {
                        self.conclude(key, Err((FailureKind::Unknown, "given up".into())));
                    }
                }
                Message::Wanted(wanted) => {
                    let found = wanted.iter().map(|wanted| self.find(wanted)).collect();
                    self.order(Order::Found(found));
                }
                Message::Drained => self.drained = true,
                _ => panic!("the dispatcher sends nothing else"),
            }
        }
    }

    fn conclude(&mut self, key: IntentKey, conclusion: Conclusion) {
        let outbox = self.outbox.get_mut(&key.entity).unwrap();
        let dependents: Vec<u32> = outbox
            .iter()
            .filter(|intent| intent.sequence == key.sequence && waits(outbox, intent).contains(&key.index))
            .map(|intent| intent.index)
            .collect();
        let before = outbox.len();
        outbox.retain(|intent| (intent.sequence, intent.index) != (key.sequence, key.index));
        assert_eq!(outbox.len() + 1, before, "{key:?} is concluded once");
        if conclusion.is_err() {
            outbox.retain(|intent| intent.sequence != key.sequence || !dependents.contains(&intent.index));
            self.settled += dependents.len();
        }
        self.concluded.push((key, conclusion));
    }

    /// What the store has of a lane, a few rows at a time.
    fn find(&self, wanted: &Wanted) -> FoundLane {
        const ROWS: usize = 5;
        let (entity, effect) = (wanted.lane.1, &wanted.effect);
        let outbox = self.outbox.get(&entity).map_or(&[][..], |outbox| outbox);
        let from = outbox.partition_point(|intent| (intent.sequence, intent.index) < wanted.from);
        let rows = &outbox[from..outbox.len().min(from + ROWS)];
        let rest = (from + ROWS < outbox.len()).then(|| (outbox[from + ROWS].sequence, outbox[from + ROWS].index));
        let is_of = |case: u32| matches!(&self.plan.workflow.routes[case as usize], RoutePlan::Effect(route) if route.effect == *effect);
        let tasks = rows.iter().filter(|intent| is_of(intent.case)).map(|intent| task(entity, outbox, intent, &self.payload)).collect();
        FoundLane { lane: wanted.lane, tasks, rest }
    }

    /// Some of the intents that are left, and what was last said of them.
    fn left(&self) -> Vec<(i64, u64, u32, u32, Option<&Note>)> {
        let left = self.outbox.iter().flat_map(|(entity, outbox)| outbox.iter().map(|intent| (*entity, intent)));
        let noted = |at: IntentKey| self.notes.iter().rev().find(|(noted, _)| *noted == at).map(|(_, note)| note);
        left.take(10).map(|(entity, o)| (entity, o.sequence, o.index, o.case, noted(key(entity, o.sequence, o.index)))).collect()
    }

    pub(super) fn outstanding(&self) -> usize {
        self.outbox.values().map(Vec::len).sum()
    }

    /// The status of the effect that performs a case.
    pub(super) fn status(&self, case: u32) -> Arc<EffectStatus> {
        self.plan.effects[case as usize].clone()
    }

    /// How many intents are in memory anywhere but in the outbox.
    pub(super) fn held_in_memory(&self) -> usize {
        Arc::strong_count(&self.payload) - 1
    }

    /// When attempts at a case began, with entity and sequence.
    pub(super) fn attempts(&self, case: u32) -> Vec<(i64, u64, Duration)> {
        let record = self.record.lock().unwrap();
        record.attempts.iter().filter(|(c, ..)| *c == case).map(|(_, entity, sequence, at)| (*entity, *sequence, *at)).collect()
    }

    /// As if the notes of the decisions of this number were done.
    pub(super) fn record_note_of(&self, sequence: u64) {
        let notes = self.outbox.keys().map(|entity| (NOTE, *entity, sequence));
        self.record.lock().unwrap().done.extend(notes);
    }

    /// How many intents of a case were done.
    pub(super) fn done(&self, case: u32) -> usize {
        self.record.lock().unwrap().done.iter().filter(|(c, ..)| *c == case).count()
    }

    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

pub(super) fn name(entity: i64) -> EntityName {
    EntityName { workflow: 0, key: entity.to_string().into() }
}

pub(super) fn key(entity: i64, sequence: u64, index: u32) -> IntentKey {
    IntentKey { entity, sequence, index }
}

fn task(entity: i64, outbox: &[Outstanding], intent: &Outstanding, payload: &Arc<Value>) -> Task {
    Task {
        key: key(entity, intent.sequence, intent.index),
        name: name(entity),
        waits: waits(outbox, intent),
        intent: intent.clone(),
        payload: payload.clone(),
        maybe_done: false,
        trace: None,
    }
}
