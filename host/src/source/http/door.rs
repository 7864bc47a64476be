//! The door: who may send, how much at a time, and what becomes of each request.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use crossbeam_channel::{Sender, TrySendError};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use purefold_effects::TraceParent;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::answer::{Told, answer};
use super::listener::{Standing, StandingCell};
use super::media::Mode;
use super::refusal::Refusal;
use super::{HttpSettings, token};
use crate::engine::EventOrigin;
use crate::source::{Decoder, Fate, Reply, Taken, TakenRequest, Ticket, Undecodable};
use crate::time::HostClock;

/// Bytes of requests that are being answered: their bodies, each event counted as [`EVENT_KIB`] at least.
const MOST_KIB_IN_FLIGHT: usize = 64 << 10;

/// What an event takes besides its bytes.
const EVENT_KIB: usize = 1;

/// Events of a request whose decisions are told: states and intents of more would make a very large answer.
const MOST_DECISIONS: usize = 64;

/// The header of W3C Trace Context.
const TRACE_PARENT: &str = "traceparent";

/// What all connections share.
pub(super) struct Door {
    settings: HttpSettings,
    /// Bytes of one event.
    most_bytes: usize,
    decoder: Decoder,
    clock: Arc<dyn HostClock>,
    engine: Sender<Vec<Taken>>,
    standing: Arc<StandingCell>,
    waiting_since: Arc<AtomicU64>,
    requests: Arc<Semaphore>,
    kib: Arc<Semaphore>,
}

/// An event on its way.
enum Sent {
    Waits(String, oneshot::Receiver<Reply>),
    Refused(Option<String>, Refusal),
}

/// The room that a request takes while it is being answered.
struct Room {
    _request: OwnedSemaphorePermit,
    kib: OwnedSemaphorePermit,
}

impl Door {
    pub(super) fn new(
        settings: HttpSettings,
        most_bytes: usize,
        decoder: Decoder,
        clock: Arc<dyn HostClock>,
        engine: Sender<Vec<Taken>>,
        standing: Arc<StandingCell>,
        waiting_since: Arc<AtomicU64>,
    ) -> Self {
        let requests = Arc::new(Semaphore::new(settings.in_flight));
        // The largest body there may be always finds room when nothing else is there.
        let kib = Arc::new(Semaphore::new(MOST_KIB_IN_FLIGHT.max(kib(settings.body_bytes))));
        Door { settings, most_bytes, decoder, clock, engine, standing, waiting_since, requests, kib }
    }

    async fn take(&self, request: Request) -> Result<Response, Refusal> {
        if !token::is_shown(&self.settings.tokens, request.headers()) {
            return Err(Refusal::token_wrong());
        }
        match self.standing.get() {
            Standing::Open => {}
            Standing::StoreDown => return Err(Refusal::store_down()),
            Standing::Stopping => return Err(Refusal::stopping()),
        }
        let mode = Mode::of(request.headers())?;
        let decisions = wants_decisions(request.uri())?;
        let mut room = self.room(request.body())?;
        let (parts, body) = request.into_parts();
        let body = self.body(body).await?;
        let events = mode.events(&parts.headers, &body)?;
        if decisions && events.len() > MOST_DECISIONS {
            return Err(Refusal::query_wrong(format!("the decisions of at most {MOST_DECISIONS} events are told together")));
        }
        let more = (events.len() * EVENT_KIB).saturating_sub(room.kib.num_permits());
        room.kib.merge(acquire(&self.kib, more)?);

        let mut sent = Vec::with_capacity(events.len());
        let mut taken = Vec::with_capacity(events.len());
        for event in events {
            match event.and_then(|bytes| self.decode(&bytes)) {
                Ok((id, mut decoded)) => {
                    follow(&mut decoded, &parts.headers);
                    let (ticket, reply) = Ticket::new(decisions);
                    taken.push(Taken::Request(TakenRequest { taken: decoded, ticket }));
                    sent.push(Sent::Waits(id, reply));
                }
                Err(undecodable) => sent.push(Sent::Refused(undecodable.event_id.clone(), Refusal::of(undecodable))),
            }
        }
        if !taken.is_empty() {
            self.engine.try_send(taken).map_err(|error| match error {
                TrySendError::Full(_) => Refusal::too_many(),
                TrySendError::Disconnected(_) => Refusal::stopping(),
            })?;
        }
        let told = within(self.settings.answer, Refusal::answer_late, replies(sent)).await??;
        Ok(answer(told, mode == Mode::Batched, decisions))
    }

    /// Room for a request, before anything of its body is read. A body of unknown length may be as large as any.
    fn room(&self, body: &Body) -> Result<Room, Refusal> {
        let most = self.settings.body_bytes;
        let hint = body.size_hint();
        if hint.lower() > most as u64 {
            return Err(Refusal::body_too_large(most));
        }
        let length = hint.upper().and_then(|length| usize::try_from(length).ok()).map_or(most, |length| length.min(most));
        let request = self.requests.clone().try_acquire_owned().map_err(|_| Refusal::too_many())?;
        Ok(Room { _request: request, kib: acquire(&self.kib, kib(length).max(EVENT_KIB))? })
    }

    async fn body(&self, body: Body) -> Result<Vec<u8>, Refusal> {
        let most = self.settings.body_bytes;
        let collected = within(self.settings.receive, Refusal::body_late, Limited::new(body, most).collect()).await?;
        match collected {
            Ok(collected) => Ok(collected.to_bytes().into()),
            Err(error) if error.is::<LengthLimitError>() => Err(Refusal::body_too_large(most)),
            Err(error) => Err(Refusal::body_broken(error.to_string())),
        }
    }

    /// The event's id and what it means to each workflow that takes it. Where one cannot, none does.
    fn decode(&self, bytes: &Arc<[u8]>) -> Result<(String, Vec<(usize, crate::source::Decoded)>), Undecodable> {
        if bytes.len() > self.most_bytes {
            let reason = format!("more than {} bytes", self.most_bytes);
            return Err(Undecodable { event_id: None, code: "event-too-large", path: String::new(), reason });
        }
        // The engine numbers requests when it takes them.
        let decoded = self.decoder.decode(bytes, EventOrigin::Request(0), self.clock.wall());
        let decoded = decoded.into_iter().map(|(workflow, decoded)| Ok((workflow, decoded?))).collect::<Result<Vec<_>, Undecodable>>()?;
        let id = decoded.first().map(|(_, (_, event))| event.id.to_string()).unwrap_or_default();
        Ok((id, decoded))
    }

    /// A sender is to come back: until it has had the time to, something may be unread.
    fn turned_away(&self) {
        self.waiting_since.store(self.clock.wall(), Ordering::Release);
    }
}

/// Answers a request.
pub(super) async fn post(State(door): State<Arc<Door>>, request: Request) -> Response {
    match door.take(request).await {
        Ok(response) => response,
        Err(refusal) => {
            if refusal.is_passing() {
                door.turned_away();
            }
            refusal.into_response()
        }
    }
}

/// An event that does not say itself what it follows from follows from the request, where traces are told.
fn follow(decoded: &mut [(usize, crate::source::Decoded)], headers: &HeaderMap) {
    for (_, (_, event)) in decoded {
        if let Some(incoming) = event.incoming.as_mut().filter(|incoming| incoming.parent.is_none()) {
            incoming.parent = headers.get(TRACE_PARENT).and_then(|value| TraceParent::parse(value.to_str().ok()?));
        }
    }
}

async fn replies(sent: Vec<Sent>) -> Result<Vec<Told>, Refusal> {
    let mut told = Vec::with_capacity(sent.len());
    for sent in sent {
        told.push(match sent {
            Sent::Refused(id, refusal) => Told::Refused(id, refusal),
            Sent::Waits(id, reply) => match reply.await {
                Ok(Reply { fate: Fate::Refused(undecodable), .. }) => Told::Refused(Some(id), Refusal::of(undecodable)),
                Ok(reply) => Told::Reply(id, reply),
                Err(_) => return Err(Refusal::stopping()),
            },
        });
    }
    Ok(told)
}

async fn within<T>(most: Duration, late: impl FnOnce() -> Refusal, future: impl Future<Output = T>) -> Result<T, Refusal> {
    tokio::time::timeout(most, future).await.map_err(|_| late())
}

fn kib(bytes: usize) -> usize {
    bytes.div_ceil(1024)
}

fn acquire(semaphore: &Arc<Semaphore>, permits: usize) -> Result<OwnedSemaphorePermit, Refusal> {
    let permits = u32::try_from(permits).unwrap_or(u32::MAX);
    semaphore.clone().try_acquire_many_owned(permits).map_err(|_| Refusal::too_many())
}

/// Whether the query asks for the decisions. What else it says is not for this host.
fn wants_decisions(uri: &Uri) -> Result<bool, Refusal> {
    let waits = uri.query().unwrap_or_default().split('&').filter_map(|pair| match pair.split_once('=') {
        Some(("wait", value)) => Some(value),
        None if pair == "wait" => Some(""),
        _ => None,
    });
    let mut wants = false;
    for wait in waits {
        match wait {
            "decision" => wants = true,
            other => return Err(Refusal::query_wrong(format!("it cannot wait for {other:?}"))),
        }
    }
    Ok(wants)
}
