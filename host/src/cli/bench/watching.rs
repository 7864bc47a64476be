//! What watching costs: the same events with nobody looking, with somebody who asks for the figures all the time, and with
//! traces told, in turn and several times over, so that whatever else the machine does falls on all of them alike.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::post;
use http_body_util::BodyExt;
use purefold::engine::{self, Clock, Options};
use purefold::observe::{Admin, AdminAddress};
use purefold::sandbox::Sandbox;
use purefold::source::Feed;
use purefold::time::SystemClock;
use purefold::trace::{Exporter, SpanCounts, TraceSettings};
use purefold::workflow::Workflow;

use super::{Arguments, STORE, copy, load, pipeline};
use crate::cli::report;

/// How often the figures are asked for: far more often than anybody would.
const ASK_INTERVAL: Duration = Duration::from_millis(100);

/// Spans that may wait in the measurement: few should be dropped, which costs less than telling.
const QUEUE: usize = 100_000;

/// Who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watching {
    Nobody,
    Figures,
    Traces,
}

impl Watching {
    const ALL: [Watching; 3] = [Watching::Nobody, Watching::Figures, Watching::Traces];

    fn name(self) -> &'static str {
        match self {
            Watching::Nobody => "nobody",
            Watching::Figures => "figures",
            Watching::Traces => "traces",
        }
    }
}

/// What one way of watching came to.
#[derive(serde::Serialize)]
struct Watched {
    watching: &'static str,
    /// The median of the rounds.
    events_per_second: f64,
    /// The median of the rounds' ratios to the same round with nobody looking.
    ratio: f64,
    rounds: Vec<f64>,
    /// Spans that the collector took, and those that were dropped, in all rounds.
    spans_exported: u64,
    spans_dropped: u64,
}

/// Runs all ways of watching in turn, `rounds` times, and tells what they came to.
pub(super) fn run(arguments: &Arguments, original: &Workflow, folder: &Path, rounds: usize, sandbox: &Sandbox) -> anyhow::Result<()> {
    let collector = collector()?;
    let mut rates: [Vec<f64>; 3] = Default::default();
    let (mut exported, mut dropped) = (0, 0);
    for round in 0..rounds {
        for place in 0..Watching::ALL.len() {
            // Whoever goes first in one round goes later in the next.
            let who = (place + round) % Watching::ALL.len();
            let watching = Watching::ALL[who];
            eprintln!("round {} of {rounds}: {}", round + 1, watching.name());
            let folder = folder.join(format!("{round}-{}", watching.name()));
            std::fs::create_dir(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
            let manifest = copy(original, &folder)?;
            if let Some(setup) = &arguments.setup {
                pipeline(&manifest, setup, sandbox, arguments.perform)?;
            }
            let (rate, spans) = measure(arguments, &manifest, &folder.join(STORE), sandbox, watching, collector)?;
            rates[who].push(rate);
            if let Some(spans) = spans {
                let [taken, lost, refused] = spans.read();
                (exported, dropped) = (exported + taken, dropped + lost + refused);
            }
            std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
    }
    let told = Watching::ALL.iter().zip(&rates).map(|(watching, own)| {
        let ratios = own.iter().zip(&rates[0]).map(|(own, nobody)| own / nobody).collect();
        let of_traces = |count| if *watching == Watching::Traces { count } else { 0 };
        Watched {
            watching: watching.name(),
            events_per_second: median(own.clone()),
            ratio: median(ratios),
            rounds: own.clone(),
            spans_exported: of_traces(exported),
            spans_dropped: of_traces(dropped),
        }
    });
    for watched in told {
        if arguments.json {
            report::line(&serde_json::to_string(&watched)?)?;
        } else {
            let Watched { watching, events_per_second, ratio, spans_exported, spans_dropped, .. } = watched;
            let spans = if spans_exported + spans_dropped > 0 {
                format!(", {spans_exported} spans told, {spans_dropped} dropped")
            } else {
                String::new()
            };
            report::line(&format!("{watching:<8} {events_per_second:>8.0} events/s, {ratio:.3} of nobody's{spans}"))?;
        }
    }
    Ok(())
}

/// Events a second of one run, from the host's start to its end, and what became of its spans.
fn measure(
    arguments: &Arguments,
    manifest: &Path,
    store: &Path,
    sandbox: &Sandbox,
    watching: Watching,
    collector: SocketAddr,
) -> anyhow::Result<(f64, Option<Arc<SpanCounts>>)> {
    let workflow = load(manifest)?;
    let name = workflow.name.to_string();
    let exporter = match watching {
        Watching::Traces => {
            let settings = TraceSettings::new(&format!("http://{collector}")).context("the collector has a URL")?;
            Some(Exporter::start(&TraceSettings { queue: QUEUE, ..settings }, rand::random(), Arc::new(SystemClock::new()))?)
        }
        Watching::Nobody | Watching::Figures => None,
    };
    let (traces, exporter) = exporter.unzip();
    let counts = traces.as_ref().map(|traces| traces.counts());
    let feed = Some(Feed::File(arguments.events()?.to_path_buf()));
    let options = Options { clock: Clock::Arrival, until_idle: true, perform: arguments.perform, feed, traces, ..Options::default() };
    let started = Instant::now();
    let (engine, _stopper) = engine::start(vec![workflow], sandbox, &options)?;
    let over = Arc::new(AtomicBool::new(false));
    let asking = if watching == Watching::Figures {
        let admin = Admin::start(AdminAddress::bind(([127, 0, 0, 1], 0).into())?, engine.observed(), store.into(), vec![name])?;
        let (address, over) = (admin.address(), over.clone());
        Some(std::thread::spawn(move || ask(address, &over)))
    } else {
        None
    };
    let summary = engine.run(|_| ())?;
    // Spans that are still to be sent cost as well.
    drop((options, exporter));
    let took = started.elapsed();
    over.store(true, Ordering::Relaxed);
    if let Some(asking) = asking {
        let asked = asking.join().map_err(|_| anyhow::anyhow!("whoever asks for the figures broke off"))??;
        anyhow::ensure!(asked > 0, "the figures were never asked for");
    }
    #[allow(clippy::cast_precision_loss, reason = "a rate")]
    let rate = summary.events as f64 / took.as_secs_f64();
    Ok((rate, counts))
}

/// Asks for the figures until everything is over. Gives how often.
fn ask(address: SocketAddr, over: &AtomicBool) -> std::io::Result<u64> {
    let mut asked = 0;
    while !over.load(Ordering::Relaxed) {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
        std::io::copy(&mut stream, &mut std::io::sink())?;
        asked += 1;
        std::thread::sleep(ASK_INTERVAL);
    }
    Ok(asked)
}

/// A collector that takes everything and keeps nothing; it ends with the process.
fn collector() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let take = async |body: Body| {
        // Read to its end, so that the connection is kept.
        let _ = body.collect().await;
        Bytes::new()
    };
    std::thread::Builder::new().name("collector".into()).spawn(move || {
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            axum::serve(listener, Router::new().route("/v1/traces", post(take))).await
        })
    })?;
    Ok(address)
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}
