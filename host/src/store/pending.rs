//! What waits for the next release of a workflow, counted.

use std::sync::Arc;

use super::value::{Json, values};
use super::{EntityId, Reader, StoreError};

/// An entity that holds a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldState {
    /// The entity.
    pub entity: EntityId,
    /// Its key.
    pub key: Arc<str>,
    /// Whether it is parked.
    pub parked: bool,
    /// The release that the state is of.
    pub release: u64,
}

impl Reader {
    /// How many entities of a workflow hold a state.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn count_states(&self, workflow: i64) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM entities WHERE workflow = ? AND state_row IS NOT NULL", &values![workflow])
    }

    /// Up to `limit` entities of a workflow that hold a state, of those that are owned, by id from after `id` on.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn states_after(&self, workflow: i64, id: EntityId, limit: u32) -> Result<Vec<HeldState>, StoreError> {
        let query = format!(
            "SELECT entities.id, key, parked, release FROM entities JOIN journal ON journal.row = entities.state_row \
             WHERE workflow = ? AND entities.id > ?{} ORDER BY entities.id LIMIT ?",
            self.owned("entities.shard")
        );
        self.rows(&query, &values![workflow, id, limit], |row| {
            Ok(HeldState { entity: row.get(0)?, key: row.get(1)?, parked: row.get(2)?, release: row.get(3)? })
        })
    }

    /// How many states of a workflow are of releases before that generation, and how many of their entities are parked.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn count_states_before(&self, workflow: i64, generation: u64) -> Result<(u64, u64), StoreError> {
        let count = |condition: &str| {
            let query = format!(
                "SELECT count(*) FROM entities JOIN journal ON journal.row = entities.state_row \
                 WHERE workflow = ? AND release < ?{condition}"
            );
            self.count(&query, &values![workflow, generation])
        };
        self.at_once(|_| Ok((count("")?, count(" AND parked")?)))
    }

    /// How many entities a workflow has, those that ended counted.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn count_entities(&self, workflow: i64) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM entities WHERE workflow = ? AND key <> ''", &values![workflow])
    }

    /// How many timers of a workflow are set.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn count_timers_of(&self, workflow: i64) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM timers WHERE workflow = ?", &values![workflow])
    }

    /// Up to `limit` inputs that wait in inboxes of a workflow, by id from after `id` on, with the name of each one's case.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn waiting_cases_after(&self, workflow: i64, id: i64, limit: u32) -> Result<Vec<(i64, String)>, StoreError> {
        let query = "SELECT inbox.id, input FROM inbox JOIN entities ON entities.id = inbox.entity \
                     WHERE workflow = ? AND inbox.id > ? ORDER BY inbox.id LIMIT ?";
        self.rows(query, &values![workflow, id, limit], |row| {
            // A case's name is the only field of an input's object, and needs no escapes.
            let input = row.get::<Json>(1)?.0;
            let case = input.split(|byte| *byte == b'"').nth(1).map(String::from_utf8_lossy);
            Ok((row.get(0)?, case.unwrap_or_default().into_owned()))
        })
    }

    /// How many inputs are on their way to entities of the workflow of that name, by their case.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn deliveries_by_case(&self, name: &str) -> Result<Vec<(String, u64)>, StoreError> {
        let query = "SELECT input, count(*) FROM deliveries WHERE workflow = ? GROUP BY input ORDER BY input";
        self.rows(query, &values![name], |row| Ok((row.get(0)?, row.get(1)?)))
    }
}
