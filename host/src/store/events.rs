//! What became of a source's events: those that were accepted, as far back as duplicates are looked for, and the dead letters.

use super::value::{Columns, values};
use super::{Reader, StoreError};

/// An event that could not be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its id.
    pub id: i64,
    /// The source's id.
    pub source_id: i64,
    /// The source's name.
    pub source: String,
    /// Its line there.
    pub line: u64,
    /// The event's id, where it could be read.
    pub event_id: Option<String>,
    /// Stable code.
    pub code: String,
    /// Where in the event.
    pub path: String,
    /// What is wrong.
    pub reason: String,
    /// The event's bytes.
    pub bytes: Vec<u8>,
    /// The entity's key, where it could be read.
    pub key: Option<String>,
    /// When it was buried, on the workflow's clock.
    pub now: u64,
}

const DEAD_LETTER: &str = "SELECT dead_letters.id, source, sources.name, line, event_id, code, path, reason, bytes, key, now FROM dead_letters \
                           JOIN sources ON sources.id = dead_letters.source";

fn dead_letter(row: &Columns<'_>) -> Result<DeadLetter, StoreError> {
    Ok(DeadLetter {
        id: row.get(0)?,
        source_id: row.get(1)?,
        source: row.get(2)?,
        line: row.get(3)?,
        event_id: row.get(4)?,
        code: row.get(5)?,
        path: row.get(6)?,
        reason: row.get(7)?,
        bytes: row.get(8)?,
        key: row.get(9)?,
        now: row.get(10)?,
    })
}

impl Reader {
    /// The last `count` accepted events, oldest first: row, source, line, fingerprint. Where several hosts share the store,
    /// those of entities that this one owns, and what is about no entity.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn accepted(&self, count: u64) -> Result<Vec<(i64, i64, u64, u128)>, StoreError> {
        let accepted = |row: &Columns<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, u128::from_be_bytes(row.get(3)?)));
        if self.epoch() == 0 {
            let last: i64 = self.last("accepted", "row")?;
            let query = "SELECT row, source, line, fingerprint FROM accepted WHERE row > ? ORDER BY row";
            return self.rows(query, &values![last - bounded(count)], accepted);
        }
        // Rows of several epochs: their numbers do not tell which came first.
        let query = format!(
            "SELECT row, source, line, fingerprint FROM accepted WHERE shard IS NULL OR (true{}) ORDER BY now DESC, row DESC LIMIT ?",
            self.owned("shard")
        );
        let mut last = self.rows(&query, &values![bounded(count)], accepted)?;
        last.reverse();
        Ok(last)
    }

    /// Lines of a source after `line` whose events were accepted before the last `count`.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn lines_accepted_before(&self, count: u64, source: i64, line: u64) -> Result<Vec<u64>, StoreError> {
        // Of several hosts, others may have decided on them: all of them count.
        let (last, count) = if self.epoch() == 0 { (self.last("accepted", "row")?, count) } else { (i64::MAX, 0) };
        let query = "SELECT line FROM accepted WHERE row <= ? AND source = ? AND line > ?";
        self.rows(query, &values![last - bounded(count), source, line], |row| row.get(0))
    }

    /// Lines of a source after `line` that are dead letters.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn dead_lines(&self, source: i64, line: u64) -> Result<Vec<u64>, StoreError> {
        self.rows("SELECT line FROM dead_letters WHERE source = ? AND line > ?", &values![source, line], |row| row.get(0))
    }

    /// The dead letters of a workflow, oldest first.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn dead_letters(&self, workflow: i64) -> Result<Vec<DeadLetter>, StoreError> {
        self.rows(&format!("{DEAD_LETTER} WHERE dead_letters.workflow = ? ORDER BY dead_letters.id"), &values![workflow], dead_letter)
    }

    /// One dead letter of a workflow.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn dead_letter(&self, workflow: i64, id: i64) -> Result<Option<DeadLetter>, StoreError> {
        self.row(&format!("{DEAD_LETTER} WHERE dead_letters.workflow = ? AND dead_letters.id = ?"), &values![workflow, id], dead_letter)
    }

    /// How many dead letters of a workflow there are.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn count_dead_letters(&self, workflow: i64) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM dead_letters WHERE workflow = ?", &values![workflow])
    }
}

/// A number of rows; more than there can be is all of them.
fn bounded(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
