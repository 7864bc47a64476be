//! Where the partitions end, and whether the brokers answer: asked again and again on a thread of its own, so that
//! brokers that are away hold nobody up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::Partition;
use super::context::Client;
use super::status::KafkaStatus;
use crate::time::HostClock;

/// How often the ends are asked for: due timers wait at most so long for the answer.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// How long an answer is waited for.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the brokers may fail to answer before that is told.
const MOST_SILENCE: Duration = Duration::from_secs(3);

/// How long joining the group may take before that is told.
const JOIN_TIME: Duration = Duration::from_secs(15);

/// Where the partitions ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// When the question was asked, in microseconds since the Unix epoch.
    pub(super) began: u64,
    pub(super) ends: HashMap<Partition, u64>,
}

/// Asks.
pub(super) struct Watch {
    client: Arc<Client>,
    status: Arc<KafkaStatus>,
    clock: Arc<dyn HostClock>,
    stop: Arc<AtomicBool>,
    partitions: Mutex<Vec<Partition>>,
    look: Mutex<Option<Look>>,
    cluster: Mutex<Arc<str>>,
}

impl Watch {
    pub(super) fn new(client: Arc<Client>, status: Arc<KafkaStatus>, clock: Arc<dyn HostClock>, stop: Arc<AtomicBool>) -> Self {
        Watch { client, status, clock, stop, partitions: Mutex::default(), look: Mutex::default(), cluster: Mutex::new("".into()) }
    }

    /// From now on these partitions are asked about.
    pub(super) fn watch(&self, partitions: &[Partition]) {
        *self.partitions.lock().unwrap_or_else(PoisonError::into_inner) = partitions.to_vec();
        *self.look.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The latest answer, where there is one that was not taken yet.
    pub(super) fn take(&self) -> Option<Look> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The cluster's id; empty before it is known.
    pub(super) fn cluster(&self) -> Arc<str> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn run(&self) {
        let start = self.clock.elapsed();
        let mut silent_since: Option<Duration> = None;
        // Whether it was told that the brokers do not let this client in: that is not what brokers that are away are mended by.
        let mut told: Option<bool> = None;
        while !self.stop.load(Ordering::Acquire) {
            let began = self.clock.elapsed();
            let looked = self.look();
            let now = self.clock.elapsed();
            match looked {
                Ok(()) => {
                    silent_since = None;
                    self.status.away(None);
                }
                Err(reason) => {
                    let since = *silent_since.get_or_insert(began);
                    if now.saturating_sub(since) >= MOST_SILENCE {
                        self.status.away(Some(reason));
                    }
                }
            }
            match self.status.trouble() {
                None if told.take().is_some() => tracing::warn!("the Kafka source works again"),
                // A start takes its time.
                Some(trouble) if self.status.is_away() || now >= start + JOIN_TIME => {
                    let refused = self.status.is_refused();
                    if told.is_none_or(|told| !told && refused) {
                        told = Some(refused);
                        tracing::error!("{trouble}; events are taken again when that is over");
                    }
                }
                _ => {}
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    fn look(&self) -> Result<(), String> {
        let partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let began = self.clock.wall();
        if self.cluster().is_empty()
            && let Some(cluster) = self.client.client().fetch_cluster_id(ANSWER_TIMEOUT)
        {
            *self.cluster.lock().unwrap_or_else(PoisonError::into_inner) = cluster.into();
        }
        if partitions.is_empty() {
            // Nothing to ask about but whether there is anybody.
            let topics = self.client.subscription().map_err(|error| error.to_string())?;
            let topic = topics.elements().first().map(|topic| topic.topic().to_owned());
            self.client.fetch_metadata(topic.as_deref(), ANSWER_TIMEOUT).map_err(|error| error.to_string())?;
        }
        let ends = if partitions.is_empty() { Ok(HashMap::new()) } else { offsets(&self.client, &partitions, Offset::End) };
        let ends = ends.map_err(|error| error.to_string())?;
        for (partition, end) in &ends {
            self.status.set(partition, |status| status.end = Some(*end));
        }
        if let Some(unknown) = partitions.iter().find(|partition| !ends.contains_key(partition)) {
            return Err(format!("nobody tells where partition {unknown} ends"));
        }
        let mut look = self.look.lock().unwrap_or_else(PoisonError::into_inner);
        let still = *self.partitions.lock().unwrap_or_else(PoisonError::into_inner) == partitions;
        if still {
            *look = Some(Look { began, ends });
        }
        Ok(())
    }
}

/// Where partitions begin or end, of those whose brokers told.
pub(super) fn offsets(client: &Client, partitions: &[Partition], which: Offset) -> KafkaResult<HashMap<Partition, u64>> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        asked.add_partition_offset(&partition.topic, partition.number, which)?;
    }
    let answered = client.offsets_for_times(asked, ANSWER_TIMEOUT)?;
    let known = answered.elements().into_iter().filter_map(|element| match (element.error(), element.offset()) {
        (Ok(()), Offset::Offset(offset)) => {
            Some((Partition { topic: element.topic().into(), number: element.partition() }, u64::try_from(offset).ok()?))
        }
        _ => None,
    });
    Ok(known.collect())
}
