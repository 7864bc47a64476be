//! What the disk keeps of a SQLite store when the machine loses power, or a host dies in the middle of a commit.

use std::path::{Path, PathBuf};

use rand::RngExt;
use rand::rngs::StdRng;

use super::host::Host;

/// Copies the store at `path` to `folder` as the disk has it. `committing`, where there is one, is in the middle of a commit then:
/// durable or not, it never hears of it.
pub(super) fn keep(path: &Path, folder: &Path, rng: &mut StdRng, committing: Option<&mut Host>) {
    let log = path.with_extension("db-wal");
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |data| data.len());
    let before = length(&log);
    let in_commit = committing.is_some_and(|host| {
        let _ = host.commit(None);
        true
    });
    for file in [path, &log] {
        if file.exists() {
            std::fs::copy(file, copy_of(file, folder)).expect("a copy");
        }
    }
    let after = length(&log);
    if in_commit && after > before && rng.random_ratio(2, 3) {
        tear(&copy_of(&log, folder), before, after, rng);
    }
}

fn copy_of(file: &Path, folder: &Path) -> PathBuf {
    folder.join(file.file_name().expect("a name"))
}

/// Of what was written since the last sync, only a part reached the disk, and not all of that whole.
fn tear(log: &Path, synced: u64, written: u64, rng: &mut StdRng) {
    let mut bytes = std::fs::read(log).expect("the log can be read");
    let cut = rng.random_range(synced..=written);
    bytes.truncate(usize::try_from(cut).expect("a length"));
    let from = usize::try_from(synced).expect("a length");
    if rng.random_ratio(1, 2) && bytes.len() > from {
        let sector = rng.random_range(from..bytes.len());
        let end = (sector + 512).min(bytes.len());
        bytes[sector..end].fill(0);
    }
    std::fs::write(log, bytes).expect("the log can be written");
}
