//! Intake: sorts what was read into fresh events, duplicates and dead letters, and knows from where a restart reads on.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashSet;

use super::input::{EntityName, EventInput, EventOrigin, Line, Spot};
use super::planted::{Mistake, planted};
use super::requests::{Requests, SentOn};
use super::share::Share;
use crate::journal::{EntryHash, letter_fingerprint};
use crate::source::{Taken, TakenLine, TakenRequest, Undecodable};
use crate::store::{AcceptedRow, Batch, DeadLetterRow, ForwardedRow, Reader, ShardSet, SourceRow, StoreError, shard_of};

/// Accepted rows that leave the window together.
const FORGET_TOGETHER: i64 = 4096;

/// Stands for the line of an event that was read in none.
const NO_LINE: Line = Line(0);

/// What one workflow takes of the source.
struct Track {
    workflow: i64,
    max_skew: u64,
    anew: bool,
    /// The source of the host's own events, where it takes any.
    own: Option<i64>,
    /// In the order of the engine's parts.
    parts: Vec<Part>,
}

/// How far a workflow has read one part of the source.
struct Part {
    row: SourceRow,
    /// Lines up to this one were sorted by an earlier run.
    sorted: u64,
    /// Of those, the ones that are done.
    done_before: HashSet<u64>,
    /// Lines read and not yet passed by the position, in order: number, end, hash, done.
    open: VecDeque<(u64, u64, EntryHash, bool)>,
    changed: bool,
    /// Whether an operator has set the position: what this engine knows of it says nothing any more.
    left: bool,
}

/// The intake of all workflows of the host.
pub(super) struct Intake {
    tracks: Vec<Track>,
    /// Fingerprints of the accepted events within the window, and in the order in which they were accepted.
    known: HashSet<u128>,
    order: VecDeque<u128>,
    window: usize,
    last_accepted: i64,
    forgotten: i64,
    /// The greatest event time accepted, on the event clock.
    clock: u64,
    clock_changed: bool,
    /// What is taken now is taken at this time, on the arrival clock.
    now: u64,
    event_clock: bool,
    /// The shards whose events are decided here; the others are forwarded.
    shards: ShardSet,
    shared: bool,
    last_forwarded: i64,
    /// Events of requests that the draft forwards.
    pub(super) sent_on: Vec<SentOn>,
    /// What the parts of the source are parts of.
    log: Arc<str>,
    pub(super) requests: Requests,
    pub(super) dead_letters: u64,
    pub(super) duplicates: u64,
}

/// What a workflow brings to the intake.
pub(super) struct Taker {
    pub(super) workflow: i64,
    /// One for each part of the source.
    pub(super) rows: Vec<SourceRow>,
    pub(super) max_skew: u64,
    /// Whether lines are numbered anew: what an earlier run read of this source says nothing about them.
    pub(super) anew: bool,
    /// The source of the host's own events, where it takes any.
    pub(super) own: Option<i64>,
}

impl Intake {
    pub(super) fn new(
        takers: Vec<Taker>,
        reader: &Reader,
        window: u64,
        event_clock: bool,
        clock: u64,
        share: &Share,
    ) -> Result<Self, StoreError> {
        let accepted = if planted(Mistake::DuplicatesForgotten) { Vec::new() } else { reader.accepted(window)? };
        let last_accepted = reader.numbered_to("accepted", "row")?;
        let last_forwarded = reader.numbered_to("forwarded", "id")?;
        let mut tracks = Vec::with_capacity(takers.len());
        for Taker { workflow, rows, max_skew, anew, own } in takers {
            let mut parts = Vec::with_capacity(rows.len());
            for mut row in rows {
                let mut done_before = HashSet::new();
                if anew {
                    (row.next_offset, row.next_line, row.read_line) = (0, 0, 0);
                } else {
                    done_before.extend(reader.dead_lines(row.id, row.next_line)?);
                    // A line after the position is done for good, even where its event has left the window.
                    done_before.extend(reader.lines_accepted_before(window, row.id, row.next_line)?);
                    // What another host is to decide is done here.
                    done_before.extend(reader.forwarded_lines(row.id, row.next_line)?);
                    let accepted = accepted.iter().filter(|(_, source, line, _)| *source == row.id && *line > row.next_line);
                    done_before.extend(accepted.map(|(_, _, line, _)| *line));
                }
                parts.push(Part { sorted: row.read_line, row, done_before, open: VecDeque::new(), changed: false, left: false });
            }
            tracks.push(Track { workflow, max_skew, anew, own, parts });
        }
        let order: VecDeque<u128> = accepted.iter().map(|(.., fingerprint)| *fingerprint).collect();
        Ok(Intake {
            tracks,
            known: order.iter().copied().collect(),
            order,
            window: usize::try_from(window).unwrap_or(usize::MAX),
            last_accepted,
            // Of several hosts, what earlier epochs accepted goes when this one has filled the window by itself.
            forgotten: if share.is_shared() { last_accepted } else { accepted.first().map_or(0, |(row, ..)| *row - 1) },
            clock,
            clock_changed: false,
            now: clock,
            event_clock,
            shards: share.shards.clone(),
            shared: share.is_shared(),
            last_forwarded,
            sent_on: Vec::new(),
            log: "".into(),
            requests: Requests::default(),
            dead_letters: 0,
            duplicates: 0,
        })
    }

    /// From now on things happen at `now`, on the arrival clock.
    pub(super) fn at(&mut self, now: u64) {
        self.now = now;
    }

    /// The greatest event time accepted.
    pub(super) fn clock(&self) -> u64 {
        self.clock
    }

    /// Lines that were read, and requests that were taken, and are not done.
    pub(super) fn open(&self) -> usize {
        let open = |track: &Track| track.parts.iter().map(|part| part.open.len()).sum();
        self.tracks.iter().map(open).max().unwrap_or(0) + self.requests.len()
    }

    /// Whether something is to be committed about how far was read.
    pub(super) fn is_changed(&self) -> bool {
        self.clock_changed || self.parts().any(|part| part.changed)
    }

    /// Sorts what was taken. Fresh events come back; what else it holds goes into `batch`.
    pub(super) fn sort(&mut self, taken: Taken, batch: &mut Batch) -> Vec<(EntityName, EventInput)> {
        match taken {
            Taken::Line(line) => self.sort_line(line, batch),
            Taken::Request(request) => self.sort_request(request, batch),
            Taken::Passed { part, line } => {
                self.pass(part, line);
                Vec::new()
            }
            Taken::Looked(_) => Vec::new(),
        }
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.tracks.iter().flat_map(|track| &track.parts)
    }

    /// Up to where each part of the source was read by every workflow.
    pub(super) fn positions(&self) -> Vec<u64> {
        let count = self.tracks.first().map_or(0, |track| track.parts.len());
        (0..count).map(|part| self.tracks.iter().map(|track| track.parts[part].row.next_line).min().unwrap_or(0)).collect()
    }

    /// Says what is read: it is noted when a part is found to be of it.
    pub(super) fn reads(&mut self, log: &Arc<str>) {
        self.log = log.clone();
    }

    /// What lies before that line holds no events.
    fn pass(&mut self, part: usize, Line(number): Line) {
        for part in self.tracks.iter_mut().filter_map(|track| track.parts.get_mut(part)) {
            if part.row.log.is_empty() && !self.log.is_empty() && !part.left {
                part.row.log = self.log.clone();
                part.changed = true;
            }
            let last = part.open.back().map_or((part.row.next_line, part.row.next_offset, part.row.tail), |open| (open.0, open.1, open.2));
            if number > last.0 && !part.left {
                part.open.push_back((number, last.1, last.2, true));
                part.row.read_line = part.row.read_line.max(number);
                part.changed = true;
            }
        }
    }

    /// Has nothing more to do with a source whose position is set. Gives whether it had.
    pub(super) fn leave(&mut self, source: i64) -> bool {
        let part = self.tracks.iter_mut().flat_map(|track| &mut track.parts).find(|part| part.row.id == source);
        let Some(part) = part else { return false };
        (part.left, part.changed) = (true, false);
        part.open.clear();
        true
    }

    fn sort_line(&mut self, line: TakenLine, batch: &mut Batch) -> Vec<(EntityName, EventInput)> {
        let TakenLine { spot, end, hash, bytes, taken } = line;
        let Spot { part, line: Line(number) } = spot;
        let mut waits = vec![false; self.tracks.len()];
        let mut fresh = Vec::with_capacity(taken.len());
        for (workflow, decoded) in taken {
            let Some(known) = self.tracks[workflow].parts.get(part) else { continue };
            if number <= known.row.next_line || known.left || known.done_before.contains(&number) {
                continue;
            }
            let first_time = number > known.sorted;
            if let Ok((key, event)) = &decoded
                && !self.shards.has_key(key)
            {
                let (source, key, bytes) = (known.row.id, key.clone(), event.bytes.clone());
                self.forward(workflow, (source, Line(number)), key, bytes, batch);
                continue;
            }
            match decoded.and_then(|(key, event)| self.admit(workflow, event).map(|event| (key, event))) {
                Ok((key, Some(event))) => {
                    waits[workflow] = true;
                    fresh.push((EntityName { workflow, key }, event));
                }
                Ok((_, None)) => {
                    if first_time {
                        self.count_duplicate(workflow, part);
                    }
                }
                Err(undecodable) => self.bury(workflow, spot, undecodable, bytes.clone(), None, batch),
            }
        }
        for (track, waits) in self.tracks.iter_mut().zip(waits) {
            let Some(part) = track.parts.get_mut(part).filter(|part| number > part.row.next_line && !part.left) else { continue };
            part.open.push_back((number, end, hash, !waits));
            part.row.read_line = part.row.read_line.max(number);
            part.changed = true;
        }
        fresh
    }

    /// Written with the next commit: a duplicate alone is worth none.
    fn count_duplicate(&mut self, workflow: usize, part: usize) {
        self.duplicates += 1;
        if let Some(part) = self.tracks[workflow].parts.get_mut(part) {
            part.row.duplicates += 1;
        }
    }

    /// Whether an event of the host's own was not taken before.
    pub(super) fn admit_own(&mut self, workflow: usize, fingerprint: u128) -> bool {
        let fresh = !self.known.contains(&fingerprint);
        if fresh {
            self.remember(fingerprint);
        } else {
            self.count_duplicate(workflow, 0);
        }
        fresh
    }

    /// Sorts an event that was sent. All workflows that take it do so or none does, so that its sender has one thing to mend.
    fn sort_request(&mut self, request: TakenRequest, batch: &mut Batch) -> Vec<(EntityName, EventInput)> {
        let TakenRequest { taken, ticket } = request;
        let number = self.requests.next();
        let ahead =
            taken.iter().find_map(|(workflow, (_, event))| self.too_far_ahead(*workflow, event).map(|why| (event.fingerprint, why)));
        if let Some((fingerprint, why)) = ahead {
            self.requests.wait(number, ticket, 1, false);
            self.requests.refuse(number, fingerprint, &why);
            return Vec::new();
        }
        let (mut open, mut fresh, mut sent_on) = (0, Vec::with_capacity(taken.len()), false);
        for (workflow, (key, mut event)) in taken {
            if !self.shards.has_key(&key) {
                // Whether it is a duplicate is known where it is decided.
                let Some(source) = self.tracks[workflow].parts.first().map(|part| part.row.id) else { continue };
                self.forward(workflow, (source, NO_LINE), key.clone(), event.bytes, batch);
                let name = EntityName { workflow, key };
                self.sent_on.push(SentOn { request: number, fingerprint: event.fingerprint, name, hash: event.hash });
                (open, sent_on) = (open + 1, true);
                continue;
            }
            let joins = self.requests.joins(number, event.fingerprint);
            open += usize::from(joins);
            if joins || self.known.contains(&event.fingerprint) {
                self.count_duplicate(workflow, 0);
                continue;
            }
            open += 1;
            self.note_accepted(&event);
            self.requests.begin(event.fingerprint);
            event.origin = EventOrigin::Request(number);
            fresh.push((EntityName { workflow, key }, event));
        }
        self.requests.wait(number, ticket, open, sent_on || !fresh.is_empty());
        fresh
    }

    /// Leaves an event to the owner of its entity: that is durable together with the position that passes it.
    pub(super) fn forward(
        &mut self,
        workflow: usize,
        (source, Line(line)): (i64, Line),
        key: Arc<str>,
        bytes: Arc<[u8]>,
        batch: &mut Batch,
    ) {
        if planted(Mistake::ForwardedForgotten) {
            return;
        }
        self.last_forwarded += 1;
        let row = ForwardedRow {
            id: self.last_forwarded,
            workflow: self.tracks[workflow].workflow,
            key,
            source,
            line,
            bytes,
            now: self.moment(),
        };
        batch.forwarded_added.push(row);
    }

    /// The same for an event of the host's own.
    pub(super) fn forward_own(&mut self, workflow: usize, key: Arc<str>, bytes: Arc<[u8]>, batch: &mut Batch) {
        if let Some(source) = self.tracks[workflow].own {
            self.forward(workflow, (source, NO_LINE), key, bytes, batch);
        }
    }

    /// When things happen: on the virtual clock, or on the wall's.
    fn moment(&self) -> u64 {
        if self.event_clock { self.clock } else { self.now }
    }

    /// A fresh event, or none where it is a duplicate.
    fn admit(&mut self, workflow: usize, event: EventInput) -> Result<Option<EventInput>, Undecodable> {
        if self.known.contains(&event.fingerprint) {
            return Ok(None);
        }
        if let Some(undecodable) = self.too_far_ahead(workflow, &event) {
            return Err(undecodable);
        }
        self.note_accepted(&event);
        Ok(Some(event))
    }

    fn too_far_ahead(&self, workflow: usize, event: &EventInput) -> Option<Undecodable> {
        let latest = self.clock.saturating_add(self.tracks[workflow].max_skew);
        if !self.event_clock || self.clock == 0 || event.time <= latest {
            return None;
        }
        let at = |time| purefold_wit::instant::format(time).unwrap_or_default();
        let reason = format!("{} is further ahead of the clock ({}) than source.max-skew allows", at(event.time), at(self.clock));
        Some(Undecodable { event_id: Some(event.id.to_string()), code: "time-ahead", path: "time".into(), reason })
    }

    fn note_accepted(&mut self, event: &EventInput) {
        if self.event_clock && event.time > self.clock {
            self.clock = event.time;
            self.clock_changed = true;
        }
        self.remember(event.fingerprint);
    }

    /// Whether an event of that fingerprint was accepted within the window.
    pub(super) fn knows(&self, fingerprint: u128) -> bool {
        self.known.contains(&fingerprint)
    }

    /// Notes an event as accepted.
    pub(super) fn remember(&mut self, fingerprint: u128) {
        if !self.known.insert(fingerprint) {
            return;
        }
        self.order.push_back(fingerprint);
        if self.order.len() > self.window
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Notes that an event was not accepted after all, so that it can be taken later.
    pub(super) fn forget(&mut self, fingerprint: u128) {
        if !self.known.remove(&fingerprint) {
            return;
        }
        // It takes no place of the window: what is refused again and again would drive out what was accepted. It came lately.
        if let Some(place) = self.order.iter().rposition(|known| *known == fingerprint) {
            self.order.remove(place);
        }
    }

    /// A dead letter; of that entity, where it is known. Lines that are numbered anew are known by their bytes: the same
    /// stream read twice buries them once.
    pub(super) fn bury(
        &mut self,
        workflow: usize,
        Spot { part, line: Line(line) }: Spot,
        undecodable: Undecodable,
        bytes: Arc<[u8]>,
        key: Option<Arc<str>>,
        batch: &mut Batch,
    ) {
        let Some(source) = self.tracks[workflow].parts.get(part).map(|part| part.row.id) else { return };
        if self.tracks[workflow].anew {
            let fingerprint = letter_fingerprint(self.tracks[workflow].workflow, &bytes);
            if self.known.contains(&fingerprint) {
                self.count_duplicate(workflow, part);
                return;
            }
            self.remember(fingerprint);
            self.accepted(source, Line(line), fingerprint, None, batch);
        }
        self.letter(workflow, (source, Line(line)), undecodable, bytes, key, batch);
    }

    /// A dead letter that was an event of the host's own.
    pub(super) fn bury_own(
        &mut self,
        workflow: usize,
        undecodable: Undecodable,
        bytes: Arc<[u8]>,
        key: Option<Arc<str>>,
        batch: &mut Batch,
    ) {
        if let Some(source) = self.tracks[workflow].own {
            self.letter(workflow, (source, NO_LINE), undecodable, bytes, key, batch);
        }
    }

    /// A dead letter of whatever source: another host may have read it.
    pub(super) fn letter(
        &mut self,
        workflow: usize,
        (source, Line(line)): (i64, Line),
        undecodable: Undecodable,
        bytes: Arc<[u8]>,
        key: Option<Arc<str>>,
        batch: &mut Batch,
    ) {
        self.dead_letters += 1;
        let Undecodable { event_id, code, path, reason } = undecodable;
        let (workflow, now) = (self.tracks[workflow].workflow, self.moment());
        batch.dead_letters.push(DeadLetterRow { workflow, source, line, event_id, code, path, reason, bytes, key, now });
    }

    /// The event of a line is decided, waits in an inbox or is a dead letter. With a fingerprint it counts as accepted.
    pub(super) fn done(&mut self, workflow: usize, spot: Spot, accepted: Option<(u128, &str)>, batch: &mut Batch) {
        let Spot { part, line: Line(number) } = spot;
        let Some(part) = self.tracks[workflow].parts.get_mut(part) else { return };
        if let Ok(index) = part.open.binary_search_by_key(&number, |(number, ..)| *number) {
            part.open[index].3 = true;
            part.changed = true;
        }
        let source = part.row.id;
        if let Some((fingerprint, key)) = accepted {
            self.accepted(source, Line(number), fingerprint, Some(key), batch);
        }
    }

    /// An operator drops a dead letter. Where the position has not passed its line, the line is noted as done: after a crash
    /// it is read again, and nothing else would tell that it was dealt with.
    pub(super) fn dropped(&mut self, workflow: usize, source: i64, Line(line): Line, bytes: &[u8], batch: &mut Batch) {
        let track = &self.tracks[workflow];
        let passed = |part: &Part| part.row.id == source && (track.anew || line <= part.row.next_line);
        if track.parts.iter().any(passed) {
            return;
        }
        let fingerprint = letter_fingerprint(track.workflow, bytes);
        self.remember(fingerprint);
        self.accepted(source, Line(line), fingerprint, None, batch);
    }

    /// The event of a request is decided or waits in an inbox.
    pub(super) fn request_done(&mut self, workflow: usize, (fingerprint, key): (u128, &str), batch: &mut Batch) {
        let Some(part) = self.tracks[workflow].parts.first_mut() else { return };
        // Several hosts would write the same row, and have nothing to say in it but their count of duplicates.
        part.changed |= !self.shared;
        let source = part.row.id;
        if planted(Mistake::SentForgotten) {
            return;
        }
        self.accepted(source, NO_LINE, fingerprint, Some(key), batch);
    }

    /// An event of the host's own is decided or waits in an inbox.
    pub(super) fn own_done(&mut self, workflow: usize, (fingerprint, key): (u128, &str), batch: &mut Batch) {
        if let Some(source) = self.tracks[workflow].own {
            self.accepted(source, NO_LINE, fingerprint, Some(key), batch);
        }
    }

    /// Writes an event down as accepted; of the entity of that key, where it is about one.
    pub(super) fn accepted(&mut self, source: i64, Line(line): Line, fingerprint: u128, key: Option<&str>, batch: &mut Batch) {
        self.last_accepted += 1;
        let shard = key.filter(|_| self.shared).map(shard_of);
        batch.accepted.push(AcceptedRow { row: self.last_accepted, source, line, fingerprint, shard, now: self.moment() });
    }

    /// Adds to `batch` how far everything has been read.
    pub(super) fn finish(&mut self, batch: &mut Batch) {
        for track in &mut self.tracks {
            for part in &mut track.parts {
                while let Some((number, end, hash, done)) = part.open.front().copied() {
                    if !done && !planted(Mistake::PositionFirst) {
                        break;
                    }
                    part.open.pop_front();
                    part.row.next_line = number;
                    part.row.next_offset = end;
                    part.row.tail = hash;
                    part.done_before.remove(&number);
                }
                if std::mem::take(&mut part.changed) {
                    batch.sources.push(part.row.clone());
                    part.row.expected_line = part.row.next_line;
                }
            }
            if self.clock_changed {
                batch.clocks.push((track.workflow, self.clock));
            }
        }
        self.clock_changed = false;
        let window = i64::try_from(self.window).unwrap_or(i64::MAX);
        let leaves = self.last_accepted.saturating_sub(window);
        if leaves >= self.forgotten + FORGET_TOGETHER {
            self.forgotten = leaves;
            batch.forget_accepted = Some(leaves);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn what_is_refused_drives_nothing_out_of_the_window() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("test.db").into(), None, (1, 2)).unwrap();
        let mut intake = Intake::new(Vec::new(), &store.reader().unwrap(), 3, false, 0, &Share::default()).unwrap();
        for accepted in 1..=3 {
            intake.remember(accepted);
        }
        for _ in 0..10 {
            // The sender tries again and again.
            intake.remember(4);
            intake.forget(4);
        }
        // One was there for a moment while the window was full.
        assert!(!intake.knows(4) && intake.knows(2) && intake.knows(3));
        intake.remember(5);
        assert!(intake.knows(2) && intake.knows(3) && intake.knows(5), "as many as the window holds");
        intake.remember(5);
        intake.forget(5);
        assert!(!intake.knows(5), "once is enough");
    }
}
