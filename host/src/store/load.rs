//! Loading entities: what the next decision of each depends on, of one moment, for many at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::connection::Connection;
use super::postgres::mapped;
use super::read::{ENTITY, OUTSTANDING, WAITING, entity, outstanding, waiting};
use super::timers::{COLUMNS as TIMER, timer};
use super::value::{Json, Value};
use super::{EntityRow, InboxRow, OutstandingRow, Reader, StoreError, TimerRow};

/// An entity as it stands in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Its row.
    pub row: EntityRow,
    /// Its state, and the release generation that wrote it.
    pub state: Option<(Box<[u8]>, u64)>,
    /// Its pending timers, by name.
    pub timers: Vec<TimerRow>,
    /// Its intents without a conclusion, in order.
    pub outstanding: Vec<OutstandingRow>,
    /// The inputs that wait in its inbox, in order.
    pub inbox: Vec<InboxRow>,
}

impl Reader {
    /// The entities of these keys, those that there are, all of one moment.
    ///
    /// # Errors
    /// Where the store fails, or an entity's state is gone.
    pub fn load(&self, workflow: i64, keys: &[&str]) -> Result<HashMap<Arc<str>, Loaded>, StoreError> {
        match self.connection() {
            Connection::Sqlite(_) => self.load_one_by_one(workflow, keys),
            Connection::Postgres(_) => self.load_together(workflow, keys),
        }
    }

    /// The entities of these rows, of whatever workflows, in this order.
    ///
    /// # Errors
    /// Where the store fails, or an entity's state is gone.
    pub fn load_rows(&self, rows: &[EntityRow]) -> Result<Vec<Loaded>, StoreError> {
        let mut keys: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
        for row in rows {
            keys.entry(row.workflow).or_default().push(&row.key);
        }
        let mut found = BTreeMap::new();
        for (workflow, keys) in keys {
            found.insert(workflow, self.load(workflow, &keys)?);
        }
        Ok(rows.iter().filter_map(|row| found.get_mut(&row.workflow)?.remove(&row.key)).collect())
    }

    /// Where a question costs less than gathering its answer with others.
    fn load_one_by_one(&self, workflow: i64, keys: &[&str]) -> Result<HashMap<Arc<str>, Loaded>, StoreError> {
        self.at_once(|reader| {
            let mut found = HashMap::with_capacity(keys.len());
            for key in keys {
                if let Some(row) = reader.entity(workflow, key)? {
                    let state = row.state_row.map(|state_row| reader.state(state_row)).transpose()?;
                    let (timers, outstanding) = (reader.timers(row.id)?, reader.outstanding(row.id)?);
                    let inbox = reader.inbox(row.id)?;
                    found.insert(row.key.clone(), Loaded { row, state, timers, outstanding, inbox });
                }
            }
            Ok(found)
        })
    }

    /// In one round trip, however many they are.
    fn load_together(&self, workflow: i64, keys: &[&str]) -> Result<HashMap<Arc<str>, Loaded>, StoreError> {
        super::faults::before_read()?;
        let Connection::Postgres(session) = self.connection() else { return Ok(HashMap::new()) };
        let these = [Value::from(workflow), Value::List(keys.iter().map(|key| Value::from(*key)).collect())];
        let of = "entity IN (SELECT id FROM entities WHERE workflow = ? AND key = ANY(?))";
        let columns = ENTITY.split(", ").map(|column| format!("entities.{column}")).collect::<Vec<_>>().join(", ");
        let entities = format!(
            "SELECT {columns}, journal.state, journal.release FROM entities LEFT JOIN journal ON journal.row = entities.state_row \
             WHERE workflow = ? AND key = ANY(?)"
        );
        let timers = format!("SELECT {TIMER} FROM timers WHERE {of} ORDER BY name");
        let intents = format!("{OUTSTANDING} WHERE outbox.{of} ORDER BY outbox.sequence, outbox.position");
        let inbox = format!("{WAITING} WHERE {of} ORDER BY id");
        let answers = session.rows_of_several(&[(&entities, &these), (&timers, &these), (&intents, &these), (&inbox, &these)])?;
        let [entities, timers, intents, inbox] = &answers[..] else {
            return Err(StoreError::Corrupt("four questions have not four answers".into()));
        };
        let mut found = HashMap::with_capacity(entities.len());
        for (row, state, release) in mapped(entities, |row| Ok((entity(row)?, row.get::<Option<Json>>(10)?, row.get::<Option<u64>>(11)?)))?
        {
            let state = match (row.state_row, state.zip(release)) {
                (None, _) => None,
                (Some(_), Some((state, release))) => Some((state.0, release)),
                (Some(state_row), None) => return Err(StoreError::Corrupt(format!("the entry in row {state_row} holds no state"))),
            };
            found.insert(row.id, Loaded { row, state, timers: Vec::new(), outstanding: Vec::new(), inbox: Vec::new() });
        }
        for row in mapped(timers, timer)? {
            if let Some(loaded) = found.get_mut(&row.entity) {
                loaded.timers.push(row);
            }
        }
        for row in mapped(intents, outstanding)? {
            if let Some(loaded) = found.get_mut(&row.key.entity) {
                loaded.outstanding.push(row);
            }
        }
        for row in mapped(inbox, waiting)? {
            if let Some(loaded) = found.get_mut(&row.entity) {
                loaded.inbox.push(row);
            }
        }
        Ok(found.into_values().map(|loaded| (loaded.row.key.clone(), loaded)).collect())
    }
}
