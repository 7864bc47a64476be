//! What all SQL has in common.

/// An identifier as SQL takes it, whatever characters it has.
pub(crate) fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
