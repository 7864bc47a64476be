//! A source of lines: a file from a position on, or standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_channel::Sender;

use super::decode::{Decoded, Decoder, Undecodable};
use crate::engine::{EventOrigin, Line};
use crate::journal::{EntryHash, sha256};
use crate::time::HostClock;

/// Lines that are handed on together.
const MOST_TOGETHER: usize = 256;

/// Bytes of lines that are handed on together.
const MOST_BYTES_TOGETHER: usize = 1 << 20;

/// How much of an oversized line a dead letter keeps.
const KEPT_BYTES: usize = 4096;

const BUFFER_BYTES: usize = 256 << 10;

/// Where lines come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    /// A file, read from where the last run got to.
    File(PathBuf),
    /// Standard input, read from its beginning.
    Stdin,
}

/// A line, decoded for every workflow that takes it.
#[derive(Debug)]
pub struct TakenLine {
    /// Its number.
    pub line: Line,
    /// Byte offset after it.
    pub end: u64,
    /// SHA-256 of its bytes.
    pub hash: EntryHash,
    /// Its bytes (of an oversized line the beginning).
    pub bytes: Arc<[u8]>,
    /// What it means, by workflow.
    pub taken: Vec<(usize, Result<Decoded, Undecodable>)>,
}

/// What keeps a source from being read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be read.
    #[error("cannot read the events of {name}: {source}")]
    Read {
        /// The source.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file is shorter than what was already read.
    #[error(
        "{name} has {length} bytes, but {position} were read before: it was cut or replaced; name it differently to read it as a new source, or restore it"
    )]
    BeyondEnd {
        /// The source.
        name: String,
        /// The file's length.
        length: u64,
        /// The committed position.
        position: u64,
    },
    /// The file differs before the position.
    #[error(
        "{name} is not the file that was read before: the line that ends at byte {position} differs; name it differently to read it as a new source, or restore it"
    )]
    Replaced {
        /// The source.
        name: String,
        /// The committed position.
        position: u64,
    },
}

/// A source, ready to be read by a thread of its own.
pub struct LineSource {
    input: BufReader<Box<dyn Read + Send>>,
    name: String,
    offset: u64,
    line: u64,
    most_bytes: usize,
    decoder: Decoder,
    clock: Arc<dyn HostClock>,
    waiting_since: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Feed {
    /// The source's name in the store.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Feed::File(path) => path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned()),
            Feed::Stdin => "stdin".into(),
        }
    }
}

impl LineSource {
    /// Opens `feed` to be read from `offset` and `line` on; `tail` is the hash of the line before, where there is one.
    ///
    /// # Errors
    /// Where the file cannot be read or is not the one that was read before.
    pub fn open(
        feed: &Feed,
        (offset, line): (u64, u64),
        tail: &EntryHash,
        most_bytes: usize,
        decoder: Decoder,
        clock: Arc<dyn HostClock>,
    ) -> Result<Self, SourceError> {
        let (input, offset, line): (Box<dyn Read + Send>, u64, u64) = match feed {
            Feed::Stdin => (Box::new(io::stdin()), 0, 0),
            Feed::File(path) => (Box::new(open_at(path, offset, tail, most_bytes)?), offset, line),
        };
        let input = BufReader::with_capacity(BUFFER_BYTES, input);
        Ok(LineSource {
            input,
            name: feed.name(),
            offset,
            line,
            most_bytes,
            decoder,
            clock,
            waiting_since: Arc::default(),
            stop: Arc::default(),
        })
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
    pub fn read(mut self, lines: &Sender<Vec<TakenLine>>) -> Result<(), SourceError> {
        let result = self.read_lines(lines);
        self.waiting_since.store(self.clock.wall(), Ordering::Release);
        result.map_err(|source| SourceError::Read { name: self.name, source })
    }

    fn read_lines(&mut self, lines: &Sender<Vec<TakenLine>>) -> io::Result<()> {
        let mut batch = Vec::new();
        let mut bytes_together = 0;
        while !self.stop.load(Ordering::Acquire) {
            let Some((bytes, oversized)) = self.next_line()? else { break };
            if !bytes.iter().all(u8::is_ascii_whitespace) {
                bytes_together += bytes.len();
                batch.push(self.take(bytes.into(), oversized));
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
            // The engine is gone only when the process ends.
            let _ = lines.send(batch);
        }
        Ok(())
    }

    /// Whether another line can be had without waiting.
    fn has_line_buffered(&self) -> bool {
        self.input.buffer().contains(&b'\n')
    }

    /// The next line without its end, and whether it was too long to be kept whole. `None` at the end.
    fn next_line(&mut self) -> io::Result<Option<(Vec<u8>, bool)>> {
        self.waiting_since.store(self.clock.wall(), Ordering::Release);
        let mut bytes = Vec::new();
        let limit = self.most_bytes as u64 + 1;
        let read = (&mut self.input).take(limit).read_until(b'\n', &mut bytes)?;
        self.waiting_since.store(0, Ordering::Release);
        if read == 0 {
            return Ok(None);
        }
        self.offset += read as u64;
        self.line += 1;
        let oversized = bytes.last() != Some(&b'\n') && bytes.len() > self.most_bytes;
        if oversized {
            self.offset += skip_line(&mut self.input)?;
            bytes.truncate(KEPT_BYTES);
        } else if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        Ok(Some((bytes, oversized)))
    }

    fn take(&self, bytes: Arc<[u8]>, oversized: bool) -> TakenLine {
        let line = Line(self.line);
        let taken = if oversized {
            let reason = format!("more than {} bytes; raise limits.event to take it", self.most_bytes);
            vec![(0, Err(Undecodable { event_id: None, code: "event-too-large", path: String::new(), reason }))]
        } else {
            self.decoder.decode(&bytes, EventOrigin::Line(line), self.clock.wall())
        };
        TakenLine { line, end: self.offset, hash: sha256(&bytes), bytes, taken }
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

fn open_at(path: &Path, offset: u64, tail: &EntryHash, most_bytes: usize) -> Result<File, SourceError> {
    let name = path.display().to_string();
    let read = |source| SourceError::Read { name: name.clone(), source };
    let mut file = File::open(path).map_err(read)?;
    let length = file.metadata().map_err(read)?.len();
    if length < offset {
        return Err(SourceError::BeyondEnd { name, length, position: offset });
    }
    if offset > 0 {
        let start = offset.saturating_sub(most_bytes as u64 + 2);
        let mut before = Vec::new();
        file.seek(SeekFrom::Start(start)).map_err(read)?;
        (&mut file).take(offset - start).read_to_end(&mut before).map_err(read)?;
        let ended = before.strip_suffix(b"\n").unwrap_or(&before);
        let line_start = ended.iter().rposition(|byte| *byte == b'\n').map(|position| position + 1);
        // An oversized line reaches further back than what was read: nothing to compare.
        if let Some(line_start) = line_start.or((start == 0).then_some(0)) {
            let line = &ended[line_start..];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.len() <= most_bytes && sha256(line) != *tail {
                return Err(SourceError::Replaced { name, position: offset });
            }
        }
        file.seek(SeekFrom::Start(offset)).map_err(read)?;
    }
    Ok(file)
}
