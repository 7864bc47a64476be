//! The thread that polls: it hears the group, reads for the engine that is there, and never lets the group wait.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::context::{Change, Client, answer};
use super::group::{Assignment, Reading, Request};
use super::reading::Active;
use super::status::KafkaStatus;
use super::watch::Watch;
use super::{KafkaSettings, Partition};
use crate::source::SourceError;
use crate::time::HostClock;

/// How long a poll waits for something to happen.
const POLL_WAIT: Duration = Duration::from_millis(50);

/// How long the group may take to give what it is about to, after it has taken something: one engine for both.
const SETTLE_TIME: Duration = Duration::from_millis(500);

/// How often the group is told how far this host is, and whether the client can go on is looked at.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// How long the brokers are waited for to tell how many partitions a topic has.
const COUNT_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) type Channels = (Receiver<Request>, Sender<Assignment>, Sender<SourceError>);

pub(super) struct Member {
    settings: KafkaSettings,
    client: Arc<Client>,
    watch: Arc<Watch>,
    status: Arc<KafkaStatus>,
    clock: Arc<dyn HostClock>,
    requests: Receiver<Request>,
    assignments: Sender<Assignment>,
    failed: Sender<SourceError>,
    /// What the group has given to this member.
    owned: BTreeSet<Partition>,
    /// What it wants and was not answered yet.
    changes: Vec<Change>,
    active: Option<Active>,
    /// When the assignment is to be told to whoever starts engines.
    tell_at: Option<Duration>,
    committed: Duration,
    /// How many partitions the first topic has, once it was told.
    count: Option<u32>,
    /// Whether what was told last was told without the brokers.
    told_alone: bool,
}

impl Member {
    pub(super) fn new(
        settings: KafkaSettings,
        client: Arc<Client>,
        watch: Arc<Watch>,
        status: Arc<KafkaStatus>,
        clock: Arc<dyn HostClock>,
        (requests, assignments, failed): Channels,
    ) -> Self {
        let (owned, changes) = (BTreeSet::new(), Vec::new());
        let committed = Duration::ZERO;
        Member {
            settings,
            client,
            watch,
            status,
            clock,
            requests,
            assignments,
            failed,
            owned,
            changes,
            active: None,
            tell_at: None,
            committed,
            count: None,
            told_alone: false,
        }
    }

    pub(super) fn run(mut self) {
        loop {
            while let Ok(request) = self.requests.try_recv() {
                match request {
                    Request::Begin(reading) => self.begin(reading),
                    Request::Halted => self.halted(),
                    Request::Close => return self.close(),
                }
            }
            self.hear_group();
            self.tell();
            if let Err(error) = self.read() {
                match &mut self.active {
                    Some(active) => active.fail(error),
                    // Nobody waits for it where the process ends.
                    None => drop(self.failed.try_send(error)),
                }
                return self.close();
            }
        }
    }

    /// An engine is there, for an assignment that was told. While it was made the group may have given or taken partitions: then
    /// it is to make room at once, and the next one has what is owned now.
    fn begin(&mut self, reading: Reading) {
        let is_current = reading.parts.iter().map(|from| &from.partition).eq(&self.owned);
        let (client, watch, status, clock) = (self.client.clone(), self.watch.clone(), self.status.clone(), self.clock.clone());
        let mut active = Active::new(reading, &self.settings, client, watch, status, clock);
        if !is_current {
            active.make_room();
        }
        self.active = Some(active);
    }

    /// The engine has ended: nothing is read, and the group can be answered.
    fn halted(&mut self) {
        if let Some(mut active) = self.active.take() {
            active.end();
        }
        self.tell_at = Some(self.tell_at.unwrap_or_else(|| self.clock.elapsed()));
    }

    fn hear_group(&mut self) {
        for change in self.client.context().take_changes() {
            match &change {
                // Nothing changes, and no engine has to end for that.
                Change::Given(partitions) | Change::Taken(partitions)
                    if partitions.is_empty() && self.changes.is_empty() && !self.told_alone =>
                {
                    answer(&self.client, &change);
                    if self.active.is_none() {
                        self.tell_at = Some(self.clock.elapsed());
                    }
                }
                _ => self.changes.push(change),
            }
        }
        if self.changes.is_empty() {
            return;
        }
        if let Some(active) = &mut self.active {
            return active.make_room();
        }
        for change in std::mem::take(&mut self.changes) {
            answer(&self.client, &change);
            let now = self.clock.elapsed();
            match change {
                Change::Given(partitions) => {
                    tracing::info!(partitions = %listed(&partitions), "the group gives partitions to this host");
                    self.owned.extend(partitions);
                    self.tell_at = Some(now);
                }
                Change::Taken(partitions) => {
                    tracing::info!(partitions = %listed(&partitions), "the group takes partitions from this host");
                    self.owned.retain(|partition| !partitions.contains(partition));
                    self.tell_at = Some(now + SETTLE_TIME);
                }
            }
        }
    }

    /// Tells what there is to read, once the group has settled and no engine reads.
    fn tell(&mut self) {
        if self.active.is_some() || self.tell_at.is_none_or(|at| self.clock.elapsed() < at) {
            return;
        }
        let cluster = self.watch.cluster();
        // What is read is known by the cluster too.
        if cluster.is_empty() && !self.owned.is_empty() {
            return;
        }
        let Some(count) = self.count() else { return };
        self.tell_at = None;
        self.told_alone = count == 0;
        let assignment = Assignment { partitions: self.owned.iter().cloned().collect(), cluster, count };
        // Nobody listens where the process ends.
        let _ = self.assignments.send(assignment);
    }

    /// How many partitions the first topic has, or had when the brokers last told it; none where they never did. 0 where the
    /// group's last word is older than their silence: what lost its partitions with them is no reason to do nothing at all.
    fn count(&mut self) -> Option<u32> {
        let topic = self.settings.topics.first().map(String::as_str);
        match self.client.fetch_metadata(topic, COUNT_TIMEOUT) {
            Ok(metadata) => {
                let count = metadata.topics().first().and_then(|topic| u32::try_from(topic.partitions().len()).ok());
                self.count = count.filter(|count| *count > 0).or(self.count);
            }
            Err(_) if self.owned.is_empty() && self.count.is_some() => return Some(0),
            Err(_) => {}
        }
        self.count
    }

    fn read(&mut self) -> Result<(), SourceError> {
        let now = self.clock.elapsed();
        let is_time = now >= self.committed + COMMIT_INTERVAL;
        if is_time {
            self.committed = now;
            self.check_alive()?;
        }
        let Some(active) = &mut self.active else { return self.poll(POLL_WAIT).map(|_| ()) };
        active.check();
        active.look();
        active.hand_on();
        active.give_up();
        if is_time {
            active.commit_positions();
        }
        if active.has_room() {
            // What is there at once goes together.
            let mut wait = POLL_WAIT;
            while self.poll(wait)? {
                wait = Duration::ZERO;
                if self.active.as_ref().is_none_or(Active::is_full) {
                    break;
                }
            }
            return Ok(());
        }
        if active.is_blocked() {
            return Ok(());
        }
        // Nothing is fetched for this engine: whatever comes is of the group.
        let wait = if active.is_held() { Duration::ZERO } else { POLL_WAIT };
        self.poll(wait).map(|_| ())
    }

    /// One step of the client. Gives whether there was a record.
    fn poll(&mut self, wait: Duration) -> Result<bool, SourceError> {
        match self.client.clone().poll(wait) {
            None => Ok(false),
            Some(Ok(message)) => {
                if let Some(active) = &mut self.active {
                    active.take(&message);
                }
                Ok(true)
            }
            Some(Err(error)) => self.hear_error(&error).map(|()| false),
        }
    }

    /// Whether the client can go on: one of another process with this member's name ends it for good.
    fn check_alive(&self) -> Result<(), SourceError> {
        match self.client.client().fatal_error() {
            None => Ok(()),
            Some((Code::FencedInstanceId, _)) => {
                let instance = self.settings.instance.clone().unwrap_or_default();
                Err(SourceError::KafkaFenced { instance, group: self.settings.group.clone() })
            }
            Some((_, reason)) => Err(SourceError::KafkaUnusable { reason }),
        }
    }

    fn hear_error(&mut self, error: &KafkaError) -> Result<(), SourceError> {
        tracing::debug!(%error, "Kafka client");
        self.check_alive()?;
        match error {
            KafkaError::MessageConsumption(
                Code::AutoOffsetReset
                | Code::OffsetOutOfRange
                | Code::UnknownTopic
                | Code::UnknownTopicOrPartition
                | Code::UnknownPartition
                | Code::UnknownTopicId
                | Code::FencedLeaderEpoch
                | Code::LogTruncation
                | Code::TopicAuthorizationFailed
                | Code::BadMessage
                | Code::InvalidMessage,
            ) => {
                if let Some(active) = &mut self.active {
                    active.doubt(error);
                }
                Ok(())
            }
            KafkaError::MessageConsumption(Code::GroupAuthorizationFailed) => {
                let reason = format!("the user may not read as the group {:?}; allow it to", self.settings.group);
                self.status.blames(reason, true);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn close(mut self) {
        self.client.context().close();
        if let Some(mut active) = self.active.take() {
            active.end();
        }
        for change in self.changes.drain(..).chain(self.client.context().take_changes()) {
            answer(&self.client, &change);
        }
        // The watch holds the client too: whoever lets go last says good-bye to the group.
    }
}

fn listed(partitions: &[Partition]) -> String {
    partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use crossbeam_channel::{bounded, unbounded};
    use purefold_effects::settings::Settings;

    use super::super::Positions;
    use super::super::context::Context;
    use super::super::group::{Notice, ReadFrom};
    use super::*;
    use crate::source::Decoder;
    use crate::time::SystemClock;

    /// A member of a group whose brokers nobody has, and which was given `owned`.
    fn member(owned: &[i32]) -> Member {
        let table = "brokers = '127.0.0.1:1'\ngroup = 'g'\ntopics = ['t']".parse().unwrap();
        let settings = KafkaSettings::read(Settings::new(&table, "source.kafka"), Path::new(".")).0.unwrap();
        let status = Arc::new(KafkaStatus::default());
        let client = Context::consumer(&settings, status.clone()).unwrap();
        let clock: Arc<dyn HostClock> = Arc::new(SystemClock::new());
        let watch = Arc::new(Watch::new(client.clone(), status.clone(), clock.clone(), Arc::default()));
        let channels = (unbounded().1, unbounded().0, bounded(1).0);
        let mut member = Member::new(settings, client, watch, status, clock, channels);
        member.owned = owned.iter().map(|number| partition(*number)).collect();
        member
    }

    fn partition(number: i32) -> Partition {
        Partition { topic: "t".into(), number }
    }

    #[test]
    fn a_member_that_loses_its_partitions_with_the_brokers_says_that_nobody_gives_any() {
        let mut member = member(&[]);
        let (send, told) = unbounded();
        member.assignments = send;
        (member.count, member.tell_at) = (Some(4), Some(Duration::ZERO));
        member.tell();
        let assignment = told.try_recv().unwrap();
        assert_eq!((assignment.partitions.len(), assignment.count), (0, 0));
        assert!(member.told_alone, "the group's next word is news, even where it gives nothing");
        // Where the brokers never told anything, the first assignment is still to come.
        (member.count, member.tell_at) = (None, Some(Duration::ZERO));
        member.tell();
        assert!(told.try_recv().is_err());
    }

    #[test]
    fn an_engine_that_was_made_for_other_partitions_makes_room_at_once() {
        for (owned, made_for, makes_room) in
            [(&[0, 2][..], &[0, 2][..], false), (&[], &[], false), (&[0, 2], &[0], true), (&[0], &[0, 2], true), (&[1], &[2], true)]
        {
            let mut member = member(owned);
            let (tell, told) = unbounded();
            member.begin(Reading {
                parts: made_for.iter().map(|number| ReadFrom::of(partition(*number), &[], false)).collect(),
                lines: bounded(1).0,
                decoder: Decoder::new(Vec::new(), false),
                positions: Arc::new(Positions::new(&vec![0; made_for.len()])),
                most_bytes: 0,
                until_end: false,
                tell: Box::new(move |notice| tell.send(matches!(notice, Notice::Changes)).unwrap()),
            });
            assert_eq!(told.try_iter().collect::<Vec<_>>(), if makes_room { vec![true] } else { vec![] }, "{owned:?} {made_for:?}");
        }
    }
}
