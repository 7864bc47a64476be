//! One writer for each file, however many effects name it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What is open now, by path. Entries die with their last user; the dead are swept at each opening.
pub(crate) struct ByPath<T>(Mutex<Option<HashMap<PathBuf, Weak<T>>>>);

impl<T> ByPath<T> {
    pub(crate) const fn new() -> Self {
        ByPath(Mutex::new(None))
    }

    /// What is open at `path`, or else what `make` makes for it.
    pub(crate) fn get_or(&self, path: &Path, make: impl FnOnce(PathBuf) -> T) -> Arc<T> {
        let path = resolve(path);
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open = guard.get_or_insert_default();
        if let Some(there) = open.get(&path).and_then(Weak::upgrade) {
            return there;
        }
        open.retain(|_, one| one.strong_count() > 0);
        let made = Arc::new(make(path.clone()));
        open.insert(path, Arc::downgrade(&made));
        made
    }
}

/// One spelling for one file: the nearest folder that exists is resolved, what does not exist yet is kept as it is.
fn resolve(path: &Path) -> PathBuf {
    if let Ok(whole) = path.canonicalize() {
        return whole;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if parent.as_os_str().is_empty() => resolve(Path::new(".")).join(name),
        (Some(parent), Some(name)) => resolve(parent).join(name),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn two_spellings_of_one_path_share() {
        let folder = tempfile::tempdir().unwrap();
        let open = ByPath::new();
        let plain = open.get_or(&folder.path().join("new").join("f.db"), |path| path);
        std::fs::create_dir(folder.path().join("new")).unwrap();
        let dotted = open.get_or(&folder.path().join(".").join("new").join("f.db"), |path| path);
        assert!(Arc::ptr_eq(&plain, &dotted));
    }

    #[test]
    fn what_nobody_holds_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let open = ByPath::new();
        drop(open.get_or(&folder.path().join("f"), |_| 1));
        assert_eq!(*open.get_or(&folder.path().join("f"), |_| 2), 2);
    }
}
