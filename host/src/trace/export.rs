//! The thread that sends spans. A collector that is away costs nothing but the spans that the queue has no room for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, select};

use super::otlp::{Collector, Sent};
use super::{Span, SpanCounts, TraceSettings, Traces};
use crate::time::HostClock;

/// Spans that are sent together.
const MOST_TOGETHER: usize = 512;

/// How long spans wait for others to be sent with.
const GATHER_INTERVAL: Duration = Duration::from_secs(1);

/// The first and the longest pause after a collector was not reached, or refused what it was sent.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const MOST_PAUSE: Duration = Duration::from_secs(30);

/// How long the end of the host waits for spans to be sent.
const END_TIMEOUT: Duration = Duration::from_secs(3);

/// Why traces cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// There is no client, or it cannot send what the settings say.
    #[error("cannot tell traces to {origin}: {reason}; mend what the cause names, or remove [traces]")]
    Client {
        /// Scheme, host and port.
        origin: String,
        /// Why not.
        reason: String,
    },
    /// The system gives no thread.
    #[error("cannot start telling traces: {0}")]
    Thread(std::io::Error),
}

/// A running exporter. Its end sends what still waits, as far as that is quickly done.
pub struct Exporter {
    /// Nothing is sent over it: its end is the sign.
    ending: Option<Sender<()>>,
    ended: Receiver<()>,
}

impl Exporter {
    /// Starts to send what the [`Traces`] are told. `seed` makes this run's ids others than those of the run before.
    ///
    /// # Errors
    /// Where the machine lacks what sending needs. A collector that is away is no error.
    pub fn start(settings: &TraceSettings, seed: u64, clock: Arc<dyn HostClock>) -> Result<(Arc<Traces>, Self), TraceError> {
        let collector = Collector::new(settings).map_err(|reason| TraceError::Client { origin: settings.origin.clone(), reason })?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(TraceError::Thread)?;
        let (traces, spans) = Traces::new(settings.sample, settings.queue, seed, clock);
        let (ending, end) = bounded(0);
        let (running, ended) = bounded(0);
        let mut sending = Sending {
            spans,
            end,
            counts: traces.counts(),
            origin: settings.origin.clone(),
            batch: Vec::with_capacity(MOST_TOGETHER),
            pause: FIRST_PAUSE,
            told: false,
        };
        std::thread::Builder::new()
            .name("traces".into())
            .spawn(move || {
                // Its end is the sign that everything is sent.
                let _running: Sender<()> = running;
                sending.run(|spans| runtime.block_on(collector.send(spans)));
            })
            .map_err(TraceError::Thread)?;
        Ok((Arc::new(traces), Exporter { ending: Some(ending), ended }))
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.ending = None;
        if let Err(RecvTimeoutError::Timeout) = self.ended.recv_timeout(END_TIMEOUT) {
            tracing::warn!("the collector of traces does not answer: the last spans are not told");
        }
    }
}

struct Sending {
    spans: Receiver<Span>,
    end: Receiver<()>,
    counts: Arc<SpanCounts>,
    origin: String,
    batch: Vec<Span>,
    /// How long to leave the collector alone that does not take what it is sent.
    pause: Duration,
    /// Whether the outage was told.
    told: bool,
}

impl Sending {
    fn run(&mut self, mut send: impl FnMut(&[Span]) -> Sent) {
        loop {
            let ending = self.gather();
            if self.batch.is_empty() {
                if ending {
                    return;
                }
                continue;
            }
            let together = self.batch.len() as u64;
            match send(&self.batch) {
                Sent::Taken => {
                    self.counts.exported.fetch_add(together, Ordering::Relaxed);
                    self.batch.clear();
                    self.pause = FIRST_PAUSE;
                    if std::mem::take(&mut self.told) {
                        let [_, dropped, refused] = self.counts.read();
                        tracing::info!(collector = %self.origin, dropped, refused, "traces are told again");
                    }
                }
                Sent::Refused(reason) => {
                    self.counts.refused.fetch_add(together, Ordering::Relaxed);
                    self.batch.clear();
                    self.tell(&reason);
                    // It most likely refuses the next ones too. At the end there is no time to wait for.
                    if !ending {
                        self.wait();
                    }
                }
                Sent::NotReached(reason) => {
                    self.tell(&reason);
                    if ending || self.wait() {
                        let left = together + self.spans.len() as u64;
                        self.counts.dropped.fetch_add(left, Ordering::Relaxed);
                        return;
                    }
                }
            }
        }
    }

    /// Waits for spans to be sent together. Gives whether the host ends.
    fn gather(&mut self) -> bool {
        let began = Instant::now();
        while self.batch.len() < MOST_TOGETHER {
            let patience = GATHER_INTERVAL.saturating_sub(began.elapsed());
            select! {
                recv(self.spans) -> span => match span {
                    Ok(span) => self.batch.push(span),
                    // Nobody is left to tell of anything.
                    Err(_) => return true,
                },
                recv(self.end) -> _ => {
                    let room = MOST_TOGETHER - self.batch.len();
                    self.batch.extend(self.spans.try_iter().take(room));
                    return true;
                }
                default(patience) => return false,
            }
        }
        false
    }

    /// Leaves the collector alone for a while, which the queue fills meanwhile. Gives whether the host ends.
    fn wait(&mut self) -> bool {
        let pause = self.pause;
        self.pause = (pause * 2).min(MOST_PAUSE);
        self.end.recv_timeout(pause) != Err(RecvTimeoutError::Timeout)
    }

    /// Tells of a failure, once for each outage.
    fn tell(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.told, true) {
            tracing::warn!(collector = %self.origin, reason, "traces cannot be told; spans that find the queue full are dropped and counted");
        }
    }
}

#[cfg(test)]
mod tests {
    use purefold_effects::TraceParent;

    use super::*;
    use crate::time::SystemClock;
    use crate::trace::{Subject, What};

    fn span(number: u64) -> Span {
        let subject = Subject { workflow: "w".into(), entity: "e".into(), sequence: number, correlation_id: "c".into() };
        let place = TraceParent { trace: 1, span: number, sampled: true };
        Span { place, parent: None, began: 0, ended: 1, subject, what: What::Committed { entries: 1 } }
    }

    /// Sends `count` spans to a collector that answers so, one answer after the other and the last one from then on, until
    /// the host ends. Gives what was sent each time.
    fn sent(count: u64, most: usize, answers: &[Sent]) -> (Vec<Vec<u64>>, [u64; 3]) {
        let (traces, spans) = Traces::new(1.0, most, 1, Arc::new(SystemClock::new()));
        (1..=count).for_each(|number| traces.record(span(number)));
        let (ending, end) = bounded(0);
        let counts = traces.counts();
        let mut sending =
            Sending { spans, end, counts: counts.clone(), origin: String::new(), batch: Vec::new(), pause: Duration::ZERO, told: false };
        let mut ending = Some(ending);
        let mut times = Vec::new();
        sending.run(|spans| {
            times.push(spans.iter().map(|span| span.place.span).collect());
            if times.len() >= answers.len() {
                drop(ending.take());
            }
            answers.get(times.len() - 1).or(answers.last()).cloned().unwrap_or(Sent::Taken)
        });
        (times, counts.read())
    }

    #[test]
    fn everything_is_sent_in_order_and_at_most_so_many_together() {
        let (times, counts) = sent(1200, 2000, &[Sent::Taken]);
        assert_eq!(times.iter().map(Vec::len).collect::<Vec<_>>(), [512, 512, 176]);
        assert_eq!(times.concat(), (1..=1200).collect::<Vec<_>>());
        assert_eq!(counts, [1200, 0, 0]);
    }

    #[test]
    fn what_did_not_reach_the_collector_is_sent_again_and_what_it_refuses_is_not() {
        let away = || Sent::NotReached("away".into());
        let (times, counts) = sent(600, 2000, &[away(), away(), Sent::Refused("no".into()), Sent::Taken]);
        assert_eq!(times.iter().map(Vec::len).collect::<Vec<_>>(), [512, 512, 512, 88]);
        assert_eq!(counts, [88, 0, 512]);
    }

    #[test]
    fn a_collector_that_stays_away_holds_nothing_up() {
        let (times, counts) = sent(1000, 700, &[Sent::NotReached("away".into())]);
        assert_eq!((times.len(), counts), (1, [0, 1000, 0]), "300 found the queue full, 700 were left");
    }
}
