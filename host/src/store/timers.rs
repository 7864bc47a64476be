//! Pending timers: those of an entity, and those that fall due.
//!
//! The index is in the order in which timers are asked for, so that what a look costs does not grow with their number,
//! whatever stands still and however many fall due at once.

use std::sync::Arc;

use super::value::{Columns, values};
use super::{EntityId, Reader, StoreError, TimerRow};

/// A timer that is due, with its entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueTimer {
    /// The workflow's id.
    pub workflow: i64,
    /// The entity's key.
    pub key: Arc<str>,
    /// The timer.
    pub timer: TimerRow,
}

pub(super) const COLUMNS: &str = "entity, name, due, timers.sequence, position, correlation_id, waits, timers.workflow";

/// Of one workflow, in the order of the index.
const DUE: &str = "FROM timers CROSS JOIN entities ON entities.id = timers.entity WHERE timers.workflow = ? AND NOT waits AND due <= ?";
const BY_DUE: &str = "ORDER BY due, timers.entity, name LIMIT ?";

/// Of one workflow: those that share the earliest time are all looked at.
const FIRST_DUE: &str = "FROM timers CROSS JOIN entities ON entities.id = timers.entity WHERE timers.workflow = ?1 AND NOT waits AND due = \
                         (SELECT due FROM timers WHERE workflow = ?1 AND NOT waits AND due <= ?2 ORDER BY due LIMIT 1) \
                         ORDER BY key, name LIMIT 1";

const NEXT_DUE: &str = "SELECT due FROM timers WHERE workflow = ? AND NOT waits ORDER BY due LIMIT 1";

/// The same of several hosts: the first that is this one's. Its entity is looked up timer by timer, in the order of the index,
/// until one is: joined, all of them would be.
const NEXT_OWNED: &str = "SELECT due FROM timers WHERE workflow = ? AND NOT waits";
const SHARD: &str = "(SELECT shard FROM entities WHERE id = timers.entity)";

pub(super) fn timer(row: &Columns<'_>) -> Result<TimerRow, StoreError> {
    Ok(TimerRow {
        entity: row.get(0)?,
        name: row.get(1)?,
        due: row.get(2)?,
        sequence: row.get(3)?,
        index: row.get(4)?,
        correlation_id: row.get(5)?,
        waits: row.get(6)?,
        workflow: row.get(7)?,
    })
}

fn due_timer(row: &Columns<'_>) -> Result<DueTimer, StoreError> {
    let timer = timer(row)?;
    Ok(DueTimer { workflow: timer.workflow, key: row.get(8)?, timer })
}

impl Reader {
    /// The pending timers of an entity, by name.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn timers(&self, entity: EntityId) -> Result<Vec<TimerRow>, StoreError> {
        self.rows(&format!("SELECT {COLUMNS} FROM timers WHERE entity = ? ORDER BY name"), &values![entity], timer)
    }

    /// Up to `limit` timers of these workflows that are due by `until`, earliest first; without those that wait in an inbox.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn due_timers(&self, until: u64, limit: u32, of: &[i64]) -> Result<Vec<DueTimer>, StoreError> {
        let query = format!("SELECT {COLUMNS}, key {DUE}{} {BY_DUE}", self.owned("shard"));
        let mut due = Vec::new();
        for workflow in of {
            due.extend(self.rows(&query, &values![*workflow, until, limit], due_timer)?);
        }
        due.sort_by_key(|due| due.timer.due);
        due.truncate(limit as usize);
        Ok(due)
    }

    /// The timer of these workflows that fires next on virtual time, if it is due by `until`: the earliest, and of several
    /// at one time the first by workflow, key and name, whatever order their entities came in.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn first_due_timer(&self, until: u64, of: &[i64]) -> Result<Option<DueTimer>, StoreError> {
        let mut first: Option<DueTimer> = None;
        for workflow in of {
            let found = self.row(&format!("SELECT {COLUMNS}, key {FIRST_DUE}"), &values![*workflow, until], due_timer)?;
            first = first.into_iter().chain(found).min_by_key(|due| (due.timer.due, due.workflow));
        }
        Ok(first)
    }

    /// When the next timer of these workflows falls due; those that wait in an inbox have.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn next_due(&self, of: &[i64]) -> Result<Option<u64>, StoreError> {
        let query = match self.owned(SHARD) {
            all if all.is_empty() => NEXT_DUE.to_owned(),
            owned => format!("{NEXT_OWNED}{owned} ORDER BY due LIMIT 1"),
        };
        let mut next: Option<u64> = None;
        for workflow in of {
            let due = self.row(&query, &values![*workflow], |row| row.get(0))?;
            next = next.into_iter().chain(due).min();
        }
        Ok(next)
    }

    /// How many timers are set, of all workflows.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn count_timers(&self) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM timers", &[])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::trial::{Trial, on_each};
    use crate::store::value::Value;
    use crate::store::{Batch, EntityRow, Store};

    const FIRST: i64 = 1;
    const SECOND: i64 = 2;

    /// A store with timers of two workflows: key, name, due.
    fn store(trial: &Trial, timers: &[(i64, &str, &str, u64)]) -> Store {
        let store = Store::open(&trial.location, None, (1, 2)).unwrap();
        let mut writer = store.writer().unwrap();
        assert_eq!((writer.workflow("first").unwrap(), writer.workflow("second").unwrap()), (FIRST, SECOND));
        let mut batch = Batch::default();
        for (id, (workflow, key, name, due)) in (1..).zip(timers) {
            batch.entities.push(EntityRow {
                id,
                workflow: *workflow,
                key: (*key).into(),
                sequence: 1,
                ordinal: 0,
                now: 0,
                head: [0; 32],
                head_row: id,
                state_row: None,
                parked: false,
                expected_head_row: 0,
                expected_head: [0; 32],
            });
            batch.timers_set.push(TimerRow {
                entity: id,
                name: (*name).into(),
                due: *due,
                sequence: 1,
                index: 0,
                correlation_id: "c".into(),
                waits: false,
                workflow: *workflow,
            });
        }
        writer.commit(&batch).unwrap();
        store
    }

    fn keys(due: &[DueTimer]) -> Vec<&str> {
        due.iter().map(|due| &*due.key).collect()
    }

    #[test]
    fn timers_of_workflows_that_are_not_asked_for_do_not_count() {
        on_each(|trial| {
            let store = store(trial, &[(FIRST, "a", "t", 5), (FIRST, "b", "t", 6), (SECOND, "c", "t", 7), (SECOND, "d", "t", 4)]);
            let reader = store.reader().unwrap();
            assert_eq!(reader.next_due(&[SECOND]).unwrap(), Some(4));
            assert_eq!(reader.next_due(&[FIRST, SECOND]).unwrap(), Some(4));
            assert_eq!(reader.next_due(&[]).unwrap(), None);
            assert_eq!(keys(&reader.due_timers(6, 10, &[FIRST]).unwrap()), ["a", "b"]);
            assert_eq!(keys(&reader.due_timers(9, 3, &[FIRST, SECOND]).unwrap()), ["d", "a", "b"]);
            assert_eq!(reader.count_timers().unwrap(), 4);
        });
    }

    #[test]
    fn at_one_time_the_key_decides_which_fires_first_on_virtual_time() {
        on_each(|trial| {
            let store = store(trial, &[(SECOND, "a", "t", 5), (FIRST, "z", "t", 5), (FIRST, "y", "t", 5), (FIRST, "x", "t", 6)]);
            let reader = store.reader().unwrap();
            let first = |until, of: &[i64]| reader.first_due_timer(until, of).unwrap().map(|due| due.key.to_string());
            assert_eq!(first(9, &[FIRST, SECOND]).as_deref(), Some("y"));
            assert_eq!(first(9, &[SECOND]).as_deref(), Some("a"));
            assert_eq!(first(4, &[FIRST, SECOND]), None);
        });
    }

    /// What a look costs must not grow with the number of timers: nothing is sorted, and no table is read through.
    #[test]
    fn a_look_walks_the_index_and_sorts_nothing() {
        let trial = Trial::sqlite();
        let store = store(&trial, &[]);
        let reader = store.reader().unwrap();
        for query in [format!("SELECT {COLUMNS}, key {DUE}"), NEXT_DUE.to_owned()] {
            let nothing = vec![Value::Int(0); query.matches('?').count()];
            let plan: Vec<String> = reader.rows(&format!("EXPLAIN QUERY PLAN {query}"), &nothing, |row| row.get(3)).unwrap();
            assert!(plan[0].contains("timers_due"), "{plan:?}");
            assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE") || step.starts_with("SCAN")), "{plan:?}");
        }
    }
}
