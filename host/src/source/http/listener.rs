//! Listening: connections within their bounds, on a runtime of their own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use crossbeam_channel::{Receiver, Sender, bounded};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::HttpSettings;
use super::door::{self, Door};
use super::refusal::Refusal;
use crate::source::{Decoder, SourceError, Taken};
use crate::time::HostClock;

/// Bytes of a request's head.
const MOST_HEAD_BYTES: usize = 64 << 10;

/// How long to wait where the system gives no connection, as when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long connections have to send their last answers.
const END_TIME: Duration = Duration::from_secs(5);

/// How long what hangs even then may hold the end up.
const SHUTDOWN_TIME: Duration = Duration::from_secs(1);

/// Whether the host takes events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Open,
    /// Not until its store takes commits again.
    StoreDown,
    /// Not any more.
    Stopping,
}

/// A [`Standing`] that threads share.
#[derive(Debug, Default)]
pub(super) struct StandingCell(AtomicU8);

impl StandingCell {
    pub(super) fn get(&self) -> Standing {
        match self.0.load(Ordering::Acquire) {
            0 => Standing::Open,
            1 => Standing::StoreDown,
            _ => Standing::Stopping,
        }
    }

    fn set(&self, standing: Standing) {
        self.0.store(standing as u8, Ordering::Release);
    }
}

/// A listener that hands events to the engine.
pub struct Listener {
    address: SocketAddr,
    runtime: Runtime,
    standing: Arc<StandingCell>,
    waiting_since: Arc<AtomicU64>,
    closing: watch::Sender<bool>,
    ended: Receiver<()>,
}

impl Listener {
    /// Listens; what is sent, up to `most_bytes` an event, comes out of the channel, the events of a request together.
    ///
    /// # Errors
    /// Where the address cannot be listened on.
    pub fn start(
        settings: &HttpSettings,
        most_bytes: usize,
        decoder: Decoder,
        clock: Arc<dyn HostClock>,
    ) -> Result<(Self, Receiver<Vec<Taken>>), SourceError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("http")
            .enable_io()
            .enable_time()
            .build()
            .map_err(|cause| SourceError::Start { cause })?;
        let listen = |cause| SourceError::Listen { address: settings.listen, cause };
        let socket = runtime.block_on(TcpListener::bind(settings.listen)).map_err(listen)?;
        let address = socket.local_addr().map_err(listen)?;
        // As many as are answered at a time: whoever has room finds a place here too.
        let (to_engine, taken) = bounded(settings.in_flight);
        let standing = Arc::new(StandingCell::default());
        // Senders that found no host before may come back now.
        let waiting_since = Arc::new(AtomicU64::new(clock.wall()));
        let door = Door::new(settings.clone(), most_bytes, decoder, clock, to_engine, standing.clone(), waiting_since.clone());
        let (closing, is_closing) = watch::channel(false);
        let (end, ended) = bounded(1);
        let house = House { router: router(door), receive: settings.receive, is_closing };
        runtime.spawn(serve(socket, house, settings.connections, end));
        Ok((Listener { address, runtime, standing, waiting_since, closing, ended }, taken))
    }

    /// The address that is listened on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Since when nobody was turned away, in microseconds since the Unix epoch.
    #[must_use]
    pub fn waiting_since(&self) -> Arc<AtomicU64> {
        self.waiting_since.clone()
    }

    /// Tells senders how the host stands. A host that is stopping lets no new ones in.
    pub fn tell(&self, standing: Standing) {
        self.standing.set(standing);
        if standing == Standing::Stopping {
            self.closing.send_replace(true);
        }
    }

    /// Lets no new senders in, and waits until those that are in have their answers.
    pub fn end(self) {
        self.tell(Standing::Stopping);
        // What has no answer by then is cut off, and sent again.
        let _ = self.ended.recv_timeout(END_TIME);
        self.runtime.shutdown_timeout(SHUTDOWN_TIME);
    }
}

/// What every connection needs.
#[derive(Clone)]
struct House {
    router: Router,
    receive: Duration,
    is_closing: watch::Receiver<bool>,
}

fn router(door: Door) -> Router {
    Router::new()
        .route("/", post(door::post))
        .route("/events", post(door::post))
        .fallback(async || Refusal::path_unknown())
        .method_not_allowed_fallback(async || Refusal::method_unknown())
        .with_state(Arc::new(door))
}

/// Accepts connections until it is to end, and tells when the last one is over.
async fn serve(socket: TcpListener, house: House, most: usize, end: Sender<()>) {
    let connections = Arc::new(Semaphore::new(most));
    let mut is_closing = house.is_closing.clone();
    // Those that find no room wait in the system's queue.
    while let Some(room) = unless_closing(&mut is_closing, connections.clone().acquire_owned()).await {
        let Ok(room) = room else { break };
        match unless_closing(&mut is_closing, socket.accept()).await {
            None => break,
            Some(Ok((stream, _))) => {
                tokio::spawn(connection(stream, house.clone(), room));
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(socket);
    // All of the room is there again when every connection has given its part back.
    let all = u32::try_from(most).unwrap_or(u32::MAX);
    let _ = connections.acquire_many(all).await;
    // Nobody waits where the process ends at once.
    let _ = end.send(());
}

async fn unless_closing<T>(is_closing: &mut watch::Receiver<bool>, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        _ = is_closing.wait_for(|closing| *closing) => None,
        done = future => Some(done),
    }
}

async fn connection(stream: TcpStream, house: House, _room: OwnedSemaphorePermit) {
    let House { router, receive, mut is_closing } = house;
    // An answer is one small packet: it is not to wait for another.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(receive)
        .max_buf_size(MOST_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = unless_closing(&mut is_closing, connection.as_mut()).await;
    if ended.is_none() {
        connection.as_mut().graceful_shutdown();
        // A sender that breaks off hears no answer, and sends again.
        let _ = connection.await;
    }
}
