//! High-water marks: how far each lane has come, kept in the same transaction as the lane's own changes.
//!
//! A lane's intents come in the order of (sequence, index). One that is not past the mark was done already, or is a
//! straggler that a later one has overtaken; either way it must change nothing any more.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Result, params};

/// The table of marks. Readable like every other; one row for each entity and effect, kept as long as the file.
pub(super) const DEFINITION: &str = "CREATE TABLE IF NOT EXISTS purefold_lanes (
    journal TEXT NOT NULL,
    workflow TEXT NOT NULL,
    effect TEXT NOT NULL,
    entity TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    PRIMARY KEY (journal, workflow, effect, entity)
) STRICT, WITHOUT ROWID";

const READ: &str = "SELECT sequence, idx FROM purefold_lanes WHERE journal = ?1 AND workflow = ?2 AND effect = ?3 AND entity = ?4";
const CREATE: &str = "INSERT INTO purefold_lanes (journal, workflow, effect, entity, sequence, idx) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const ADVANCE: &str =
    "UPDATE purefold_lanes SET sequence = ?5, idx = ?6 WHERE journal = ?1 AND workflow = ?2 AND effect = ?3 AND entity = ?4";

/// A lane, and the place in it of one call.
pub(super) struct Lane {
    pub(super) journal: Arc<str>,
    pub(super) workflow: Arc<str>,
    pub(super) effect: Arc<str>,
    pub(super) entity: Arc<str>,
    pub(super) sequence: i64,
    pub(super) index: i64,
}

/// Where a call stands to its lane's mark.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The lane has no mark yet.
    First,
    /// Past the mark.
    Next,
    /// Done or overtaken.
    Behind,
}

impl Lane {
    pub(super) fn standing(&self, connection: &Connection) -> Result<Standing> {
        let mut statement = connection.prepare_cached(READ)?;
        let mark = statement
            .query_row(params![&*self.journal, &*self.workflow, &*self.effect, &*self.entity], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })
            .optional()?;
        Ok(match mark {
            None => Standing::First,
            Some(mark) if (self.sequence, self.index) > mark => Standing::Next,
            Some(_) => Standing::Behind,
        })
    }

    pub(super) fn advance(&self, connection: &Connection, standing: Standing) -> Result<()> {
        let sql = match standing {
            Standing::First => CREATE,
            Standing::Next => ADVANCE,
            Standing::Behind => return Ok(()),
        };
        let mut statement = connection.prepare_cached(sql)?;
        statement.execute(params![&*self.journal, &*self.workflow, &*self.effect, &*self.entity, self.sequence, self.index])?;
        Ok(())
    }
}
