//! The folder in which the demo runs: copies of the manifest and the component, and the stores that the host makes beside them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::options::Options;

/// The manifest's name in the folder; where it lies, the folder is the demo's to empty.
const MANIFEST: &str = "registration.toml";

/// The component's name in the folder, as the manifest calls it.
const COMPONENT: &str = "registration.wasm";

/// A fixed journal id: intent ids are made from it, so that every run of the demo prints the same.
const JOURNAL: &str = "d0000000-0000-4000-8000-000000000001";

/// Makes the folder ready and returns the manifest in it.
///
/// # Errors
/// Where something cannot be read or written, or where the folder has something of somebody else's.
pub(crate) fn prepare(options: &Options) -> Result<PathBuf> {
    let folder = &options.folder;
    let manifest = folder.join(MANIFEST);
    if !options.keep {
        empty(folder)?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", folder.display()))?;
    let text = fs::read_to_string(&options.manifest).with_context(|| format!("cannot read the manifest {}", options.manifest.display()))?;
    write(&manifest, with_journal_id(&text).as_bytes())?;
    let component = fs::read(&options.component).with_context(|| format!("cannot read the component {}", options.component.display()))?;
    write(&folder.join(COMPONENT), &component)?;
    Ok(manifest)
}

/// Removes what an earlier demo left, and nothing else.
fn empty(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let mut entries = fs::read_dir(folder).with_context(|| format!("cannot list the folder {}", folder.display()))?;
    if !folder.join(MANIFEST).is_file() && entries.next().is_some() {
        bail!("the folder {} holds something that is not the demo's: name an empty one with --folder, or use --keep", folder.display());
    }
    fs::remove_dir_all(folder).with_context(|| format!("cannot empty the folder {}", folder.display()))
}

/// The manifest with the demo's journal id, unless it sets one itself.
fn with_journal_id(manifest: &str) -> String {
    let store = manifest.split("\n[store]\n").nth(1).unwrap_or_default();
    let settings = store.split("\n[").next().unwrap_or_default();
    if settings.lines().any(|line| line.trim_start().starts_with("id")) {
        return manifest.to_owned();
    }
    manifest.replacen("\n[store]\n", &format!("\n[store]\nid = \"{JOURNAL}\"\n"), 1)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so and stop")]

    use std::fs;
    use std::path::Path;

    use super::{prepare, with_journal_id};
    use crate::options::Options;

    fn options(root: &Path, keep: bool) -> Options {
        fs::write(root.join("m.toml"), "name = \"x\"\n\n[store]\nsqlite = \"x.db\"\n").unwrap();
        fs::write(root.join("c.wasm"), "wasm").unwrap();
        Options { manifest: root.join("m.toml"), component: root.join("c.wasm"), folder: root.join("demo"), keep, ..Options::default() }
    }

    #[test]
    fn the_journal_id_is_set_where_the_manifest_has_none() {
        let with = with_journal_id("a = 1\n\n[store]\nsqlite = \"x.db\"\n\n[effects.a]\nidle = 1\n");
        assert!(with.contains("[store]\nid = \"d0000000-"), "{with}");
        let own = "a = 1\n\n[store]\nsqlite = \"x.db\"\nid = \"e\"\n";
        assert_eq!(with_journal_id(own), own);
    }

    #[test]
    fn the_folder_starts_empty_unless_it_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let manifest = prepare(&options(root.path(), false)).unwrap();
        let left = manifest.with_file_name("registration.db");
        fs::write(&left, "").unwrap();
        prepare(&options(root.path(), true)).unwrap();
        assert!(left.exists());
        prepare(&options(root.path(), false)).unwrap();
        assert!(!left.exists());
        assert_eq!(fs::read(manifest.with_file_name("registration.wasm")).unwrap(), b"wasm");
    }

    #[test]
    fn a_folder_of_somebody_else_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("demo")).unwrap();
        fs::write(root.path().join("demo/thesis.txt"), "").unwrap();
        let error = prepare(&options(root.path(), false)).unwrap_err().to_string();
        assert!(error.contains("not the demo's"), "{error}");
        assert!(root.path().join("demo/thesis.txt").exists());
    }
}
