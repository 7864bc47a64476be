//! YAML as scenarios use it: block or flow, JSON within it, and a line for everything.
//!
//! Plain scalars are read by JSON's rules: numbers, `true`, `false` and `null` are these, everything else is text. So a text
//! such as `no` or `1.10.2` stays one, and what is copied from a journal means the same here.

use std::fmt::Write as _;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::Misread;

/// Deepest nesting.
const DEPTH_MOST: usize = 64;

/// Something in a file, and the line it begins on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// From 1.
    pub line: usize,
    /// What it is.
    pub content: Content,
}

/// What stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A number, `true`, `false` or `null`, as JSON writes it.
    Literal(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and values in their order; no key twice.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The text, where it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is `null`, written out or left away.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.content, Content::Literal(literal) if literal == "null")
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match &self.content {
            Content::Literal(literal) => out.push_str(literal),
            Content::Text(text) => quote(text, out),
            Content::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    item.write(out);
                }
                out.push(']');
            }
            Content::Map(fields) => {
                out.push('{');
                for (index, (key, value)) in fields.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    quote(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// `text` as JSON writes it.
pub(super) fn quote(text: &str, out: &mut String) {
    // Writing to a string does not fail.
    let _ = write!(out, "{}", serde_json::Value::from(text));
}

/// The documents of a file.
///
/// # Errors
/// The first thing that is no YAML, or of a kind that scenarios have no use for: anchors, tags, keys that are no texts.
pub(super) fn documents(text: &str) -> Result<Vec<Node>, Misread> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Misread { line: error.marker().line(), reason: error.info().to_owned() })?;
        builder.take(event, span.start.line())?;
    }
    Ok(builder.documents)
}

/// A list or map that is not at its end yet.
struct Open {
    line: usize,
    content: Content,
    /// The key whose value is to come.
    key: Option<String>,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    documents: Vec<Node>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), Misread> {
        let wrong = |reason: &str| Err(Misread { line, reason: reason.to_owned() });
        let content = match event {
            Event::Scalar(_, _, anchor, _) | Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) if anchor > 0 => {
                return wrong("anchors have no use here: write it out");
            }
            Event::Scalar(.., Some(_)) | Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_)) => {
                return wrong("tags have no use here: the contract knows the types");
            }
            Event::Alias(_) => return wrong("aliases have no use here: write it out"),
            Event::Scalar(text, style, ..) => scalar(&text, style),
            Event::SequenceStart(..) => return self.begin(line, Content::List(Vec::new())),
            Event::MappingStart(..) => return self.begin(line, Content::Map(Vec::new())),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return wrong("an end without a beginning") };
                return self.add(Node { line: open.line, content: open.content });
            }
            _ => return Ok(()),
        };
        self.add(Node { line, content })
    }

    fn begin(&mut self, line: usize, content: Content) -> Result<(), Misread> {
        if self.open.len() >= DEPTH_MOST {
            return Err(Misread { line, reason: format!("nested deeper than {DEPTH_MOST}") });
        }
        self.open.push(Open { line, content, key: None });
        Ok(())
    }

    fn add(&mut self, node: Node) -> Result<(), Misread> {
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match (&mut open.content, open.key.take()) {
            (Content::Map(fields), Some(key)) => fields.push((key, node)),
            (Content::Map(fields), None) => {
                let (Content::Text(key) | Content::Literal(key)) = node.content else {
                    return Err(Misread { line: node.line, reason: "a key is a text".into() });
                };
                if fields.iter().any(|(known, _)| *known == key) {
                    return Err(Misread { line: node.line, reason: format!("the key `{key}` stands here twice") });
                }
                open.key = Some(key);
            }
            (Content::List(items), _) => items.push(node),
            (Content::Literal(_) | Content::Text(_), _) => {}
        }
        Ok(())
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Content {
    if style != ScalarStyle::Plain {
        return Content::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" => Content::Literal("null".into()),
        "true" | "false" => Content::Literal(text.to_owned()),
        _ if serde_json::from_str::<serde_json::Number>(text).is_ok() => Content::Literal(text.to_owned()),
        _ => Content::Text(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn json(text: &str) -> String {
        documents(text).unwrap().iter().map(Node::json).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn plain_scalars_are_what_json_would_have_them_be() {
        assert_eq!(json("[1, -2.5, 1e3, 18446744073709551615, true, null, ~]"), "[1,-2.5,1e3,18446744073709551615,true,null,null]");
        assert_eq!(
            json("[no, 1.10.2, 2026-02-13T12:00:00Z, 0x1f, '7', NaN]"),
            r#"["no","1.10.2","2026-02-13T12:00:00Z","0x1f","7","NaN"]"#
        );
        assert_eq!(json(r#"{"a": {"b": ["\n"]}}"#), r#"{"a":{"b":["\n"]}}"#);
        assert_eq!(json("a:\n  b: 1\n---\n- x\n"), r#"{"a":{"b":1}} ["x"]"#);
    }

    #[test]
    fn what_has_no_use_is_told_with_its_line() {
        for (text, line) in [("a: 1\nb: &x 2\n", 2), ("a: 1\na: 2\n", 2), ("\n\n? [a]\n: 1\n", 3), ("a: !!str 1\n", 1), ("a: [\n", 2)] {
            let misread = documents(text).unwrap_err();
            assert_eq!(misread.line, line, "{text:?}: {misread}");
        }
        assert!(documents(&"[".repeat(1000)).is_err());
    }

    #[test]
    fn every_node_knows_its_line() {
        let documents = documents("when:\n  - event: x\n    data: {a: 1}\n").unwrap();
        let Content::Map(fields) = &documents[0].content else { panic!() };
        let Content::List(items) = &fields[0].1.content else { panic!() };
        assert_eq!((fields[0].1.line, items[0].line), (2, 2));
    }
}
