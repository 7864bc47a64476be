//! Finding the place in a file where an earlier run stopped.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::SourceError;
use crate::journal::sha256;
use crate::store::SourceRow;

/// Files of one folder that are looked at to find where a followed stream went on.
const MOST_SIBLINGS: usize = 1000;

/// A file, to be read from `offset` on; `line` is the number of the line before.
pub(super) struct Place {
    pub(super) file: File,
    pub(super) offset: u64,
    pub(super) line: u64,
}

/// How a file compares with a position in it.
enum Fit {
    Fits,
    /// The line before the position is too long to be compared.
    Incomparable,
    Shorter(u64),
    Differs,
}

/// Opens the file at `path` where the workflow that is furthest behind goes on. With `rotated`, the file may have been
/// renamed since and another one may have taken its place.
pub(super) fn open(path: &Path, rotated: bool, positions: &[SourceRow], most_bytes: usize) -> Result<Place, SourceError> {
    let read = |cause| SourceError::Read { name: path.display().to_string(), cause };
    let by_line = |row: &&SourceRow| row.next_line;
    let furthest = positions.iter().max_by_key(by_line).filter(|row| row.next_line > 0);
    let (Some(behind), Some(ahead)) = (positions.iter().min_by_key(by_line), furthest) else {
        return Ok(Place { file: File::open(path).map_err(read)?, offset: 0, line: 0 });
    };
    let begins = behind.next_line == 0;
    let position = if begins { ahead } else { behind };
    let mut file = find(path, rotated, position, most_bytes)?;
    let place = if begins {
        // A workflow that reads the source for the first time begins with this file. Lines are numbered through all
        // files, and the others know how many there were before.
        let before = position.next_line.saturating_sub(count_lines(&file, position.next_offset).map_err(read)?);
        Place { file, offset: 0, line: before }
    } else {
        file.seek(SeekFrom::Start(position.next_offset)).map_err(read)?;
        Place { file, offset: position.next_offset, line: position.next_line }
    };
    Ok(place)
}

fn find(path: &Path, rotated: bool, position: &SourceRow, most_bytes: usize) -> Result<File, SourceError> {
    let name = path.display().to_string();
    let read = |cause| SourceError::Read { name: name.clone(), cause };
    let refused = match File::open(path) {
        Ok(mut file) => match fit(&mut file, position, most_bytes).map_err(read)? {
            Fit::Fits | Fit::Incomparable => return Ok(file),
            Fit::Shorter(length) => SourceError::BeyondEnd { name: name.clone(), length, position: position.next_offset },
            Fit::Differs => SourceError::Replaced { name: name.clone(), position: position.next_offset },
        },
        Err(error) => read(error),
    };
    if rotated { find_renamed(path, position, most_bytes)?.ok_or(refused) } else { Err(refused) }
}

/// The file that was read before, where it was renamed to a longer name. It is recognised by the line before the
/// position, and only where nothing came between it and the file that has its place now.
fn find_renamed(path: &Path, position: &SourceRow, most_bytes: usize) -> Result<Option<File>, SourceError> {
    let read = |cause| SourceError::Read { name: path.display().to_string(), cause };
    let unclear = |reason: String| SourceError::Unclear { name: path.display().to_string(), position: position.next_offset, reason };
    let mut found: Vec<(PathBuf, SystemTime, File)> = Vec::new();
    let mut others: Vec<(PathBuf, SystemTime)> = Vec::new();
    for sibling in siblings(path).map_err(read)? {
        let mut file = File::open(&sibling).map_err(read)?;
        let changed = file.metadata().and_then(|metadata| metadata.modified()).map_err(read)?;
        match fit(&mut file, position, most_bytes).map_err(read)? {
            Fit::Fits => found.push((sibling, changed, file)),
            _ => others.push((sibling, changed)),
        }
    }
    let Some((renamed, changed, file)) = found.pop() else { return Ok(None) };
    if let Some((other, ..)) = found.pop() {
        return Err(unclear(format!("both {} and {} could be it", renamed.display(), other.display())));
    }
    if let Some((other, _)) = others.iter().find(|(_, other)| *other > changed) {
        return Err(unclear(format!(
            "it is {} now, but {} is newer: lines between them would be left out",
            renamed.display(),
            other.display()
        )));
    }
    Ok(Some(file))
}

/// Files of the same folder whose names begin with this one's.
fn siblings(path: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else { return Ok(Vec::new()) };
    let mut siblings = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let longer = entry.file_name().to_string_lossy().strip_prefix(&name).is_some_and(|rest| !rest.is_empty());
        if longer && entry.file_type()?.is_file() {
            siblings.push(entry.path());
        }
        if siblings.len() > MOST_SIBLINGS {
            return Err(io::Error::other(format!("more than {MOST_SIBLINGS} files have names that begin with its name")));
        }
    }
    siblings.sort();
    Ok(siblings)
}

fn fit(file: &mut File, position: &SourceRow, most_bytes: usize) -> io::Result<Fit> {
    let offset = position.next_offset;
    let length = file.metadata()?.len();
    if length < offset {
        return Ok(Fit::Shorter(length));
    }
    let start = offset.saturating_sub(most_bytes as u64 + 2);
    let mut before = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(offset - start).read_to_end(&mut before)?;
    let ended = before.strip_suffix(b"\n").unwrap_or(&before);
    let line_start = ended.iter().rposition(|byte| *byte == b'\n').map(|position| position + 1);
    // An oversized line reaches further back than what was read.
    let Some(line_start) = line_start.or((start == 0).then_some(0)) else { return Ok(Fit::Incomparable) };
    let line = &ended[line_start..];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Ok(match line.len() <= most_bytes {
        true if sha256(line) == position.tail => Fit::Fits,
        true => Fit::Differs,
        false => Fit::Incomparable,
    })
}

/// Lines that end at or before `offset`, which is the end of one.
fn count_lines(file: &File, offset: u64) -> io::Result<u64> {
    let mut file = file;
    file.seek(SeekFrom::Start(0))?;
    let mut input = BufReader::new(file.take(offset));
    let (mut lines, mut ended) = (0, true);
    loop {
        let buffer = input.fill_buf()?;
        let Some(last) = buffer.last() else { break };
        ended = *last == b'\n';
        lines += buffer.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
        let length = buffer.len();
        input.consume(length);
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(lines + u64::from(!ended))
}
