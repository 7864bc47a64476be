//! Where the partitions end, and whether the brokers answer: asked again and again on a thread of its own, so that
//! brokers that are away hold nobody up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
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

/// A sign that a topic is not the one that was read until now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    /// What speaks for it.
    pub(super) sign: String,
    /// When everything was as before last, since the host's start; `None` where that was never seen.
    pub(super) sound: Option<Duration>,
}

/// What the latest look saw.
#[derive(Default)]
struct Last {
    ends: HashMap<Partition, u64>,
    /// When the latest look without a sign was asked for.
    sound: Option<Duration>,
    doubt: Option<Doubt>,
}

impl Last {
    /// Compares with the look before. A topic that was made anew is away for a moment, and then shorter than it was: what it grows
    /// to between two looks, at most [`LOOK_INTERVAL`] apart, is not seen.
    ///
    /// `known` is where the partitions ended at least when it was asked.
    fn compare(&mut self, asked: Duration, known: &HashMap<Partition, u64>, answers: &Answers) {
        let shorter = |(partition, end): (&Partition, &u64)| {
            let before = *known.get(partition)?;
            (*end < before).then(|| format!("{partition} ends at {end}, and ended at {before} before"))
        };
        let missing = answers.missing.as_ref().map(|partition| format!("the brokers do not know {partition}"));
        let sign = missing.or_else(|| answers.ends.iter().find_map(shorter));
        self.ends.extend(answers.ends.iter().map(|(partition, end)| (partition.clone(), *end)));
        match sign {
            None => self.sound = Some(asked),
            Some(sign) => self.doubt = Some(Doubt { sign, sound: self.sound }),
        }
    }
}

/// Asks.
pub(super) struct Watch {
    client: Arc<Client>,
    status: Arc<KafkaStatus>,
    clock: Arc<dyn HostClock>,
    stop: Arc<AtomicBool>,
    partitions: Mutex<Vec<Partition>>,
    look: Mutex<Option<Look>>,
    last: Mutex<Last>,
    cluster: Mutex<Arc<str>>,
}

impl Watch {
    pub(super) fn new(client: Arc<Client>, status: Arc<KafkaStatus>, clock: Arc<dyn HostClock>, stop: Arc<AtomicBool>) -> Self {
        let cluster = Mutex::new("".into());
        Watch { client, status, clock, stop, partitions: Mutex::default(), look: Mutex::default(), last: Mutex::default(), cluster }
    }

    /// From now on these partitions are asked about.
    pub(super) fn watch(&self, partitions: &[Partition]) {
        *self.partitions.lock().unwrap_or_else(PoisonError::into_inner) = partitions.to_vec();
        *self.look.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.last() = Last::default();
    }

    /// Of a partition everything before this offset was read: in one and the same topic it never ends before.
    pub(super) fn has_read(&self, partition: &Partition, next: u64) {
        let mut last = self.last();
        match last.ends.get_mut(partition) {
            Some(end) => *end = next.max(*end),
            None => drop(last.ends.insert(partition.clone(), next)),
        }
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the latest look was asked for that found everything as before.
    pub(super) fn sound(&self) -> Option<Duration> {
        self.last().sound
    }

    /// The latest sign that a topic is another one, where it was not taken yet.
    pub(super) fn take_doubt(&self) -> Option<Doubt> {
        self.last().doubt.take()
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
        let (began, asked, known) = (self.clock.wall(), self.clock.elapsed(), self.last().ends.clone());
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
        let answers = if partitions.is_empty() { Ok(Answers::default()) } else { offsets(&self.client, &partitions, Offset::End) };
        let answers = answers.map_err(|error| error.to_string())?;
        let mut last = self.last();
        let still = *self.partitions.lock().unwrap_or_else(PoisonError::into_inner) == partitions;
        // What was not answered is no sign, and not that all is as it was.
        if still && (answers.missing.is_some() || partitions.iter().all(|partition| answers.ends.contains_key(partition))) {
            last.compare(asked, &known, &answers);
        }
        drop(last);
        let ends = answers.ends;
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

/// What the brokers say of partitions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answers {
    /// Where they begin or end, of those whose brokers told.
    pub(super) ends: HashMap<Partition, u64>,
    /// One that the brokers say there is not.
    missing: Option<Partition>,
}

/// Where partitions begin or end.
pub(super) fn offsets(client: &Client, partitions: &[Partition], which: Offset) -> KafkaResult<Answers> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        asked.add_partition_offset(&partition.topic, partition.number, which)?;
    }
    let answered = client.offsets_for_times(asked, ANSWER_TIMEOUT)?;
    let mut answers = Answers::default();
    for element in answered.elements() {
        let partition = || Partition { topic: element.topic().into(), number: element.partition() };
        match (element.error(), element.offset()) {
            (Ok(()), Offset::Offset(offset)) => {
                if let Ok(offset) = u64::try_from(offset) {
                    answers.ends.insert(partition(), offset);
                }
            }
            (
                Err(KafkaError::OffsetFetch(
                    Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicId,
                )),
                _,
            ) => {
                answers.missing = Some(partition());
            }
            _ => {}
        }
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn partition(number: i32) -> Partition {
        Partition { topic: "t".into(), number }
    }

    fn answers(ends: &[u64], missing: Option<i32>) -> Answers {
        let ends = ends.iter().enumerate().map(|(number, end)| (partition(i32::try_from(number).unwrap()), *end)).collect();
        Answers { ends, missing: missing.map(partition) }
    }

    #[test]
    fn a_partition_that_is_shorter_or_gone_is_a_sign_and_one_that_grows_is_none() {
        let second = Duration::from_secs;
        let mut last = Last::default();
        let compare = |last: &mut Last, asked: u64, answers: &Answers| {
            let known = last.ends.clone();
            last.compare(second(asked), &known, answers);
        };
        for (asked, ends) in [(1, [4, 7]), (2, [4, 9])] {
            compare(&mut last, asked, &answers(&ends, None));
            assert_eq!((&last.doubt, last.sound), (&None, Some(second(asked))));
        }
        compare(&mut last, 3, &answers(&[4, 8], None));
        let doubt = last.doubt.take().unwrap();
        assert_eq!((doubt.sign.as_str(), doubt.sound), ("t/1 ends at 8, and ended at 9 before", Some(second(2))));
        compare(&mut last, 4, &answers(&[4, 8], None));
        assert_eq!(last.doubt, None, "it was told");
        compare(&mut last, 5, &answers(&[4], Some(1)));
        let doubt = last.doubt.take().unwrap();
        assert_eq!((doubt.sign.as_str(), doubt.sound), ("the brokers do not know t/1", Some(second(4))));
    }
}
