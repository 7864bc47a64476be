//! How a workflow stands, in numbers.

use rusqlite::params;

use super::{OutboxStatus, Reader, SourceRow, StoreError};

/// A workflow's numbers, as of one moment where they are read within a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    /// Entities, those that ended counted.
    pub entities: u64,
    /// Of these, those that wait for an operator.
    pub parked: u64,
    /// Inputs in inboxes.
    pub waiting: u64,
    /// Intents without a conclusion, by effect and status.
    pub outstanding: Vec<(String, OutboxStatus, u64)>,
    /// Pending timers.
    pub timers: u64,
    /// When the first of them falls due.
    pub next_due: Option<u64>,
    /// Inputs on their way from other entities.
    pub deliveries: u64,
    /// Dead letters, by code.
    pub dead_letters: Vec<(String, u64)>,
    /// How far each source was read.
    pub sources: Vec<(String, SourceRow)>,
    /// What operators asked and no host has applied.
    pub commands: u64,
}

impl Reader {
    /// How the workflow stands. Counts rows: on a large store it takes its time.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn workflow_standings(&self, workflow: i64, name: &str) -> Result<Standings, StoreError> {
        let connection = self.connection();
        let (entities, parked) = connection.query_row(
            "SELECT count(*), coalesce(sum(parked), 0) FROM entities WHERE workflow = ? AND key <> ''",
            [workflow],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let waiting = connection.query_row(
            "SELECT count(*) FROM inbox JOIN entities ON entities.id = inbox.entity WHERE workflow = ?",
            [workflow],
            |row| row.get(0),
        )?;
        let (timers, next_due) =
            connection.query_row("SELECT count(*), min(due) FROM timers WHERE waits = 0 AND workflow = ?", [workflow], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let deliveries = connection.query_row("SELECT count(*) FROM deliveries WHERE workflow = ?", [name], |row| row.get(0))?;
        let commands =
            connection.query_row("SELECT count(*) FROM commands WHERE answer IS NULL AND workflow = ?", [name], |row| row.get(0))?;

        let mut statement = connection.prepare_cached(
            "SELECT effect, status, count(*) FROM outbox JOIN entities ON entities.id = outbox.entity WHERE workflow = ? \
             GROUP BY effect, status ORDER BY effect, status",
        )?;
        let outstanding = statement.query_map([workflow], |row| {
            let status: String = row.get(1)?;
            Ok((row.get(0)?, OutboxStatus::from_name(&status).ok_or(rusqlite::Error::InvalidQuery)?, row.get(2)?))
        })?;
        let outstanding = outstanding.collect::<Result<_, _>>()?;
        let mut statement =
            connection.prepare_cached("SELECT code, count(*) FROM dead_letters WHERE workflow = ? GROUP BY code ORDER BY code")?;
        let dead_letters = statement.query_map([workflow], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        let mut statement = connection.prepare_cached(
            "SELECT name, id, next_offset, next_line, read_line, tail, duplicates FROM sources \
             WHERE workflow = ? AND name <> ? ORDER BY name",
        )?;
        let sources = statement.query_map(params![workflow, NO_SOURCE], |row| {
            let source = SourceRow {
                id: row.get(1)?,
                next_offset: row.get(2)?,
                next_line: row.get(3)?,
                read_line: row.get(4)?,
                tail: row.get(5)?,
                duplicates: row.get(6)?,
            };
            Ok((row.get(0)?, source))
        })?;
        let sources = sources.collect::<Result<_, _>>()?;
        Ok(Standings { entities, parked, waiting, outstanding, timers, next_due, deliveries, dead_letters, sources, commands })
    }
}

/// The name under which a run without a source notes that it read none.
pub(crate) const NO_SOURCE: &str = "none";
