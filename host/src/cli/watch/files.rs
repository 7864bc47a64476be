//! What is watched: looked at again and again rather than told by the system. A project has some hundred files, looking at them takes less
//! than a millisecond, and it works alike in containers, on network file systems and where a system has run out of watches.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What sources of reducers, contracts and manifests end in. What a host or a build writes ends otherwise.
const ENDINGS: [&str; 9] = ["rs", "wit", "toml", "c", "h", "js", "ts", "py", "go"];

/// Folders that builds write to.
const BUILT: [&str; 2] = ["target", "node_modules"];

/// Files that are looked at. Those beyond are not.
const FILES_MOST: usize = 10_000;

/// How deep folders are followed; links to folders are not.
const DEPTH_MOST: usize = 16;

/// Files as they were when they were looked at: when they were written, and how long they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen(BTreeMap<PathBuf, (Option<SystemTime>, u64)>);

impl Seen {
    /// Looks at the sources below `folder`, and at `file`.
    pub(super) fn look(folder: &Path, file: Option<&Path>) -> Self {
        let mut seen = Seen::default();
        seen.folder(folder, DEPTH_MOST);
        if let Some(file) = file {
            seen.file(file.to_path_buf());
        }
        seen
    }

    /// Whether there are more files than are looked at.
    pub(super) fn is_cut(&self) -> bool {
        self.0.len() >= FILES_MOST
    }

    /// Some file that is not as it was.
    pub(super) fn differs_from(&self, before: &Seen) -> Option<PathBuf> {
        let changed = self.0.iter().find(|(path, state)| before.0.get(*path) != Some(*state));
        let gone = || before.0.keys().find(|path| !self.0.contains_key(*path));
        changed.map(|(path, _)| path).or_else(gone).cloned()
    }

    fn folder(&mut self, folder: &Path, depth: usize) {
        // What cannot be read now may be a moment later.
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && depth > 0 && !BUILT.contains(&name) {
                self.folder(&path, depth - 1);
            } else if !kind.is_dir() && path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known)) {
                self.file(path);
            }
        }
    }

    fn file(&mut self, path: PathBuf) {
        if self.is_cut() {
            return;
        }
        if let Ok(data) = path.metadata() {
            self.0.insert(path, (data.modified().ok(), data.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn sources_are_seen_and_what_builds_and_hosts_write_is_not() {
        let place = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = place.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let component = write("shop.wasm", "1");
        let source = write("src/lib.rs", "1");
        let look = || Seen::look(place.path(), Some(&component));
        let first = look();
        assert_eq!(look().differs_from(&first), None);
        for name in ["shop.db", "shop.db-wal", "target/release/build.rs", ".git/config.toml", "events.jsonl", "other.wasm"] {
            write(name, "1");
        }
        assert_eq!(look().differs_from(&first), None);
        write("src/lib.rs", "12");
        assert_eq!(look().differs_from(&first), Some(source.clone()));
        let second = look();
        write("shop.wasm", "12");
        assert_eq!(look().differs_from(&second), Some(component.clone()));
        let third = look();
        std::fs::remove_file(&source).unwrap();
        assert_eq!(look().differs_from(&third), Some(source));
        let added = write("wit/shop.wit", "1");
        assert!(look().differs_from(&third).is_some_and(|path| path == added || path.ends_with("lib.rs")));
    }
}
