//! Where scenarios and their traces lie.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use purefold::scenario::{SCENARIO_BYTES_MOST, Scenario, read};

/// The folder of scenarios, beside the manifest.
const FOLDER: &str = "scenarios";

/// How files of scenarios end.
const ENDINGS: [&str; 2] = ["yaml", "yml"];

/// How files of traces end.
const TRACE_ENDING: &str = "trace";

/// A file of scenarios.
pub(super) struct File {
    path: PathBuf,
    pub(super) scenarios: Vec<Scenario>,
    /// Whether it was named by itself, not by its folder.
    is_named: bool,
}

impl File {
    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    pub(super) fn trace_shown(&self) -> String {
        self.trace_path().display().to_string()
    }

    fn trace_path(&self) -> PathBuf {
        self.path.with_extension(TRACE_ENDING)
    }

    /// What was written down before, where anything was.
    pub(super) fn trace(&self) -> anyhow::Result<Option<String>> {
        let path = self.trace_path();
        if !path.is_file() {
            return Ok(None);
        }
        std::fs::read_to_string(&path).map(Some).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Writes the trace down, where one was written before or the file is named by itself. Gives whether it is another one.
    pub(super) fn write_trace(&self, trace: &str) -> anyhow::Result<bool> {
        let path = self.trace_path();
        let before = self.trace()?;
        if before.as_deref() == Some(trace) || (before.is_none() && !self.is_named) {
            return Ok(false);
        }
        std::fs::write(&path, trace).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(true)
    }
}

/// The folder of a manifest's scenarios.
pub(in crate::cli) fn beside(manifest: &Path) -> PathBuf {
    manifest.parent().unwrap_or(Path::new("")).join(FOLDER)
}

/// The scenarios that are named, else those beside the manifest.
///
/// # Errors
/// Everything that is wrong with them.
pub(super) fn find(manifest: &Path, named: &[PathBuf]) -> Result<Vec<File>, Vec<String>> {
    let beside = beside(manifest);
    let named = if named.is_empty() { std::slice::from_ref(&beside) } else { named };
    let (mut files, mut wrong) = (Vec::new(), Vec::new());
    for named in named {
        match paths(named) {
            Ok(paths) if paths.is_empty() => {
                wrong.push(format!("there are no scenarios in {}: write a file that ends in .yaml", named.display()));
            }
            Ok(paths) => {
                for path in paths {
                    match file(&path, path == *named) {
                        Ok(file) => files.push(file),
                        Err(error) => wrong.push(error),
                    }
                }
            }
            Err(error) => wrong.push(format!("cannot read {}: {error}; name a file of scenarios or a folder of them", named.display())),
        }
    }
    if wrong.is_empty() { Ok(files) } else { Err(wrong) }
}

/// The file itself, or the files of the folder by name.
pub(in crate::cli) fn paths(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known)) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn file(path: &Path, is_named: bool) -> Result<File, String> {
    let mut text = String::new();
    let read_text = std::fs::File::open(path).and_then(|file| file.take(SCENARIO_BYTES_MOST + 1).read_to_string(&mut text));
    read_text.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    if text.len() as u64 > SCENARIO_BYTES_MOST {
        return Err(format!("{} is larger than {SCENARIO_BYTES_MOST} bytes: split it", path.display()));
    }
    let scenarios = read(&text).map_err(|misread| format!("{}:{}: {}", path.display(), misread.line, misread.reason))?;
    Ok(File { path: path.to_path_buf(), scenarios, is_named })
}
