//! What tests read of the repository itself: its folder and its source files.

use std::fs;
use std::path::{Path, PathBuf};

/// Deeper than any folder of sources: a cycle of links ends here instead of never.
const DEPTH_MOST: usize = 16;

/// The repository's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests' crate lies in the repository").to_path_buf()
}

/// A source file.
pub(crate) struct Source {
    /// Relative to the repository's folder, with `/` between its parts.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
}

impl Source {
    /// The lines with their numbers (from 1) up to the file's test module, which by convention is its end.
    pub(crate) fn lines_without_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines()).take_while(|(_, line)| line.trim() != "#[cfg(test)]")
    }

    /// True of files that hold nothing but tests.
    pub(crate) fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.path.split('/').any(|part| part == "tests") || name == "tests.rs" || name.ends_with("_tests.rs")
    }
}

/// The Rust files under `folder` (relative to the repository's), sorted by path.
pub(crate) fn rust_files(folder: &str) -> Vec<Source> {
    let root = root();
    let mut paths = Vec::new();
    collect(&root.join(folder), DEPTH_MOST, &mut paths);
    paths.sort();
    paths
        .into_iter()
        .map(|path| Source {
            text: fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display())),
            path: path
                .strip_prefix(&root)
                .unwrap_or(&path)
                .components()
                .map(|part| part.as_os_str().to_string_lossy())
                .collect::<Vec<_>>()
                .join("/"),
        })
        .collect()
}

fn collect(folder: &Path, depth: usize, into: &mut Vec<PathBuf>) {
    assert!(depth > 0, "{} lies too deep for a folder of sources", folder.display());
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
    for entry in entries {
        let path = entry.unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display())).path();
        if path.is_dir() {
            // Neither what is built nor what npm fetches is a source of the repository's.
            if path.file_name().is_some_and(|name| name != "target" && name != "node_modules") {
                collect(&path, depth - 1, into);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}
