//! Traces: what led to what, told to a collector by OTLP where a manifest asks for it.
//!
//! The engine makes spans as data and hands them to a bounded queue; a thread of its own sends them. What finds the queue full
//! is dropped and counted: nothing waits for a collector. Nothing of a trace reaches a decision or the journal.

mod export;
mod otlp;
mod settings;
mod span;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};
use purefold_effects::TraceParent;

pub use export::{Exporter, TraceError};
pub use settings::TraceSettings;
pub use span::{Answered, Incoming, ParentSpan, Span, Subject, What};

use crate::time::HostClock;

/// What became of spans, since the start.
#[derive(Debug, Default)]
pub struct SpanCounts {
    exported: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
}

impl SpanCounts {
    /// Spans that the collector took, that found the queue full or were left at the end, and that the collector refused.
    #[must_use]
    pub fn read(&self) -> [u64; 3] {
        [&self.exported, &self.dropped, &self.refused].map(|count| count.load(Ordering::Relaxed))
    }
}

/// Where spans are told. Cheap to call from anywhere: it never waits.
pub struct Traces {
    queue: Sender<Span>,
    counts: Arc<SpanCounts>,
    clock: Arc<dyn HostClock>,
    /// Of what has no parent, traces whose id is below this are recorded.
    recorded_below: u64,
    /// Spans of attempts are numbered from here on, so that those of two runs differ.
    seed: u64,
    attempts: AtomicU64,
}

impl Traces {
    /// A queue of `most` spans, and its other end. `sample` of the traces that begin here are recorded; `seed` is what the
    /// ids of attempts begin with.
    #[must_use]
    pub fn new(sample: f64, most: usize, seed: u64, clock: Arc<dyn HostClock>) -> (Self, Receiver<Span>) {
        let (queue, spans) = bounded(most);
        let traces = Traces { queue, counts: Arc::default(), clock, recorded_below: share(sample), seed, attempts: AtomicU64::new(0) };
        (traces, spans)
    }

    /// Tells of a span, unless the queue is full.
    pub fn record(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether a trace that begins here is recorded.
    #[must_use]
    pub fn samples(&self, trace: u128) -> bool {
        // The ids are hashes. The last bytes decide, as they do in every SDK.
        low(trace) >> 1 < self.recorded_below
    }

    /// The id of an attempt's span: another one at each call.
    #[must_use]
    pub fn attempt_span(&self) -> u64 {
        let number = self.attempts.fetch_add(1, Ordering::Relaxed);
        mixed(self.seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// The wall's time, in microseconds.
    #[must_use]
    pub fn wall(&self) -> u64 {
        self.clock.wall()
    }

    /// What became of spans.
    #[must_use]
    pub fn counts(&self) -> Arc<SpanCounts> {
        self.counts.clone()
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").field("counts", &self.counts).finish_non_exhaustive()
    }
}

/// The id of the span of that purpose that belongs to `span`.
#[must_use]
pub fn span_beside(span: u64, purpose: u64) -> u64 {
    mixed(span ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// The place of `span` in the trace of `of`.
#[must_use]
pub fn within(of: TraceParent, span: u64) -> TraceParent {
    TraceParent { span, ..of }
}

/// Spreads numbers over all of `u64`, each to another one (the finalizer of `SplitMix64`); never 0.
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (number ^ (number >> 31)).max(1)
}

#[allow(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
fn low(trace: u128) -> u64 {
    trace as u64
}

/// A share of the ids of 63 bits.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share between 0 and 1")]
fn share(sample: f64) -> u64 {
    (sample.clamp(0.0, 1.0) * (1_u64 << 63) as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SystemClock;

    fn traces(sample: f64, most: usize) -> (Traces, Receiver<Span>) {
        Traces::new(sample, most, 7, Arc::new(SystemClock::new()))
    }

    fn span() -> Span {
        let subject = Subject { workflow: "w".into(), entity: "e".into(), sequence: 1, correlation_id: "c".into() };
        let place = TraceParent { trace: 1, span: 2, sampled: true };
        Span { place, parent: None, began: 0, ended: 1, subject, what: What::Committed { entries: 1 } }
    }

    #[test]
    fn what_finds_the_queue_full_is_dropped_and_counted() {
        let (traces, spans) = traces(1.0, 3);
        (0..10).for_each(|_| traces.record(span()));
        assert_eq!((spans.len(), traces.counts().read()), (3, [0, 7, 0]));
        drop(spans);
        traces.record(span());
        assert_eq!(traces.counts().read(), [0, 8, 0], "nobody sends them any more");
    }

    #[test]
    fn as_many_traces_are_recorded_as_were_asked_for() {
        for (sample, expected) in [(0.0, 0..=0), (1.0, 10_000..=10_000), (0.25, 2_300..=2_700)] {
            let (traces, _spans) = traces(sample, 1);
            let ids = (0..10_000).map(|number: u64| u128::from(mixed(number)));
            let recorded = ids.filter(|id| traces.samples(*id)).count();
            assert!(expected.contains(&recorded), "{sample}: {recorded}");
        }
    }

    #[test]
    fn spans_of_attempts_differ_within_a_run_and_between_runs() {
        let (one, _spans) = traces(1.0, 1);
        let mut ids: Vec<u64> = (0..1000).map(|_| one.attempt_span()).collect();
        let (other, _spans) = Traces::new(1.0, 1, 8, Arc::new(SystemClock::new()));
        ids.extend((0..1000).map(|_| other.attempt_span()));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 2000);
    }
}
