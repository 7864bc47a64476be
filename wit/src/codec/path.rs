//! Paths into a value and excerpts of what was found there, for messages.

use std::fmt::Write;

/// Most bytes of a key or of a found value that a message repeats.
pub(super) const EXCERPT_MAX_BYTES: usize = 64;

/// One step of a path.
#[derive(Debug)]
pub(super) enum Segment {
    /// A record's field or a variant's case, in snake case.
    Name(Box<str>),
    /// A place in a list or tuple.
    Index(usize),
    /// A map's key, which may be any text.
    Key(Box<str>),
}

impl Segment {
    /// A record's field of which nothing is known, so that its name may be any text.
    pub(super) fn field(key: &str) -> Segment {
        let plain =
            !key.is_empty() && key.len() <= EXCERPT_MAX_BYTES && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if plain { Segment::Name(key.into()) } else { Segment::Key(key.into()) }
    }
}

/// The path from `root` along `segments`, of which the innermost comes first, as unwinding collects them.
pub(super) fn render(root: &str, segments: &[Segment]) -> String {
    let mut path = root.to_owned();
    for segment in segments.iter().rev() {
        match segment {
            Segment::Name(name) => {
                path.push('.');
                path.push_str(name);
            }
            // Writing to a string cannot fail.
            Segment::Index(index) => drop(write!(path, "[{index}]")),
            Segment::Key(key) => drop(write!(path, "[{}]", quoted(key))),
        }
    }
    path
}

/// `text` as a JSON string, cut to [`EXCERPT_MAX_BYTES`] of its bytes.
pub(super) fn quoted(text: &str) -> String {
    let cut = shortened(text);
    let mut quoted = serde_json::Value::from(cut).to_string();
    if cut.len() < text.len() {
        quoted.insert(quoted.len() - 1, '…');
    }
    quoted
}

/// `text` cut to [`EXCERPT_MAX_BYTES`].
pub(super) fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(EXCERPT_MAX_BYTES)]
}
