//! The effects' other side: backends that fail in every way a backend can, and remember who asked them for what.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use purefold_effects::{Call, Effect, EffectError, IntentId, Operation, Reply, Route};
use purefold_wit::Finding;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::clock::SimulatedClock;
use super::knowledge::{Knowledge, Name, News};
use super::scenario::Scenario;
use crate::store::Location;
use crate::time::HostClock;

/// How an attempt ended, as far as the backend knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    UnderWay,
    Succeeded,
    Failed,
}

/// An intent that took effect, as the backend and whoever watches the hosts count it.
#[derive(Default)]
pub(super) struct Applied {
    /// How often the backend did it.
    pub(super) times: u32,
    /// How many attempts had it done.
    pub(super) asked: u32,
    /// How often a host could not know that an attempt did it: the reply was lost, the attempt cut off, or the host died, or
    /// had lost the entity, before the conclusion was durable. After that, and only then, it is repeated.
    pub(super) unknown: u32,
    /// The life of the host that had it done last, and whether that host knows.
    life: u32,
    is_known: bool,
}

/// Shared by all backends of a run; outlives the host's crashes.
#[derive(Default)]
pub(super) struct World {
    pub(super) seed: u64,
    /// In a hundred attempts.
    pub(super) failures: u32,
    /// On the events' own clock what becomes of an intent must not depend on when it is tried.
    pub(super) steadfast: bool,
    pub(super) clock: Arc<SimulatedClock>,
    /// Counts rounds of the loop and the lanes: a turn, and all that the effects can do then.
    pub(super) round: u64,
    pub(super) knowledge: Knowledge,
    /// Intents that an operator asked to give up: they leave their lanes before that is durable.
    pub(super) giving_up: HashSet<Name>,
    attempts: HashMap<IntentId, u32>,
    /// What the hosts that live now were told of each intent, by life.
    told: HashMap<(u32, Name), Last>,
    /// Hosts that share the store.
    pub(super) hosts: usize,
    /// What became of each intent that took effect.
    pub(super) applied: HashMap<String, Applied>,
    /// When hosts began to start, by the wall's clock.
    pub(super) starts: Vec<u64>,
    /// What went against the promise.
    pub(super) violations: Vec<String>,
}

/// A handle to the world, as one life of a host has it.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<World>>, u32);

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world of a scenario, on its clock.
    pub(super) fn of(scenario: &Scenario, clock: &Arc<SimulatedClock>) -> Self {
        let shared = Shared::default();
        let mut world = shared.lock();
        (world.seed, world.failures, world.hosts) = (scenario.seed, scenario.failures, scenario.hosts);
        (world.steadfast, world.clock) = (scenario.event_clock, clock.clone());
        drop(world);
        shared
    }

    /// The same for another life.
    pub(super) fn of_life(&self, life: u32) -> Self {
        Shared(self.0.clone(), life)
    }

    /// The host of that life died: what it was told is gone with it.
    pub(super) fn forget(&self, life: u32) {
        let mut world = self.lock();
        let told = std::mem::take(&mut world.told);
        for ((of, name), last) in told {
            if of != life {
                world.told.insert((of, name), last);
            } else if last != Last::UnderWay && world.knowledge.is_outstanding(&name) {
                let id = world.knowledge.id(&name);
                world.unknown(&id);
            }
        }
    }

    /// An effect as a manifest opens it.
    pub(super) fn effect(&self, settings: &toml::Table) -> Arc<dyn Effect> {
        let tag = settings.get("tag").and_then(toml::Value::as_str).unwrap_or_default();
        Arc::new(Simulated { world: self.clone(), tag: tag.into() })
    }
}

struct Simulated {
    world: Shared,
    /// Which manifest opened it.
    tag: Arc<str>,
}

impl Effect for Simulated {
    fn bind(&self, routes: &[Route<'_>]) -> Result<Vec<Arc<dyn Operation>>, Vec<Finding>> {
        let bound = |route: &Route<'_>| {
            let (world, tag) = (self.world.clone(), self.tag.clone());
            Arc::new(Bound { world, tag, case: route.case.replace('-', "_") }) as Arc<dyn Operation>
        };
        Ok(routes.iter().map(bound).collect())
    }

    fn start(&self) -> BoxFuture<'_, Result<(), EffectError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

struct Bound {
    world: Shared,
    tag: Arc<str>,
    case: String,
}

/// Notes that the host has given an attempt up, when it is dropped without an answer.
struct Abandoned {
    world: Shared,
    name: Name,
    id: String,
    /// Whether the backend did it.
    applied: bool,
    answered: bool,
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        if !self.answered {
            let mut world = self.world.lock();
            world.told.insert((self.world.1, self.name.clone()), Last::Failed);
            if self.applied {
                world.unknown(&self.id);
            }
        }
    }
}

/// What the backend will do with an attempt.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Succeed,
    /// The request is doubled on its way: the backend does it twice under the same id, and answers once.
    SucceedTwice,
    Refuse,
    NotDone,
    NotDoneFor(Duration),
    LoseRequest,
    LoseReply,
    Unreadable,
    Hang,
    Late(Duration),
}

impl Operation for Bound {
    fn perform(&self, call: Call) -> BoxFuture<'static, Result<Reply, EffectError>> {
        let name: Name = (call.entity.to_string(), call.sequence, call.index);
        let id = call.id.to_string();
        let (fate, latency) = self.world.lock().attempt(self.world.1, (&self.case, &self.tag), &name, call.id);
        let world = self.world.clone();
        Box::pin(async move {
            let mut abandoned = Abandoned { world: world.clone(), name: name.clone(), id: id.clone(), applied: false, answered: false };
            tokio::time::sleep(latency).await;
            let result = match fate {
                Fate::Succeed => {
                    world.lock().apply(world.1, &id, 1);
                    Ok(None)
                }
                Fate::SucceedTwice => {
                    world.lock().apply(world.1, &id, 2);
                    Ok(None)
                }
                Fate::Refuse => Err(EffectError::Refused("no".into())),
                Fate::NotDone => Err(EffectError::NotDone { reason: "not now".into(), retry_after: None }),
                Fate::NotDoneFor(wait) => Err(EffectError::NotDone { reason: "too many".into(), retry_after: Some(wait) }),
                Fate::LoseRequest => Err(EffectError::Unknown("no answer".into())),
                Fate::LoseReply => {
                    let mut backend = world.lock();
                    backend.apply(world.1, &id, 1);
                    backend.unknown(&id);
                    Err(EffectError::Unknown("no answer".into()))
                }
                Fate::Unreadable => {
                    let mut backend = world.lock();
                    backend.apply(world.1, &id, 1);
                    // It may be held for that, and an operator may have it tried again.
                    backend.unknown(&id);
                    Err(EffectError::UnreadableReply("what?".into()))
                }
                Fate::Hang => std::future::pending().await,
                Fate::Late(later) => {
                    world.lock().apply(world.1, &id, 1);
                    abandoned.applied = true;
                    tokio::time::sleep(later).await;
                    Ok(None)
                }
            };
            abandoned.answered = true;
            let life = world.1;
            let mut world = world.lock();
            world.told.insert((life, name), if result.is_ok() { Last::Succeeded } else { Last::Failed });
            result
        })
    }
}

impl World {
    /// A commit is durable.
    pub(super) fn committed(&mut self) {
        let news = self.knowledge.refresh(self.round, self.clock.wall());
        self.heed(&news);
    }

    /// A host has started on the store.
    pub(super) fn started(&mut self, store: &Location) {
        let news = self.knowledge.open(store, self.round, self.clock.wall());
        self.heed(&news);
    }

    /// What an attempt did is not given up.
    fn heed(&mut self, news: &News) {
        self.violations.extend(news.wrong.iter().cloned());
        for entry in self.knowledge.entries[news.from..].iter().filter(|entry| entry.kind == "abandoned") {
            let about: serde_json::Value = serde_json::from_str(&entry.input).expect("JSON");
            let number = |field: &str| about[field].as_u64().expect("a number");
            let name: Name = (entry.key.clone(), number("sequence"), u32::try_from(number("index")).expect("an index"));
            // Of several hosts, only one that has the entity still is to be asked; and nobody here knows which.
            match self.told.get(&(0, name.clone())) {
                Some(Last::Succeeded) => self.violations.push(format!("{name:?} is given up although it succeeded")),
                Some(Last::UnderWay) => self.violations.push(format!("{name:?} is given up while it is under way")),
                _ => {}
            }
        }
    }

    /// An attempt of a host did it, and the backend so often.
    fn apply(&mut self, life: u32, id: &str, times: u32) {
        let applied = self.applied.entry(id.to_owned()).or_default();
        // What one host did another cannot know before it is durable.
        applied.unknown += u32::from(applied.asked > 0 && applied.is_known && applied.life != life);
        applied.asked += 1;
        applied.times += times;
        (applied.life, applied.is_known) = (life, true);
    }

    /// Whoever asked for it does not know that it was done.
    fn unknown(&mut self, id: &str) {
        if let Some(applied) = self.applied.get_mut(id) {
            applied.unknown += u32::from(std::mem::take(&mut applied.is_known));
        }
    }

    fn comes_after_a_failed_one(&self, life: u32, name: &Name) -> bool {
        self.knowledge.same_decision("call", name).any(|call| match self.told.get(&(life, call.clone())) {
            Some(last) => *last == Last::Failed,
            None if self.giving_up.contains(&call) => true,
            None => !self.knowledge.is_outstanding(&call) && !self.knowledge.has_succeeded(&call),
        })
    }

    /// Holds an attempt that begins to the promises, and says what will become of it.
    fn attempt(&mut self, life: u32, (case, tag): (&str, &str), name: &Name, id: IntentId) -> (Fate, Duration) {
        let mut wrong = Vec::new();
        if !self.knowledge.is_outstanding(name) {
            wrong.push("is performed before its commit or after its conclusion".to_owned());
        }
        if self.knowledge.is_settled(name) {
            wrong.push("is performed although it was given up, or one it comes after failed".to_owned());
        }
        if let Some(asked) = self.knowledge.tag_of(name).filter(|asked| *asked != tag) {
            wrong.push(format!("is performed as manifest {tag:?} says, and one of {asked:?} asked for it"));
        }
        let told = |name: &Name| self.told.get(&(life, name.clone()));
        match told(name) {
            Some(Last::UnderWay) => wrong.push("has two attempts under way".to_owned()),
            Some(Last::Succeeded) => wrong.push("is performed once more although it succeeded".to_owned()),
            _ => {}
        }
        // Other hosts than the one that writes it down hear of a pause within a second.
        if self.hosts == 1 && self.knowledge.is_paused(if case == "call" { "first" } else { "second" }, self.round) {
            wrong.push("is performed while its effect is paused".to_owned());
        }
        for earlier in self.knowledge.earlier(case, name) {
            match told(earlier) {
                None | Some(Last::Failed) if self.giving_up.contains(earlier) => {}
                // What comes after a failed one is struck out, which the store may not know yet.
                None if case == "follow" && self.comes_after_a_failed_one(life, earlier) => {}
                None => wrong.push(format!("passes {earlier:?} in its lane, which was not tried")),
                Some(Last::UnderWay) => wrong.push(format!("passes {earlier:?} in its lane, which is under way")),
                // What is given up on a route that holds blocks its lane.
                Some(Last::Failed) if case == "follow" => wrong.push(format!("passes {earlier:?} in its lane, which failed and is held")),
                Some(_) => {}
            }
        }
        if case == "follow" {
            for call in self.knowledge.same_decision("call", name) {
                let succeeded = if self.knowledge.is_outstanding(&call) {
                    told(&call) == Some(&Last::Succeeded)
                } else {
                    self.knowledge.has_succeeded(&call)
                };
                if !succeeded {
                    wrong.push(format!("is performed and {call:?}, which it comes after, did not succeed"));
                }
            }
        }
        self.violations.extend(wrong.into_iter().map(|what| format!("{case} {name:?} ({id}) {what}")));
        self.told.insert((life, name.clone()), Last::UnderWay);
        let attempt = self.attempts.entry(id).or_default();
        *attempt += 1;
        // What is refused on a route that holds would wait for an operator for ever.
        let refusable = self.steadfast && case == "call";
        fate(self.seed, id, *attempt, self.failures, self.steadfast, refusable)
    }
}

/// Drawn from the intent and the attempt alone, so that it is the same whatever came between.
fn fate(seed: u64, id: IntentId, attempt: u32, failures: u32, steadfast: bool, refusable: bool) -> (Fate, Duration) {
    // An id is a hash already.
    let mixed = seed ^ id.0;
    let refused = refusable && StdRng::seed_from_u64(mixed).random_ratio(1, 10);
    let mut rng = StdRng::seed_from_u64(mixed.wrapping_add(u64::from(attempt)));
    let latency = Duration::from_millis(rng.random_range(0..300));
    let trouble = rng.random_range(0..100) < failures;
    let fate = match rng.random_range(0..11) {
        0..=1 if trouble => Fate::NotDone,
        2 if trouble => Fate::NotDoneFor(Duration::from_millis(rng.random_range(0..3000))),
        3 if trouble => Fate::LoseRequest,
        4..=5 if trouble => Fate::LoseReply,
        6 if trouble => Fate::SucceedTwice,
        7 if trouble && !steadfast => Fate::Refuse,
        8 if trouble && !steadfast => Fate::Unreadable,
        9 if trouble && !steadfast => Fate::Hang,
        10 if trouble && !steadfast => Fate::Late(Duration::from_secs(rng.random_range(1..40))),
        _ if refused => Fate::Refuse,
        _ => Fate::Succeed,
    };
    let fate = if refused && matches!(fate, Fate::SucceedTwice | Fate::LoseReply) { Fate::LoseRequest } else { fate };
    (fate, latency)
}
