//! Where things are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process;

/// The repository's folders.
pub(crate) struct Workspace {
    /// The repository.
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds: `target`, unless cargo was told otherwise.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// The workspace that this program is a member of.
    ///
    /// # Errors
    /// Where cargo cannot say where it builds to.
    pub(crate) fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the repository")?.to_path_buf();
        let output = process::output(process::cargo(&root).args(["metadata", "--no-deps", "--format-version", "1"]))?;
        let metadata: serde_json::Value = serde_json::from_str(&output).context("cannot read what `cargo metadata` printed")?;
        let target = metadata["target_directory"].as_str().context("`cargo metadata` names no target directory")?.into();
        Ok(Workspace { root, target })
    }

    /// The components of the reducers.
    pub(crate) fn reducers(&self) -> PathBuf {
        self.target.join("reducers")
    }

    /// The components of the deliberately bad reducers.
    pub(crate) fn fixtures(&self) -> PathBuf {
        self.target.join("fixtures")
    }

    /// `path` as the user would write it: relative to the repository where it lies inside.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}
