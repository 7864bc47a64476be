//! Reducing workers: they load entities and fold what waits for them, side by side.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::EngineError;
use super::entity::Entity;
use super::fold::{Folded, Ids, Moment, fold};
use super::input::{EntityName, Pending};
use super::plan::Plan;
use super::step::Cached;
use crate::store::{Loaded, Reader, Store, StoreError};

/// Entities that one worker takes at a time.
const CHUNK: usize = 32;

/// An entity to decide for; loaded by the worker where the engine has it not in memory.
pub(super) type Item = (EntityName, Option<Cached>, Pending);

/// With what holds for it: a release may come into force between two steps.
type Job = (Arc<Shared>, Moment, Vec<Item>);
type Done = Result<Decided, EngineError>;

/// What became of items.
#[derive(Default)]
pub(super) struct Decided {
    /// Those that were decided for.
    pub(super) folded: Vec<(EntityName, Folded)>,
    /// Those that could not be read, and may be later: nothing was done about them.
    pub(super) unread: Vec<Item>,
    /// Why they could not.
    pub(super) failure: Option<StoreError>,
}

/// What workers share during a step.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) plans: Arc<Vec<Arc<Plan>>>,
    pub(super) ids: Arc<Ids>,
}

/// A pool of reducing workers. Without any, the caller's thread decides.
pub(super) struct Workers {
    own: Reader,
    jobs: Sender<Job>,
    done: Receiver<Done>,
    // Ended by the channel's end.
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Workers {
    /// Waits for the threads: they read the store, which is folded into one file when its last reader closes it.
    fn drop(&mut self) {
        let (nobody, _) = unbounded();
        self.jobs = nobody;
        for thread in self.threads.drain(..) {
            // A panic of a worker was told by its hook.
            let _ = thread.join();
        }
    }
}

impl Workers {
    pub(super) fn start(store: &Store, count: usize) -> Result<Self, EngineError> {
        // No bound of their own: the engine sends what one commit holds and waits for all of it.
        let (jobs, todo) = unbounded::<Job>();
        let (finished, done) = unbounded();
        let mut threads = Vec::new();
        for number in 0..count {
            let (todo, finished, reader) = (todo.clone(), finished.clone(), store.reader()?);
            let work = move || {
                for (shared, moment, items) in todo {
                    if finished.send(decide(&shared, &reader, moment, items)).is_err() {
                        break;
                    }
                }
            };
            let thread = std::thread::Builder::new().name(format!("reduce-{number}")).spawn(work);
            threads.push(thread.map_err(|cause| EngineError::Thread { cause })?);
        }
        Ok(Workers { own: store.reader()?, jobs, done, threads })
    }

    /// Folds every item; the results come in no particular order.
    pub(super) fn run(&self, shared: &Arc<Shared>, moment: Moment, items: Vec<Item>) -> Done {
        if items.len() <= CHUNK / 4 || self.threads.is_empty() {
            return decide(shared, &self.own, moment, items);
        }
        let mut decided = Decided { folded: Vec::with_capacity(items.len()), ..Decided::default() };
        let mut chunks = 0;
        let mut items = items.into_iter();
        loop {
            let chunk: Vec<Item> = items.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                break;
            }
            chunks += 1;
            self.jobs.send((shared.clone(), moment, chunk)).map_err(|_| EngineError::WorkersGone)?;
        }
        for _ in 0..chunks {
            let Decided { folded, unread, failure } = self.done.recv().map_err(|_| EngineError::WorkersGone)??;
            decided.folded.extend(folded);
            decided.unread.extend(unread);
            decided.failure = decided.failure.or(failure);
        }
        Ok(decided)
    }
}

fn decide(shared: &Shared, reader: &Reader, moment: Moment, mut items: Vec<Item>) -> Done {
    match read(shared, reader, &mut items) {
        Ok(()) => {}
        Err(EngineError::Store(error)) if error.is_passing() || error.looks_like_damage() => {
            return Ok(Decided { unread: items, failure: Some(error), ..Decided::default() });
        }
        Err(error) => return Err(error),
    }
    let mut folded = Vec::with_capacity(items.len());
    for (name, cached, pending) in items {
        let Some(Cached { entity, .. }) = cached else { continue };
        let done = fold(&shared.plans[name.workflow], &shared.ids, entity, pending, moment)?;
        folded.push((name, done));
    }
    Ok(Decided { folded, ..Decided::default() })
}

/// Reads what is not in memory of the items' entities.
fn read(shared: &Shared, reader: &Reader, items: &mut [Item]) -> Result<(), EngineError> {
    for (workflow, plan) in shared.plans.iter().enumerate() {
        let is_missing = |(name, cached, _): &&Item| name.workflow == workflow && cached.is_none();
        let missing: Vec<&str> = items.iter().filter(is_missing).map(|(name, ..)| &*name.key).collect();
        if missing.is_empty() {
            continue;
        }
        let mut loaded = reader.load(plan.id, &missing)?;
        for (name, cached, _) in items.iter_mut().filter(|(name, cached, _)| name.workflow == workflow && cached.is_none()) {
            let entity = match loaded.remove(&name.key) {
                // Its state may be of a type that nobody knows here: it belongs to a younger engine already.
                Some(Loaded { state: Some((_, release)), .. }) if release > plan.release => {
                    let what = format!("entity {:?} was decided on under release {release}", name.key);
                    return Err(StoreError::Overtaken { what }.into());
                }
                Some(loaded) => Entity::of(plan, loaded)?,
                None => Entity::unknown(plan, name.key.clone()),
            };
            *cached = Some(Cached { entity: Box::new(entity), batch: 0 });
        }
    }
    for (name, cached, pending) in items {
        if let Some(Cached { entity, .. }) = cached {
            entity.restore_payloads(reader, &shared.plans[name.workflow], pending)?;
        }
    }
    Ok(())
}
