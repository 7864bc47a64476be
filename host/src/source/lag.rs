//! How far a source of lines is behind the file that it reads.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What is left to read of a file, for whoever asks.
#[derive(Debug)]
pub struct Lag {
    path: PathBuf,
    /// The file that is being read, whatever its name is by now.
    file: Mutex<Option<File>>,
    /// Byte offset up to which its lines were read.
    read: AtomicU64,
}

impl Lag {
    pub(super) fn new(path: PathBuf, file: Option<File>, read: u64) -> Self {
        Lag { path, file: Mutex::new(file), read: AtomicU64::new(read) }
    }

    /// Lines were read up to that offset.
    pub(super) fn read_to(&self, offset: u64) {
        self.read.store(offset, Ordering::Relaxed);
    }

    /// The next file is read, from its beginning.
    pub(super) fn goes_on_with(&self, file: Option<File>) {
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
        self.read_to(0);
    }

    /// Bytes that were written and not read: of the file, and of the one that has taken its place where it was renamed. None
    /// where the system does not tell.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = file.as_ref()?.metadata().ok()?;
        let left = mine.len().saturating_sub(self.read.load(Ordering::Relaxed));
        let successor = std::fs::metadata(&self.path).ok().filter(|there| (there.dev(), there.ino()) != (mine.dev(), mine.ino()));
        Some(left + successor.map_or(0, |there| there.len()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_left_is_told_over_a_rename() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        std::fs::write(&path, "0123456789").unwrap();
        let lag = Lag::new(path.clone(), File::open(&path).ok(), 4);
        assert_eq!(lag.bytes(), Some(6));
        std::fs::rename(&path, folder.path().join("events.jsonl.1")).unwrap();
        assert_eq!(lag.bytes(), Some(6));
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(lag.bytes(), Some(9));
        lag.read_to(10);
        assert_eq!(lag.bytes(), Some(3));
        lag.goes_on_with(File::open(&path).ok());
        lag.read_to(3);
        assert_eq!(lag.bytes(), Some(0));
        assert_eq!(Lag::new(path, None, 0).bytes(), None);
    }
}
