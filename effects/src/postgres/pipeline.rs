//! Several statements in one round trip: all are sent before any answer is waited for.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{BoxFuture, MaybeDone, join_all, maybe_done};
use tokio_postgres::Error;

/// How long answers are waited for beyond the time that their statements may take: the server's own limit comes first.
pub const ANSWER_GRACE: Duration = Duration::from_secs(5);

/// What is sent and not yet answered.
pub type Sent<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// What was sent, with those answers that are there.
pub type Begun<'a, T> = Vec<Pin<Box<MaybeDone<Sent<'a, T>>>>>;

/// Sends all in this order before it waits for any.
pub async fn pipelined<T>(sent: Vec<Sent<'_, T>>) -> Vec<Result<T, Error>> {
    answered(begun(sent).await).await
}

/// Sends all in this order, and leaves the waiting to others: the client sends when it is first polled.
pub async fn begun<T>(sent: Vec<Sent<'_, T>>) -> Begun<'_, T> {
    let mut sent: Vec<_> = sent.into_iter().map(|one| Box::pin(maybe_done(one))).collect();
    poll_fn(|context| {
        for one in &mut sent {
            let _ = one.as_mut().poll(context);
        }
        Poll::Ready(())
    })
    .await;
    sent
}

/// The answers to all of them.
pub async fn answered<T>(mut sent: Begun<'_, T>) -> Vec<Result<T, Error>> {
    join_all(sent.iter_mut().map(Pin::as_mut)).await;
    sent.iter_mut().filter_map(|one| one.as_mut().take_output()).collect()
}
