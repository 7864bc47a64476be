//! A lane: what waits for one effect in the name of one entity, first in, first out.

use std::collections::VecDeque;
use std::time::Duration;

use crate::engine::assemble::Task;
use crate::store::IntentKey;

/// A lane's name: the effect's queue, and the entity.
pub(super) type LaneKey = (usize, crate::store::EntityId);

/// An intent's place in its entity: the decision and the index there.
pub(in crate::engine) type Place = (u64, u32);

/// An intent in its lane.
pub(super) struct Waiting {
    pub(super) task: Task,
    pub(super) attempts: u32,
    /// Of these, the ones that are on its account: not those that a backend which was away did not do.
    pub(super) spent: u32,
    /// When its first attempt began, on the effect's own clock.
    pub(super) first: Option<Duration>,
    /// Whether an attempt may have done it.
    pub(super) maybe_done: bool,
    /// Why the last attempt failed.
    pub(super) reason: Option<Box<str>>,
}

impl Waiting {
    pub(super) fn new(task: Task) -> Self {
        Waiting { attempts: 0, spent: 0, first: None, maybe_done: task.maybe_done, reason: None, task }
    }

    pub(super) fn place(&self) -> Place {
        place(self.task.key)
    }
}

pub(super) fn place(key: IntentKey) -> Place {
    (key.sequence, key.index)
}

/// What a lane is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its head may be tried as soon as there is a place.
    Ready,
    /// An attempt at its head is under way.
    Attempting,
    /// Its head waits for the end of this delay.
    Delayed(u64),
    /// Its head waits for other intents of its decision: these, where the head itself is only in the store.
    Dependent(Vec<u32>),
    /// This intent waits for an operator.
    Held(IntentKey),
    /// What comes next is to be read from the store.
    Loading,
}

pub(super) struct Lane {
    pub(super) standing: Standing,
    /// Its first intents.
    pub(super) tasks: VecDeque<Waiting>,
    /// Where it goes on in the store. None: all of it is in `tasks`.
    pub(super) rest: Option<Place>,
    /// The time of the decision that asked for its first intent.
    pub(super) asked: u64,
    /// An intent of which an earlier attempt may have been a success, while it is only in the store.
    pub(super) doubtful: Option<IntentKey>,
}

impl Lane {
    pub(super) fn new(standing: Standing, rest: Option<Place>, asked: u64) -> Self {
        Lane { standing, tasks: VecDeque::new(), rest, asked, doubtful: None }
    }
}
