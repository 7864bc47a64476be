//! What the loop remembers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use lru::LruCache;

use super::assemble::{Consequences, Rows};
use super::dispatch;
use super::erasing::Erasing;
use super::input::{EntityName, Pending};
use super::migrating::Migrations;
use super::operators::GivingUp;
use super::others::Others;
use super::pauses::Pauses;
use super::reads::Reads;
use super::retention::Sweep;
use super::sent_on::Decisions;
use super::step::Cached;
use super::summary::Summary;
use super::swap::Releases;
use crate::source::Taken;
use crate::store::{Batch, EntityRow, IntentKey, Row};

/// What waits for an entity.
#[derive(Default)]
pub(super) struct Work {
    pub(super) pending: Pending,
    /// Whether the entity stands among those to be decided for.
    pub(super) ready: bool,
}

/// What the loop remembers.
#[derive(Default)]
pub(super) struct State {
    pub(super) cache: Option<LruCache<EntityName, Cached>>,
    pub(super) work: HashMap<EntityName, Work>,
    /// Entities that have something to decide, those that have waited longest first.
    pub(super) ready: VecDeque<EntityName>,
    pub(super) backlog: VecDeque<Taken>,
    pub(super) draft: Batch,
    /// Commits handed over and not yet durable: number, last row of the journal, what follows.
    pub(super) in_flight: VecDeque<(u64, Row, Consequences)>,
    pub(super) last_batch: u64,
    pub(super) committed: u64,
    /// The journal's last row before anything was decided.
    pub(super) first_row: Row,
    /// The last row that the loop knows to be durable.
    pub(super) committed_row: Row,
    /// Intents for the dispatcher since the start.
    pub(super) emitted: u64,
    /// Conclusions that wait to be decided.
    pub(super) told: usize,
    pub(super) outstanding: usize,
    pub(super) under_way: usize,
    /// Events of the host's own that wait to be decided.
    pub(super) untold: usize,
    /// Fresh events since the last step, and how many intents the events of that step asked for, each.
    pub(super) new_events: usize,
    pub(super) intents_per_event: usize,
    pub(super) deliveries: usize,
    pub(super) next_due: Option<u64>,
    pub(super) look_for_timers: bool,
    /// Since when the host has been able to read: at its start, when its store or its source works again, and when a workflow goes
    /// on.
    pub(super) reading_since: Duration,
    /// Since when due timers wait for a source that is away.
    pub(super) away_since: Option<Duration>,
    /// On the event clock, after the input: timers up to here fire.
    pub(super) bound: Option<u64>,
    pub(super) pauses: Pauses,
    /// The workflows' own entities, in the workflows' order.
    pub(super) own: Vec<EntityRow>,
    /// Intents that operators give up and that have not left their lanes yet.
    pub(super) giving_up: HashMap<IntentKey, GivingUp>,
    /// Held intents that this start tries again, until the dispatcher has said so: they are under way from then on.
    pub(super) retried: HashSet<IntentKey>,
    /// Effects that go on with the next commit.
    pub(super) resumptions: Vec<(usize, Arc<str>)>,
    /// Lanes that the dispatcher wants read.
    pub(super) wanted: Vec<dispatch::Wanted>,
    pub(super) erasing: Erasing,
    pub(super) sweep: Sweep,
    pub(super) migrations: Migrations,
    pub(super) others: Others,
    pub(super) releases: Releases,
    pub(super) decisions: Decisions,
    pub(super) commands_seen: HashSet<i64>,
    pub(super) last_command_look: Option<Duration>,
    pub(super) last_progress: Option<Duration>,
    pub(super) source_ended: bool,
    pub(super) stopping: Option<Duration>,
    /// Whether another engine is to go on.
    pub(super) gives_way: bool,
    /// Up to when the source has handed on, and the loop has sorted, everything that there was.
    pub(super) looked: Option<u64>,
    pub(super) drained: bool,
    pub(super) store_down: bool,
    pub(super) reads: Reads,
    pub(super) summary: Summary,
}

impl State {
    /// `before` is what engines of this process did on the same store.
    pub(super) fn new(rows: &Rows, before: Summary) -> Self {
        let summary = Summary { held: 0, parked: 0, paused: 0, ..before };
        // Timers may have fallen due while no host ran.
        State { look_for_timers: true, first_row: rows.entry, committed_row: rows.entry, summary, ..State::default() }
    }
}
