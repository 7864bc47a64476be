//! High-water marks: how far each lane has come, kept in the same transaction as the lane's own changes.
//!
//! A lane's intents come in the order of (sequence, index). One that is not past the mark was done already, or is a
//! straggler that a later one has overtaken; either way it must change nothing any more.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Result, params};

/// One row for each entity and effect, kept as long as the file. Whose lanes they are stands apart, so that a mark is
/// small: every change writes one. `purefold_marks` shows both together.
pub(super) const DEFINITION: &str = "
CREATE TABLE IF NOT EXISTS purefold_lane_owners (
    owner INTEGER PRIMARY KEY,
    journal TEXT NOT NULL,
    workflow TEXT NOT NULL,
    effect TEXT NOT NULL,
    UNIQUE (journal, workflow, effect)
) STRICT;
CREATE TABLE IF NOT EXISTS purefold_lanes (
    owner INTEGER NOT NULL,
    entity TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    PRIMARY KEY (owner, entity)
) STRICT, WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS purefold_marks AS
    SELECT journal, workflow, effect, entity, sequence, idx FROM purefold_lanes JOIN purefold_lane_owners USING (owner);
";

const FIND_OWNER: &str = "SELECT owner FROM purefold_lane_owners WHERE journal = ?1 AND workflow = ?2 AND effect = ?3";
const CREATE_OWNER: &str = "INSERT INTO purefold_lane_owners (journal, workflow, effect) VALUES (?1, ?2, ?3)";
const READ: &str = "SELECT sequence, idx FROM purefold_lanes WHERE owner = ?1 AND entity = ?2";
const CREATE: &str = "INSERT INTO purefold_lanes (owner, entity, sequence, idx) VALUES (?1, ?2, ?3, ?4)";
const ADVANCE: &str = "UPDATE purefold_lanes SET sequence = ?3, idx = ?4 WHERE owner = ?1 AND entity = ?2";

/// A lane, and the place in it of one call.
pub(super) struct Lane {
    pub(super) owner: Owner,
    pub(super) entity: Arc<str>,
    pub(super) sequence: i64,
    pub(super) index: i64,
}

/// Whose lanes: one effect of one workflow in one journal.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    pub(super) journal: Arc<str>,
    pub(super) workflow: Arc<str>,
    pub(super) effect: Arc<str>,
}

/// The owners' numbers, as far as committed transactions have them. As many as there are effects on the file.
#[derive(Default)]
pub(super) struct Owners(HashMap<Owner, i64>);

/// Where a call stands to its lane's mark.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The lane has no mark yet.
    First { owner: i64 },
    /// Past the mark.
    Next { owner: i64 },
    /// Done or overtaken.
    Behind,
}

impl Owners {
    /// Forgets the numbers: the transaction that may have given some is undone.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    fn number(&mut self, connection: &Connection, owner: &Owner) -> Result<i64> {
        if let Some(number) = self.0.get(owner) {
            return Ok(*number);
        }
        let names = params![&*owner.journal, &*owner.workflow, &*owner.effect];
        let found = connection.prepare_cached(FIND_OWNER)?.query_row(names, |row| row.get(0)).optional()?;
        let number = match found {
            Some(number) => number,
            None => connection.prepare_cached(CREATE_OWNER)?.insert(names)?,
        };
        self.0.insert(owner.clone(), number);
        Ok(number)
    }
}

impl Lane {
    pub(super) fn standing(&self, connection: &Connection, owners: &mut Owners) -> Result<Standing> {
        let owner = owners.number(connection, &self.owner)?;
        let mut statement = connection.prepare_cached(READ)?;
        let mark: Option<(i64, i64)> =
            statement.query_row(params![owner, &*self.entity], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        Ok(match mark {
            None => Standing::First { owner },
            Some(mark) if (self.sequence, self.index) > mark => Standing::Next { owner },
            Some(_) => Standing::Behind,
        })
    }

    pub(super) fn advance(&self, connection: &Connection, standing: Standing) -> Result<()> {
        let (sql, owner) = match standing {
            Standing::First { owner } => (CREATE, owner),
            Standing::Next { owner } => (ADVANCE, owner),
            Standing::Behind => return Ok(()),
        };
        connection.prepare_cached(sql)?.execute(params![owner, &*self.entity, self.sequence, self.index]).map(drop)
    }
}
