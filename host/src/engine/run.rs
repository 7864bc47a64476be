//! The loop.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use hashbrown::{HashMap, HashSet};
use lru::LruCache;

use super::assemble::{Consequences, Rows, Task};
use super::entity::Entity;
use super::fold::Moment;
use super::input::{Conclusion, EntityName, EventOrigin, Note, Order, OrderKind, Pending};
use super::intake::Intake;
use super::lanes;
use super::summary::{Progress, Summary};
use super::workers::{Item, Shared, Workers};
use super::writer::{MOST_BATCHES, WriterThread};
use super::{EngineError, wall_clock};
use crate::source::{Decoder, SourceError, TakenLine, Undecodable};
use crate::store::{Batch, CommandRow, IntentKey, Reader, Store, StoreError};

/// Entities that one commit decides for.
const MOST_ITEMS: usize = 1024;

/// Lines that were read and wait to be decided.
const MOST_OPEN_LINES: usize = 4096;

/// Intents that the events of one commit should ask for at most: with the commits under way they bound what is in memory.
const MOST_NEW_INTENTS: usize = 2048;

/// Events that one commit takes at least, however many intents they ask for.
const LEAST_EVENTS: usize = 64;

/// Intents without a conclusion above which no events are taken.
const MOST_OUTSTANDING: usize = 6144;

/// Deliveries that wait above which no events are taken.
const MOST_DELIVERIES: usize = 8192;

/// Entities that are kept in memory.
const MOST_CACHED: usize = 10_752;

/// Timers that are looked up together.
const MOST_TIMERS_TOGETHER: u32 = 1024;

/// How often operators' commands are looked for.
const COMMAND_INTERVAL: Duration = Duration::from_millis(250);

/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// How long a source must have had nothing to read before due timers trust that nothing earlier is unread.
const QUIET: Duration = Duration::from_millis(50);

/// How long a stop waits for attempts under way.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// Everything that can happen to the engine besides lines of the source.
pub(super) enum Message {
    /// Intents came to their end.
    Concluded(Vec<(EntityName, IntentKey, Conclusion)>),
    /// An intent's standing changed.
    Noted(EntityName, IntentKey, Note),
    /// The commit of that number is durable.
    Committed(u64),
    /// The store will not take the commit; nothing of it is kept.
    CommitFailed(StoreError),
    /// The store does not take commits for the moment; the writer goes on trying.
    StoreDown,
    /// The source is read to its end, or cannot be read.
    SourceEnded(Result<(), SourceError>),
    /// No attempt is under way any more.
    Drained,
    /// Finish what is in flight, then end.
    Stop,
}

/// The source's thread as the loop sees it.
pub(super) struct SourceHandle {
    pub(super) lines: Receiver<Vec<TakenLine>>,
    pub(super) waiting_since: Arc<AtomicU64>,
    pub(super) stop: Arc<AtomicBool>,
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
}

struct Cached {
    entity: Box<Entity>,
    /// The last commit that changed it.
    batch: u64,
}

/// A running engine: one store, its workflows, at most one source.
pub struct Engine {
    pub(super) shared: Arc<Shared>,
    pub(super) store: Store,
    pub(super) reader: Reader,
    pub(super) course: Course,
    pub(super) decoder: Decoder,
    pub(super) workers: Workers,
    pub(super) writer: WriterThread,
    pub(super) messages: Receiver<Message>,
    pub(super) source: Option<SourceHandle>,
    pub(super) orders: tokio::sync::mpsc::UnboundedSender<lanes::Order>,
    // Keeps the effects running.
    pub(super) runtime: tokio::runtime::Runtime,
    pub(super) intake: Intake,
    pub(super) rows: Rows,
    pub(super) state: State,
}

/// What the loop remembers.
#[derive(Default)]
pub(super) struct State {
    cache: Option<LruCache<EntityName, Cached>>,
    work: HashMap<EntityName, Pending>,
    ready: HashSet<EntityName>,
    backlog: VecDeque<TakenLine>,
    draft: Batch,
    in_flight: VecDeque<(u64, Consequences)>,
    last_batch: u64,
    committed: u64,
    outstanding: usize,
    under_way: usize,
    /// Fresh events since the last step, and how many intents the events of that step asked for, each.
    new_events: usize,
    intents_per_event: usize,
    deliveries: usize,
    next_due: Option<u64>,
    look_for_timers: bool,
    /// On the event clock, after the input: timers up to here fire.
    bound: Option<u64>,
    commands_seen: HashSet<i64>,
    last_command_look: Option<Instant>,
    last_progress: Option<Instant>,
    source_ended: bool,
    stopping: Option<Instant>,
    drained: bool,
    store_down: bool,
    summary: Summary,
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
    pub fn run(mut self, mut progress: impl FnMut(Progress)) -> Result<Summary, EngineError> {
        self.state.look_for_timers = true;
        loop {
            while let Ok(message) = self.messages.try_recv() {
                self.hear(message)?;
            }
            self.tell(&mut progress);
            if self.state.stopping.is_none() {
                self.look_for_commands()?;
                self.take_lines();
                self.fire_timers()?;
            }
            if self.state.in_flight.len() < MOST_BATCHES && self.has_work() {
                self.step()?;
                continue;
            }
            if self.is_over()? {
                break;
            }
            self.wait()?;
        }
        self.finish(&mut progress)
    }

    fn finish(mut self, progress: &mut impl FnMut(Progress)) -> Result<Summary, EngineError> {
        if let Some(source) = &self.source {
            source.stop.store(true, Ordering::Release);
        }
        self.state.summary.held = (self.state.outstanding - self.state.under_way) as u64;
        for plan in &self.shared.plans {
            self.state.summary.parked += self.reader.parked(plan.id)?.len() as u64;
        }
        self.state.last_progress = None;
        self.tell(progress);
        self.runtime.shutdown_timeout(Duration::from_secs(1));
        Ok(self.state.summary)
    }

    fn tell(&mut self, progress: &mut impl FnMut(Progress)) {
        if self.state.last_progress.is_some_and(|last| last.elapsed() < PROGRESS_INTERVAL) {
            return;
        }
        self.state.last_progress = Some(Instant::now());
        self.state.summary.duplicates = self.intake.duplicates;
        self.state.summary.dead_letters = self.intake.dead_letters;
        progress(Progress { summary: self.state.summary, outstanding: self.state.outstanding, source_ended: self.state.source_ended });
    }

    /// Waits for whatever comes first.
    fn wait(&mut self) -> Result<(), EngineError> {
        let mut timeout = COMMAND_INTERVAL.min(PROGRESS_INTERVAL);
        if let (Some(due), false) = (self.state.next_due, self.course.event_clock) {
            let left = Duration::from_micros(due.saturating_sub(wall_clock()));
            // A due timer that waits for the source is looked at again soon.
            timeout = timeout.min(left.max(Duration::from_millis(5)));
            self.state.look_for_timers |= left.is_zero();
        }
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

    fn hear(&mut self, message: Message) -> Result<(), EngineError> {
        match message {
            Message::Concluded(conclusions) => {
                for (name, key, conclusion) in conclusions {
                    self.pending(name).conclusions.push((key, conclusion));
                }
            }
            Message::Noted(name, key, note) => self.pending(name).notes.push((key, note)),
            Message::Committed(number) => self.committed(number),
            Message::CommitFailed(error) => return Err(error.into()),
            Message::StoreDown => self.state.store_down = true,
            Message::SourceEnded(result) => {
                self.state.source_ended = true;
                result?;
            }
            Message::Drained => self.state.drained = true,
            Message::Stop => {
                if self.state.stopping.is_none() {
                    tracing::info!("stopping: finishing what is in flight");
                    self.state.stopping = Some(Instant::now());
                    self.state.drained = self.orders.send(lanes::Order::Drain).is_err() || !self.course.perform;
                }
            }
        }
        Ok(())
    }

    /// Adds to what waits for an entity and makes it ready.
    fn pending(&mut self, name: EntityName) -> &mut Pending {
        self.state.ready.insert(name.clone());
        self.state.work.entry(name).or_default()
    }

    fn accepts_lines(&self) -> bool {
        let state = &self.state;
        !state.store_down
            && state.stopping.is_none()
            && state.backlog.len() + self.intake.open_lines() < MOST_OPEN_LINES
            && (state.outstanding < MOST_OUTSTANDING || !self.course.perform)
            && state.deliveries < MOST_DELIVERIES
    }

    fn take_lines(&mut self) {
        while self.accepts_lines() {
            let Some(Ok(lines)) = self.source.as_ref().map(|source| source.lines.try_recv()) else { break };
            self.state.backlog.extend(lines);
        }
        // Where entities write to each other, what one line causes is finished before the next line is looked at.
        let one_by_one = self.course.event_clock && self.course.delivers;
        let most = (MOST_NEW_INTENTS / self.state.intents_per_event.max(1)).clamp(LEAST_EVENTS, MOST_ITEMS);
        while self.state.new_events < most && (!one_by_one || self.is_quiet()) {
            let Some(line) = self.state.backlog.pop_front() else { break };
            self.state.summary.events += 1;
            for (name, event) in self.intake.sort(line, &mut self.state.draft) {
                self.state.new_events += 1;
                self.pending(name).events.push_back(event);
            }
        }
    }

    /// Nothing waits, nothing is under way, everything is committed.
    fn is_quiet(&self) -> bool {
        let state = &self.state;
        state.work.is_empty() && state.in_flight.is_empty() && state.deliveries == 0 && (state.under_way == 0 || !self.course.perform)
    }

    fn has_work(&self) -> bool {
        !self.state.ready.is_empty() || !self.state.draft.is_empty() || self.intake.is_changed()
    }

    /// Decides for what is ready and hands the result to the writer.
    fn step(&mut self) -> Result<(), EngineError> {
        let moment =
            if self.course.event_clock { Moment::Event { bound: self.state.bound } } else { Moment::Arrival { now: wall_clock() } };
        let names: Vec<EntityName> = self.state.ready.iter().take(MOST_ITEMS).cloned().collect();
        let mut items: Vec<Item> = Vec::with_capacity(names.len());
        for name in names {
            self.state.ready.remove(&name);
            let pending = self.state.work.remove(&name).unwrap_or_default();
            let entity = self.state.cache.as_mut().and_then(|cache| cache.pop(&name)).map(|cached| cached.entity);
            items.push((name, entity, pending));
        }
        let folded = self.workers.run(moment, items)?;

        self.state.new_events = 0;
        let (mut decided_events, mut new_intents) = (0, 0);
        let mut batch = std::mem::take(&mut self.state.draft);
        let mut consequences = Consequences::default();
        self.state.last_batch += 1;
        batch.number = self.state.last_batch;
        for (name, mut folded) in folded {
            let [accepted, rejected, faulted] = folded.verdicts;
            self.state.summary.accepted += accepted;
            self.state.summary.rejected += rejected;
            self.state.summary.faulted += faulted;
            let pending = std::mem::take(&mut folded.pending);
            if folded.more {
                self.state.ready.insert(name.clone());
            }
            if folded.more || !pending.is_empty() {
                self.state.work.insert(name.clone(), pending);
            }
            self.state.deliveries -= folded.delivered.len();
            let emitted = folded.emitted.len();
            let plan = self.shared.plans[name.workflow].clone();
            let mut assembled = self.rows.assemble(&plan, &name, folded, &mut batch, &mut consequences);
            self.state.outstanding = self.state.outstanding + emitted - assembled.concluded;
            decided_events += assembled.done.len();
            new_intents += emitted;
            self.state.summary.concluded += assembled.concluded as u64;
            let under_way = assembled.entity.count_under_way(&plan);
            self.state.under_way = self.state.under_way + under_way - assembled.entity.under_way;
            assembled.entity.under_way = under_way;
            for (origin, fingerprint) in assembled.done {
                match origin {
                    EventOrigin::Line(line) => self.intake.done(name.workflow, line, Some(fingerprint), &mut batch),
                    EventOrigin::DeadLetter { id, source, line } => {
                        batch.dead_letters_removed.push(id);
                        self.intake.accepted(source, line, fingerprint, &mut batch);
                    }
                }
            }
            for event in assembled.dead {
                self.intake.forget(event.fingerprint);
                if let EventOrigin::Line(line) = event.origin {
                    let reason = format!("entity {:?} is parked and its inbox is full", name.key);
                    let undecodable = Undecodable { event_id: Some(event.id.to_string()), code: "inbox-full", path: String::new(), reason };
                    self.intake.bury(name.workflow, line, undecodable, event.bytes, &mut batch);
                    self.intake.done(name.workflow, line, None, &mut batch);
                }
            }
            let cached = Cached { entity: assembled.entity, batch: batch.number };
            self.cache().put(name, cached);
        }
        if decided_events > 0 {
            self.state.intents_per_event = new_intents.div_ceil(decided_events);
        }
        self.intake.finish(&mut batch);
        self.state.deliveries += consequences.deliveries.len();
        self.state.look_for_timers |= !batch.timers_set.is_empty();
        if batch.is_empty() {
            self.state.last_batch -= 1;
            return Ok(());
        }
        self.state.in_flight.push_back((batch.number, consequences));
        if let Err(gone) = self.writer.send(batch) {
            // What ended the writer says more than that it ended.
            while let Ok(message) = self.messages.try_recv() {
                self.hear(message)?;
            }
            return Err(gone);
        }
        Ok(())
    }

    fn cache(&mut self) -> &mut LruCache<EntityName, Cached> {
        self.state.cache.get_or_insert_with(LruCache::unbounded)
    }

    /// A commit is durable: only now its consequences may begin.
    fn committed(&mut self, number: u64) {
        self.state.committed = number;
        self.state.store_down = false;
        self.state.summary.commits += 1;
        self.state.look_for_timers = true;
        while self.state.in_flight.front().is_some_and(|(front, _)| *front <= number) {
            let Some((_, consequences)) = self.state.in_flight.pop_front() else { break };
            self.perform(consequences.tasks);
            for delivery in consequences.deliveries {
                let workflow = self.shared.plans.iter().position(|plan| plan.workflow.name == delivery.workflow);
                match workflow {
                    Some(workflow) => {
                        let name = EntityName { workflow, key: delivery.key.clone() };
                        self.pending(name).deliveries.push(delivery);
                    }
                    // It waits in the store for a host that runs that workflow.
                    None => self.state.deliveries -= 1,
                }
            }
        }
        let committed = self.state.committed;
        let cache = self.cache();
        while cache.len() > MOST_CACHED {
            // What is not committed yet cannot be read back from the store.
            if cache.peek_lru().is_none_or(|(_, cached)| cached.batch > committed) {
                break;
            }
            cache.pop_lru();
        }
    }

    pub(super) fn perform(&mut self, tasks: Vec<Task>) {
        if self.course.perform && !tasks.is_empty() {
            // The lanes end only with the engine.
            let _ = self.orders.send(lanes::Order::Perform(tasks));
        }
    }

    /// Notes what a start found: intents under way and all outstanding ones.
    pub(super) fn recovered(&mut self, name: EntityName, entity: Entity) {
        self.state.outstanding += entity.outstanding.len();
        self.state.under_way += entity.under_way;
        if entity.outstanding.iter().any(|intent| intent.settled.is_some()) {
            self.pending(name.clone());
        }
        self.cache().put(name, Cached { entity: Box::new(entity), batch: 0 });
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

    fn fire_timers(&mut self) -> Result<(), EngineError> {
        // A host that is started for operators' commands only reads no source: nobody can say that nothing earlier is unread.
        if !self.course.perform {
            self.state.look_for_timers = false;
            return Ok(());
        }
        if self.course.event_clock {
            return self.fire_after_input();
        }
        if !std::mem::take(&mut self.state.look_for_timers) {
            return Ok(());
        }
        self.state.next_due = self.reader.next_due()?;
        let now = wall_clock();
        let Some(earliest) = self.state.next_due.filter(|due| *due <= now) else { return Ok(()) };
        let until = if self.has_read_past(now) { now } else { now.saturating_sub(self.course.timer_wait) };
        if earliest > until {
            return Ok(());
        }
        for due in self.reader.due_timers(until, MOST_TIMERS_TOGETHER)? {
            let Some(workflow) = self.shared.plans.iter().position(|plan| plan.id == due.workflow) else { continue };
            let name = EntityName { workflow, key: due.key };
            let fired = (due.timer.name, due.timer.sequence, due.timer.index);
            if !self.state.work.get(&name).is_some_and(|pending| pending.timers.contains(&fired)) {
                self.pending(name).timers.push(fired);
            }
        }
        Ok(())
    }

    /// Whether the source has nothing left that was there before `now`.
    fn has_read_past(&self, now: u64) -> bool {
        let Some(source) = &self.source else { return true };
        if !self.state.backlog.is_empty() || !source.lines.is_empty() {
            return false;
        }
        let since = source.waiting_since.load(Ordering::Acquire);
        self.state.source_ended || (since > 0 && Duration::from_micros(now.saturating_sub(since)) >= QUIET)
    }

    /// On the event clock, timers that no event follows fire once the input is over.
    fn fire_after_input(&mut self) -> Result<(), EngineError> {
        let over = self.source.is_none() || (self.state.source_ended && self.source.as_ref().is_none_or(|source| source.lines.is_empty()));
        if !over || !self.state.backlog.is_empty() || !self.is_quiet() || self.has_work() {
            return Ok(());
        }
        if !self.state.look_for_timers {
            return Ok(());
        }
        let limit = self.intake.clock().saturating_add(self.course.advance);
        let together = if self.course.delivers { 1 } else { MOST_TIMERS_TOGETHER };
        let due = self.reader.due_timers(limit, together)?;
        // Where entities write to each other, timers fire one by one, in the order of their times.
        self.state.bound = if self.course.delivers { due.first().map(|due| due.timer.due) } else { Some(limit) };
        self.state.look_for_timers = !due.is_empty();
        for due in due {
            if let Some(workflow) = self.shared.plans.iter().position(|plan| plan.id == due.workflow) {
                self.pending(EntityName { workflow, key: due.key });
            }
        }
        Ok(())
    }

    fn look_for_commands(&mut self) -> Result<(), EngineError> {
        if self.state.last_command_look.is_some_and(|last| last.elapsed() < COMMAND_INTERVAL) {
            return Ok(());
        }
        self.state.last_command_look = Some(Instant::now());
        for command in self.reader.commands()? {
            if self.state.commands_seen.insert(command.id) {
                self.apply(command)?;
            }
        }
        Ok(())
    }

    fn apply(&mut self, command: CommandRow) -> Result<(), EngineError> {
        let Some(workflow) = self.shared.plans.iter().position(|plan| *plan.workflow.name == *command.workflow) else { return Ok(()) };
        let what = match command.command.as_str() {
            "parked redrive" => OrderKind::Redrive,
            "parked drop" => OrderKind::Drop,
            other => {
                let answer = self.apply_to_dead_letter(workflow, other, &command)?;
                self.state.draft.answers.extend(answer.map(|answer| (command.id, answer)));
                return Ok(());
            }
        };
        let name = EntityName { workflow, key: command.subject.into() };
        self.pending(name).orders.push(Order { command: command.id, what });
        Ok(())
    }

    /// The answer, where there is one at once.
    fn apply_to_dead_letter(&mut self, workflow: usize, what: &str, command: &CommandRow) -> Result<Option<String>, EngineError> {
        let id: i64 = command.subject.parse().unwrap_or(-1);
        let plan = self.shared.plans[workflow].clone();
        let Some(letter) = self.reader.dead_letter(plan.id, id)? else { return Ok(Some("refused: there is no such dead letter".into())) };
        match what {
            "dead-letters drop" => {
                self.state.draft.dead_letters_removed.push(id);
                Ok(Some("dropped".into()))
            }
            "dead-letters redrive" => {
                let origin = EventOrigin::DeadLetter { id, source: letter.source_id, line: super::Line(letter.line) };
                let bytes: Arc<[u8]> = letter.bytes.into();
                for (taker, decoded) in self.decoder.decode(&bytes, origin, wall_clock()) {
                    match decoded {
                        Ok((key, event)) if taker == workflow => {
                            if self.intake.knows(event.fingerprint) {
                                return Ok(Some("refused: an event of that source and id was accepted before".into()));
                            }
                            self.intake.remember(event.fingerprint);
                            self.pending(EntityName { workflow, key }).events.push_back(event);
                            return Ok(Some("taken: it is decided in its entity's turn".into()));
                        }
                        Err(undecodable) if taker == workflow => {
                            return Ok(Some(format!("refused: {} {}: {}", undecodable.code, undecodable.path, undecodable.reason)));
                        }
                        _ => {}
                    }
                }
                Ok(Some("refused: this workflow takes no events of that type".into()))
            }
            other => Ok(Some(format!("refused: unknown command {other:?}"))),
        }
    }

    fn is_over(&mut self) -> Result<bool, EngineError> {
        if let Some(since) = self.state.stopping {
            let waited = since.elapsed() > DRAIN_TIMEOUT;
            return Ok(self.state.in_flight.is_empty() && !self.has_work() && (self.state.drained || waited));
        }
        if !self.course.until_idle || !self.is_quiet() || self.has_work() || !self.state.backlog.is_empty() {
            return Ok(false);
        }
        if self.source.is_some() && !(self.state.source_ended && self.source.as_ref().is_none_or(|source| source.lines.is_empty())) {
            return Ok(false);
        }
        if self.course.event_clock || !self.course.perform {
            return Ok(!self.state.look_for_timers);
        }
        Ok(!self.state.look_for_timers && self.reader.next_due()?.is_none_or(|due| due > wall_clock()))
    }
}
