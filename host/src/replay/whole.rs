//! The journal as a whole: what no single chain tells.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::ReplayError;
use super::diff::Difference;
use super::verify::Mismatch;
use crate::engine::Plan;
use crate::journal::hex;
use crate::store::{EntityId, EntityRow, Location, Reader, Row, StoreError, Tally};

/// Rows of the journal that are looked at together.
const PAGE: u32 = 4096;

/// How often one moment is looked for that all readers see. A host that commits between any two of them is rare.
const MOST_TRIES: u32 = 1000;

/// `count` readers that all see the same moment of the workflow's journal, for as long as they live.
pub(super) fn readers(location: &Location, workflow: i64, count: usize) -> Result<Vec<Reader>, ReplayError> {
    let readers = (0..count).map(|_| Reader::open(location)).collect::<Result<Vec<_>, _>>()?;
    for _ in 0..MOST_TRIES {
        let mut tallies = Vec::with_capacity(readers.len());
        for reader in &readers {
            reader.stay()?;
            tallies.push(reader.tally(workflow)?);
        }
        if tallies.windows(2).all(|pair| pair[0] == pair[1]) {
            return Ok(readers);
        }
    }
    Err(ReplayError::Restless)
}

/// What was come across while the chains were walked.
pub(super) struct Whole {
    entities: AtomicI64,
    entries: AtomicI64,
    heads: Mutex<Tally>,
    /// The rows of the journal that a chain led to.
    rows: Mutex<SeenRows>,
    /// Entities whose chains break off: rows behind the break are no news.
    broken: Mutex<HashSet<EntityId>>,
}

/// Rows, a bit for each. Several hosts number theirs far apart, so that there are pages of them.
#[derive(Default)]
struct SeenRows(HashMap<Row, Box<[u64; PAGE_WORDS]>>);

const PAGE_WORDS: usize = 64;

impl SeenRows {
    fn insert(&mut self, row: Row) {
        let (page, word, bit) = place(row);
        self.0.entry(page).or_insert_with(|| Box::new([0; PAGE_WORDS]))[word] |= bit;
    }

    fn has(&self, row: Row) -> bool {
        let (page, word, bit) = place(row);
        self.0.get(&page).is_some_and(|words| words[word] & bit > 0)
    }
}

impl Whole {
    pub(super) fn new() -> Self {
        Whole {
            entities: AtomicI64::new(0),
            entries: AtomicI64::new(0),
            heads: Mutex::default(),
            rows: Mutex::default(),
            broken: Mutex::default(),
        }
    }

    /// Counts an entity, whatever its chain is worth.
    pub(super) fn entity(&self, row: &EntityRow) {
        self.entities.fetch_add(1, Ordering::Relaxed);
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).toggle(&row.head);
    }

    /// Counts the entries of a chain.
    pub(super) fn chain(&self, entity: &EntityRow, rows: &[Row], breaks_off: bool) {
        let mut seen = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.iter().for_each(|row| seen.insert(*row));
        drop(seen);
        self.entries.fetch_add(i64::try_from(rows.len()).unwrap_or(i64::MAX), Ordering::Relaxed);
        if breaks_off {
            self.broken.lock().unwrap_or_else(PoisonError::into_inner).insert(entity.id);
        }
    }

    /// Compares what was come across with what the commits counted, and with what decisions depend on besides.
    pub(super) fn compare(&self, reader: &Reader, plan: &Plan) -> Result<Option<Mismatch>, StoreError> {
        let mut differences = Vec::new();
        let mut expect = |path: &str, stored: String, replayed: String| {
            if stored != replayed {
                differences.push(Difference { path: path.to_owned(), stored, replayed });
            }
        };
        match reader.tally(plan.id)? {
            None => expect("tallies", "no row for this workflow".into(), "what its commits counted".into()),
            Some(tally) => {
                let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let entities = self.entities.load(Ordering::Relaxed);
                expect("entities", entities.to_string(), tally.entities.to_string());
                expect("heads of all entities", hex(&heads.heads), hex(&tally.heads));
                if entities + 1 == tally.entities {
                    heads.toggle(&tally.heads);
                    expect("entities", "no entity with the last hash that follows".into(), hex(&heads.heads));
                }
                if self.broken.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                    expect("entries", self.entries.load(Ordering::Relaxed).to_string(), tally.entries.to_string());
                }
                let (high, low) = reader.journal()?;
                expect("meta.journal", purefold_wit::uuid::format(high, low), tally.journal);
                let named = |name: Option<String>| name.unwrap_or_else(|| "none".into());
                expect("meta.clock", named(reader.clock()?), named(tally.clock_name));
                let clock = reader.workflow(&plan.workflow.name)?.map_or(0, |(_, clock)| clock);
                expect("workflows.clock", clock.to_string(), tally.clock.to_string());
            }
        }
        let mismatch = Mismatch { entity: String::new(), sequence: 0, ordinal: 0, what: "tally", differences };
        Ok((!mismatch.differences.is_empty()).then_some(mismatch))
    }

    /// Tells the entries of this workflow, or of no entity at all, that no chain leads to. Each of the `readers` looks through a part of
    /// the journal, on a thread of its own.
    pub(super) fn orphans(&self, readers: Vec<Reader>, workflow: i64, tell: impl Fn(Mismatch) + Sync) -> Result<(), ReplayError> {
        let Some(last) = readers.first().map(Reader::last_entry).transpose()? else { return Ok(()) };
        let parts = Row::try_from(readers.len()).unwrap_or(Row::MAX);
        let begin = |part: Row| if part == 0 { Row::MIN } else { last / parts * part };
        let seen = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let (tell, seen) = (&tell, &*seen);
        std::thread::scope(|scope| {
            let looking: Vec<_> = (0..)
                .zip(readers)
                .map(|(part, reader)| {
                    let until = if part + 1 == parts { Row::MAX } else { begin(part + 1) };
                    scope.spawn(move || self.orphans_between(&reader, workflow, (begin(part), until), seen, tell))
                })
                .collect();
            looking.into_iter().try_for_each(|looking| looking.join().map_err(|_| ReplayError::Thread)?.map_err(Into::into))
        })
    }

    /// As [`Whole::orphans`], in the rows after the first and up to the second.
    fn orphans_between(
        &self,
        reader: &Reader,
        workflow: i64,
        (mut after, until): (Row, Row),
        seen: &SeenRows,
        tell: &impl Fn(Mismatch),
    ) -> Result<(), StoreError> {
        // No host gives out other numbers.
        let is_seen = |row: Row| row < 0 || seen.has(row);
        let is_broken = |entity: &EntityId| self.broken.lock().unwrap_or_else(PoisonError::into_inner).contains(entity);
        while after < until {
            let page = reader.rows_after(after, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            for (row, entity) in page.iter().filter(|(row, entity)| *row <= until && !is_seen(*row) && !is_broken(entity)) {
                let Some(orphan) = reader.orphan(*row)?.filter(|orphan| orphan.workflow.is_none_or(|of| of == workflow)) else { continue };
                let stored = match &orphan.key {
                    Some(_) => "an entry that none of its entity's later entries follows".to_owned(),
                    None => format!("an entry of entity {entity}, which is not there"),
                };
                let path = format!("journal row {row}");
                let differences = vec![Difference { path, stored, replayed: "no entry".into() }];
                let (entity, sequence, ordinal) = (orphan.key.unwrap_or_default(), orphan.sequence, orphan.ordinal);
                tell(Mismatch { entity, sequence, ordinal, what: "orphan", differences });
            }
        }
        Ok(())
    }
}

/// Page, word and bit of a row.
fn place(row: Row) -> (Row, usize, u64) {
    // Both are less than 64.
    ((row >> 12), ((row >> 6) & 63) as usize, 1 << (row & 63))
}
