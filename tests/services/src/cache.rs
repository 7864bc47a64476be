//! What was downloaded once: kept between runs, and fetched by one process at a time.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A folder for downloads.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache in `folder`, which is made when something is fetched.
    pub fn new(folder: impl Into<PathBuf>) -> Cache {
        Cache { folder: folder.into() }
    }

    /// The folder `name`, filled by `fetch` where it is not there yet. What `fetch` leaves half done is never seen: it
    /// fills a folder that gets its name at the end.
    pub(crate) fn fetched(&self, name: &str, fetch: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        if folder.is_dir() {
            return absolute(&folder);
        }
        fs::create_dir_all(&self.folder).with_context(|| format!("cannot make the folder {}", self.folder.display()))?;
        let lock = self.folder.join(format!("{name}.lock"));
        let lock = File::create(&lock).with_context(|| format!("cannot write {}", lock.display()))?;
        lock.lock().with_context(|| format!("cannot lock the download of {name}"))?;
        if !folder.is_dir() {
            let partial = self.folder.join(format!("{name}.partial"));
            if partial.exists() {
                fs::remove_dir_all(&partial).with_context(|| format!("cannot remove {}", partial.display()))?;
            }
            fs::create_dir_all(&partial).with_context(|| format!("cannot make the folder {}", partial.display()))?;
            fetch(&absolute(&partial)?)?;
            fs::rename(&partial, &folder).with_context(|| format!("cannot keep {}", folder.display()))?;
        }
        absolute(&folder)
    }
}

/// Programs are started in folders of their own, where a relative path would lead elsewhere.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot find {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use anyhow::bail;

    use super::*;

    #[test]
    fn what_was_fetched_is_kept_and_what_broke_off_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let broken = cache.fetched("thing", |folder| {
            fs::write(folder.join("half"), "")?;
            bail!("no network")
        });
        assert_eq!(broken.unwrap_err().to_string(), "no network");
        let fetched = cache.fetched("thing", |folder| Ok(fs::write(folder.join("whole"), "")?)).unwrap();
        assert!(fetched.join("whole").exists() && !fetched.join("half").exists());
        assert_eq!(cache.fetched("thing", |_| bail!("asked again")).unwrap(), fetched);
    }
}
