//! One connection to the database, and what is done through it, whichever database it is.
//!
//! Queries are written once, in what SQL the databases share, with `?` or `?1` for values. Where they differ there is a
//! place of its own for each: `sqlite` and `postgres` beside this file.

use super::StoreError;
use super::change::Change;
use super::postgres::{self, Session};
use super::sqlite;
use super::value::{Columns, Value, values};

/// A connection.
pub(super) enum Connection {
    Sqlite(rusqlite::Connection),
    Postgres(Session),
}

/// While it lives, everything that its connection reads is of one moment.
pub(super) enum View<'c> {
    Sqlite(rusqlite::Transaction<'c>),
    Postgres(postgres::View<'c>),
}

/// What is done to the store, all or nothing. `'v` is what the values live for.
pub(super) enum Transaction<'c, 'v> {
    Sqlite(sqlite::Transaction<'c, 'v>),
    Postgres(postgres::Transaction<'c>),
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
            Connection::Postgres(session) => session.rows(query, values, map),
        }
    }

    /// Rows that lead to each other: the one of number `first`, then each that the one before names, while the numbers descend, up to
    /// `limit`. `map` gives the number of the next too. `one` finds a row by its number; `all` finds all of them by the first and the
    /// limit, in whatever order. Where a question is a way to a server it is asked once.
    pub(super) fn chained<T>(
        &self,
        (one, all): (&str, &str),
        (first, limit): (i64, usize),
        mut map: impl FnMut(&Columns<'_>) -> Result<(i64, T), StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        match self {
            Connection::Sqlite(connection) => sqlite::chained(connection, one, (first, limit), map),
            Connection::Postgres(session) => session.rows(all, &values![first, limit as u64], |columns| Ok(map(columns)?.1)),
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
            Connection::Postgres(session) => session.row(query, values, map),
        }
    }

    /// Does `statement` at once, in a transaction of its own.
    pub(super) fn execute(&self, statement: &str, values: &[Value<'_>]) -> Result<(), StoreError> {
        match self {
            Connection::Sqlite(connection) => sqlite::execute(connection, statement, values).map(drop),
            Connection::Postgres(session) => session.execute(statement, values),
        }
    }

    /// Does what `work` does, all or nothing.
    pub(super) fn transact<'v, T>(
        &mut self,
        work: impl FnOnce(&mut Transaction<'_, 'v>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut transaction = match self {
            Connection::Sqlite(connection) => Transaction::Sqlite(sqlite::Transaction::begin(connection)?),
            Connection::Postgres(session) => Transaction::Postgres(postgres::Transaction::begin(session)),
        };
        let done = work(&mut transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    /// Begins a view of one moment.
    pub(super) fn view(&self) -> Result<View<'_>, StoreError> {
        match self {
            Connection::Sqlite(connection) => Ok(View::Sqlite(connection.unchecked_transaction()?)),
            Connection::Postgres(session) => Ok(View::Postgres(session.view()?)),
        }
    }

    /// Begins a view of one moment that lasts as long as the connection, or until the next one is begun.
    pub(super) fn stay(&self) -> Result<(), StoreError> {
        match self {
            Connection::Sqlite(connection) => sqlite::stay(connection),
            Connection::Postgres(session) => session.stay(),
        }
    }
}

impl View<'_> {
    pub(super) fn end(self) -> Result<(), StoreError> {
        match self {
            View::Sqlite(transaction) => Ok(transaction.finish()?),
            View::Postgres(view) => view.end(),
        }
    }
}

impl<'v> Transaction<'_, 'v> {
    /// Makes it durable.
    pub(super) fn commit(self) -> Result<(), StoreError> {
        match self {
            Transaction::Sqlite(transaction) => transaction.commit(),
            Transaction::Postgres(transaction) => transaction.commit(),
        }
    }

    /// Does `change` to each of the rows whose values are given.
    pub(super) fn change<const N: usize>(
        &mut self,
        change: &'static Change,
        rows: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Result<(), StoreError> {
        match self {
            Transaction::Sqlite(transaction) => transaction.change(change, rows),
            Transaction::Postgres(transaction) => transaction.change(change, rows),
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
            Transaction::Postgres(transaction) => {
                transaction.change_all(change, rows)?;
                Ok(None)
            }
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
            Transaction::Postgres(transaction) => transaction.change_telling(change, told, rows),
        }
    }

    /// Does one statement.
    #[allow(clippy::needless_pass_by_value, reason = "what is not done at once is kept until it is")]
    pub(super) fn execute<const N: usize>(&mut self, statement: &'static str, values: [Value<'v>; N]) -> Result<(), StoreError> {
        match self {
            Transaction::Sqlite(transaction) => transaction.execute(statement, &values),
            Transaction::Postgres(transaction) => {
                transaction.execute(statement, values.map(Value::into_owned));
                Ok(())
            }
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
            Transaction::Postgres(transaction) => transaction.row(query, values, map),
        }
    }
}
