//! One batch in one transaction and one round trip: statements gather, and are sent together with BEGIN and COMMIT.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::SinkExt;
use purefold_effects::postgres::{Sent, begun};
use tokio_postgres::types::ToSql;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::{Client, Error, Row, Statement};

use super::dialect;
use super::encode::{Parameter, lists, records};
use super::session::{Answers, Open, Session};
use crate::store::StoreError;
use crate::store::change::{Change, Verb};
use crate::store::value::{Columns, Value};

/// New rows from which on they are copied: that takes the server half of what a statement over lists takes it, and a question
/// more. Few in tests, so that both ways are gone.
const COPIED_ROWS: usize = if cfg!(test) { 3 } else { 32 };

/// What is done to the store, all or nothing.
pub(in crate::store) struct Transaction<'s> {
    session: &'s Session,
    gathered: Vec<Gathered>,
    /// Whether BEGIN was sent.
    has_begun: bool,
    /// Whether COMMIT was answered, or somebody else waits for that.
    is_over: bool,
}

/// A statement to be sent. It owns its values: nobody has to stay until it is answered.
struct Gathered {
    text: String,
    values: Values,
}

enum Values {
    Parameters(Vec<Parameter>),
    /// Of COPY.
    Records(Vec<BytesMut>),
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // The server undoes what is open when its connection ends.
        if self.has_begun && !self.is_over {
            self.session.give_up();
        }
    }
}

impl<'s> Transaction<'s> {
    pub(in crate::store) fn begin(session: &'s Session) -> Self {
        Transaction { session, gathered: Vec::new(), has_begun: false, is_over: false }
    }

    pub(in crate::store) fn change<'v, const N: usize>(
        &mut self,
        change: &'static Change,
        rows: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Result<(), StoreError> {
        let rows = last_of_each(change, rows.into_iter().collect());
        if change.verb == Verb::Insert && rows.len() >= COPIED_ROWS {
            self.gathered.push(Gathered { text: dialect::by_copy(change), values: Values::Records(records(change, &rows)?) });
            return Ok(());
        }
        self.gather(dialect::by_list, change, &rows, None)
    }

    pub(in crate::store) fn change_all<'v, const N: usize>(
        &mut self,
        change: &'static Change,
        rows: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Result<(), StoreError> {
        let rows: Vec<_> = rows.into_iter().collect();
        let count = Value::from(rows.len() as u64);
        self.gather(dialect::by_list_to_all, change, &rows, Some(count))
    }

    pub(in crate::store) fn change_telling<'v, const N: usize>(
        &mut self,
        change: &'static Change,
        told: &'static str,
        rows: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Result<Vec<i64>, StoreError> {
        let rows = last_of_each(change, rows.into_iter().collect());
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        self.gather(|change| dialect::by_list_telling(change, told), change, &rows, None)?;
        let found = self.send()?;
        super::session::mapped(&found, |row| row.get(0))
    }

    pub(in crate::store) fn execute(&mut self, statement: &'static str, values: impl IntoIterator<Item = Value<'static>>) {
        let values = Values::Parameters(values.into_iter().map(Parameter::One).collect());
        self.gathered.push(Gathered { text: statement.to_owned(), values });
    }

    pub(in crate::store) fn row<T>(
        &mut self,
        query: &'static str,
        values: &[Value<'_>],
        map: impl FnOnce(&Columns<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.send()?;
        self.session.row(query, values, map)
    }

    /// Ends it. Where that fails it may stand all the same.
    pub(in crate::store) fn commit(self) -> Result<(), StoreError> {
        let session = self.session;
        self.hand_over()?.wait(session).map(drop)
    }

    /// Sends all of it, COMMIT behind, and waits for none of the answers. What follows on the session comes after it.
    pub(super) fn hand_over(mut self) -> Result<Answers, StoreError> {
        let answers = self.send_gathered(true)?;
        self.is_over = true;
        self.session.bind(false);
        Ok(answers)
    }

    fn gather<const N: usize>(
        &mut self,
        text: impl Fn(&Change) -> String,
        change: &'static Change,
        rows: &[[Value<'_>; N]],
        last: Option<Value<'static>>,
    ) -> Result<(), StoreError> {
        if !rows.is_empty() {
            let mut values = lists(change, rows)?;
            values.extend(last.map(Parameter::One));
            self.gathered.push(Gathered { text: text(change), values: Values::Parameters(values) });
        }
        Ok(())
    }

    /// Sends what was gathered, and gives the rows of the last statement.
    fn send(&mut self) -> Result<Vec<Row>, StoreError> {
        let answers = self.send_gathered(false)?;
        // Nothing else is to be sent on another connection in the place of this one.
        self.session.bind(true);
        answers.wait(self.session)
    }

    fn send_gathered(&mut self, ends: bool) -> Result<Answers, StoreError> {
        let begins = !std::mem::replace(&mut self.has_begun, true);
        let gathered = std::mem::take(&mut self.gathered);
        self.session.send(async |open| {
            let mut statements = Vec::with_capacity(gathered.len());
            for Gathered { text, values } in gathered {
                statements.push((open.prepare(&text).await?, values));
            }
            // The first error undoes the transaction: the COMMIT behind it rolls back, whatever it answers.
            let begin = begins.then(|| command(open, "BEGIN"));
            let commit = ends.then(|| command(open, "COMMIT"));
            let changes = statements.into_iter().map(|(statement, values)| sent(open, statement, values));
            Ok(begun(begin.into_iter().chain(changes).chain(commit).collect()).await)
        })
    }
}

fn command(open: &Open, text: &'static str) -> Sent<'static, Vec<Row>> {
    let client = open.client.clone();
    Box::pin(async move { client.batch_execute(text).await.map(|()| Vec::new()) })
}

fn sent(open: &Open, statement: Statement, values: Values) -> Sent<'static, Vec<Row>> {
    let client = open.client.clone();
    match values {
        Values::Parameters(values) => Box::pin(async move {
            let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
            client.query(&statement, &values).await
        }),
        Values::Records(records) => Box::pin(copy(client, statement, records)),
    }
}

async fn copy(client: Arc<Client>, statement: Statement, records: Vec<BytesMut>) -> Result<Vec<Row>, Error> {
    let mut sink = Box::pin(client.copy_in::<_, BytesMut>(&statement).await?);
    for part in records {
        sink.send(part).await?;
    }
    sink.as_mut().finish().await?;
    Ok(Vec::new())
}

/// Of several rows that write over the same one the last holds.
fn last_of_each<'v, const N: usize>(change: &Change, mut rows: Vec<[Value<'v>; N]>) -> Vec<[Value<'v>; N]> {
    if !matches!(change.verb, Verb::Replace | Verb::Update) || rows.len() < 2 {
        return rows;
    }
    let key = change.columns.len();
    let mut last: HashMap<&[Value<'v>], usize> = HashMap::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        last.insert(&row[key..], index);
    }
    if last.len() < rows.len() {
        let mut kept = vec![false; rows.len()];
        last.into_values().for_each(|index| kept[index] = true);
        let mut kept = kept.into_iter();
        rows.retain(|_| kept.next().unwrap_or_default());
    }
    rows
}
