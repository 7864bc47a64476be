//! A folder that goes with a command.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Removed with all that is in it when the command ends.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    /// A new folder under `parent`, with what it is for in its name.
    pub(super) fn make(parent: &Path, what: &str) -> anyhow::Result<Self> {
        let folder = parent.join(format!("purefold-{what}-{}", std::process::id()));
        std::fs::create_dir(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(Folder(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left over it does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
