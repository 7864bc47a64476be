//! Many senders over kept connections, and how long they wait for their answers.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How long a sender that was told to come back waits: a measurement of a host that is too busy should say so soon.
const COME_BACK: Duration = Duration::from_millis(50);

/// What one sender saw.
#[derive(Default)]
struct Seen {
    /// How long each answer of success took.
    waits: Vec<Duration>,
    /// How often it was told to come back.
    turned_away: u64,
    /// Ids of what was answered, where they are wanted.
    ids: Vec<String>,
    /// When the first node's events were answered, in microseconds since 1970, where that is wanted.
    moments: Vec<u128>,
}

/// What is kept of a measurement besides its figures, in a file of one a line. A host that goes away is no failure then.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept<'a> {
    Nothing,
    /// Ids of what was answered.
    Ids(&'a Path),
    /// When the first node's events were answered, in microseconds since 1970.
    Moments(&'a Path),
}

/// What a sender sends, and until when.
#[derive(Clone)]
struct Task {
    address: String,
    node: u64,
    run: u128,
    authorization: Option<HeaderValue>,
    until: Instant,
    keeps_ids: bool,
    keeps_moments: bool,
}

/// Sends to `address` over `connections` for `seconds` and writes what was measured.
pub(crate) fn run(out: &mut impl Write, address: &str, connections: u64, seconds: u64, kept: Kept<'_>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let token = std::env::var("TOKEN").ok();
    let authorization = token.map(|token| HeaderValue::try_from(format!("Bearer {token}"))).transpose().map_err(io::Error::other)?;
    // Events of an earlier measurement would be duplicates.
    let run = since_epoch().as_nanos();
    let begun = Instant::now();
    let until = begun + Duration::from_secs(seconds);
    let seen = runtime.block_on(async {
        let mut senders = JoinSet::new();
        for node in 0..connections {
            let (address, authorization) = (address.to_owned(), authorization.clone());
            let (keeps_ids, keeps_moments) = (matches!(kept, Kept::Ids(_)), matches!(kept, Kept::Moments(_)));
            senders.spawn(send(Task { address, node, run, authorization, until, keeps_ids, keeps_moments }));
        }
        let mut all = Seen::default();
        while let Some(seen) = senders.join_next().await {
            let seen = seen.map_err(io::Error::other)??;
            all.waits.extend(seen.waits);
            all.turned_away += seen.turned_away;
            all.ids.extend(seen.ids);
            all.moments.extend(seen.moments);
        }
        io::Result::Ok(all)
    })?;
    let Seen { mut waits, turned_away, ids, moments } = seen;
    match kept {
        Kept::Nothing => {}
        Kept::Ids(path) => keep(path, &ids)?,
        Kept::Moments(path) => keep(path, &moments)?,
    }
    waits.sort_unstable();
    let elapsed = begun.elapsed().as_secs_f64();
    let quantile = |part: usize| waits.get((waits.len() * part).div_ceil(100).saturating_sub(1)).map(|wait| wait.as_secs_f64() * 1000.0);
    let measured = serde_json::json!({
        "connections": connections, "seconds": elapsed, "events": waits.len(), "events_per_second": waits.len() as f64 / elapsed,
        "p50_ms": quantile(50), "p99_ms": quantile(99), "most_ms": quantile(100), "turned_away": turned_away,
    });
    writeln!(out, "{measured}")
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Writes one a line.
fn keep(path: &Path, lines: &[impl std::fmt::Display]) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    lines.iter().try_for_each(|line| writeln!(file, "{line}"))?;
    file.flush()
}

/// Registers a node and sends its heartbeats, one after the other, until the time is over.
async fn send(task: Task) -> io::Result<Seen> {
    let mut seen = Seen::default();
    match send_all(&task, &mut seen).await {
        Err(Ended::Gone(_)) if task.keeps_ids || task.keeps_moments => Ok(seen),
        Err(Ended::Gone(error) | Ended::Wrong(error)) => Err(error),
        Ok(()) => Ok(seen),
    }
}

/// Why a sender ended before its time.
enum Ended {
    /// The connection broke.
    Gone(io::Error),
    /// The host would not have the event.
    Wrong(io::Error),
}

async fn send_all(task: &Task, seen: &mut Seen) -> Result<(), Ended> {
    let gone = |error: hyper::Error| Ended::Gone(io::Error::other(error));
    let Task { address, node, run, authorization, until, keeps_ids, keeps_moments } = task;
    let stream = TcpStream::connect(address).await.map_err(Ended::Gone)?;
    stream.set_nodelay(true).map_err(Ended::Gone)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(gone)?;
    tokio::spawn(connection);
    let mut round = 0;
    while Instant::now() < *until {
        let mut event = Vec::with_capacity(768);
        let id = if round == 0 { super::uuid(2, *node) } else { format!("{run}-{node}-{round}") };
        let made = match round {
            0 => super::introspection(&mut event, *node, &super::time(0)),
            _ => super::heartbeat(&mut event, *node, round, &id, &super::uuid(5, *node)),
        };
        made.map_err(Ended::Wrong)?;
        let mut request = Request::post("/").header(HOST, address).header(CONTENT_TYPE, "application/cloudevents+json");
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(Bytes::from(event))).map_err(|error| Ended::Wrong(io::Error::other(error)))?;
        let asked = Instant::now();
        sender.ready().await.map_err(gone)?;
        let response = sender.send_request(request).await.map_err(gone)?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(gone)?.to_bytes();
        match status {
            StatusCode::OK => {
                seen.waits.push(asked.elapsed());
                // A node's introduction has the same id in every load: past the host's window it counts as a new event.
                if *keeps_ids && round > 0 {
                    seen.ids.push(id);
                }
                if *keeps_moments && *node == 0 {
                    seen.moments.push(since_epoch().as_micros());
                }
                round += 1;
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                seen.turned_away += 1;
                tokio::time::sleep(COME_BACK).await;
            }
            _ => return Err(Ended::Wrong(io::Error::other(format!("the host answers {status}: {}", String::from_utf8_lossy(&body))))),
        }
    }
    Ok(())
}
