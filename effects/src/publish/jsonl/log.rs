//! The file: whole lines up to a length that is known to be synced.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::publish::event;

/// How much is read at a time when the last line's end is looked for.
const SEARCH_BYTES: u64 = 64 * 1024;

/// An append-only file of lines.
pub(super) struct Log {
    file: File,
    /// Everything before is whole lines, synced.
    length: u64,
    /// A batch failed, and what it left could not be cut off yet.
    torn: bool,
}

impl Log {
    /// Opens or creates the file and cuts off a last line without end: it was never acknowledged.
    pub(super) fn open(path: &Path) -> io::Result<Log> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(io::Error::other("another process publishes to it")),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut log = Log { file, length: 0, torn: false };
        let there = log.file.metadata()?.len();
        log.length = log.whole_lines(there)?;
        if log.length < there {
            log.check_torn_line()?;
            tracing::warn!(file = %path.display(), bytes = there - log.length, "a torn last line was cut off");
            log.file.set_len(log.length)?;
        }
        // A file that was just created must still be there after a crash.
        log.file.sync_all()?;
        #[cfg(unix)]
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(log)
    }

    /// What is cut off must be a line of ours: a file that somebody else wrote is left as it is.
    fn check_torn_line(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.length))?;
        let mut begin = Vec::new();
        (&self.file).take(event::BEGIN.len() as u64).read_to_end(&mut begin)?;
        // Where the power failed, a part of the line may be zeroes.
        if begin.iter().zip(event::BEGIN).all(|(there, ours)| there == ours || *there == 0) {
            return Ok(());
        }
        Err(io::Error::other(
            "its last line has no end and is no event: this is not a file of published events; move it away, or publish to another",
        ))
    }

    /// Over a file that nothing was looked up in.
    #[cfg(test)]
    pub(super) fn over(file: File) -> Log {
        Log { file, length: 0, torn: false }
    }

    /// Where the last line's end is, looked for from the back.
    fn whole_lines(&mut self, mut end: u64) -> io::Result<u64> {
        let mut chunk = Vec::new();
        while end > 0 {
            let start = end.saturating_sub(SEARCH_BYTES);
            self.file.seek(SeekFrom::Start(start))?;
            chunk.clear();
            (&self.file).take(end - start).read_to_end(&mut chunk)?;
            if let Some(at) = chunk.iter().rposition(|byte| *byte == b'\n') {
                return Ok(start + at as u64 + 1);
            }
            end = start;
        }
        Ok(0)
    }

    /// Appends whole lines, synced when it returns.
    pub(super) fn append(&mut self, lines: &[u8]) -> Result<(), AppendError> {
        if self.torn {
            self.file.set_len(self.length).map_err(AppendError::NotWritten)?;
            self.torn = false;
        }
        if let Err(error) = self.file.write_all(lines) {
            self.torn = self.file.set_len(self.length).is_err();
            return Err(AppendError::NotWritten(error));
        }
        if let Err(error) = self.file.sync_data() {
            // The lines may be on the disk or not; later syncs would not say. They are taken back and sent again.
            self.torn = self.file.set_len(self.length).is_err();
            return Err(AppendError::NotSynced(error));
        }
        self.length += lines.len() as u64;
        Ok(())
    }
}

/// Why lines were not appended.
pub(super) enum AppendError {
    /// None of them can be read.
    NotWritten(io::Error),
    /// Readers may have seen them.
    NotSynced(io::Error),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_torn_last_line_is_cut_off_and_nothing_else() {
        let torn = r#"{"specversion":"1.0","id":"#;
        let long = torn.to_owned() + &"x".repeat(3 * SEARCH_BYTES as usize);
        for (before, after) in [
            (String::new(), String::new()),
            ("a\n".to_owned(), "a\n".to_owned()),
            (format!("a\n{torn}"), "a\n".to_owned()),
            ("{\"spec".to_owned(), String::new()),
            ("a\n{\"sp\0\0\0".to_owned(), "a\n".to_owned()),
            (format!("a\n{long}"), "a\n".to_owned()),
            (format!("{long}\n{long}"), format!("{long}\n")),
            (format!("{long}\n"), format!("{long}\n")),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("events.jsonl");
            std::fs::write(&path, &before).unwrap();
            let mut log = Log::open(&path).unwrap();
            assert!(std::fs::read_to_string(&path).unwrap() == after, "{} bytes", before.len());
            assert!(log.append(b"next\n").is_ok());
            assert!(std::fs::read_to_string(&path).unwrap() == after + "next\n", "{} bytes", before.len());
        }
    }

    #[test]
    fn a_file_that_somebody_else_wrote_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "my notes\nwithout an end").unwrap();
        let error = Log::open(&path).err().unwrap();
        assert!(error.to_string().contains("move it away"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "my notes\nwithout an end");
    }

    #[test]
    fn a_second_writer_is_turned_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let _first = Log::open(&path).unwrap();
        assert!(Log::open(&path).is_err());
    }
}
