//! The same rows once more: what the disk and SQLite alone would take for them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use purefold::journal::{EntryHash, Kind, Verdict};
use purefold::sandbox::DecisionCodec;
use purefold::store::{AcceptedRow, Batch, EntityRow, EntryRow, IntentKey, OutboxRow, Reader, Store, StoredEntry, TimerRow};
use purefold::workflow::{RoutePlan, Workflow};
use purefold_wit::Value;

/// Entries that are read together.
const PAGE: u32 = 4096;

/// The last journal row of a store; 0 where there is none.
pub(super) fn last_row(store: &Path) -> anyhow::Result<i64> {
    if !store.exists() {
        return Ok(0);
    }
    Ok(Reader::open(&store.into())?.last_entry()?)
}

/// Writes what `store` holds after `from` into a new store at `target`, in as many commits as the pipeline made, and
/// gives the time that the commits took.
pub(super) fn write(workflow: &Workflow, store: &Path, from: i64, target: &Path, commits: u64) -> anyhow::Result<Duration> {
    let reader = Reader::open(&store.into())?;
    let copy = Store::open(&target.into(), Some(reader.journal()?), (0, 0))?;
    let mut writer = copy.writer()?;
    let (id, profile) = (writer.workflow(&workflow.name)?, writer.profile("raw")?);
    let mut took = Duration::ZERO;
    Copy::new(workflow, id, profile).each(&reader, from, commits, |batch| {
        let started = Instant::now();
        writer.commit(&batch)?;
        took += started.elapsed();
        Ok(())
    })?;
    Ok(took)
}

/// The rows of a store once more, as batches for another one.
pub(super) struct Copy<'a> {
    workflow: &'a Workflow,
    codec: DecisionCodec,
    workflow_id: i64,
    profile: i64,
    ids: HashMap<Arc<str>, i64>,
    /// The head of each entity as last committed: its row and hash.
    heads: HashMap<i64, (i64, EntryHash)>,
    /// Where each entity stands in the batch.
    places: HashMap<i64, usize>,
    batch: Batch,
}

/// What a `concluded` entry says of its intent.
#[derive(serde::Deserialize)]
struct Concluded {
    sequence: u64,
    index: u32,
}

impl<'a> Copy<'a> {
    /// Of a workflow's rows, for a store in which it and the profile have these ids.
    pub(super) fn new(workflow: &'a Workflow, workflow_id: i64, profile: i64) -> Self {
        Copy {
            workflow,
            codec: DecisionCodec::new(&workflow.contract, &workflow.manifest.limits()),
            workflow_id,
            profile,
            ids: HashMap::new(),
            heads: HashMap::new(),
            places: HashMap::new(),
            batch: Batch::default(),
        }
    }

    /// Has `put` write what a store holds after the row `from`, in so many commits.
    pub(super) fn each(
        &mut self,
        reader: &Reader,
        from: i64,
        commits: u64,
        mut put: impl FnMut(Batch) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let id = reader.workflow(&self.workflow.name)?.map_or(0, |(id, _)| id);
        let entries = u64::try_from(reader.last_entry()? - from)?;
        let together = usize::try_from(entries / commits.max(1)).unwrap_or(1).max(1);
        let mut next = from + 1;
        loop {
            let page = reader.entries_from(id, next, PAGE)?;
            let Some((_, last)) = page.last() else { break };
            next = last.row + 1;
            let rows: Vec<_> = page.iter().map(|(_, entry)| entry.row).collect();
            let mut events = reader.events_in(&rows)?;
            for (entity, stored) in page {
                let event = events.remove(&stored.row).map(Arc::from);
                self.add(&entity, stored, event)?;
                if self.batch.entries.len() >= together {
                    put(self.batch())?;
                }
            }
        }
        put(self.batch())
    }

    fn add(&mut self, entity: &Arc<str>, stored: StoredEntry, event: Option<Arc<[u8]>>) -> anyhow::Result<()> {
        let next = i64::try_from(self.ids.len())? + 1;
        let id = *self.ids.entry(entity.clone()).or_insert(next);
        let StoredEntry { row, previous_row, hash, entry, .. } = stored;
        let (expected_head_row, expected_head) = self.heads.get(&id).copied().unwrap_or_default();
        let changed = EntityRow {
            id,
            workflow: self.workflow_id,
            key: entity.clone(),
            sequence: entry.sequence,
            ordinal: entry.ordinal,
            now: entry.now,
            head: hash,
            head_row: row,
            state_row: Some(row),
            parked: false,
            expected_head_row,
            expected_head,
        };
        let place = *self.places.entry(id).or_insert(self.batch.entities.len());
        match self.batch.entities.get_mut(place) {
            Some(known) => *known = changed,
            None => self.batch.entities.push(changed),
        }
        if event.is_some() {
            let mut fingerprint = [0; 16];
            fingerprint.copy_from_slice(&hash[..16]);
            self.batch.accepted.push(AcceptedRow {
                row,
                source: 1,
                line: u64::try_from(row)?,
                fingerprint: u128::from_be_bytes(fingerprint),
                shard: None,
                now: entry.now,
            });
        }
        if entry.kind == Kind::Decided && entry.verdict == Some(Verdict::Accepted) {
            let Value::List(intents) = self.codec.decode_intents(&entry.output)? else { return Ok(()) };
            for (index, intent) in (0..).zip(intents) {
                let Value::Variant(case, Some(payload)) = intent else { continue };
                let key = IntentKey { entity: id, sequence: entry.sequence, index };
                match (&self.workflow.routes[case as usize], *payload) {
                    (RoutePlan::Effect(route), _) => {
                        self.batch.outbox_added.push(OutboxRow { key, row, effect: route.effect.clone() });
                    }
                    (RoutePlan::Timer { .. }, Value::Record(fields)) => {
                        if let [Value::String(name), Value::Instant(due)] = &*fields {
                            let (name, due) = (name.as_ref().into(), *due);
                            let correlation_id = entry.correlation_id.clone();
                            self.batch.timers_set.push(TimerRow {
                                entity: id,
                                name,
                                due,
                                sequence: entry.sequence,
                                index,
                                correlation_id,
                                waits: false,
                                workflow: self.workflow_id,
                            });
                        }
                    }
                    _ => {}
                }
            }
        }
        if entry.kind == Kind::Concluded {
            let Concluded { sequence, index } = serde_json::from_slice(&entry.input)?;
            self.batch.outbox_removed.push(IntentKey { entity: id, sequence, index });
        }
        self.batch.entries.push(EntryRow { row, entity: id, previous_row, profile: self.profile, hash, entry, event });
        Ok(())
    }

    /// What was added since the last one.
    fn batch(&mut self) -> Batch {
        let batch = std::mem::take(&mut self.batch);
        self.places.clear();
        self.heads.extend(batch.entities.iter().map(|entity| (entity.id, (entity.head_row, entity.head))));
        batch
    }
}
