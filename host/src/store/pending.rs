//! What waits for the next release of a workflow, counted.

use super::value::{Json, values};
use super::{Reader, StoreError};

impl Reader {
    /// How many entities of a workflow hold a state.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn count_states(&self, workflow: i64) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM entities WHERE workflow = ? AND state_row IS NOT NULL", &values![workflow])
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
