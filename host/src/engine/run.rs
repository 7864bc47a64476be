//! The loop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

#[cfg(test)]
use lru::LruCache;

use super::EngineError;
use super::assemble::{Rows, Task};
use super::dispatch;
use super::entity::Entity;
use super::handle::SourceHandle;
use super::input::{Conclusion, EntityName, Note, Pending};
use super::intake::Intake;
use super::migrating::PAGE_INTERVAL;
use super::operators::COMMAND_INTERVAL;
use super::others::LOOK_INTERVAL;
use super::plan::{Plan, Plans};
use super::planted::{Mistake, planted};
use super::ready::{Readied, Readying};
use super::share::Share;
use super::spans::Spans;
use super::state::State;
use super::step::Cached;
#[cfg(test)]
use super::step::MOST_CACHED;
use super::summary::{Progress, Summary};
use super::workers::{Shared, Workers};
use super::writer::{Committer, MOST_BATCHES};
use crate::observe::Observed;
use crate::source::{Decoder, Listener, Positions, SourceError, Standing, Taken};
use crate::store::{IntentKey, Reader, Scope, Store, StoreError};
use crate::time::HostClock;

/// Entities that one commit decides for.
pub(super) const MOST_ITEMS: usize = 1024;

/// Lines that were read and wait to be decided. Few in tests, so that the bound is reached.
const MOST_OPEN_LINES: usize = if cfg!(test) { 16 } else { 4096 };

/// Intents that the events of one commit should ask for at most: with the commits under way they bound what is in memory.
const MOST_NEW_INTENTS: usize = 2048;

/// Events that one commit takes at least, however many intents they ask for.
const LEAST_EVENTS: usize = 64;

/// Intents that may be on their way before no events are taken: to the dispatcher, taking their turn there, or concluded
/// and not decided on yet. Those that wait for a backend that is down, for an operator or behind others of their entity do
/// not count.
const MOST_FLOWING: usize = 6144;

/// Intents without a conclusion above which entities keep no records of theirs: what flows stays below.
pub(super) const MOST_KEPT: usize = 2 * MOST_FLOWING;

/// Deliveries that wait above which no events are taken.
const MOST_DELIVERIES: usize = 8192;

/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// How long attempts under way have where another engine is to go on: events wait meanwhile.
const HANDOVER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a stop waits for the dispatcher, which gives attempts under way less than that.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// Everything that can happen to the engine besides what the source gives.
pub(super) enum Message {
    /// Intents came to their end.
    Concluded(Vec<(EntityName, IntentKey, Conclusion)>),
    /// An intent's standing changed.
    Noted(EntityName, IntentKey, Note),
    /// What became of an operator's order on an intent.
    Answered(EntityName, IntentKey, dispatch::Answer),
    /// Lanes are to be read back from the store.
    Wanted(Vec<dispatch::Wanted>),
    /// The commit of that number is durable.
    Committed(u64),
    /// The store will not take the commit; nothing of it is kept.
    CommitFailed(StoreError),
    /// The store does not take commits for the moment, and why; the writer goes on trying.
    StoreDown(String),
    /// The source is read to its end, or cannot be read.
    SourceEnded(Result<(), SourceError>),
    /// No attempt is under way any more.
    Drained,
    /// A release is ready to be taken up, or cannot be made so.
    Readied(Box<Readied>),
    /// Another host has what this engine owned: nothing of it may be kept that is not committed.
    Overtaken(String),
    /// Finish what is in flight, then end.
    Stop,
    /// The same, for another engine to go on.
    GiveWay,
}

/// Why an engine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// There is nothing left to do, or it was stopped.
    Over,
    /// Another one is to go on in its place.
    GaveWay,
}

/// How an engine ended.
pub(super) struct Ending {
    pub(super) summary: Summary,
    pub(super) ended: Ended,
    /// Events of the process's start that were taken and not decided: the next engine is told of it again.
    pub(super) untold: usize,
}

/// When a run ends and how it takes time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    pub(super) event_clock: bool,
    pub(super) until_idle: bool,
    /// How far the virtual clock goes on after the input, in microseconds.
    pub(super) advance: u64,
    /// Whether intents are performed.
    pub(super) perform: bool,
    /// Whether any workflow delivers to other entities.
    pub(super) delivers: bool,
    /// Longest that a due timer waits for the source, in microseconds.
    pub(super) timer_wait: u64,
    /// Longest that it waits before for a source that is away.
    pub(super) outage_wait: Duration,
}

/// What one turn of the loop came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There may be more to do at once.
    Worked,
    /// Nothing to do before something happens; at the latest after this time the loop is to turn again.
    Idle(Duration),
    /// Everything is done.
    Over,
}

/// A running engine: one store, its workflows, at most one source.
pub struct Engine {
    pub(super) shared: Arc<Shared>,
    /// The workflows under the releases in force, for all who decode.
    pub(super) plans: Plans,
    pub(super) readying: Box<dyn Readying>,
    pub(super) store: Arc<Store>,
    pub(super) reader: Reader,
    pub(super) course: Course,
    pub(super) decoder: Decoder,
    pub(super) workers: Workers,
    pub(super) writer: Box<dyn Committer>,
    pub(super) messages: Receiver<Message>,
    pub(super) source: Option<SourceHandle>,
    pub(super) orders: tokio::sync::mpsc::UnboundedSender<dispatch::Order>,
    // Keeps the effects running, where no other runtime does.
    pub(super) runtime: Option<tokio::runtime::Runtime>,
    pub(super) clock: Arc<dyn HostClock>,
    pub(super) observed: Arc<Observed>,
    /// Where traces are told.
    pub(super) spans: Option<Spans>,
    pub(super) intake: Intake,
    pub(super) rows: Rows,
    pub(super) share: Share,
    pub(super) state: State,
}

impl Course {
    /// Goes on as the manifests of the releases in force say.
    pub(super) fn follow(&mut self, plans: &[Arc<Plan>]) {
        let wait = |plan: &Arc<Plan>| u64::try_from(plan.workflow.manifest.source.timer_wait.as_micros()).unwrap_or(u64::MAX);
        self.delivers = plans.iter().any(|plan| plan.delivers());
        self.timer_wait = plans.iter().map(wait).max().unwrap_or(0);
        self.outage_wait = plans.iter().map(|plan| plan.workflow.manifest.source.outage_wait).max().unwrap_or_default();
    }
}

impl Engine {
    /// The journal's id.
    #[must_use]
    pub fn journal(&self) -> (u64, u64) {
        self.store.journal()
    }

    /// Runs until the input is read and everything is idle, where that was asked for, or until stopped.
    ///
    /// # Errors
    /// Where the host cannot go on. What was committed stays; a restart goes on from there.
    pub fn run(self, progress: impl FnMut(Progress)) -> Result<Summary, EngineError> {
        self.run_on(progress).map(|ending| ending.summary)
    }

    /// As [`Engine::run`], until it is over or gives way.
    pub(super) fn run_on(mut self, mut progress: impl FnMut(Progress)) -> Result<Ending, EngineError> {
        self.observed.runs();
        let ended = self.turns(&mut progress);
        self.leave_source();
        ended?;
        let ended = if self.state.gives_way { Ended::GaveWay } else { Ended::Over };
        let untold = self.state.untold;
        Ok(Ending { summary: self.finish(&mut progress)?, ended, untold })
    }

    /// The address that the source listens on, where it does.
    #[must_use]
    pub fn listens_on(&self) -> Option<SocketAddr> {
        self.source.as_ref()?.listener.as_ref().map(Listener::address)
    }

    fn turns(&mut self, progress: &mut impl FnMut(Progress)) -> Result<(), EngineError> {
        loop {
            match self.turn(progress)? {
                Turn::Worked => {}
                Turn::Idle(timeout) => self.wait(timeout)?,
                Turn::Over => return Ok(()),
            }
        }
    }

    /// Ends the reading. Whoever waits for an answer to what is not durable is let go: it is sent again.
    fn leave_source(&mut self) {
        let Some(source) = self.source.take() else { return };
        source.stop.store(true, Ordering::Release);
        source.tell(Standing::Stopping);
        self.state.backlog.clear();
        self.intake.requests.give_up();
        drop(source.lines);
        if let Some(listener) = source.listener {
            listener.end();
        }
    }

    /// Does what can be done without waiting for anything.
    pub(super) fn turn(&mut self, progress: &mut impl FnMut(Progress)) -> Result<Turn, EngineError> {
        while let Ok(message) = self.messages.try_recv() {
            self.hear(message)?;
        }
        self.tell(progress);
        if let Some(left) = self.state.reads.pause(self.clock.elapsed()) {
            return Ok(if self.stops_in_vain() { Turn::Over } else { Turn::Idle(left.min(PROGRESS_INTERVAL)) });
        }
        match self.work() {
            Err(EngineError::Store(error)) if self.may_pass(&error) => Ok(Turn::Idle(self.read_failed(&error))),
            Err(error) => Err(error),
            Ok(turn) => {
                // Where something is ready and no commit finds room, what failed was not tried again.
                if turn == Turn::Worked || self.state.ready.is_empty() {
                    self.read_again();
                }
                Ok(turn)
            }
        }
    }

    /// What one turn does. A read that fails breaks it off; the next turn does again what is left.
    fn work(&mut self) -> Result<Turn, EngineError> {
        self.find_wanted()?;
        if self.state.stopping.is_none() {
            self.look_for_commands()?;
            self.look_for_releases()?;
            if planted(Mistake::OthersPassed) {
                self.take_lines();
            }
            self.look_for_others()?;
            self.take_lines();
            self.hear_decisions()?;
            self.fire_timers()?;
            self.erase_some()?;
            self.forget_some()?;
            self.migrate_some()?;
        }
        if self.state.in_flight.len() < MOST_BATCHES && self.has_work() {
            self.step()?;
            return Ok(Turn::Worked);
        }
        if self.is_over()? {
            return Ok(Turn::Over);
        }
        Ok(Turn::Idle(self.patience()))
    }

    /// How long there is nothing to look after by itself.
    fn patience(&mut self) -> Duration {
        if self.state.stopping.is_none() && self.state.migrations.is_due(self.clock.elapsed(), self.state.committed) {
            return PAGE_INTERVAL;
        }
        let timeout = if self.share.is_shared() { LOOK_INTERVAL } else { COMMAND_INTERVAL.min(PROGRESS_INTERVAL) };
        let (Some(due), false) = (self.state.next_due, self.course.event_clock) else { return timeout };
        let left = Duration::from_micros(due.saturating_sub(self.clock.wall()));
        self.state.look_for_timers |= left.is_zero();
        // A due timer that waits for the source is looked at again soon.
        timeout.min(left.max(Duration::from_millis(5)))
    }

    fn finish(mut self, progress: &mut impl FnMut(Progress)) -> Result<Summary, EngineError> {
        self.state.summary.paused = self.state.pauses.count() as u64;
        self.state.summary.held = (self.state.outstanding - self.state.under_way) as u64;
        for plan in &*self.shared.plans {
            self.state.summary.parked += self.reader.count_parked(plan.id)?;
        }
        self.state.last_progress = None;
        self.tell(progress);
        if let Some(runtime) = self.runtime {
            runtime.shutdown_timeout(Duration::from_secs(1));
            // No attempt is under way any more: backends close their files.
            for plan in &*self.shared.plans {
                plan.all_terms().into_iter().for_each(|terms| terms.stop());
            }
        }
        Ok(self.state.summary)
    }

    fn tell(&mut self, progress: &mut impl FnMut(Progress)) {
        let now = self.clock.elapsed();
        if self.state.last_progress.is_some_and(|last| now < last + PROGRESS_INTERVAL) {
            return;
        }
        self.state.last_progress = Some(now);
        self.observed.turned(now);
        for (workflow, decisions) in self.observed.decisions.iter().enumerate() {
            decisions.paused(self.state.pauses.has(workflow, &Scope::Workflow));
        }
        self.observed.backlog((self.state.backlog.len() + self.intake.open()) as u64);
        self.state.summary.duplicates = self.intake.duplicates;
        self.state.summary.dead_letters = self.intake.dead_letters;
        let Summary { events, duplicates, dead_letters, .. } = self.state.summary;
        self.observed.commits.taken(events, duplicates, dead_letters);
        progress(Progress { summary: self.state.summary, outstanding: self.state.outstanding, source_ended: self.state.source_ended });
    }

    /// Waits for whatever comes first.
    fn wait(&mut self, timeout: Duration) -> Result<(), EngineError> {
        let lines = self.source.as_ref().filter(|_| self.accepts_lines()).map(|source| source.lines.clone());
        let lines = lines.unwrap_or_else(crossbeam_channel::never);
        crossbeam_channel::select! {
            recv(self.messages) -> message => match message {
                Ok(message) => self.hear(message)?,
                Err(_) => return Err(EngineError::WriterGone),
            },
            recv(lines) -> lines => match lines {
                Ok(lines) => self.state.backlog.extend(lines),
                // The thread has ended; its last message says how.
                Err(_) => match self.messages.recv_timeout(timeout) {
                    Ok(message) => self.hear(message)?,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return Err(EngineError::WriterGone),
                },
            },
            default(timeout) => {}
        }
        Ok(())
    }

    pub(super) fn hear(&mut self, message: Message) -> Result<(), EngineError> {
        match message {
            Message::Concluded(conclusions) => {
                self.state.told += conclusions.len();
                for (name, key, conclusion) in conclusions {
                    self.pending(name).conclusions.push((key, conclusion));
                }
            }
            Message::Noted(name, key, note) => {
                self.state.retried.remove(&key);
                self.pending(name).notes.push((key, note));
            }
            Message::Wanted(lanes) => self.state.wanted.extend(lanes),
            Message::Answered(name, key, answer) => self.answered(name, key, answer),
            Message::Committed(number) => self.committed(number),
            Message::CommitFailed(error) => return Err(error.into()),
            Message::StoreDown(reason) => {
                self.state.store_down = true;
                self.observed.store_fails(format!("the store does not take the commit: {reason}"));
                self.tell_store();
            }
            Message::SourceEnded(result) => {
                self.state.source_ended = true;
                result?;
            }
            Message::Drained => self.state.drained = true,
            Message::Overtaken(what) => return Err(StoreError::Overtaken { what }.into()),
            // Whoever goes on takes up what is in force then, and the command is still asked.
            Message::Readied(_) if self.state.stopping.is_some() => {}
            Message::Readied(readied) => self.readied(*readied)?,
            Message::Stop => {
                self.state.gives_way = false;
                if self.state.stopping.is_none() {
                    tracing::info!("stopping: finishing what is in flight");
                    self.observed.stopping();
                }
                self.finish_up(dispatch::STOP_TIMEOUT);
            }
            Message::GiveWay => self.give_way(),
        }
        Ok(())
    }

    /// Has another engine go on as soon as what is in flight is finished.
    pub(super) fn give_way(&mut self) {
        self.state.gives_way |= self.state.stopping.is_none();
        self.finish_up(HANDOVER_TIMEOUT);
    }

    /// Begins nothing more. Attempts under way have so long to come to their end.
    fn finish_up(&mut self, attempts: Duration) {
        if self.state.stopping.is_none() {
            self.tell_source(Standing::Stopping);
            self.state.stopping = Some(self.clock.elapsed());
            self.state.drained = self.orders.send(dispatch::Order::Drain(attempts)).is_err() || !self.course.perform;
        }
    }

    /// Where it is told how far everything is decided.
    pub(super) fn positions(&self) -> Option<&Positions> {
        self.source.as_ref()?.positions.as_deref()
    }

    pub(super) fn tell_source(&self, standing: Standing) {
        if let Some(source) = &self.source {
            source.tell(standing);
        }
    }

    /// Adds to what waits for an entity and makes it ready.
    pub(super) fn pending(&mut self, name: EntityName) -> &mut Pending {
        let work = self.state.work.entry_ref(&name).or_default();
        if !std::mem::replace(&mut work.ready, true) {
            self.state.ready.push_back(name);
        }
        &mut work.pending
    }

    fn accepts_lines(&self) -> bool {
        let state = &self.state;
        !state.store_down
            && !state.reads.fail()
            && state.stopping.is_none()
            && !state.pauses.holds_all_events()
            && state.backlog.len() + self.intake.open() < MOST_OPEN_LINES
            && (!self.course.perform || (state.outstanding < self.most_outstanding() && self.flowing() < MOST_FLOWING as u64))
            && state.deliveries < MOST_DELIVERIES
            && !state.others.waits_for_release()
            && !state.others.are_behind()
            && (state.others.caught_up || !self.share.is_shared() || planted(Mistake::OthersPassed))
    }

    /// Intents that may be without a conclusion before no events are taken: the workflows' limits together.
    fn most_outstanding(&self) -> usize {
        self.shared.plans.iter().map(|plan| plan.workflow.manifest.limits.outstanding).sum()
    }

    /// Intents on their way.
    fn flowing(&self) -> u64 {
        let effects = self.observed.effects();
        // What was heard is read first: an intent on its way into the dispatcher counts twice then, not never.
        let heard: u64 = effects.iter().map(|effect| effect.heard()).sum();
        let flowing: u64 = effects.iter().map(|effect| effect.flowing() as u64).sum();
        self.state.emitted.saturating_sub(heard) + flowing + self.state.told as u64
    }

    /// How the host is doing, now and while the engine runs.
    #[must_use]
    pub fn observed(&self) -> Arc<Observed> {
        self.observed.clone()
    }

    /// The entity as it was decided last, where it is in memory.
    pub(super) fn cached(&self, name: &EntityName) -> Option<&Entity> {
        self.state.cache.as_ref()?.peek(name).map(|cached| &*cached.entity)
    }

    fn take_lines(&mut self) {
        while self.accepts_lines() {
            let Some(Ok(lines)) = self.source.as_ref().map(|source| source.lines.try_recv()) else { break };
            self.state.backlog.extend(lines);
        }
        // Where entities write to each other, what one line causes is finished before the next line is looked at.
        let one_by_one = self.course.event_clock && self.course.delivers;
        let most = (MOST_NEW_INTENTS / self.state.intents_per_event.max(1)).clamp(LEAST_EVENTS, MOST_ITEMS);
        self.intake.at(self.workflow_now());
        while self.state.new_events < most && !self.state.pauses.holds_all_events() && (!one_by_one || self.is_quiet()) {
            let Some(taken) = self.state.backlog.pop_front() else { break };
            match taken {
                Taken::Looked(at) => {
                    self.state.looked = self.state.looked.max(Some(at));
                    // Due timers may have waited for this.
                    self.state.look_for_timers = true;
                    continue;
                }
                Taken::Passed { .. } => {}
                Taken::Line(_) | Taken::Request(_) => self.state.summary.events += 1,
            }
            for (name, event) in self.intake.sort(taken, &mut self.state.draft) {
                self.state.new_events += 1;
                self.pending(name).events.push_back(event);
            }
        }
    }

    /// Nothing waits, nothing is under way, everything is committed.
    pub(super) fn is_quiet(&self) -> bool {
        let state = &self.state;
        state.work.is_empty() && state.in_flight.is_empty() && state.deliveries == 0 && (state.under_way == 0 || !self.course.perform)
    }

    pub(super) fn has_work(&self) -> bool {
        !self.state.ready.is_empty() || !self.state.draft.is_empty() || self.intake.is_changed()
    }

    /// What is held in memory, by name, with its bound.
    #[cfg(test)]
    pub(super) fn bounds(&self) -> [(&'static str, usize, usize); 4] {
        let state = &self.state;
        // What is not durable cannot leave the memory, nor what was looked at before it.
        let is_durable = |cache: &LruCache<EntityName, Cached>| cache.iter().all(|(_, cached)| cached.batch <= state.committed);
        let durable = state.cache.as_ref().filter(|cache| is_durable(cache)).map_or(0, LruCache::len);
        // A batch of lines is taken whole, and commits under way are on top of what stops the intake.
        [
            ("lines", state.backlog.len() + self.intake.open(), 2 * MOST_OPEN_LINES),
            ("batches", state.in_flight.len(), MOST_BATCHES),
            ("entities", durable, MOST_CACHED),
            ("conclusions", state.told, state.outstanding),
        ]
    }

    pub(super) fn perform(&mut self, mut tasks: Vec<Task>) {
        if self.course.perform && !tasks.is_empty() {
            if let Some(spans) = &mut self.spans {
                spans.mark(&self.shared.plans, &mut tasks);
            }
            // The lanes end only with the engine.
            let _ = self.orders.send(dispatch::Order::Perform(tasks));
        }
    }

    /// Notes what a start found: intents under way and all outstanding ones.
    pub(super) fn recovered(&mut self, name: EntityName, mut entity: Entity) {
        self.state.outstanding += entity.outstanding.len();
        self.state.under_way += entity.under_way;
        if entity.outstanding.iter().any(|intent| intent.settled.is_some()) {
            self.pending(name.clone());
        }
        if self.state.outstanding > MOST_KEPT {
            entity.drop_payloads();
        }
        self.cache().put(name, Cached { entity: Box::new(entity), batch: 0 });
        self.shrink_cache();
    }

    /// Hands what a start found to the dispatcher.
    pub(super) fn perform_again(&mut self, tasks: Vec<Task>) {
        if self.course.perform {
            self.state.retried.extend(tasks.iter().filter(|task| task.intent.held).map(|task| task.key));
        }
        self.state.emitted += tasks.len() as u64;
        self.perform(tasks);
    }

    /// Notes an entity whose inbox is to be decided on.
    pub(super) fn resumes(&mut self, name: EntityName) {
        self.pending(name);
    }

    /// Notes a delivery that a start found.
    pub(super) fn delivery_found(&mut self, name: EntityName, delivery: crate::store::DeliveryRow) {
        self.state.deliveries += 1;
        self.pending(name).deliveries.push(delivery);
    }

    /// Whether a stop has waited long enough for a store that does not work.
    fn stops_in_vain(&self) -> bool {
        let waited = self.state.stopping.is_some_and(|since| self.clock.elapsed() > since + DRAIN_TIMEOUT);
        // Who is to give way to another engine waits on: that one could do no more.
        let in_vain = waited && !self.state.gives_way && (self.state.store_down || self.state.reads.fail());
        if in_vain {
            tracing::warn!("stopped while the store does not work: what is not committed is taken and decided again by the next start");
        }
        in_vain
    }

    fn is_over(&mut self) -> Result<bool, EngineError> {
        if let Some(since) = self.state.stopping {
            let waited = self.clock.elapsed() > since + DRAIN_TIMEOUT;
            let done = self.state.in_flight.is_empty() && !self.has_work() && (self.state.drained || waited);
            return Ok(done || self.stops_in_vain());
        }
        if !self.course.until_idle
            || self.has_work()
            || !self.state.erasing.is_empty()
            || self.state.sweep.is_asked()
            || self.state.migrations.is_active()
            || self.state.releases.is_readying()
            || (self.share.is_shared() && !self.state.others.quiet)
            || !self.state.retried.is_empty()
        {
            return Ok(false);
        }
        // What a pause holds back is not waited for.
        let held = self.is_held_by_pauses()?;
        if held && !self.accepts_lines() {
            return Ok(true);
        }
        let quiet = self.is_quiet();
        if !(held || quiet) || !self.state.backlog.is_empty() {
            return Ok(false);
        }
        if self.source.is_some() && !(self.state.source_ended && self.source.as_ref().is_none_or(|source| source.lines.is_empty())) {
            return Ok(false);
        }
        if self.course.event_clock || !self.course.perform {
            // On virtual time no timer fires before everything earlier is done, which what is paused never will be.
            return Ok(!self.state.look_for_timers || !quiet);
        }
        Ok(!self.state.look_for_timers && self.next_due()?.is_none_or(|due| due > self.clock.wall()))
    }
}
