//! One connection to the database, and what is done through it, whichever database it is.
//!
//! Queries are written once, in what SQL the databases share, with `?` or `?1` for values. Where they differ there is a
//! place of its own for each: `sqlite` and `postgres` beside this file.

use super::StoreError;
use super::change::Change;
use super::sqlite;
use super::value::{Columns, Value};

/// A connection.
pub(super) enum Connection {
    Sqlite(rusqlite::Connection),
}

/// While it lives, everything that its connection reads is of one moment.
pub(super) enum View<'c> {
    Sqlite(rusqlite::Transaction<'c>),
}

/// What is done to the store, all or nothing. `'v` is what the values live for.
pub(super) enum Transaction<'c, 'v> {
    Sqlite(sqlite::Transaction<'c, 'v>),
}

impl Connection {
    /// The rows that `query` finds.
    pub(super) fn rows<T>(
        &self,
        query: &str,
        values: &[Value<'_>],
        map: impl FnMut(&Columns<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        match self {
            Connection::Sqlite(connection) => sqlite::rows(connection, query, values, map),
        }
    }

    /// The first row that `query` finds.
    pub(super) fn row<T>(
        &self,
        query: &str,
        values: &[Value<'_>],
        map: impl FnOnce(&Columns<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match self {
            Connection::Sqlite(connection) => sqlite::row(connection, query, values, map),
        }
    }

    /// Does `statement` at once, in a transaction of its own.
    pub(super) fn execute(&self, statement: &str, values: &[Value<'_>]) -> Result<(), StoreError> {
        match self {
            Connection::Sqlite(connection) => sqlite::execute(connection, statement, values).map(drop),
        }
    }

    /// Does what `work` does, all or nothing.
    pub(super) fn transact<'v, T>(
        &mut self,
        work: impl FnOnce(&mut Transaction<'_, 'v>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self {
            Connection::Sqlite(connection) => {
                let mut transaction = Transaction::Sqlite(sqlite::Transaction::begin(connection)?);
                let done = work(&mut transaction)?;
                match transaction {
                    Transaction::Sqlite(transaction) => transaction.commit()?,
                }
                Ok(done)
            }
        }
    }

    /// Begins a view of one moment.
    pub(super) fn view(&self) -> Result<View<'_>, StoreError> {
        match self {
            Connection::Sqlite(connection) => Ok(View::Sqlite(connection.unchecked_transaction()?)),
        }
    }

    /// Begins a view of one moment that lasts as long as the connection, or until the next one is begun.
    pub(super) fn stay(&self) -> Result<(), StoreError> {
        match self {
            Connection::Sqlite(connection) => sqlite::stay(connection),
        }
    }
}

impl View<'_> {
    pub(super) fn end(self) -> Result<(), StoreError> {
        match self {
            View::Sqlite(transaction) => Ok(transaction.finish()?),
        }
    }
}

impl<'v> Transaction<'_, 'v> {
    /// Does `change` to each of the rows whose values are given.
    pub(super) fn change<const N: usize>(
        &mut self,
        change: &'static Change,
        rows: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Result<(), StoreError> {
        match self {
            Transaction::Sqlite(transaction) => transaction.change(change, rows),
        }
    }

    /// Does `change` to each of the rows, and fails where one of them is not there. Gives the first such one's index, where
    /// that is known at once; else the commit tells it.
    pub(super) fn change_all<const N: usize>(
        &mut self,
        change: &'static Change,
        rows: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Result<Option<usize>, StoreError> {
        match self {
            Transaction::Sqlite(transaction) => transaction.change_all(change, rows),
        }
    }

    /// Does `change` to each of the rows, and gives the column `told` of those that were there, or are now, in order.
    pub(super) fn change_telling<const N: usize>(
        &mut self,
        change: &'static Change,
        told: &'static str,
        rows: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Result<Vec<i64>, StoreError> {
        match self {
            Transaction::Sqlite(transaction) => transaction.change_telling(change, told, rows),
        }
    }

    /// Does one statement.
    #[allow(clippy::needless_pass_by_value, reason = "what is not done at once is kept until it is")]
    pub(super) fn execute<const N: usize>(&mut self, statement: &'static str, values: [Value<'v>; N]) -> Result<(), StoreError> {
        match self {
            Transaction::Sqlite(transaction) => transaction.execute(statement, &values),
        }
    }

    /// The first row that `query` finds, with what was done so far.
    pub(super) fn row<T>(
        &mut self,
        query: &'static str,
        values: &[Value<'_>],
        map: impl FnOnce(&Columns<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match self {
            Transaction::Sqlite(transaction) => transaction.row(query, values, map),
        }
    }
}
