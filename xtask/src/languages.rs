//! Reducers in other languages than Rust: each with its own tools, which are made sure of, and the same gate at the end.

mod c;
mod javascript;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};

use crate::host::Profile;
use crate::workspace::Workspace;

/// Deeper than any folder of sources: a cycle of links ends here instead of never.
const DEPTH_MOST: usize = 16;

/// The contract that all of them keep to: that of the reducer in Rust which they must agree with.
const CONTRACT: &str = "reducers/orders/wit";

/// Leaves the components beside those of the reducers in Rust: `target/reducers/orders-<language>.wasm`.
///
/// # Errors
/// Where tools are missing and cannot be installed, or one is not built or not admitted.
pub(crate) fn build(workspace: &Workspace, profile: Profile) -> Result<()> {
    c::build(workspace, profile)?;
    javascript::build(workspace, profile)
}

/// Runs the tests that their languages bring.
///
/// # Errors
/// Where one fails.
pub(crate) fn test(workspace: &Workspace) -> Result<()> {
    javascript::test(workspace)
}

/// Whether `made` is there and younger than everything in `sources`.
fn is_fresh<'a>(made: &Path, sources: impl IntoIterator<Item = &'a PathBuf>) -> Result<bool> {
    let Ok(at) = fs::metadata(made).and_then(|metadata| metadata.modified()) else { return Ok(false) };
    for source in sources {
        if newest(source, DEPTH_MOST)? >= at {
            return Ok(false);
        }
    }
    Ok(true)
}

/// When the youngest of the files at `path` was written.
fn newest(path: &Path, depth: usize) -> Result<SystemTime> {
    ensure!(depth > 0, "{} lies too deep for a folder of sources", path.display());
    let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    // A folder's own time tells of what was taken out of it.
    let mut newest_here = metadata.modified().with_context(|| format!("{} has no time", path.display()))?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))? {
            newest_here = newest_here.max(newest(&entry?.path(), depth - 1)?);
        }
    }
    Ok(newest_here)
}

/// Copies a file, or a folder with what is in it.
fn copy(from: &Path, to: &Path, depth: usize) -> Result<()> {
    ensure!(depth > 0, "{} lies too deep for a folder of sources", from.display());
    if !from.is_dir() {
        return fs::copy(from, to).map(|_| ()).with_context(|| format!("cannot copy {}", from.display()));
    }
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()), depth - 1)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so and stop")]

    use std::fs::{self, File};
    use std::time::{Duration, SystemTime};

    use super::{DEPTH_MOST, copy, is_fresh};

    #[test]
    fn what_is_older_than_any_source_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let (sources, made) = (folder.path().join("sources"), folder.path().join("made.wasm"));
        fs::create_dir_all(sources.join("deep")).unwrap();
        fs::write(sources.join("deep/one.js"), "").unwrap();
        assert!(!is_fresh(&made, [&sources]).unwrap(), "it is not there");
        let later = SystemTime::now() + Duration::from_secs(10);
        File::create(&made).unwrap().set_modified(later).unwrap();
        assert!(is_fresh(&made, [&sources]).unwrap());
        File::open(sources.join("deep/one.js")).unwrap().set_modified(later + Duration::from_secs(1)).unwrap();
        assert!(!is_fresh(&made, [&sources]).unwrap());
    }

    #[test]
    fn a_folder_is_copied_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("deep")).unwrap();
        fs::write(from.join("deep/one.js"), "one").unwrap();
        copy(&from, &to, DEPTH_MOST).unwrap();
        assert_eq!(fs::read_to_string(to.join("deep/one.js")).unwrap(), "one");
        assert!(copy(&from, &to, 1).is_err(), "folders end somewhere");
    }
}
