//! One connection, driven by a thread of its own, asked by callers that wait.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Wake, Waker};

use crossbeam_channel::{Receiver, Sender, bounded};
use purefold_effects::postgres::{ANSWER_GRACE, Begun, Sent, answered, pipelined};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};

use super::failure::{failed, is_overtaken, is_there_already, unreachable};
use super::questions::Question;
use super::{Place, dialect};
use crate::store::StoreError;
use crate::store::value::{Columns, Value};

/// Statements that a connection keeps prepared. There are no more texts than that.
const MOST_STATEMENTS: usize = 256;

/// Rows are looked up by keys and walked in the order of indices, however small a table was when a statement was planned.
/// A peer that is gone without a word is noticed within half a minute, and what it held is free.
const SETTINGS: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off; \
                        SET plan_cache_mode = force_generic_plan; SET default_transaction_isolation = 'read committed'; \
                        SET idle_in_transaction_session_timeout = 0; \
                        SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; \
                        SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// Drives all connections of this process.
static RUNTIME: LazyLock<io::Result<Runtime>> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("store").enable_all().build());

/// The thread that drives connections.
fn runtime() -> Result<&'static Runtime, StoreError> {
    RUNTIME.as_ref().map_err(|error| StoreError::Open { path: "PostgreSQL".into(), reason: format!("cannot start a thread: {error}") })
}

/// Waits for `work` on the caller's thread, whatever runs there already; what it waits for is driven elsewhere.
pub(super) fn wait_for<T>(work: impl Future<Output = T>) -> Result<T, StoreError> {
    let _entered = runtime()?.enter();
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    // Whoever runs on this thread has a budget of its own, which is not to end here.
    let mut work = std::pin::pin!(tokio::task::unconstrained(work));
    loop {
        match work.as_mut().poll(&mut context) {
            Poll::Ready(done) => return Ok(done),
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Wakes a thread that waits.
struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A connection that is there, with what it has prepared.
pub(super) struct Open {
    pub(super) client: Arc<Client>,
    statements: HashMap<String, Statement>,
}

/// A connection that comes about when it is needed, and again where it broke.
pub(in crate::store) struct Session {
    place: Arc<Place>,
    open: RefCell<Option<Open>>,
    /// Whether a transaction is open. It ends with its connection: another one must not go on in its place.
    is_bound: Cell<bool>,
}

/// While it lives, everything that its session reads is of one moment.
pub(in crate::store) struct View<'s>(&'s Session);

impl Session {
    /// Connects.
    pub(in crate::store) fn connect(place: &Arc<Place>) -> Result<Self, StoreError> {
        let session = Session { place: place.clone(), open: RefCell::new(None), is_bound: Cell::new(false) };
        session.ask(async |_| Ok(()))?;
        Ok(session)
    }

    pub(in crate::store) fn rows<T>(
        &self,
        query: &str,
        values: &[Value<'_>],
        map: impl FnMut(&Columns<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        mapped(&self.ask(async |open| open.query(query, values).await)?, map)
    }

    pub(in crate::store) fn row<T>(
        &self,
        query: &str,
        values: &[Value<'_>],
        map: impl FnOnce(&Columns<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let rows = self.ask(async |open| open.query(query, values).await)?;
        rows.first().map(|row| map(&Columns::Postgres(row))).transpose()
    }

    /// The rows that each of the queries finds, all of one moment, in one round trip.
    pub(in crate::store) fn rows_of_several(&self, queries: &[(&str, &[Value<'_>])]) -> Result<Vec<Vec<Row>>, StoreError> {
        let is_bound = self.is_bound.get();
        self.ask(async |open| {
            let mut statements = Vec::with_capacity(queries.len());
            for (query, _) in queries {
                statements.push(open.prepare(query).await?);
            }
            let open = &*open;
            let mut sent: Vec<Sent<'_, Vec<Row>>> = Vec::with_capacity(queries.len() + 2);
            let command = |text: &'static str| -> Sent<'_, Vec<Row>> {
                Box::pin(async move { open.client.batch_execute(text).await.map(|()| Vec::new()) })
            };
            if !is_bound {
                sent.push(command(BEGIN_VIEW));
            }
            for (statement, (_, values)) in statements.iter().zip(queries) {
                sent.push(Box::pin(open.query_prepared(statement, values)));
            }
            if !is_bound {
                sent.push(command("COMMIT"));
            }
            let mut found = pipelined(sent).await.into_iter().collect::<Result<Vec<_>, _>>()?;
            if !is_bound {
                found.pop();
                found.remove(0);
            }
            Ok(found)
        })
    }

    pub(in crate::store) fn execute(&self, statement: &str, values: &[Value<'_>]) -> Result<(), StoreError> {
        self.ask(async |open| open.query(statement, values).await).map(drop)
    }

    pub(in crate::store) fn view(&self) -> Result<View<'_>, StoreError> {
        self.ask(async |open| open.client.batch_execute(BEGIN_VIEW).await)?;
        self.is_bound.set(true);
        Ok(View(self))
    }

    /// Begins a view that lasts until the next one, or as long as the session.
    pub(in crate::store) fn stay(&self) -> Result<(), StoreError> {
        if self.is_bound.replace(false) {
            self.ask(async |open| open.client.batch_execute("ROLLBACK").await)?;
        }
        std::mem::forget(self.view()?);
        Ok(())
    }

    /// Where it connects to.
    pub(super) fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// Says whether a transaction stays open after what was asked last.
    pub(super) fn bind(&self, is_bound: bool) {
        self.is_bound.set(is_bound);
    }

    /// Gives the connection up; the next question makes another one.
    pub(super) fn give_up(&self) {
        *self.open.borrow_mut() = None;
        self.is_bound.set(false);
    }

    /// Sends what `questions` begins, and waits for none of the answers.
    pub(super) fn send(
        &self,
        questions: impl AsyncFnOnce(&mut Open) -> Result<Begun<'static, Vec<Row>>, Error>,
    ) -> Result<Answers, StoreError> {
        let begun = self.ask(questions)?;
        let asked = self.place.questions.ask();
        let (end, are_there) = bounded(0);
        let task = runtime()?.spawn(async move {
            let _until_answered: (Sender<()>, Question) = (end, asked);
            let mut answers = answered(begun).await.into_iter().collect::<Result<Vec<_>, _>>()?;
            Ok(answers.pop().unwrap_or_default())
        });
        Ok(Answers { task, are_there })
    }

    /// Asks one thing and waits for the answer. A connection that failed is not asked again.
    pub(super) fn ask<T>(&self, question: impl AsyncFnOnce(&mut Open) -> Result<T, Error>) -> Result<T, StoreError> {
        self.ask_for(async |open, place: &Place| question(open).await.map_err(|error| failed(&place.told, &error)))
    }

    /// As [`Session::ask`], where the question sorts its errors itself.
    pub(super) fn ask_for<T>(&self, question: impl AsyncFnOnce(&mut Open, &Place) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut slot = self.open.try_borrow_mut().map_err(|_| unreachable(&self.place.told, "it is asked while it answers"))?;
        let is_there = slot.as_ref().is_some_and(|open| !open.client.is_closed());
        if !is_there {
            *slot = None;
            if self.is_bound.get() {
                return Err(unreachable(&self.place.told, "the connection broke off in the middle of a transaction"));
            }
        }
        let place = &*self.place;
        let asked = place.questions.ask();
        let done = wait_for(async {
            if slot.is_none() {
                *slot = Some(Open::connect(place).await?);
            }
            let Some(open) = slot.as_mut() else { return Err(unreachable(&place.told, "there is no connection")) };
            let most = place.server.timeout() + ANSWER_GRACE;
            match tokio::time::timeout(most, question(open, place)).await {
                Ok(done) => done,
                Err(_) => Err(unreachable(&place.told, format!("no answer within {} s", most.as_secs_f64()))),
            }
        })?;
        drop(asked);
        if done.is_err() {
            *slot = None;
        }
        done
    }
}

/// Answers that somebody will wait for. Without anybody the questions are given up.
pub(super) struct Answers {
    task: JoinHandle<Result<Vec<Row>, Error>>,
    /// Whose other end is gone as soon as they are there.
    are_there: Receiver<()>,
}

impl Answers {
    /// Waits for all of them: the rows of the last one, or the first error. A connection that failed is not asked again.
    pub(super) fn wait(mut self, session: &Session) -> Result<Vec<Row>, StoreError> {
        let (told, most) = (&session.place.told, session.place.server.timeout() + ANSWER_GRACE);
        let answered = wait_for(async { tokio::time::timeout(most, &mut self.task).await });
        let answered = answered.and_then(|answered| match answered {
            Ok(Ok(Ok(rows))) => Ok(rows),
            Ok(Ok(Err(error))) if is_overtaken(&error) || is_there_already(&error) => {
                Err(StoreError::Overtaken { what: "rows were written by somebody else".into() })
            }
            Ok(Ok(Err(error))) => Err(failed(told, &error)),
            Ok(Err(broken)) => Err(unreachable(told, broken.to_string())),
            Err(_) => Err(unreachable(told, format!("no answer within {} s", most.as_secs_f64()))),
        });
        if answered.is_err() {
            session.give_up();
        }
        answered
    }

    /// What can be read from, or rather is known to be closed, as soon as there is nothing to wait for.
    pub(super) fn are_there(&self) -> &Receiver<()> {
        &self.are_there
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl View<'_> {
    /// Ends it, and says whether all of it was of one moment.
    pub(in crate::store) fn end(self) -> Result<(), StoreError> {
        self.0.ask(async |open| open.client.batch_execute("COMMIT").await)?;
        self.0.is_bound.set(false);
        Ok(())
    }
}

impl Drop for View<'_> {
    fn drop(&mut self) {
        // Nothing was changed: it can only be that the connection is gone, and the view with it.
        if self.0.is_bound.replace(false) {
            let _ = self.0.ask(async |open| open.client.batch_execute("ROLLBACK").await);
        }
    }
}

const BEGIN_VIEW: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

impl Open {
    pub(super) async fn connect(place: &Place) -> Result<Self, StoreError> {
        let client = place.server.connect().await.map_err(|reason| unreachable(&place.told, reason))?;
        let settings = format!("SET search_path TO {}; {SETTINGS}", place.quoted_schema());
        client.batch_execute(&settings).await.map_err(|error| failed(&place.told, &error))?;
        Ok(Open { client: Arc::new(client), statements: HashMap::new() })
    }

    /// Has a statement ready. It is written with `?` for its values.
    pub(super) async fn prepare(&mut self, text: &str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.get(text) {
            return Ok(statement.clone());
        }
        if self.statements.len() >= MOST_STATEMENTS {
            self.statements.clear();
        }
        let statement = self.client.prepare(&dialect::translated(text)).await?;
        self.statements.insert(text.to_owned(), statement.clone());
        Ok(statement)
    }

    pub(super) async fn query(&mut self, text: &str, values: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        let statement = self.prepare(text).await?;
        self.query_prepared(&statement, values).await
    }

    /// Asks what [`Open::prepare`] made ready: it is sent when this is first polled.
    pub(super) async fn query_prepared(&self, statement: &Statement, values: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        self.client.query(statement, &parameters).await
    }
}

/// Rows, each read by `map`.
pub(in crate::store) fn mapped<T>(rows: &[Row], mut map: impl FnMut(&Columns<'_>) -> Result<T, StoreError>) -> Result<Vec<T>, StoreError> {
    rows.iter().map(|row| map(&Columns::Postgres(row))).collect()
}
