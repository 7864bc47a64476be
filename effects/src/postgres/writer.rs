//! Gathers what waits, and sends it in one round trip: a transaction of the calls of independent lanes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Statement};

use super::failure::{Stage, not_connected, sort};
use super::pipeline::{ANSWER_GRACE, Sent, pipelined};
use super::{Server, Text, mark};
use crate::{Call, EffectError, Reply};

/// Calls that may wait. A sender beyond that waits, which is the backpressure.
const QUEUE_CALLS_MAX: usize = 8_192;

/// Calls in one transaction at most.
const BATCH_CALLS_MAX: usize = 512;

/// Calls of one kind in a batch from which on they are one statement.
const TOGETHER_MIN: usize = 8;

/// Statements of a call's own transaction.
const ALONE_STATEMENTS: usize = 4;

const ATTEMPTED: &str = "cannot write to PostgreSQL";

type Answer = Result<(), EffectError>;

/// What one intent changes: the statement that follows [`mark::MOVE`], the same for many of independent lanes, which takes lists of
/// texts, and the values behind the mark's.
pub(crate) struct Change {
    pub(crate) one: Arc<str>,
    pub(crate) many: Arc<str>,
    pub(crate) values: Vec<Text>,
}

struct Pending {
    one: Arc<str>,
    many: Arc<str>,
    values: Vec<Text>,
    reply: oneshot::Sender<Answer>,
}

/// The connections of one effect and what is written through them.
pub(crate) struct Writer {
    effect: Arc<str>,
    server: Server,
    queue: Mutex<Option<mpsc::Sender<Pending>>>,
}

impl Writer {
    /// A writer that has not been started.
    pub(crate) fn new(effect: Arc<str>, server: Server) -> Writer {
        Writer { effect, server, queue: Mutex::new(None) }
    }

    /// Starts it on the present runtime. Connections come about when they are needed, and again when they break.
    ///
    /// # Errors
    /// Certificates that cannot be read.
    pub(crate) fn start(&self) -> Result<(), EffectError> {
        let pool = self
            .server
            .pool()
            .map_err(|reason| EffectError::NotDone { reason: format!("cannot connect to PostgreSQL: {reason}"), retry_after: None })?;
        let mut guard = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let (queue, calls) = mpsc::channel(QUEUE_CALLS_MAX);
        *guard = Some(queue);
        tokio::spawn(run(calls, pool, self.server.clone()));
        Ok(())
    }

    /// Takes no more. Connections are closed when what was taken is done.
    pub(crate) fn stop(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Makes one change, durably, before it answers.
    pub(crate) async fn change(&self, call: &Call, change: Change) -> Result<Reply, EffectError> {
        let closed = || EffectError::NotDone { reason: format!("{ATTEMPTED}: the effect was not started"), retry_after: None };
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)?;
        let (reply, answer) = oneshot::channel();
        let mut values = Vec::with_capacity(mark::PARAMETERS + change.values.len());
        values.extend(mark::values(call, &self.effect));
        values.extend(change.values);
        queue.send(Pending { one: change.one, many: change.many, values, reply }).await.map_err(|_| closed())?;
        match answer.await {
            Ok(answer) => answer.map(|()| None),
            Err(_) => Err(EffectError::Unknown(format!("{ATTEMPTED}: the writer ended before it answered"))),
        }
    }
}

/// As many batches at a time as there are connections. While all are at work, what comes gathers.
async fn run(mut calls: mpsc::Receiver<Pending>, pool: Pool, server: Server) {
    let idle = Arc::new(Semaphore::new(server.connections()));
    while let Ok(permit) = Arc::clone(&idle).acquire_owned().await {
        let mut batch = Vec::new();
        if calls.recv_many(&mut batch, BATCH_CALLS_MAX).await == 0 {
            return;
        }
        // An abandoned attempt that has not begun need not begin.
        batch.retain(|pending: &Pending| !pending.reply.is_closed());
        let (pool, most) = (pool.clone(), server.timeout() + ANSWER_GRACE);
        tokio::spawn(async move {
            perform(batch, &pool, most).await;
            drop(permit);
        });
    }
}

async fn perform(batch: Vec<Pending>, pool: &Pool, most: Duration) {
    if batch.is_empty() {
        return;
    }
    let answers = match pool.get().await {
        Ok(client) => match tokio::time::timeout(most, transact(&batch, &client)).await {
            Ok((answers, true)) => answers,
            // A connection that has failed once is not asked again.
            Ok((answers, false)) => {
                drop(Object::take(client));
                answers
            }
            Err(_) => {
                drop(Object::take(client));
                let reason = format!("{ATTEMPTED}: no answer within {} s", most.as_secs_f64());
                vec![Err(EffectError::Unknown(reason)); batch.len()]
            }
        },
        Err(error) => vec![Err(not_connected(&error, ATTEMPTED)); batch.len()],
    };
    if let Some(Err(error)) = answers.iter().find(|answer| !matches!(answer, Ok(()) | Err(EffectError::Refused(_)))) {
        tracing::debug!(calls = batch.len(), %error, "batch not committed");
    }
    for (pending, answer) in batch.into_iter().zip(answers) {
        let _ = pending.reply.send(answer);
    }
}

/// All of the batch in one transaction; where one call's fault undoes it, each call in its own. The answers, and whether
/// the connection is good for more.
async fn transact(batch: &[Pending], client: &Object) -> (Vec<Answer>, bool) {
    let mut answers: Vec<Answer> = Vec::with_capacity(batch.len());
    let mut ready: Vec<(usize, &Pending, Statement)> = Vec::with_capacity(batch.len());
    let mut good = true;
    for (index, pending) in batch.iter().enumerate() {
        // Prepared once on a connection.
        match client.prepare_cached(&pending.one).await {
            Ok(statement) => ready.push((index, pending, statement)),
            Err(error) => {
                good &= is_answered_alone(&error);
                answers.push(Err(not_prepared(&error)));
                continue;
            }
        }
        answers.push(Ok(()));
    }
    let marks = match client.prepare_cached(mark::MOVE).await {
        Ok(statement) => statement,
        Err(error) => {
            ready.iter().for_each(|(index, ..)| answers[*index] = Err(not_prepared(&error)));
            return (answers, good && is_answered_alone(&error));
        }
    };
    if ready.len() > 1 && good {
        match together(&ready, &marks, client).await {
            Together::Done => return (answers, true),
            Together::Failed(error) => {
                ready.iter().for_each(|(index, ..)| answers[*index] = Err(error.clone()));
                return (answers, false);
            }
            Together::OneByOne => {}
        }
    }
    // In a pipeline all the same: one round trip, and a transaction for each.
    let mut sent: Vec<Sent<'_, ()>> = Vec::with_capacity(ready.len() * ALONE_STATEMENTS);
    for (_, pending, statement) in &ready {
        sent.push(Box::pin(client.batch_execute("BEGIN")));
        sent.push(move_marks(&[pending], marks.clone(), client));
        sent.push(execute(pending, statement, client));
        sent.push(Box::pin(client.batch_execute("COMMIT")));
    }
    let mut results = pipelined(sent).await.into_iter();
    for (index, ..) in &ready {
        answers[*index] = ended(results.by_ref().take(ALONE_STATEMENTS).collect()).map_err(|(error, stage)| {
            good &= is_answered_alone(&error);
            sort(&error, ATTEMPTED, stage)
        });
    }
    (answers, good)
}

/// Nothing was sent but the question what a statement means; and the statements are ours, not the intent's.
fn not_prepared(error: &Error) -> EffectError {
    match sort(error, ATTEMPTED, Stage::Statement) {
        EffectError::Unknown(reason) | EffectError::Refused(reason) => EffectError::NotDone { reason, retry_after: None },
        other => other,
    }
}

enum Together {
    Done,
    /// Something that is no call's fault.
    Failed(EffectError),
    OneByOne,
}

/// Begin, the statements and the commit, sent without waiting in between. Lanes are independent, and none has two calls at a
/// time: many calls of a kind are one statement.
async fn together(ready: &[(usize, &Pending, Statement)], marks: &Statement, client: &Object) -> Together {
    let mut kinds: Vec<Vec<&(usize, &Pending, Statement)>> = Vec::new();
    for call in ready {
        match kinds.iter_mut().find(|kind| kind[0].1.one == call.1.one) {
            Some(kind) => kind.push(call),
            None => kinds.push(vec![call]),
        }
    }
    let mut sent: Vec<Sent<'_, ()>> = Vec::with_capacity(ready.len() + 3);
    sent.push(Box::pin(client.batch_execute("BEGIN")));
    let all: Vec<&Pending> = ready.iter().map(|(_, pending, _)| *pending).collect();
    sent.push(move_marks(&all, marks.clone(), client));
    for kind in kinds {
        if kind.len() < TOGETHER_MIN {
            sent.extend(kind.into_iter().map(|(_, pending, statement)| execute(pending, statement, client)));
            continue;
        }
        match client.prepare_cached(&kind[0].1.many).await {
            Ok(statement) => {
                let calls: Vec<&Pending> = kind.into_iter().map(|(_, pending, _)| *pending).collect();
                sent.push(execute_many(&calls, statement, client));
            }
            Err(error) if is_answered_alone(&error) => return Together::OneByOne,
            Err(error) => return Together::Failed(not_prepared(&error)),
        }
    }
    sent.push(Box::pin(client.batch_execute("COMMIT")));
    match ended(pipelined(sent).await) {
        Ok(()) => Together::Done,
        Err((error, _)) if is_answered_alone(&error) => Together::OneByOne,
        Err((error, stage)) => Together::Failed(sort(&error, ATTEMPTED, stage)),
    }
}

/// How a transaction ended, whose statements gave these results, the commit the last. The first error undoes it: the commit behind
/// it rolls back, whatever it answers.
fn ended(mut results: Vec<Result<(), Error>>) -> Result<(), (Error, Stage)> {
    let committed = results.pop().unwrap_or(Ok(()));
    match results.into_iter().find_map(Result::err) {
        Some(error) => Err((error, Stage::Statement)),
        None => committed.map_err(|error| (error, Stage::Commit)),
    }
}

fn move_marks<'a>(calls: &[&'a Pending], statement: Statement, client: &'a Object) -> Sent<'a, ()> {
    execute_lists(lists(calls, mark::PARAMETERS), statement, client)
}

/// Whether the error may be one call's alone, and the connection serves the others: not where the server ends, is out of
/// something, or does not answer.
fn is_answered_alone(error: &Error) -> bool {
    let class = error.code().and_then(|code| code.code().get(..2));
    class.is_some_and(|class| !matches!(class, "08" | "25" | "53" | "57" | "58" | "XX")) || error.code() == Some(&SqlState::QUERY_CANCELED)
}

fn execute<'a>(pending: &'a Pending, statement: &'a Statement, client: &'a Object) -> Sent<'a, ()> {
    Box::pin(async move {
        let values: Vec<&(dyn ToSql + Sync)> = pending.values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        client.execute(statement, &values).await.map(drop)
    })
}

fn execute_many<'a>(calls: &[&'a Pending], statement: Statement, client: &'a Object) -> Sent<'a, ()> {
    execute_lists(lists(calls, calls.first().map_or(0, |call| call.values.len())), statement, client)
}

/// The first values of all calls, list by list.
fn lists<'a>(calls: &[&'a Pending], count: usize) -> Vec<Vec<Option<&'a str>>> {
    (0..count).map(|index| calls.iter().map(|call| call.values[index].0.as_deref()).collect()).collect()
}

fn execute_lists<'a>(lists: Vec<Vec<Option<&'a str>>>, statement: Statement, client: &'a Object) -> Sent<'a, ()> {
    Box::pin(async move {
        let values: Vec<&(dyn ToSql + Sync)> = lists.iter().map(|list| list as &(dyn ToSql + Sync)).collect();
        client.execute(&statement, &values).await.map(drop)
    })
}
