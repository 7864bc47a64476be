//! The figures, and their text for Prometheus.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::Observed;
use super::store::StoreFigures;
use crate::engine::EffectStatus;
use crate::sandbox::Spent;
use crate::source::{KafkaStatus, Partition, PartitionStatus};

/// Counts of one workflow's decisions.
#[derive(Debug)]
pub struct Decisions {
    workflow: Arc<str>,
    accepted: AtomicU64,
    rejected: AtomicU64,
    faulted: AtomicU64,
    concluded: AtomicU64,
    paused: AtomicBool,
    /// Kept by the sandbox itself.
    spent: Arc<Spent>,
}

impl Decisions {
    /// No decision yet; `spent` is what the workflow's reducer counts.
    #[must_use]
    pub fn new(workflow: Arc<str>, spent: Arc<Spent>) -> Self {
        let zero = || AtomicU64::new(0);
        Decisions {
            workflow,
            accepted: zero(),
            rejected: zero(),
            faulted: zero(),
            concluded: zero(),
            paused: AtomicBool::new(false),
            spent,
        }
    }

    /// The workflow's name.
    #[must_use]
    pub fn workflow(&self) -> &Arc<str> {
        &self.workflow
    }

    /// Whether an operator, or too many faults, paused the workflow.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Says whether the workflow is paused.
    pub fn paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    /// Adds decisions by verdict (accepted, rejected, faulted), and intents concluded.
    pub fn add(&self, [accepted, rejected, faulted]: [u64; 3], concluded: u64) {
        self.accepted.fetch_add(accepted, Ordering::Relaxed);
        self.rejected.fetch_add(rejected, Ordering::Relaxed);
        self.faulted.fetch_add(faulted, Ordering::Relaxed);
        self.concluded.fetch_add(concluded, Ordering::Relaxed);
    }
}

/// What commits take and hold.
#[derive(Debug)]
pub struct Commits {
    events: AtomicU64,
    duplicates: AtomicU64,
    dead_letters: AtomicU64,
    /// From handing a batch over to its being durable, in seconds.
    latency: Histogram,
    /// Journal entries of a commit.
    entries: Histogram,
}

impl Default for Commits {
    fn default() -> Self {
        Commits {
            events: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            latency: Histogram::new(exponential_buckets(0.000_25, 2.0, 16)),
            entries: Histogram::new(exponential_buckets(1.0, 2.0, 13)),
        }
    }
}

impl Commits {
    /// A batch of so many entries became durable so long after it was handed over.
    #[allow(clippy::cast_precision_loss, reason = "a batch is small")]
    pub fn durable(&self, entries: usize, latency: Duration) {
        self.latency.observe(latency.as_secs_f64());
        self.entries.observe(entries as f64);
    }

    /// How many events were taken, known already, and could not be taken, since the start.
    pub fn taken(&self, events: u64, duplicates: u64, dead_letters: u64) {
        self.events.store(events, Ordering::Relaxed);
        self.duplicates.store(duplicates, Ordering::Relaxed);
        self.dead_letters.store(dead_letters, Ordering::Relaxed);
    }
}

/// Everything as text, in the form that Prometheus and OpenMetrics share. `store` is none where the store cannot be read.
#[must_use]
pub(super) fn text(observed: &Arc<Observed>, store: Option<StoreFigures>) -> String {
    let mut registry = Registry::with_prefix("purefold");
    let commits = &observed.commits;
    registry.register_with_unit("commit_latency", "From handing a batch over to its being durable", Unit::Seconds, commits.latency.clone());
    registry.register("commit_entries", "Journal entries of a commit", commits.entries.clone());
    registry.register_collector(Box::new(Collected { observed: observed.clone(), store }));
    let mut text = String::new();
    // Writing into a string does not fail.
    let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
    text
}

/// What is read when somebody asks.
struct Collected {
    observed: Arc<Observed>,
    store: Option<StoreFigures>,
}

impl std::fmt::Debug for Collected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Collected")
    }
}

type Encoded = Result<(), std::fmt::Error>;

impl Collector for Collected {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Encoded {
        let Observed { commits, decisions, backlog, forwarded, lag, .. } = &*self.observed;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        counter(&mut encoder, "events", "Events taken from the source", [([("kind", "taken")], load(&commits.events))])?;
        counter(
            &mut encoder,
            "events_not_decided",
            "Events that led to no decision",
            [([("kind", "duplicate")], load(&commits.duplicates)), ([("kind", "dead-letter")], load(&commits.dead_letters))],
        )?;
        let by_verdict = decisions.iter().flat_map(|of| {
            [("accepted", &of.accepted), ("rejected", &of.rejected), ("faulted", &of.faulted)]
                .map(|(verdict, count)| ([("workflow", &*of.workflow), ("verdict", verdict)], load(count)))
        });
        counter(&mut encoder, "decisions", "Decisions by verdict", by_verdict)?;
        let each = |read: fn(&Decisions) -> u64| decisions.iter().map(move |of| ([("workflow", &*of.workflow)], read(of)));
        counter(&mut encoder, "intents_concluded", "Intents that came to their end", each(|of| of.concluded.load(Ordering::Relaxed)))?;
        counter(&mut encoder, "sandbox_fuel", "Units of fuel that decisions burnt", each(|of| of.spent.fuel()))?;
        let time = |of: &Decisions| ConstCounter::new(of.spent.time().as_secs_f64());
        family(
            &mut encoder,
            ("sandbox_time", "Time that decisions took in the sandbox", Some(&Unit::Seconds), MetricType::Counter),
            decisions.iter().map(|of| ([("workflow", &*of.workflow)], time(of))),
        )?;
        let paused = decisions.iter().map(|of| ([("workflow", &*of.workflow)], u64::from(of.is_paused())));
        gauge(&mut encoder, "workflow_paused", "1 while the workflow takes no events because it was paused", paused)?;
        self.encode_effects(&mut encoder, &self.observed.effects())?;
        if let Some(shards) = self.observed.owned_shards() {
            of_host(&mut encoder, "shards", "Shards that this host owns", shards)?;
        }
        let waiting = forwarded.load(Ordering::Relaxed);
        of_host(&mut encoder, "forwarded", "Events that wait for the host that owns their entity, up to a bound", waiting)?;
        of_host(&mut encoder, "backlog", "Lines or requests that were read and are not decided", backlog.load(Ordering::Relaxed))?;
        if let Some(bytes) = lag.get().and_then(|lag| lag.bytes()) {
            let help = "Bytes of the source's file that are written and not read";
            ConstGauge::new(bytes).encode(encoder.encode_descriptor("source_lag", help, Some(&Unit::Bytes), MetricType::Gauge)?)?;
        }
        if let Some(kafka) = self.observed.kafka.get() {
            encode_partitions(&mut encoder, kafka)?;
        }
        of_host(
            &mut encoder,
            "store_down",
            "1 while the store takes no commit, cannot be read or does not answer",
            u64::from(self.observed.store_trouble().is_some()),
        )?;
        if let Some(spans) = &self.observed.spans {
            let [exported, dropped, refused] = spans.read();
            let fates = [("exported", exported), ("dropped", dropped), ("refused", refused)];
            let help = "Spans that the collector took, that found no room or no collector, and that it refused";
            counter(&mut encoder, "trace_spans", help, fates.map(|(fate, count)| ([("fate", fate)], count)))?;
        }
        let Some(store) = &self.store else { return Ok(()) };
        let figures = store.workflows.iter();
        gauge(
            &mut encoder,
            "parked_entities",
            "Entities that wait for an operator",
            figures.clone().map(|of| ([("workflow", &*of.name)], of.parked)),
        )?;
        gauge(
            &mut encoder,
            "dead_letters",
            "Events that could not be taken and lie there",
            figures.map(|of| ([("workflow", &*of.name)], of.dead_letters)),
        )?;
        of_host(&mut encoder, "timers", "Timers that are set", store.timers)
    }
}

impl Collected {
    fn encode_effects(&self, encoder: &mut DescriptorEncoder<'_>, effects: &[Arc<EffectStatus>]) -> Encoded {
        let labels = |status: &'_ EffectStatus| [("workflow", status.workflow().to_string()), ("effect", status.effect().to_string())];
        let each = |read: fn(&EffectStatus) -> u64| effects.iter().map(move |status| (labels(status), read(status)));
        counter(encoder, "effect_attempts", "Attempts that began", each(EffectStatus::attempts))?;
        counter(encoder, "effect_retries", "Attempts that were not the first of their intent", each(EffectStatus::retries))?;
        gauge(encoder, "outbox_depth", "Intents without a conclusion", each(|status| status.waiting() as u64))?;
        gauge(encoder, "effect_attempts_under_way", "Attempts under way", each(|status| status.under_way() as u64))?;
        gauge(encoder, "effect_breaker", "0 closed, 1 open, 2 half open", each(|status| status.breaker() as u64))?;
        let help = "1 while attempts fail and none is answered";
        gauge(encoder, "effect_down", help, each(|status| u64::from(status.is_down())))?;
        gauge(encoder, "effect_paused", "1 while an operator has paused it", each(|status| u64::from(status.is_paused())))?;
        let now = self.observed.clock.wall();
        let age = |status: &Arc<EffectStatus>| Duration::from_micros(status.oldest().map_or(0, |oldest| now.saturating_sub(oldest)));
        let ages = effects.iter().map(|status| (labels(status), ConstGauge::new(age(status).as_secs_f64())));
        let help = "How long ago the intent that waits longest was asked for";
        family(encoder, ("outbox_age", help, Some(&Unit::Seconds), MetricType::Gauge), ages)
    }
}

/// Figures of the partitions that this host reads: their number is bounded by the topics that the manifest names.
fn encode_partitions(encoder: &mut DescriptorEncoder<'_>, kafka: &KafkaStatus) -> Encoded {
    let partitions = kafka.partitions();
    let labels = |partition: &Partition| [("topic", partition.topic.to_string()), ("partition", partition.number.to_string())];
    let each = |read: fn(&PartitionStatus) -> Option<u64>| {
        partitions.iter().filter_map(move |(partition, status)| Some((labels(partition), read(status)?)))
    };
    gauge(encoder, "source_records_behind", "Records of the partition that are there and not decided", each(PartitionStatus::lag))?;
    gauge(encoder, "source_position", "Offset up to which everything is decided and durable", each(|status| Some(status.position)))?;
    let refused = each(|status| Some(u64::from(status.refused.is_some())));
    gauge(encoder, "source_refused", "1 while the partition is not read because it is not what was read before", refused)?;
    let away = u64::from(kafka.trouble().is_some());
    of_host(encoder, "source_down", "1 while the brokers do not answer or the group is not joined", away)?;
    let paused = u64::from(kafka.is_paused());
    of_host(encoder, "source_paused", "1 while nothing is fetched because no more can be taken", paused)?;
    let help = "How often the group gave partitions to this host or took some";
    ConstCounter::new(kafka.rebalances()).encode(encoder.encode_descriptor("source_rebalances", help, None, MetricType::Counter)?)
}

fn counter<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (L, u64)>,
) -> Encoded {
    let values = values.into_iter().map(|(labels, value)| (labels, ConstCounter::new(value)));
    family(encoder, (name, help, None, MetricType::Counter), values)
}

fn gauge<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (L, u64)>,
) -> Encoded {
    let values = values.into_iter().map(|(labels, value)| (labels, ConstGauge::new(value)));
    family(encoder, (name, help, None, MetricType::Gauge), values)
}

/// One name, one sample for each set of labels. The head is name, help, unit and type.
fn family<L: EncodeLabelSet, M: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, unit, ty): (&str, &str, Option<&Unit>, MetricType),
    values: impl IntoIterator<Item = (L, M)>,
) -> Encoded {
    let mut family = encoder.encode_descriptor(name, help, unit, ty)?;
    for (labels, value) in values {
        value.encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// A gauge without labels.
fn of_host(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Encoded {
    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}
