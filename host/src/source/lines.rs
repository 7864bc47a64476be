//! A source of lines: a file from a position on, a file that is followed, or standard input.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_channel::Sender;

use super::decode::{Decoded, Decoder, Undecodable};
use super::follow::{Follower, Pause};
use super::lag::Lag;
use super::{Feed, SourceError, Taken, position};
use crate::engine::{EventOrigin, Line, Spot};
use crate::journal::{EntryHash, sha256};
use crate::store::SourceRow;
use crate::time::HostClock;

/// Lines that are handed on together.
const MOST_TOGETHER: usize = 256;

/// Bytes of lines that are handed on together.
const MOST_BYTES_TOGETHER: usize = 1 << 20;

/// How much of an oversized line a dead letter keeps.
const KEPT_BYTES: usize = 4096;

const BUFFER_BYTES: usize = 256 << 10;

/// A line, decoded for every workflow that takes it.
#[derive(Debug)]
pub struct TakenLine {
    /// Where it stands.
    pub spot: Spot,
    /// Byte offset after it.
    pub end: u64,
    /// SHA-256 of its bytes.
    pub hash: EntryHash,
    /// Its bytes (of an oversized line the beginning).
    pub bytes: Arc<[u8]>,
    /// What it means, by workflow.
    pub taken: Vec<(usize, Result<Decoded, Undecodable>)>,
}

/// A source, ready to be read by a thread of its own.
pub struct LineSource {
    input: BufReader<Input>,
    name: String,
    offset: u64,
    line: u64,
    most_bytes: usize,
    decoder: Decoder,
    clock: Arc<dyn HostClock>,
    waiting_since: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    /// Where a file is read.
    lag: Option<Arc<Lag>>,
}

/// What lines are read from.
enum Input {
    /// Read to its end.
    Once(Box<dyn Read + Send>),
    /// Read as it grows.
    Followed(Follower),
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Input::Once(input) => input.read(buffer),
            Input::Followed(follower) => follower.read(buffer),
        }
    }
}

/// A line without its end.
struct RawLine {
    bytes: Vec<u8>,
    /// Whether it was too long to be kept whole.
    oversized: bool,
    end: u64,
}

impl LineSource {
    /// Opens `feed` to be read on; `positions` tell how far each workflow has read it.
    ///
    /// # Errors
    /// Where the file cannot be read or is not the one that was read before.
    pub fn open(
        feed: &Feed,
        positions: &[SourceRow],
        most_bytes: usize,
        decoder: Decoder,
        clock: Arc<dyn HostClock>,
    ) -> Result<Self, SourceError> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut lag = None;
        let (input, offset, line) = match feed {
            Feed::File(path) => {
                let place = position::open(path, false, positions, most_bytes)?;
                lag = Some(Lag::new(path.clone(), place.file.try_clone().ok(), place.offset));
                (Input::Once(Box::new(place.file)), place.offset, place.line)
            }
            Feed::Followed(path) => {
                let place = position::open(path, true, positions, most_bytes)?;
                let (offset, line) = (place.offset, place.line);
                lag = Some(Lag::new(path.clone(), place.file.try_clone().ok(), offset));
                (Input::Followed(Follower::new(path, place, clock.clone(), stop.clone())), offset, line)
            }
            Feed::Stdin => (Input::Once(Box::new(io::stdin())), 0, 0),
            // It has a listener, or a client of a group, instead.
            Feed::Http(_) | Feed::Kafka(_) => (Input::Once(Box::new(io::empty())), 0, 0),
        };
        let input = BufReader::with_capacity(BUFFER_BYTES, input);
        let (name, waiting_since, lag) = (feed.name(), Arc::default(), lag.map(Arc::new));
        Ok(LineSource { input, name, offset, line, most_bytes, decoder, clock, waiting_since, stop, lag })
    }

    /// How far it is behind, where a file is read.
    #[must_use]
    pub fn lag(&self) -> Option<Arc<Lag>> {
        self.lag.clone()
    }

    /// Where the source is followed: when it last began to look and found nothing, in microseconds since the Unix epoch.
    #[must_use]
    pub fn looked(&self) -> Option<Arc<AtomicU64>> {
        match self.input.get_ref() {
            Input::Followed(follower) => Some(follower.looked()),
            Input::Once(_) => None,
        }
    }

    /// Since when the source has had nothing to read, in microseconds since the Unix epoch; 0 while it has.
    #[must_use]
    pub fn waiting_since(&self) -> Arc<AtomicU64> {
        self.waiting_since.clone()
    }

    /// Set to end the reading.
    #[must_use]
    pub fn stop(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// Reads to the end, handing lines on as the engine takes them.
    ///
    /// # Errors
    /// Where reading fails.
    pub fn read(mut self, lines: &Sender<Vec<Taken>>) -> Result<(), SourceError> {
        let result = self.read_lines(lines);
        self.waiting_since.store(self.clock.wall(), Ordering::Release);
        result
    }

    fn read_lines(&mut self, lines: &Sender<Vec<Taken>>) -> Result<(), SourceError> {
        let mut batch = Vec::new();
        let mut bytes_together = 0;
        while !self.stop.load(Ordering::Acquire) {
            let Some(line) = self.next_line()? else { break };
            if !line.bytes.iter().all(u8::is_ascii_whitespace) {
                bytes_together += line.bytes.len();
                batch.push(Taken::Line(self.take(line)));
            }
            let full = batch.len() >= MOST_TOGETHER || bytes_together >= MOST_BYTES_TOGETHER;
            if (full || !self.has_line_buffered()) && !batch.is_empty() {
                bytes_together = 0;
                if lines.send(std::mem::take(&mut batch)).is_err() {
                    return Ok(());
                }
            }
        }
        if !batch.is_empty() {
            // The engine has gone when it does not take them: they are read again.
            let _ = lines.send(batch);
        }
        Ok(())
    }

    /// Whether another line can be had without waiting.
    fn has_line_buffered(&self) -> bool {
        self.input.buffer().contains(&b'\n')
    }

    /// The next line. `None` at the end.
    fn next_line(&mut self) -> Result<Option<RawLine>, SourceError> {
        loop {
            self.waiting_since.store(self.clock.wall(), Ordering::Release);
            let mut bytes = Vec::new();
            let limit = self.most_bytes as u64 + 1;
            let mut read = (&mut self.input).take(limit).read_until(b'\n', &mut bytes).map_err(|error| self.failed(error))? as u64;
            let oversized = bytes.last() != Some(&b'\n') && bytes.len() > self.most_bytes;
            if oversized {
                read += skip_line(&mut self.input).map_err(|error| self.failed(error))?;
                bytes.truncate(KEPT_BYTES);
            }
            self.waiting_since.store(0, Ordering::Release);
            let end = self.offset + read;
            self.offset = match self.pause() {
                // A line that is still being written is left for the next run.
                Some(Pause::Stopped) => return Ok(None),
                Some(Pause::Failed(error)) => return Err(error),
                Some(Pause::NextFile) => {
                    self.begin_next_file();
                    0
                }
                None if read == 0 => return Ok(None),
                None => end,
            };
            if let Some(lag) = &self.lag {
                lag.read_to(self.offset);
            }
            if read == 0 {
                continue;
            }
            self.line += 1;
            if !oversized && bytes.last() == Some(&b'\n') {
                bytes.pop();
                if bytes.last() == Some(&b'\r') {
                    bytes.pop();
                }
            }
            return Ok(Some(RawLine { bytes, oversized, end }));
        }
    }

    fn begin_next_file(&self) {
        if let (Some(lag), Input::Followed(follower)) = (&self.lag, self.input.get_ref()) {
            lag.goes_on_with(follower.file().try_clone().ok());
        }
    }

    fn pause(&mut self) -> Option<Pause> {
        match self.input.get_mut() {
            Input::Followed(follower) => follower.pause(),
            Input::Once(_) => None,
        }
    }

    fn failed(&self, cause: io::Error) -> SourceError {
        SourceError::Read { name: self.name.clone(), cause }
    }

    fn take(&self, line: RawLine) -> TakenLine {
        let RawLine { bytes, oversized, end } = line;
        let bytes: Arc<[u8]> = bytes.into();
        let spot = Spot::of(Line(self.line));
        let taken = if oversized {
            let reason = format!("more than {} bytes; raise limits.event to take it", self.most_bytes);
            vec![(0, Err(Undecodable { event_id: None, code: "event-too-large", path: String::new(), reason }))]
        } else {
            self.decoder.decode(&bytes, EventOrigin::Line(spot), self.clock.wall())
        };
        TakenLine { spot, end, hash: sha256(&bytes), bytes, taken }
    }
}

fn skip_line(input: &mut dyn BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(skipped);
        }
        let (length, found) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (buffer.len(), false),
        };
        input.consume(length);
        skipped += length as u64;
        if found {
            return Ok(skipped);
        }
    }
}
