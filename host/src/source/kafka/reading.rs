//! What one engine reads: each partition from its position on, in batches, no faster than the engine takes them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{SendTimeoutError, TrySendError};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::check::{self, Extent, Start};
use super::context::Client;
use super::group::{Notice, Reading};
use super::record::{Converter, tail_of};
use super::status::KafkaStatus;
use super::watch::{Doubt, Look, Watch, offsets};
use super::{KafkaSettings, Partition};
use crate::engine::{EventOrigin, Line, Spot};
use crate::journal::EntryHash;
use crate::source::{SourceError, Taken, TakenLine};
use crate::time::HostClock;

/// Records that are handed on together.
const MOST_TOGETHER: usize = 256;

/// Bytes of records that are handed on together.
const MOST_BYTES_TOGETHER: usize = 1 << 20;

/// How often partitions are tried again that could not be looked at.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How long an engine may not take anything before nothing more is fetched for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a member without any partition may be about to be given some.
const EMPTY_TIME: Duration = Duration::from_secs(5);

/// How long it is waited for each time it takes nothing: the group wants to be heard meanwhile.
const SEND_WAIT: Duration = Duration::from_millis(50);

/// How a partition stands.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// Whether it is the one that was read before is not known yet.
    Unchecked,
    Read,
    Refused,
}

struct Part {
    standing: Standing,
    /// The next offset to be handed on.
    next: u64,
    /// Records that were read before, to be compared.
    expected: Vec<(u64, EntryHash)>,
    /// The last record that was handed on, for a later look.
    last: Option<(u64, EntryHash)>,
    /// What is compared after a doubt: the last record that was handed on while everything was surely as before.
    sound: Option<(u64, EntryHash)>,
    /// Whether the client's own position is of this reading.
    settled: bool,
    committed: u64,
}

/// A record that was handed on, of each partition.
type Records = Vec<Option<(u64, EntryHash)>>;

/// What had been handed on when a look had found everything as before: between that look and one that sees a sign, records of
/// another topic may have been read, which only a record from before tells.
#[derive(Default)]
struct Anchors {
    /// When the look of the latest one was asked for.
    sound: Option<Duration>,
    /// When they were noted, in order: one from before the latest sound look, and those since.
    noted: VecDeque<(Duration, Records)>,
}

impl Anchors {
    /// A look that was asked for at `sound` has found everything as before.
    fn note(&mut self, sound: Duration, now: Duration, records: impl FnOnce() -> Records) {
        if self.sound.replace(sound) == Some(sound) {
            return;
        }
        while self.noted.get(1).is_some_and(|(at, _)| *at <= sound) {
            self.noted.pop_front();
        }
        self.noted.push_back((now, records()));
    }

    /// The latest that were handed on before a time.
    fn before(&self, time: Duration) -> Option<&Records> {
        self.noted.iter().rev().find(|(at, _)| *at <= time).map(|(_, records)| records)
    }
}

/// What one engine reads.
pub(super) struct Active {
    reading: Reading,
    converter: Converter,
    client: Arc<Client>,
    watch: Arc<Watch>,
    status: Arc<KafkaStatus>,
    clock: Arc<dyn HostClock>,
    from_end: bool,
    parts: Vec<Part>,
    anchors: Anchors,
    /// Indices of parts, by topic and partition.
    index: HashMap<Arc<str>, HashMap<i32, usize>>,
    batch: Vec<Taken>,
    batch_bytes: usize,
    /// What the engine has no room for, since when.
    held: Option<(Vec<Taken>, Duration)>,
    paused: bool,
    checked: Option<Duration>,
    target: Option<Look>,
    began: Duration,
    /// Why the first partition that is not read is not.
    refused: Option<SourceError>,
    /// Whether it was told that a partition cannot be read.
    doubted: bool,
    ended: bool,
    /// Whether the engine was told to make room.
    pub(super) told: bool,
    gone: bool,
}

impl Active {
    pub(super) fn new(
        reading: Reading,
        settings: &KafkaSettings,
        client: Arc<Client>,
        watch: Arc<Watch>,
        status: Arc<KafkaStatus>,
        clock: Arc<dyn HostClock>,
    ) -> Self {
        let partitions: Vec<Partition> = reading.parts.iter().map(|from| from.partition.clone()).collect();
        status.reads(&partitions);
        watch.watch(&partitions);
        let mut index: HashMap<Arc<str>, HashMap<i32, usize>> = HashMap::new();
        for (part, partition) in partitions.iter().enumerate() {
            index.entry(partition.topic.clone()).or_default().insert(partition.number, part);
        }
        let unchecked = |_| Part {
            standing: Standing::Unchecked,
            next: 0,
            expected: Vec::new(),
            last: None,
            sound: None,
            settled: false,
            committed: 0,
        };
        Active {
            parts: reading.parts.iter().map(unchecked).collect(),
            anchors: Anchors::default(),
            converter: Converter::new(settings, &reading),
            reading,
            client,
            watch,
            status,
            from_end: settings.from_end,
            index,
            batch: Vec::new(),
            batch_bytes: 0,
            held: None,
            paused: false,
            checked: None,
            target: None,
            began: clock.elapsed(),
            refused: None,
            doubted: false,
            ended: false,
            told: false,
            gone: false,
            clock,
        }
    }

    /// Tells the engine that it is to make room, once.
    pub(super) fn make_room(&mut self) {
        if !std::mem::replace(&mut self.told, true) {
            (self.reading.tell)(Notice::Changes);
        }
    }

    /// Whether records can be handed on.
    pub(super) fn has_room(&self) -> bool {
        self.held.is_none() && !self.told && !self.gone
    }

    /// Whether the engine is still to be heard of: it has no room, and nothing is to be fetched for it.
    pub(super) fn is_blocked(&self) -> bool {
        self.held.is_some() && !self.paused && !self.told && !self.gone
    }

    /// Whether the engine has not taken everything yet.
    pub(super) fn is_held(&self) -> bool {
        self.held.is_some() && !self.told && !self.gone
    }

    /// Whether a batch is to go before more is read.
    pub(super) fn is_full(&self) -> bool {
        self.batch.len() >= MOST_TOGETHER || self.batch_bytes >= MOST_BYTES_TOGETHER
    }

    fn partition(&self, part: usize) -> &Partition {
        &self.reading.parts[part].partition
    }

    /// Looks at partitions that have not been looked at, and begins with those that are what they should be.
    pub(super) fn check(&mut self) {
        self.hear_watch();
        let now = self.clock.elapsed();
        let waiting = |part: &Part| part.standing == Standing::Unchecked;
        if self.told || !self.parts.iter().any(waiting) || self.checked.is_some_and(|last| now < last + CHECK_INTERVAL) {
            return;
        }
        self.checked = Some(now);
        let unchecked: Vec<usize> = (0..self.parts.len()).filter(|part| waiting(&self.parts[*part])).collect();
        let partitions: Vec<Partition> = unchecked.iter().map(|part| self.partition(*part).clone()).collect();
        let (begins, ends) = match offsets(&self.client, &partitions, Offset::Beginning)
            .and_then(|begins| Ok((begins, offsets(&self.client, &partitions, Offset::End)?)))
        {
            Ok((begins, ends)) => (begins.ends, ends.ends),
            Err(error) => return tracing::debug!(%error, "where the partitions begin and end is not known yet"),
        };
        let cluster = self.watch.cluster();
        let mut starts = Vec::new();
        for part in unchecked {
            let partition = self.partition(part);
            let (Some(begin), Some(end)) = (begins.get(partition).copied(), ends.get(partition).copied()) else { continue };
            match self.start(part, Extent { begin, end }, &cluster) {
                Ok(start) => starts.push((part, start)),
                Err(error) => self.refuse(part, error),
            }
        }
        self.begin(starts);
    }

    /// Where a partition is read on: after what was handed on already, or where the store says.
    fn start(&self, part: usize, extent: Extent, cluster: &str) -> Result<Start, SourceError> {
        let (known, from) = (&self.parts[part], &self.reading.parts[part]);
        let Some(last) = known.last else { return check::start(from, extent, cluster, self.from_end) };
        let mut from = from.clone();
        (from.positions, from.has_new) = (vec![known.next], false);
        match known.sound {
            Some(sound) => from.tails = vec![sound],
            None if from.tails.is_empty() => from.tails = vec![last],
            None => {}
        }
        check::start(&from, extent, cluster, self.from_end)
    }

    fn begin(&mut self, starts: Vec<(usize, Start)>) {
        if starts.is_empty() {
            return;
        }
        let mut assigned = TopicPartitionList::with_capacity(starts.len());
        for (part, start) in &starts {
            let partition = self.partition(*part);
            let offset = Offset::Offset(i64::try_from(start.fetch).unwrap_or(i64::MAX));
            if assigned.add_partition_offset(&partition.topic, partition.number, offset).is_err() {
                return;
            }
        }
        if let Err(error) = self.client.incremental_assign(&assigned) {
            return tracing::warn!(%error, "the partitions cannot be read yet");
        }
        for (part, Start { next, expected, .. }) in starts {
            tracing::info!(partition = %self.partition(part), offset = next, "reading");
            let known = &mut self.parts[part];
            (known.standing, known.next, known.expected, known.settled) = (Standing::Read, next, expected, false);
            // That it was looked at is noted with its beginning, even where that is 0.
            self.batch.push(Taken::Passed { part, line: Line(next) });
        }
        self.settle();
    }

    /// Ends the fetching, for another engine or for good.
    pub(super) fn end(&mut self) {
        self.commit_positions();
        // Otherwise they stay so, whoever reads them next.
        self.pause(false);
        let read: Vec<usize> = (0..self.parts.len()).filter(|part| self.parts[*part].standing == Standing::Read).collect();
        self.unassign(&read);
    }

    fn unassign(&mut self, parts: &[usize]) {
        if parts.is_empty() {
            return;
        }
        let list = self.list(parts);
        if let Err(error) = self.client.incremental_unassign(&list) {
            tracing::warn!(%error, "partitions could not be let go");
        }
        for part in parts {
            self.parts[*part].standing = Standing::Unchecked;
        }
    }

    fn list(&self, parts: &[usize]) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(parts.len());
        for part in parts {
            let partition = self.partition(*part);
            list.add_partition(&partition.topic, partition.number);
        }
        list
    }

    fn refuse(&mut self, part: usize, error: SourceError) {
        tracing::error!(code = error.code(), "{error}");
        if self.parts[part].standing == Standing::Read {
            self.unassign(&[part]);
        }
        self.parts[part].standing = Standing::Refused;
        let told = error.to_string();
        self.status.set(self.partition(part), |status| status.refused = Some(told));
        self.refused.get_or_insert(error);
    }

    /// Something is wrong with a partition, and nobody says which: all of them are looked at again.
    pub(super) fn doubt(&mut self, error: &KafkaError) {
        let sound = self.watch.sound();
        self.look_again(&error.to_string(), sound);
    }

    /// Lets go of all partitions, to compare what was read before `sound` with what is there now. Told once until something is
    /// read.
    fn look_again(&mut self, sign: &str, sound: Option<Duration>) {
        let read: Vec<usize> = (0..self.parts.len()).filter(|part| self.parts[*part].standing == Standing::Read).collect();
        if read.is_empty() {
            return;
        }
        if !std::mem::replace(&mut self.doubted, true) {
            tracing::warn!(sign, "a partition may be another one than was read; all are looked at again");
        }
        let records = sound.and_then(|sound| self.anchors.before(sound));
        for part in &read {
            self.parts[*part].sound = records.and_then(|records| records[*part]);
        }
        self.unassign(&read);
        // Soon, but not at once.
        self.checked = Some(self.clock.elapsed());
    }

    /// Takes notice of what the latest look says of the partitions as they were.
    fn hear_watch(&mut self) {
        if let Some(Doubt { sign, sound }) = self.watch.take_doubt() {
            self.look_again(&sign, sound);
        } else if let Some(sound) = self.watch.sound() {
            let now = self.clock.elapsed();
            self.anchors.note(sound, now, || self.parts.iter().map(|part| part.last).collect());
        }
    }

    /// Takes a record.
    pub(super) fn take(&mut self, message: &BorrowedMessage<'_>) {
        let Some(part) = self.index.get(message.topic()).and_then(|parts| parts.get(&message.partition())).copied() else { return };
        let Ok(offset) = u64::try_from(message.offset()) else { return };
        let known = &mut self.parts[part];
        // What was still under way when the partition was let go is read again.
        if known.standing != Standing::Read || self.told {
            return;
        }
        known.settled = true;
        self.doubted = false;
        if let Some(at) = known.expected.iter().position(|(expected, _)| *expected == offset) {
            let (_, tail) = known.expected.swap_remove(at);
            if tail != tail_of(message) {
                let error = check::another_record(self.partition(part), offset);
                return self.refuse(part, error);
            }
        }
        if offset < known.next {
            return;
        }
        let hash = tail_of(message);
        (known.next, known.last) = (offset + 1, Some((offset, hash)));
        let spot = Spot { part, line: Line(offset + 1) };
        let (bytes, refused) = self.converter.event(message, part);
        let taken = match refused {
            Some(undecodable) => vec![(0, Err(undecodable))],
            None => self.reading.decoder.decode_from(Some(message.topic()), &bytes, EventOrigin::Line(spot), self.clock.wall()),
        };
        self.batch_bytes += bytes.len();
        self.batch.push(Taken::Line(TakenLine { spot, end: offset + 1, hash, bytes, taken }));
    }

    /// Hands on what was read. Waits a little where the engine has no room.
    pub(super) fn hand_on(&mut self) {
        let batch = match self.held.take() {
            Some((held, since)) => {
                let sent = self.reading.lines.send_timeout(held, SEND_WAIT);
                return match sent {
                    Ok(()) => self.pause(false),
                    Err(SendTimeoutError::Disconnected(_)) => self.gone = true,
                    Err(SendTimeoutError::Timeout(held)) => {
                        let waits = self.clock.elapsed().saturating_sub(since);
                        self.held = Some((held, since));
                        if waits >= PATIENCE {
                            self.pause(true);
                        }
                    }
                };
            }
            None if self.batch.is_empty() => return,
            None => std::mem::take(&mut self.batch),
        };
        self.batch_bytes = 0;
        for (part, from) in self.parts.iter().zip(&self.reading.parts).filter(|(part, _)| part.standing == Standing::Read) {
            self.watch.has_read(&from.partition, part.next);
        }
        match self.reading.lines.try_send(batch) {
            Ok(()) => {}
            Err(TrySendError::Disconnected(_)) => self.gone = true,
            Err(TrySendError::Full(batch)) => self.held = Some((batch, self.clock.elapsed())),
        }
    }

    fn pause(&mut self, paused: bool) {
        if self.paused == paused {
            return;
        }
        self.paused = paused;
        self.status.pauses(paused);
        let read: Vec<usize> = (0..self.parts.len()).filter(|part| self.parts[*part].standing == Standing::Read).collect();
        let list = self.list(&read);
        let done = if paused { self.client.pause(&list) } else { self.client.resume(&list) };
        if let Err(error) = done {
            tracing::warn!(%error, paused, "the fetching could not be paused or resumed");
        }
    }

    /// Takes over the client's own position, where that has passed what is no record: marks of transactions and what they
    /// took back.
    fn settle(&mut self) {
        let Ok(positions) = self.client.position() else { return };
        for element in positions.elements() {
            let Some(part) = self.index.get(element.topic()).and_then(|parts| parts.get(&element.partition())).copied() else { continue };
            let position = match element.offset() {
                Offset::Offset(offset) => u64::try_from(offset).unwrap_or(0),
                _ => 0,
            };
            let known = &mut self.parts[part];
            if known.standing != Standing::Read {
                continue;
            }
            if known.settled && position > known.next {
                known.next = position;
                self.batch.push(Taken::Passed { part, line: Line(position) });
            }
            // It may be of a reading before this one until it has been seen not to be.
            known.settled |= position <= known.next;
        }
    }

    /// Tells up to when everything was handed on, where that is known.
    pub(super) fn look(&mut self) {
        if !self.has_room() || !self.batch.is_empty() {
            return;
        }
        if self.target.is_none() {
            self.target = self.watch.take();
        }
        if self.target.as_ref().is_some_and(|target| is_behind(&self.parts, &self.reading, target)) {
            self.settle();
        }
        let Some(target) = self.target.take_if(|target| !is_behind(&self.parts, &self.reading, target)) else { return };
        // Without a partition the group may be about to give some.
        let settled = !self.parts.is_empty() || self.clock.elapsed() >= self.began + EMPTY_TIME;
        if !self.status.has_joined() || !settled {
            return;
        }
        self.batch.push(Taken::Looked(target.began));
        self.hand_on();
        if self.reading.until_end && !std::mem::replace(&mut self.ended, true) {
            (self.reading.tell)(Notice::Ended(Ok(())));
        }
    }

    /// With what was asked to be read to its end: whether a partition will never be.
    pub(super) fn give_up(&mut self) {
        let open = |part: &Part| part.standing == Standing::Unchecked;
        if !self.reading.until_end || self.ended || self.parts.iter().any(open) {
            return;
        }
        if let Some(error) = self.refused.take() {
            self.fail(error);
        }
    }

    /// Tells the engine that nothing more can ever be read.
    pub(super) fn fail(&mut self, error: SourceError) {
        self.ended = true;
        (self.reading.tell)(Notice::Ended(Err(error)));
    }

    /// Tells the group how far everything is decided.
    pub(super) fn commit_positions(&mut self) {
        let mut list = TopicPartitionList::new();
        for part in 0..self.parts.len() {
            let position = self.reading.positions.get(part);
            let partition = self.partition(part).clone();
            self.status.set(&partition, |status| status.position = position);
            let known = &mut self.parts[part];
            if position > known.committed && known.standing == Standing::Read {
                known.committed = position;
                let offset = Offset::Offset(i64::try_from(position).unwrap_or(i64::MAX));
                // A name that was given can be given back.
                let _ = list.add_partition_offset(&partition.topic, partition.number, offset);
            }
        }
        if list.count() > 0
            && let Err(error) = self.client.commit(&list, rdkafka::consumer::CommitMode::Async)
        {
            tracing::debug!(%error, "the group was not told how far this host is");
        }
    }
}

/// Whether anything of what there was then has not been handed on.
fn is_behind(parts: &[Part], reading: &Reading, target: &Look) -> bool {
    parts.iter().zip(&reading.parts).any(|(part, from)| {
        let end = target.ends.get(&from.partition);
        part.standing != Standing::Read || end.is_none_or(|end| part.next < *end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    #[test]
    fn what_is_compared_after_a_doubt_was_read_before_the_last_sound_look() {
        let mut anchors = Anchors::default();
        assert!(anchors.before(at(9)).is_none());
        let records = |offset: u64| vec![Some((offset, [0; 32]))];
        // Each look is heard of two seconds after it was asked for.
        for look in 1..100 {
            anchors.note(at(look * 3), at(look * 3 + 2), || records(look));
            anchors.note(at(look * 3), at(look * 3 + 3), || records(1000));
            assert!(anchors.noted.len() <= 2, "they are bounded");
        }
        // The latest was noted after its own look was asked for: a topic made anew in between is not told by it.
        assert_eq!(anchors.before(at(99 * 3)), Some(&records(98)));
        assert_eq!(anchors.before(at(99 * 3 + 2)), Some(&records(99)));
        assert_eq!(anchors.before(at(98 * 3)), None, "nobody asks for what is before the latest sound look");
    }
}
