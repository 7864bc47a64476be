//! How a workflow stands, in numbers.

use super::value::{Columns, values};
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
        let counts = "SELECT count(*), count(CASE WHEN parked THEN 1 END) FROM entities WHERE workflow = ? AND key <> ''";
        let (entities, parked) = self.row(counts, &values![workflow], |row| Ok((row.get(0)?, row.get(1)?)))?.unwrap_or_default();
        let waiting = "SELECT count(*) FROM inbox JOIN entities ON entities.id = inbox.entity WHERE workflow = ?";
        let waiting = self.count(waiting, &values![workflow])?;
        let timers = "SELECT count(*), min(due) FROM timers WHERE NOT waits AND workflow = ?";
        let (timers, next_due) = self.row(timers, &values![workflow], |row| Ok((row.get(0)?, row.get(1)?)))?.unwrap_or_default();
        let deliveries = self.count("SELECT count(*) FROM deliveries WHERE workflow = ?", &values![name])?;
        let commands = self.count("SELECT count(*) FROM commands WHERE answer IS NULL AND workflow = ?", &values![name])?;
        let outstanding = "SELECT effect, status, count(*) FROM outbox JOIN entities ON entities.id = outbox.entity WHERE workflow = ? \
                           GROUP BY effect, status ORDER BY effect, status";
        let outstanding =
            self.rows(outstanding, &values![workflow], |row| Ok((row.get(0)?, row.named(1, OutboxStatus::from_name)?, row.get(2)?)))?;
        let dead_letters = "SELECT code, count(*) FROM dead_letters WHERE workflow = ? GROUP BY code ORDER BY code";
        let dead_letters = self.rows(dead_letters, &values![workflow], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let sources = self.sources(workflow)?;
        Ok(Standings { entities, parked, waiting, outstanding, timers, next_due, deliveries, dead_letters, sources, commands })
    }

    /// How far the workflow has read each source, by name.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn sources(&self, workflow: i64) -> Result<Vec<(String, SourceRow)>, StoreError> {
        let query = format!("SELECT {SOURCE}, name FROM sources WHERE workflow = ? AND name <> ? ORDER BY name");
        self.rows(&query, &values![workflow, NO_SOURCE], |row| Ok((row.get(8)?, source_row(row)?)))
    }
}

/// The columns of a [`SourceRow`].
pub(super) const SOURCE: &str = "id, next_offset, next_line, read_line, tail, duplicates, log, generation";

/// A row that begins with the columns of [`SOURCE`].
pub(super) fn source_row(row: &Columns<'_>) -> Result<SourceRow, StoreError> {
    let next_line = row.get(2)?;
    Ok(SourceRow {
        id: row.get(0)?,
        next_offset: row.get(1)?,
        next_line,
        read_line: row.get(3)?,
        tail: row.get(4)?,
        duplicates: row.get(5)?,
        log: row.get(6)?,
        generation: row.get(7)?,
        expected_line: next_line,
    })
}

/// The name under which a run without a source notes that it read none.
pub(crate) const NO_SOURCE: &str = "none";

/// The name of standard input, whose lines are numbered anew by each run.
pub(crate) const STREAM: &str = "stdin";
