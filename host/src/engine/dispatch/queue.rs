//! What waits for one effect: its lanes, and who of them may go next.
//!
//! Only so many intents are kept here with their payloads. What is past that is in the outbox anyway: the queue remembers
//! the entity, or the lane's place, and has it read back when its turn comes. So memory does not grow with the time that
//! a backend is away.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use tokio::time::Instant;

use super::breaker::{Breaker, BreakerState};
use super::lane::{Lane, Place, Standing, Waiting};
use super::outage::Outage;
use super::status::{EffectStatus, Figures};
use crate::engine::assemble::Task;
use crate::store::EntityId;
use crate::workflow::EffectLimits;

/// How much of what waits for one effect is kept in memory.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Bounds {
    /// Intents that wait for no other intent.
    pub(super) tasks: usize,
    /// Intents that wait for others of their decision. Apart, so that they never take the places of those that they
    /// wait for.
    pub(super) dependent: usize,
    /// Intents of one lane.
    pub(super) in_lane: usize,
    /// Lanes that are read from the store at a time.
    pub(super) loading: usize,
}

impl Bounds {
    /// More than the engine lets flow at a time, so that an effect in good health never has to go to the store.
    pub(in crate::engine) const STANDARD: Bounds = Bounds { tasks: 8192, dependent: 4096, in_lane: 1024, loading: 32 };

    /// So few that most of what waits is read from the store.
    #[cfg(test)]
    pub(in crate::engine) const TINY: Bounds = Bounds { tasks: 4, dependent: 2, in_lane: 2, loading: 1 };
}

/// How often the longest wait is looked for among many lanes.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Few enough lanes to look at them every time.
const FEW_LANES: usize = 64;

/// Where a new intent went.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// It heads a lane.
    First,
    /// It waits behind others.
    Behind,
    /// It is to be read from the store in its turn.
    Stored,
}

#[derive(Default)]
struct Counts {
    /// In memory.
    tasks: usize,
    /// Of these, in lanes that wait for a delay's end.
    delayed: usize,
    /// Of these, in lanes that wait for other intents.
    dependent: usize,
    /// Only in the store.
    stored: usize,
    /// Lanes with a place in the store where they go on.
    rests: usize,
}

impl Counts {
    fn of(&mut self, standing: &Standing) -> Option<&mut usize> {
        match standing {
            Standing::Delayed(_) => Some(&mut self.delayed),
            Standing::Dependent(_) => Some(&mut self.dependent),
            _ => None,
        }
    }

    fn add(&mut self, standing: &Standing, tasks: usize) {
        self.tasks += tasks;
        if let Some(count) = self.of(standing) {
            *count += tasks;
        }
    }

    fn subtract(&mut self, standing: &Standing, tasks: usize) {
        self.tasks -= tasks;
        if let Some(count) = self.of(standing) {
            *count -= tasks;
        }
    }
}

/// Time that goes on only while attempts may start: what the effect is down, or paused, is on no intent's account.
struct OwnClock {
    passed: Duration,
    since: Option<Instant>,
}

pub(super) struct Queue {
    bounds: Bounds,
    pub(super) workflow: usize,
    pub(super) effect: Arc<str>,
    pub(super) breaker: Breaker,
    pub(super) outage: Outage,
    pub(super) status: Arc<EffectStatus>,
    pub(super) lanes: HashMap<EntityId, Lane>,
    pub(super) under_way: usize,
    parallel: usize,
    ready: VecDeque<EntityId>,
    counts: Counts,
    /// Lanes in `lanes` that are to be read on.
    unread: VecDeque<EntityId>,
    /// Lanes that are being read.
    loading: usize,
    /// Entities whose lane is only in the store, taken round by round in the order of their ids.
    stored: BTreeSet<EntityId>,
    last_taken: EntityId,
    /// The earliest times of decisions whose intents went to `stored` before this round began, and since.
    stored_asked: (Option<u64>, Option<u64>),
    paused: bool,
    paused_workflow: bool,
    own_clock: OwnClock,
    heard: u64,
    looked: Option<Instant>,
    /// Whether a later look for the longest wait is arranged.
    pub(super) look_arranged: bool,
    changed: bool,
}

impl Queue {
    pub(super) fn new(workflow: usize, limits: EffectLimits, status: Arc<EffectStatus>, bounds: Bounds) -> Self {
        Queue {
            bounds,
            workflow,
            effect: status.effect().clone(),
            breaker: Breaker::new(limits.breaker),
            outage: Outage::known(status.is_down()),
            status,
            lanes: HashMap::new(),
            under_way: 0,
            parallel: limits.parallel,
            ready: VecDeque::new(),
            counts: Counts::default(),
            unread: VecDeque::new(),
            loading: 0,
            stored: BTreeSet::new(),
            last_taken: 0,
            stored_asked: (None, None),
            paused: false,
            paused_workflow: false,
            own_clock: OwnClock { passed: Duration::ZERO, since: Some(Instant::now()) },
            heard: 0,
            looked: None,
            look_arranged: false,
            changed: true,
        }
    }

    /// Goes on by other limits. An open breaker stays open for as long as it was to.
    pub(super) fn limit(&mut self, limits: EffectLimits) {
        self.parallel = limits.parallel;
        self.breaker.set(limits.breaker);
    }

    /// Takes a committed intent.
    pub(super) fn admit(&mut self, task: Task) -> Admitted {
        self.changed = true;
        self.heard += 1;
        let entity = task.key.entity;
        let room = self.counts.tasks - self.counts.dependent < self.bounds.tasks;
        let Some(lane) = self.lanes.get_mut(&entity) else {
            if self.stored.contains(&entity) || !room {
                self.counts.stored += 1;
                self.stored.insert(entity);
                let asked = &mut self.stored_asked.1;
                *asked = Some(asked.map_or(task.intent.asked, |earliest| earliest.min(task.intent.asked)));
                return Admitted::Stored;
            }
            let mut lane = Lane::new(Standing::Loading, None, task.intent.asked);
            lane.tasks.push_back(Waiting::new(task));
            self.counts.add(&lane.standing, 1);
            self.lanes.insert(entity, lane);
            return Admitted::First;
        };
        if lane.rest.is_some() {
            self.counts.stored += 1;
            return Admitted::Stored;
        }
        let room = match lane.standing {
            Standing::Dependent(_) => self.counts.dependent < self.bounds.dependent,
            _ => room,
        };
        if room && lane.tasks.len() < self.bounds.in_lane {
            self.counts.add(&lane.standing, 1);
            lane.tasks.push_back(Waiting::new(task));
            return Admitted::Behind;
        }
        lane.rest = Some((task.key.sequence, task.key.index));
        self.counts.rests += 1;
        self.counts.stored += 1;
        Admitted::Stored
    }

    /// Changes what a lane is doing.
    pub(super) fn stand(&mut self, entity: EntityId, standing: Standing) {
        self.changed = true;
        let Some(lane) = self.lanes.get_mut(&entity) else { return };
        self.counts.subtract(&lane.standing, lane.tasks.len());
        if lane.standing == Standing::Ready {
            self.ready.retain(|ready| *ready != entity);
        }
        match standing {
            Standing::Ready => self.ready.push_back(entity),
            Standing::Loading => self.unread.push_back(entity),
            _ => {}
        }
        lane.standing = standing;
        self.counts.add(&lane.standing, lane.tasks.len());
    }

    /// Takes the first intent out of its lane.
    pub(super) fn take_head(&mut self, entity: EntityId) -> Option<Waiting> {
        self.changed = true;
        let lane = self.lanes.get_mut(&entity)?;
        let head = lane.tasks.pop_front()?;
        self.counts.subtract(&lane.standing, 1);
        if let Some(next) = lane.tasks.front() {
            lane.asked = next.task.intent.asked;
        }
        Some(head)
    }

    /// Takes an intent out of the middle of its lane.
    pub(super) fn strike(&mut self, entity: EntityId, place: Place) -> Option<Waiting> {
        let lane = self.lanes.get_mut(&entity)?;
        let at = lane.tasks.iter().position(|waiting| waiting.place() == place)?;
        if at == 0 {
            return self.take_head(entity);
        }
        self.changed = true;
        self.counts.subtract(&lane.standing, 1);
        lane.tasks.remove(at)
    }

    /// Lets go of a lane's intents: they are read from the store again, from the first of them on.
    pub(super) fn put_back(&mut self, entity: EntityId) -> VecDeque<Waiting> {
        let Some(lane) = self.lanes.get_mut(&entity) else { return VecDeque::new() };
        let Some(first) = lane.tasks.front() else { return VecDeque::new() };
        self.changed = true;
        self.counts.rests += usize::from(lane.rest.is_none());
        lane.rest = Some(first.place());
        self.counts.subtract(&lane.standing, lane.tasks.len());
        self.counts.stored += lane.tasks.len();
        std::mem::take(&mut lane.tasks)
    }

    /// Whether there is room for the intents of another lane that wait for others of their decision.
    pub(super) fn has_room_for_dependents(&self) -> bool {
        self.counts.dependent < self.bounds.dependent
    }

    /// An intent that is only in the store is concluded.
    pub(super) fn forget_stored(&mut self) {
        self.changed = true;
        self.counts.stored = self.counts.stored.saturating_sub(1);
    }

    /// Removes a lane that has nothing left.
    pub(super) fn end(&mut self, entity: EntityId) {
        if let Some(lane) = self.lanes.remove(&entity) {
            debug_assert!(lane.tasks.is_empty() && lane.rest.is_none(), "a lane ends when all of it is done");
        }
        self.settle_stored();
    }

    /// The lane that may start next, if any may.
    pub(super) fn next_ready(&mut self) -> Option<EntityId> {
        if self.is_paused() || self.under_way >= self.parallel || !self.breaker.admits() {
            return None;
        }
        let next = self.ready.pop_front()?;
        self.changed = true;
        if let Some(lane) = self.lanes.get_mut(&next) {
            lane.standing = Standing::Attempting;
        }
        Some(next)
    }

    /// Lanes to read from the store now, with the places to read on from.
    pub(super) fn take_loads(&mut self) -> Vec<(EntityId, Place)> {
        let mut loads = Vec::new();
        while self.loading < self.bounds.loading && self.counts.tasks - self.counts.dependent < self.bounds.tasks / 2 {
            // By turns: neither long lanes nor many lanes keep the others waiting.
            let rest = if loads.len() % 2 == 0 {
                self.next_unread().or_else(|| self.next_stored())
            } else {
                self.next_stored().or_else(|| self.next_unread())
            };
            let Some(load) = rest else { break };
            self.loading += 1;
            loads.push(load);
        }
        self.changed |= !loads.is_empty();
        loads
    }

    fn next_unread(&mut self) -> Option<(EntityId, Place)> {
        let entity = self.unread.pop_front()?;
        Some((entity, self.lanes.get(&entity).and_then(|lane| lane.rest).unwrap_or_default()))
    }

    fn next_stored(&mut self) -> Option<(EntityId, Place)> {
        let next = self.stored.range((Bound::Excluded(self.last_taken), Bound::Unbounded)).next().copied();
        let next = next.or_else(|| {
            // The next round: what was stored before it is all taken.
            self.stored_asked = (self.stored_asked.1.take(), None);
            self.stored.first().copied()
        })?;
        self.stored.remove(&next);
        self.last_taken = next;
        let asked = self.stored_asked.0.or(self.stored_asked.1).unwrap_or_default();
        self.lanes.insert(next, Lane::new(Standing::Loading, Some((0, 0)), asked));
        self.counts.rests += 1;
        Some((next, (0, 0)))
    }

    /// Takes what was read of a lane. It goes on at `rest`, where there is more.
    pub(super) fn loaded(&mut self, entity: EntityId, tasks: Vec<Task>, rest: Option<Place>) {
        self.changed = true;
        self.loading -= 1;
        self.counts.stored = self.counts.stored.saturating_sub(tasks.len());
        let Some(lane) = self.lanes.get_mut(&entity) else { return };
        self.counts.rests -= usize::from(lane.rest.is_some());
        self.counts.rests += usize::from(rest.is_some());
        lane.rest = rest;
        if let Some(first) = tasks.first() {
            lane.asked = first.intent.asked;
        }
        self.counts.add(&lane.standing, tasks.len());
        let doubtful = lane.doubtful.take();
        lane.tasks.extend(tasks.into_iter().map(|task| {
            let maybe_done = doubtful == Some(task.key);
            let mut waiting = Waiting::new(task);
            waiting.maybe_done |= maybe_done;
            waiting
        }));
        self.settle_stored();
    }

    /// Once nothing is only in the store, the count of it is known again.
    fn settle_stored(&mut self) {
        if self.stored.is_empty() && self.counts.rests == 0 {
            self.counts.stored = 0;
            self.stored_asked = (None, None);
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused || self.paused_workflow
    }

    /// Pauses or resumes it by itself, or with its workflow.
    pub(super) fn pause(&mut self, with_workflow: bool, paused: bool) {
        *(if with_workflow { &mut self.paused_workflow } else { &mut self.paused }) = paused;
        self.set_clock();
    }

    /// Lets its own clock go or stand, as attempts may start or not.
    pub(super) fn set_clock(&mut self) {
        self.changed = true;
        let goes = self.breaker.state() == BreakerState::Closed && !self.is_paused();
        match (goes, self.own_clock.since) {
            (true, None) => self.own_clock.since = Some(Instant::now()),
            (false, Some(since)) => {
                self.own_clock.passed += since.elapsed();
                self.own_clock.since = None;
            }
            _ => {}
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.own_clock.passed + self.own_clock.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Tells whoever looks how it stands. Gives whether the longest wait is to be looked for later.
    pub(super) fn publish(&mut self) -> bool {
        if !std::mem::take(&mut self.changed) {
            return false;
        }
        let due = self.lanes.len() <= FEW_LANES || self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_INTERVAL);
        let goes = self.breaker.state() == BreakerState::Closed && !self.is_paused();
        let Counts { tasks, delayed, dependent, stored, .. } = self.counts;
        let figures = Figures {
            breaker: self.breaker.state(),
            down: self.outage.is_down(),
            paused: self.is_paused(),
            waiting: tasks + stored,
            in_memory: tasks,
            flowing: if goes && !self.outage.stands() { tasks - delayed - dependent } else { self.under_way },
            under_way: self.under_way,
            heard: self.heard,
            oldest: due.then(|| self.oldest()),
        };
        self.status.publish(&figures);
        if due {
            self.looked = Some(Instant::now());
            return false;
        }
        !std::mem::replace(&mut self.look_arranged, true)
    }

    /// Has it published how it stands.
    pub(super) fn touch(&mut self) {
        self.changed = true;
    }

    /// Has the longest wait looked for with the next publication.
    pub(super) fn look(&mut self) {
        self.look_arranged = false;
        self.looked = None;
        self.changed = true;
    }

    fn oldest(&self) -> u64 {
        let lanes = self.lanes.values().map(|lane| lane.asked);
        lanes.chain(self.stored_asked.0).chain(self.stored_asked.1).min().unwrap_or(0)
    }
}
