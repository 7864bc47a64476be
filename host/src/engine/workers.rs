//! Reducing workers: they load entities and fold what waits for them, side by side.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::EngineError;
use super::entity::Entity;
use super::fold::{Folded, Ids, Moment, fold};
use super::input::{EntityName, Pending};
use super::plan::Plan;
use crate::store::{Reader, Store};

/// Entities that one worker takes at a time.
const CHUNK: usize = 32;

/// An entity to decide for; loaded by the worker where the engine has it not in memory.
pub(super) type Item = (EntityName, Option<Box<Entity>>, Pending);

type Job = (Moment, Vec<Item>);
type Done = Result<Vec<(EntityName, Folded)>, EngineError>;

/// What workers share.
pub(super) struct Shared {
    pub(super) plans: Vec<Arc<Plan>>,
    pub(super) ids: Ids,
}

/// A pool of reducing workers. Without any, the caller's thread decides.
pub(super) struct Workers {
    shared: Arc<Shared>,
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
    pub(super) fn start(shared: Arc<Shared>, store: &Store, count: usize) -> Result<Self, EngineError> {
        // No bound of their own: the engine sends what one commit holds and waits for all of it.
        let (jobs, todo) = unbounded::<Job>();
        let (finished, done) = unbounded();
        let mut threads = Vec::new();
        for number in 0..count {
            let (todo, finished, shared, reader) = (todo.clone(), finished.clone(), shared.clone(), store.reader()?);
            let work = move || {
                for (moment, items) in todo {
                    if finished.send(decide(&shared, &reader, moment, items)).is_err() {
                        break;
                    }
                }
            };
            let thread = std::thread::Builder::new().name(format!("reduce-{number}")).spawn(work);
            threads.push(thread.map_err(|cause| EngineError::Thread { cause })?);
        }
        Ok(Workers { shared, own: store.reader()?, jobs, done, threads })
    }

    /// Folds every item; the results come in no particular order.
    pub(super) fn run(&self, moment: Moment, items: Vec<Item>) -> Done {
        if items.len() <= CHUNK / 4 || self.threads.is_empty() {
            return decide(&self.shared, &self.own, moment, items);
        }
        let mut results = Vec::with_capacity(items.len());
        let mut chunks = 0;
        let mut items = items.into_iter();
        loop {
            let chunk: Vec<Item> = items.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                break;
            }
            chunks += 1;
            self.jobs.send((moment, chunk)).map_err(|_| EngineError::WorkersGone)?;
        }
        for _ in 0..chunks {
            results.extend(self.done.recv().map_err(|_| EngineError::WorkersGone)??);
        }
        Ok(results)
    }
}

fn decide(shared: &Shared, reader: &Reader, moment: Moment, mut items: Vec<Item>) -> Done {
    if items.iter().any(|(_, entity, _)| entity.is_none()) {
        reader.at_once(|reader| {
            for (name, entity, _) in &mut items {
                if entity.is_none() {
                    *entity = Some(Box::new(Entity::load(reader, &shared.plans[name.workflow], name)?));
                }
            }
            Ok::<_, EngineError>(())
        })?;
    }
    let mut results = Vec::with_capacity(items.len());
    for (name, entity, pending) in items {
        let Some(mut entity) = entity else { continue };
        entity.restore_payloads(reader, &shared.plans[name.workflow], &pending)?;
        let folded = fold(&shared.plans[name.workflow], &shared.ids, entity, pending, moment)?;
        results.push((name, folded));
    }
    Ok(results)
}
