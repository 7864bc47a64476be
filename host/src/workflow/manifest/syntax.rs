//! From a path to a table: the file, its encoding and its TOML.

use std::io::Read;
use std::path::{Path, PathBuf};

use purefold_wit::Finding;

use super::MANIFEST_BYTES_MOST;

pub(super) fn text(path: &Path) -> Result<String, Finding> {
    let place = path.display().to_string();
    let unreadable = |cause: String, help: &str| Finding::new("manifest-unreadable", place.clone(), cause, help);
    let file = std::fs::File::open(path)
        .map_err(|error| unreadable(format!("cannot open the manifest: {error}"), "give the path of a workflow's TOML file"))?;
    let mut bytes = Vec::new();
    file.take(MANIFEST_BYTES_MOST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(format!("cannot read the manifest: {error}"), "give the path of a workflow's TOML file"))?;
    if bytes.len() as u64 > MANIFEST_BYTES_MOST {
        return Err(unreadable(
            format!("the manifest is larger than {MANIFEST_BYTES_MOST} bytes"),
            "a manifest is a short text; check that this is the right file",
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        unreadable(format!("line {line} is not UTF-8"), "save the manifest as UTF-8 text")
    })
}

pub(super) fn table(text: &str) -> Result<toml::Table, Finding> {
    text.parse::<toml::Table>().map_err(|error| {
        let place = error.span().map_or_else(|| "manifest".to_owned(), |span| position(text, span.start));
        // The parser's message spans lines where it lists what it expected.
        let cause = error.message().lines().map(str::trim).collect::<Vec<_>>().join("; ");
        Finding::new("manifest-syntax", place, cause, "mend the TOML there; the checks of the content come after")
    })
}

fn position(text: &str, offset: usize) -> String {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let column = 1 + String::from_utf8_lossy(&before[line_start..]).chars().count();
    format!("line {line}, column {column}")
}

/// The folder that the manifest's relative paths start from.
pub(super) fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_syntax_error_names_its_line_and_column() {
        let finding = table("name = \"x\"\n[reducer\n").unwrap_err();
        assert_eq!((finding.code, finding.place.as_str()), ("manifest-syntax", "line 2, column 9"), "{finding}");
    }

    #[test]
    fn a_missing_file_and_one_that_is_no_text_are_findings() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("workflow.toml");
        assert_eq!(text(&path).unwrap_err().code, "manifest-unreadable");
        std::fs::write(&path, b"name = \"a\"\n\xff").unwrap();
        assert!(text(&path).unwrap_err().cause.contains("line 2"));
    }

    #[test]
    fn a_manifest_without_a_parent_lies_in_the_current_folder() {
        assert_eq!(folder(Path::new("workflow.toml")), PathBuf::from("."));
        assert_eq!(folder(Path::new("a/workflow.toml")), PathBuf::from("a"));
    }
}
