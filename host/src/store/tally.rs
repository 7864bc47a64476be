//! What a workflow's journal must come to. It is kept with every commit, so that what is deleted whole is missed: no chain
//! that is left tells of it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use super::change::{Change, bytes, int, text};
use super::connection::Transaction;
use super::value::{Columns, Value, values};
use super::{Batch, EntityId, Reader, StoreError, Writer};
use crate::journal::EntryHash;

/// Counts of a workflow's journal, and what its decisions depend on besides the entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Entities, those that ended and the workflow's own counted.
    pub entities: i64,
    /// Entries of all of them that are not truncated. What one host truncates another may have counted.
    pub entries: i64,
    /// The XOR of all entities' heads: the same whatever their order, and each commit changes it by what it changes.
    pub heads: EntryHash,
    /// The journal's id.
    pub journal: String,
    /// The clock that the journal runs on.
    pub clock_name: Option<String>,
    /// The workflow's virtual clock.
    pub clock: u64,
}

impl Tally {
    /// Adds a head, or takes it away again.
    pub fn toggle(&mut self, head: &EntryHash) {
        for (sum, byte) in self.heads.iter_mut().zip(head) {
            *sum ^= byte;
        }
    }

    /// Adds what was counted under another epoch.
    fn add(&mut self, other: &Tally) {
        self.entities += other.entities;
        self.entries += other.entries;
        self.toggle(&other.heads);
        // They agree, unless somebody wrote over one of them: then the sum is not what it should be either.
        if self.journal != other.journal {
            self.journal.push_str(&other.journal);
        }
        if self.clock_name != other.clock_name {
            self.clock_name = None;
        }
        self.clock = self.clock.max(other.clock);
    }
}

const TALLY: &str = "SELECT entities, entries, heads, journal, clock_name, clock FROM tallies WHERE workflow = ? AND epoch = ?";

/// Of all epochs.
const EPOCHS: &str = "SELECT entities, entries, heads, journal, clock_name, clock FROM tallies WHERE workflow = ? ORDER BY epoch";

/// Of epochs under which nothing is committed any more.
const OVER: &str = "SELECT entities, entries, heads, journal, clock_name, clock, workflow, epoch FROM tallies \
                    WHERE epoch NOT IN (SELECT epoch FROM hosts WHERE epoch IS NOT NULL) ORDER BY workflow, epoch";

static TALLIES: Change = Change::replace(
    "tallies",
    &[int("entities"), int("entries"), bytes("heads"), text("journal"), text("clock_name"), int("clock")],
    &[int("workflow"), int("epoch")],
);
static FOLDED: Change = Change::delete("tallies", &[int("workflow"), int("epoch")]);

/// Follows what `batch` changes, in one row for each workflow that it is about. `truncated` is how many entries of which
/// entities are gone with it; `known` is what is known of the workflows' tallies. Rows are of the host's own epoch: no commit
/// waits for one of another host.
pub(super) fn write(
    transaction: &mut Transaction<'_, '_>,
    batch: &Batch,
    truncated: &BTreeMap<EntityId, u64>,
    epoch: u64,
    known: &mut BTreeMap<i64, Tally>,
) -> Result<(), StoreError> {
    let mut tallies: BTreeMap<i64, Tally> = BTreeMap::new();
    for entity in &batch.entities {
        let tally = of(transaction, &mut tallies, known, (entity.workflow, epoch))?;
        tally.toggle(&entity.head);
        if entity.expected_head_row == 0 {
            tally.entities += 1;
        } else {
            tally.toggle(&entity.expected_head);
        }
    }
    if tallies.len() == 1
        && let Some(only) = tallies.values_mut().next()
    {
        only.entries += count(batch.entries.len());
    } else {
        // Whoever has a new entry is among the entities that changed.
        let workflows: HashMap<EntityId, i64> = batch.entities.iter().map(|entity| (entity.id, entity.workflow)).collect();
        for entry in &batch.entries {
            if let Some(tally) = workflows.get(&entry.entity).and_then(|workflow| tallies.get_mut(workflow)) {
                tally.entries += 1;
            }
        }
    }
    for (entity, entries) in truncated {
        let workflow = transaction.row("SELECT workflow FROM entities WHERE id = ?", &values![*entity], |row| row.get(0))?;
        let workflow = workflow.ok_or_else(|| StoreError::Corrupt(format!("there is no entity {entity}")))?;
        of(transaction, &mut tallies, known, (workflow, epoch))?.entries -= entries.cast_signed();
    }
    for (workflow, clock) in &batch.clocks {
        of(transaction, &mut tallies, known, (*workflow, epoch))?.clock = *clock;
    }
    transaction.change(&TALLIES, tallies.iter().map(|(workflow, tally)| row(*workflow, epoch, tally)))?;
    known.extend(tallies);
    Ok(())
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

fn row(workflow: i64, epoch: u64, tally: &Tally) -> [Value<'static>; 8] {
    let Tally { entities, entries, heads, journal, clock_name, clock } = tally;
    let text = |text: &String| Value::Text(text.clone().into_bytes().into());
    let (journal, clock_name) = (text(journal), clock_name.as_ref().map_or(Value::Null, text));
    [
        (*entities).into(),
        (*entries).into(),
        Value::Bytes(heads.to_vec().into()),
        journal,
        clock_name,
        (*clock).into(),
        workflow.into(),
        epoch.into(),
    ]
}

/// The tally of a workflow as the store has it, to be changed. What is noted of the journal's id and clock is so once.
fn of<'t>(
    transaction: &mut Transaction<'_, '_>,
    tallies: &'t mut BTreeMap<i64, Tally>,
    known: &BTreeMap<i64, Tally>,
    (workflow, epoch): (i64, u64),
) -> Result<&'t mut Tally, StoreError> {
    match tallies.entry(workflow) {
        Entry::Occupied(counted) => Ok(counted.into_mut()),
        Entry::Vacant(place) => {
            let before = match known.get(&workflow) {
                Some(known) => Some(known.clone()),
                None => transaction.row(TALLY, &values![workflow, epoch], tally)?,
            };
            let tally = match before {
                Some(tally) => tally,
                None => {
                    let meta = "SELECT (SELECT value FROM meta WHERE name = 'journal'), (SELECT value FROM meta WHERE name = 'clock')";
                    let named = transaction.row(meta, &[], |row| Ok((row.get(0)?, row.get(1)?)))?;
                    let (journal, clock_name) = named.unwrap_or_default();
                    Tally { journal, clock_name, ..Tally::default() }
                }
            };
            Ok(place.insert(tally))
        }
    }
}

fn tally(row: &Columns<'_>) -> Result<Tally, StoreError> {
    Ok(Tally {
        entities: row.get(0)?,
        entries: row.get(1)?,
        heads: row.get(2)?,
        journal: row.get(3)?,
        clock_name: row.get(4)?,
        clock: row.get(5)?,
    })
}

impl Reader {
    /// What a workflow's journal must come to, as the commits of all hosts noted it.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn tally(&self, workflow: i64) -> Result<Option<Tally>, StoreError> {
        let mut slots = self.rows(EPOCHS, &values![workflow], tally)?.into_iter();
        let Some(mut sum) = slots.next() else { return Ok(None) };
        slots.for_each(|slot| sum.add(&slot));
        Ok(Some(sum))
    }
}

impl Writer {
    /// Counts what epochs counted that are over under `epoch`, which has begun: nothing follows under them any more. Where
    /// another host does the same at this moment, one of the two does.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn fold_tallies(&mut self, epoch: u64) -> Result<(), StoreError> {
        let over = self.connection().rows(OVER, &[], |row| Ok((row.get::<i64>(6)?, row.get::<u64>(7)?, tally(row)?)))?;
        let mut sums: BTreeMap<i64, Tally> = BTreeMap::new();
        for (workflow, _, tally) in &over {
            match sums.entry(*workflow) {
                Entry::Occupied(mut sum) => sum.get_mut().add(tally),
                Entry::Vacant(place) => drop(place.insert(tally.clone())),
            }
        }
        let folded = self.connection_mut().transact(|transaction| {
            let gone = transaction.change_all(&FOLDED, over.iter().map(|(workflow, of, _)| values![*workflow, *of]))?;
            if gone.is_some() {
                return Err(StoreError::Overtaken { what: "another host counts what earlier ones counted".into() });
            }
            transaction.change(&TALLIES, sums.iter().map(|(workflow, sum)| row(*workflow, epoch, sum)))
        });
        match folded {
            Err(error) if error.is_overtaken() => Ok(()),
            folded => folded,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::trial::{Prompt, on_each};
    use crate::store::{EntityRow, Store, Truncation};

    fn entity(id: EntityId, workflow: i64, head: u8, before: Option<u8>) -> EntityRow {
        EntityRow {
            id,
            workflow,
            key: id.to_string().into(),
            sequence: 1,
            ordinal: 0,
            now: 0,
            head: [head; 32],
            head_row: i64::from(head),
            state_row: None,
            parked: false,
            expected_head_row: before.map_or(0, i64::from),
            expected_head: [before.unwrap_or(0); 32],
        }
    }

    #[test]
    fn each_commit_changes_the_tally_by_what_it_changes() {
        on_each(|trial| {
            let store = Store::open(&trial.location, None, (1, 2)).unwrap();
            let mut writer = store.writer().unwrap();
            let (first, second) = (writer.workflow("a").unwrap(), writer.workflow("b").unwrap());
            writer.clock("event").unwrap();
            let mut commit = |batch: Batch| writer.commit(&batch).unwrap();
            commit(Batch { entities: vec![entity(1, first, 3, None), entity(2, first, 5, None)], ..Batch::default() });
            commit(Batch { entities: vec![entity(1, first, 9, Some(3)), entity(3, second, 6, None)], ..Batch::default() });
            commit(Batch { clocks: vec![(first, 77)], ..Batch::default() });
            let reader = store.reader().unwrap();
            let tally = reader.tally(first).unwrap().unwrap();
            assert_eq!((tally.entities, tally.heads, tally.clock), (2, [9 ^ 5; 32], 77));
            assert_eq!(tally.clock_name.as_deref(), Some("event"));
            assert_eq!(reader.tally(second).unwrap().unwrap().heads, [6; 32]);
            assert_eq!(reader.tally(second + 1).unwrap(), None);
        });
    }

    #[test]
    fn what_is_truncated_is_not_counted_any_more() {
        on_each(|trial| {
            let store = Store::open(&trial.location, None, (1, 2)).unwrap();
            let mut writer = store.writer().unwrap();
            let workflow = writer.workflow("a").unwrap();
            writer.commit(&Batch { entities: vec![entity(1, workflow, 3, None)], ..Batch::default() }).unwrap();
            let prompt = Prompt::at(&trial.location);
            prompt.execute("UPDATE tallies SET entries = 10", &[]);
            for row in 1..=10_i64 {
                let entry = "INSERT INTO journal (row, entity, sequence, ordinal, kind, release, profile, now, event_id, correlation_id, \
                             input, output, previous_row, hash) VALUES (?, 1, 1, 0, 'decided', 1, 1, 0, '', '', '', '', 0, ?)";
                prompt.execute(entry, &values![row, &[0; 32]]);
            }
            // What is known of a tally is known to the writer that wrote it.
            let mut writer = store.writer().unwrap();
            let gone = Truncation { entity: 1, first_row: 4, hash: [0; 32], sequence: 3, rows: vec![1, 2, 3] };
            writer.commit(&Batch { truncations: vec![gone.clone()], ..Batch::default() }).unwrap();
            assert_eq!(store.reader().unwrap().tally(workflow).unwrap().unwrap().entries, 7);
            // Looked at once more before that was durable.
            writer.commit(&Batch { truncations: vec![gone], ..Batch::default() }).unwrap();
            assert_eq!(store.reader().unwrap().tally(workflow).unwrap().unwrap().entries, 7);
        });
    }
}
