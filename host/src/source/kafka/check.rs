//! Whether a partition is the one that was read before.

use std::sync::Arc;

use super::Partition;
use super::group::ReadFrom;
use crate::journal::EntryHash;
use crate::source::SourceError;

/// What the brokers have of a partition: its first offset, and the one after its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) begin: u64,
    pub(super) end: u64,
}

/// Where to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// The first offset to fetch: it may be read for comparison only.
    pub(super) fetch: u64,
    /// The first offset that is to be handed on.
    pub(super) next: u64,
    /// Records that were read before: offset and hash.
    pub(super) expected: Vec<(u64, EntryHash)>,
}

/// Where to read on, or why not.
pub(super) fn start(from: &ReadFrom, extent: Extent, cluster: &str, from_end: bool) -> Result<Start, SourceError> {
    let Extent { begin, end } = extent;
    let partition = || from.partition.clone();
    if let Some(log) = from.logs.iter().find(|log| !log.is_empty() && !cluster.is_empty() && ***log != *cluster) {
        return Err(SourceError::KafkaReplaced { partition: partition(), reason: other_cluster(log, cluster) });
    }
    let from_end = from_end && from.may_skip;
    let (Some(first), Some(last)) = (from.positions.iter().copied().min(), from.positions.iter().copied().max()) else {
        let next = if from_end { end } else { begin };
        return Ok(Start { fetch: next, next, expected: Vec::new() });
    };
    if last > end {
        return Err(SourceError::KafkaBeyondEnd { partition: partition(), position: last, end });
    }
    if first < begin {
        return Err(SourceError::KafkaExpired { partition: partition(), position: first, begin });
    }
    // A workflow that reads the topic for the first time has what is there decided too.
    let next = if from.has_new && !from_end { begin } else { first };
    let expected: Vec<(u64, EntryHash)> = from.tails.iter().filter(|(offset, _)| *offset >= begin).copied().collect();
    let fetch = expected.iter().map(|(offset, _)| *offset).min().unwrap_or(next).min(next);
    Ok(Start { fetch, next, expected })
}

/// What is said of a record that is not the one that was read.
pub(super) fn another_record(partition: &Partition, offset: u64) -> SourceError {
    let reason = format!("the record at offset {offset} is another one than was read there");
    SourceError::KafkaReplaced { partition: partition.clone(), reason }
}

fn other_cluster(log: &Arc<str>, cluster: &str) -> String {
    format!("it was read from the cluster {log}, and this is the cluster {cluster}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::SourceRow;

    /// Rows of a position and the offset of the record before, as far as there is one.
    fn read(positions: &[(u64, Option<u64>)], log: &str, generation: u64) -> ReadFrom {
        let rows = positions.iter().map(|(line, tail)| SourceRow {
            id: 1,
            next_offset: tail.map_or(0, |tail| tail + 1),
            next_line: *line,
            read_line: *line,
            tail: [tail.map_or(0, |tail| u8::try_from(tail).unwrap()); 32],
            duplicates: 0,
            log: if *line > 0 { "c".into() } else { log.into() },
            generation,
            expected_line: *line,
        });
        let mut rows: Vec<SourceRow> = rows.collect();
        if let Some(row) = rows.first_mut().filter(|_| !log.is_empty()) {
            row.log = log.into();
        }
        ReadFrom::of(Partition { topic: "t".into(), number: 3 }, &rows, true)
    }

    fn code(from: &ReadFrom, begin: u64, end: u64) -> &'static str {
        match start(from, Extent { begin, end }, "c", false) {
            Ok(_) => "",
            Err(error) => error.code(),
        }
    }

    #[test]
    fn a_partition_that_was_never_read_begins_where_the_settings_say() {
        let from = read(&[(0, None)], "", 0);
        let extent = Extent { begin: 5, end: 9 };
        assert_eq!(start(&from, extent, "c", false).unwrap().next, 5);
        assert_eq!(start(&from, extent, "c", true).unwrap().next, 9);
        let later = ReadFrom { may_skip: false, ..from };
        assert_eq!(start(&later, extent, "c", true).unwrap().next, 5, "the topic got it after others were read");
        // Its position was set, or it was empty when it was looked at first: it is known, wherever it is.
        for (log, generation) in [("", 1), ("c", 0)] {
            let known = read(&[(0, None)], log, generation);
            assert_eq!(start(&known, Extent { begin: 0, end: 9 }, "c", true).unwrap().next, 0);
            assert_eq!(code(&known, 1, 9), "source-expired");
        }
    }

    #[test]
    fn reading_goes_on_at_the_position_with_a_look_at_the_record_before() {
        let from = read(&[(7, Some(6))], "c", 0);
        let found = start(&from, Extent { begin: 2, end: 9 }, "c", true).unwrap();
        assert_eq!((found.fetch, found.next, found.expected), (6, 7, vec![(6, [6; 32])]));
        // The record before is gone by retention, and nothing unread is.
        let found = start(&from, Extent { begin: 7, end: 9 }, "c", false).unwrap();
        assert_eq!((found.fetch, found.next), (7, 7));
        // Behind the last record stand marks of transactions.
        let found = start(&read(&[(7, Some(4))], "c", 0), Extent { begin: 0, end: 7 }, "c", false).unwrap();
        assert_eq!((found.fetch, found.next), (4, 7));
    }

    #[test]
    fn workflows_of_one_host_are_read_from_the_one_furthest_behind() {
        let from = read(&[(7, Some(6)), (3, Some(2))], "c", 0);
        let found = start(&from, Extent { begin: 0, end: 9 }, "c", false).unwrap();
        assert_eq!((found.fetch, found.next), (2, 3));
        // One of them is new: it takes what there is.
        let from = read(&[(7, Some(6)), (0, None)], "", 0);
        let found = start(&from, Extent { begin: 4, end: 9 }, "c", false).unwrap();
        assert_eq!((found.fetch, found.next), (4, 4));
    }

    #[test]
    fn what_was_read_before_and_is_not_there_is_refused() {
        assert_eq!(code(&read(&[(7, Some(6))], "c", 0), 0, 6), "source-truncated");
        assert_eq!(code(&read(&[(7, Some(6))], "c", 0), 8, 9), "source-expired");
        assert_eq!(code(&read(&[(7, Some(6))], "d", 0), 0, 9), "source-replaced");
        assert_eq!(code(&read(&[(7, Some(6))], "c", 0), 0, 7), "");
    }
}
