//! One batch in one transaction, each statement done row by row at once.

use std::marker::PhantomData;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params_from_iter};

use super::BUSY_TIMEOUT;
use crate::store::StoreError;
use crate::store::change::Change;
use crate::store::value::{Columns, Value};

/// How long the log is waited for, so that nothing erased is left in it. Commits wait meanwhile. A simulation has one thread,
/// on which no reader ends while another waits.
const LOG_TIMEOUT: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 100 });

/// A transaction that has the file to itself for writing.
pub(in crate::store) struct Transaction<'c, 'v> {
    transaction: rusqlite::Transaction<'c>,
    // Nothing is kept of the values.
    values: PhantomData<Value<'v>>,
}

impl<'c, 'v> Transaction<'c, 'v> {
    pub(in crate::store) fn begin(connection: &'c mut Connection) -> Result<Self, StoreError> {
        Ok(Transaction { transaction: connection.transaction_with_behavior(TransactionBehavior::Immediate)?, values: PhantomData })
    }

    pub(in crate::store) fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit()?)
    }

    pub(in crate::store) fn change<const N: usize>(
        &self,
        change: &'static Change,
        rows: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Result<(), StoreError> {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_some() {
            let mut statement = self.transaction.prepare_cached(change.by_row())?;
            for row in rows {
                statement.execute(params_from_iter(&row))?;
            }
        }
        Ok(())
    }

    pub(in crate::store) fn change_all<const N: usize>(
        &self,
        change: &'static Change,
        rows: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Result<Option<usize>, StoreError> {
        let mut rows = rows.into_iter().enumerate().peekable();
        if rows.peek().is_some() {
            let mut statement = self.transaction.prepare_cached(change.by_row())?;
            for (index, row) in rows {
                if statement.execute(params_from_iter(&row))? != 1 {
                    return Ok(Some(index));
                }
            }
        }
        Ok(None)
    }

    pub(in crate::store) fn change_telling<const N: usize>(
        &self,
        change: &'static Change,
        told: &'static str,
        rows: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Result<Vec<i64>, StoreError> {
        let statement = format!("{} RETURNING {told}", change.by_row());
        let mut all = Vec::new();
        for row in rows {
            all.extend(super::rows(&self.transaction, &statement, &row, |row| row.get::<i64>(0))?);
        }
        Ok(all)
    }

    pub(in crate::store) fn execute(&self, statement: &'static str, values: &[Value<'_>]) -> Result<(), StoreError> {
        super::execute(&self.transaction, statement, values).map(drop)
    }

    pub(in crate::store) fn row<T>(
        &self,
        query: &'static str,
        values: &[Value<'_>],
        map: impl FnOnce(&Columns<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        super::row(&self.transaction, query, values, map)
    }
}

/// Has SQLite overwrite what the next transaction frees.
pub(in crate::store) fn begin_to_erase(connection: &Connection) -> Result<(), StoreError> {
    Ok(connection.pragma_update(None, "secure_delete", "ON")?)
}

/// What was freed is overwritten. Where something is erased to its end, the log is cleared of it too, as far as no reader is
/// in the way: it is overwritten later in any case.
pub(in crate::store) fn after_erasing(connection: &Connection, is_done: bool) -> Result<(), StoreError> {
    connection.pragma_update(None, "secure_delete", "OFF")?;
    if is_done {
        connection.busy_timeout(LOG_TIMEOUT)?;
        let cleared = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        connection.busy_timeout(BUSY_TIMEOUT)?;
        if !matches!(cleared, Ok(0)) {
            tracing::debug!("the log could not be cleared at once of what was erased");
        }
    }
    Ok(())
}
