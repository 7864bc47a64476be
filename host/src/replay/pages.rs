//! All entities of a workflow, page by page, on several threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::bounded;

use super::ReplayError;
use crate::store::{EntityId, EntityRow, Reader};

/// Entities that are read together.
const PAGE: u32 = 256;

/// In which order entities are handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Key,
    /// As they came. What came at one time is mostly decided at one time too, and so lies side by side in the journal: what was read for
    /// one entity is at hand for the next.
    Age,
}

/// Hands every entity of the workflow but its own that `pick` leaves in its page to the `workers`, each on a thread of its own, in
/// that order. `looked` is told after each page. Memory is bounded by the pages under way, however many entities there are.
///
/// # Errors
/// The first of a worker's, and where the store fails.
pub(super) fn each<W: Send>(
    reader: &Reader,
    (workflow, by): (i64, By),
    pick: impl Fn(Vec<EntityRow>) -> Vec<EntityRow>,
    workers: Vec<W>,
    looked: impl Fn(),
    page: impl Fn(&mut W, Vec<EntityRow>) -> Result<(), ReplayError> + Sync,
) -> Result<Vec<W>, ReplayError> {
    let (send, pages) = bounded::<Vec<EntityRow>>(workers.len());
    let failed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for mut worker in workers {
            let (pages, page, failed) = (pages.clone(), &page, &failed);
            threads.push(scope.spawn(move || {
                for entities in pages {
                    if failed.load(Ordering::Relaxed) {
                        break;
                    }
                    page(&mut worker, entities).inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
                }
                Ok::<_, ReplayError>(worker)
            }));
        }
        drop(pages);
        let mut after = (Arc::from(""), EntityId::MIN);
        while !failed.load(Ordering::Relaxed) {
            let entities = match by {
                By::Key => reader.entities_after(workflow, &after.0, PAGE)?,
                By::Age => reader.entities_since(workflow, after.1, PAGE)?,
            };
            let Some(last) = entities.last() else { break };
            after = (last.key.clone(), last.id);
            if send.send(pick(entities)).is_err() {
                break;
            }
            looked();
        }
        drop(send);
        threads.into_iter().map(|thread| thread.join().map_err(|_| ReplayError::Thread)?).collect()
    })
}
