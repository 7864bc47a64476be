//! Following a file that grows, and the one that takes its place.
//!
//! The file is looked at every [`LOOK_INTERVAL`]: no facility of the system has to be there, and none can lose a notice.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::SourceError;
use super::position::Place;
use crate::journal::{EntryHash, sha256};
use crate::time::HostClock;

/// How often a file that has nothing new is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How often a file that was renamed is found without anything new before it is left: its writer may not have noticed yet.
const LAST_LOOKS: u32 = 10;

/// How much of a first line tells two files apart.
const MOST_FIRST_BYTES: usize = 64 << 10;

/// Why a follower gives no bytes.
#[derive(Debug)]
pub(super) enum Pause {
    /// It was asked to stop.
    Stopped,
    /// The file is over; the next bytes are those of its successor.
    NextFile,
    /// It cannot go on.
    Failed(SourceError),
}

/// A file that is read as it grows. A read without bytes has a [`Pause`].
pub(super) struct Follower {
    path: PathBuf,
    file: File,
    offset: u64,
    clock: Arc<dyn HostClock>,
    looked: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    last_looks: u32,
    pause: Option<Pause>,
}

impl Follower {
    pub(super) fn new(path: &Path, place: Place, clock: Arc<dyn HostClock>, stop: Arc<AtomicBool>) -> Self {
        let Place { file, offset, .. } = place;
        Follower { path: path.into(), file, offset, clock, looked: Arc::default(), stop, last_looks: 0, pause: None }
    }

    /// When it last began to look and found nothing, in microseconds since the Unix epoch.
    pub(super) fn looked(&self) -> Arc<AtomicU64> {
        self.looked.clone()
    }

    /// The file that is read now.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Why the last read gave no bytes.
    pub(super) fn pause(&mut self) -> Option<Pause> {
        self.pause.take()
    }

    fn failed(&self, cause: io::Error) -> SourceError {
        SourceError::Read { name: self.path.display().to_string(), cause }
    }

    /// Looks after a file that has nothing new. Gives its successor where it is over. `began` is when the look began.
    fn look(&mut self, began: u64) -> Result<Option<File>, SourceError> {
        let mine = self.file.metadata().map_err(|error| self.failed(error))?;
        if mine.len() < self.offset {
            return Err(SourceError::Cut { name: self.path.display().to_string(), length: mine.len(), position: self.offset });
        }
        let there = match std::fs::metadata(&self.path) {
            Ok(there) => Some(there),
            // Renamed, and the next one is not made yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(self.failed(error)),
        };
        let Some(there) = there.filter(|there| identity(there) != identity(&mine)) else {
            self.last_looks = 0;
            self.looked.store(began, Ordering::Release);
            return Ok(None);
        };
        self.last_looks += 1;
        if self.last_looks < LAST_LOOKS || there.len() == 0 {
            return Ok(None);
        }
        let successor = File::open(&self.path).map_err(|error| self.failed(error))?;
        let Some(begins) = first_line(&successor).map_err(|error| self.failed(error))? else { return Ok(None) };
        if first_line(&self.file).map_err(|error| self.failed(error))? == Some(begins) {
            return Err(SourceError::Rewritten { name: self.path.display().to_string() });
        }
        tracing::info!(source = %self.path.display(), "another file took the source's place; going on with it");
        Ok(Some(successor))
    }
}

impl Read for Follower {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.stop.load(Ordering::Acquire) {
            let began = self.clock.wall();
            let read = self.file.read(buffer)?;
            if read > 0 {
                self.offset += read as u64;
                self.last_looks = 0;
                return Ok(read);
            }
            match self.look(began) {
                Ok(None) => std::thread::sleep(LOOK_INTERVAL),
                Ok(Some(successor)) => {
                    (self.file, self.offset, self.last_looks) = (successor, 0, 0);
                    self.pause = Some(Pause::NextFile);
                    return Ok(0);
                }
                Err(error) => {
                    self.pause = Some(Pause::Failed(error));
                    return Ok(0);
                }
            }
        }
        self.pause = Some(Pause::Stopped);
        Ok(0)
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// The hash of a file's first line, or of its beginning where that is long; none where there is no whole line yet.
fn first_line(file: &File) -> io::Result<Option<EntryHash>> {
    let mut bytes = vec![0; MOST_FIRST_BYTES];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    let bytes = &bytes[..filled];
    let line = bytes.iter().position(|byte| *byte == b'\n').map(|end| &bytes[..end]);
    Ok(line.or((filled == MOST_FIRST_BYTES).then_some(bytes)).map(sha256))
}
