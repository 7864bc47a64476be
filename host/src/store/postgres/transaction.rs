//! One batch in one transaction and one round trip: statements gather, and are sent together with BEGIN and COMMIT.

use std::collections::HashMap;

use purefold_effects::postgres::{Sent, pipelined};
use tokio_postgres::Error;

use super::dialect;
use super::failure::{failed, is_overtaken, is_there_already};
use super::session::{Open, Session};
use crate::store::StoreError;
use crate::store::change::{Change, Verb};
use crate::store::value::{Columns, Value};

/// What is done to the store, all or nothing.
pub(in crate::store) struct Transaction<'s, 'v> {
    session: &'s Session,
    gathered: Vec<(String, Vec<Value<'v>>)>,
    /// Whether BEGIN was sent.
    has_begun: bool,
    /// Whether COMMIT was answered.
    is_over: bool,
}

impl Drop for Transaction<'_, '_> {
    fn drop(&mut self) {
        // The server undoes what is open when its connection ends.
        if self.has_begun && !self.is_over {
            self.session.give_up();
        }
    }
}

impl<'s, 'v> Transaction<'s, 'v> {
    pub(in crate::store) fn begin(session: &'s Session) -> Self {
        Transaction { session, gathered: Vec::new(), has_begun: false, is_over: false }
    }

    pub(in crate::store) fn change<const N: usize>(&mut self, change: &'static Change, rows: impl IntoIterator<Item = [Value<'v>; N]>) {
        let (lists, _) = lists(change, rows);
        if !lists.is_empty() {
            self.gathered.push((dialect::by_list(change), lists));
        }
    }

    pub(in crate::store) fn change_all<const N: usize>(&mut self, change: &'static Change, rows: impl IntoIterator<Item = [Value<'v>; N]>) {
        let (mut lists, count) = columns(rows.into_iter().collect());
        if !lists.is_empty() {
            lists.push(count.into());
            self.gathered.push((dialect::by_list_to_all(change), lists));
        }
    }

    pub(in crate::store) fn change_telling<const N: usize>(
        &mut self,
        change: &'static Change,
        told: &'static str,
        rows: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Result<Vec<i64>, StoreError> {
        let (lists, _) = lists(change, rows);
        if lists.is_empty() {
            return Ok(Vec::new());
        }
        self.gathered.push((dialect::by_list_telling(change, told), lists));
        let found = self.send(false)?;
        super::session::mapped(&found, |row| row.get(0))
    }

    pub(in crate::store) fn execute(&mut self, statement: &'static str, values: Vec<Value<'v>>) {
        self.gathered.push((statement.to_owned(), values));
    }

    pub(in crate::store) fn row<T>(
        &mut self,
        query: &'static str,
        values: &[Value<'_>],
        map: impl FnOnce(&Columns<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.send(false)?;
        self.session.row(query, values, map)
    }

    /// Ends it. Where that fails it may stand all the same.
    pub(in crate::store) fn commit(mut self) -> Result<(), StoreError> {
        self.send(true).map(drop)
    }

    /// Sends what was gathered, and COMMIT behind it where that `ends` it. Gives the rows of the last statement.
    fn send(&mut self, ends: bool) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        let found = self.send_gathered(ends);
        // Only what was answered is bound: nothing else is to be sent where an answer is wanting.
        self.session.bind(!ends || found.is_err());
        self.is_over = ends && found.is_ok();
        found
    }

    fn send_gathered(&mut self, ends: bool) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        let begins = !std::mem::replace(&mut self.has_begun, true);
        let gathered = std::mem::take(&mut self.gathered);
        self.session.ask_for(async |open, place| {
            let answered = answers(open, &gathered, begins, ends).await;
            answered.map_err(|error| {
                if is_overtaken(&error) || is_there_already(&error) {
                    return StoreError::Overtaken { what: "rows were written by somebody else".into() };
                }
                failed(&place.told, &error)
            })
        })
    }
}

async fn answers(
    open: &mut Open,
    gathered: &[(String, Vec<Value<'_>>)],
    begins: bool,
    ends: bool,
) -> Result<Vec<tokio_postgres::Row>, Error> {
    let mut statements = Vec::with_capacity(gathered.len());
    for (text, _) in gathered {
        statements.push(open.prepare(text).await?);
    }
    let open = &*open;
    let command = |text: &'static str| -> Sent<'_, Vec<tokio_postgres::Row>> {
        Box::pin(async move { open.client.batch_execute(text).await.map(|()| Vec::new()) })
    };
    let mut sent: Vec<Sent<'_, _>> = Vec::with_capacity(gathered.len() + 2);
    if begins {
        sent.push(command("BEGIN"));
    }
    for (statement, (_, values)) in statements.iter().zip(gathered) {
        sent.push(Box::pin(open.query_prepared(statement, values)));
    }
    if ends {
        sent.push(command("COMMIT"));
    }
    // The first error undoes the transaction: the COMMIT behind it rolls back, whatever it answers.
    let mut answers = pipelined(sent).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(answers.pop().unwrap_or_default())
}

/// A list for each column of the rows, and how many rows there are; none where there are no rows. Of several rows that
/// write over the same one the last holds.
fn lists<'v, const N: usize>(change: &Change, rows: impl IntoIterator<Item = [Value<'v>; N]>) -> (Vec<Value<'v>>, u64) {
    let mut rows: Vec<[Value<'v>; N]> = rows.into_iter().collect();
    if matches!(change.verb, Verb::Replace | Verb::Update) && rows.len() > 1 {
        let key = change.columns.len();
        let mut last: HashMap<Vec<Value<'v>>, usize> = HashMap::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            last.insert(row[key..].to_vec(), index);
        }
        if last.len() < rows.len() {
            let mut index = 0;
            rows.retain(|row| {
                index += 1;
                last.get(&row[key..]) == Some(&(index - 1))
            });
        }
    }
    columns(rows)
}

fn columns<'v, const N: usize>(rows: Vec<[Value<'v>; N]>) -> (Vec<Value<'v>>, u64) {
    if rows.is_empty() {
        return (Vec::new(), 0);
    }
    let count = rows.len() as u64;
    let mut lists: Vec<Vec<Value<'v>>> = (0..N).map(|_| Vec::with_capacity(rows.len())).collect();
    for row in rows {
        for (list, value) in lists.iter_mut().zip(row) {
            list.push(value);
        }
    }
    (lists.into_iter().map(Value::List).collect(), count)
}
