//! Reading the keys of a map, with everything unknown told.

use std::time::Duration;

use purefold_effects::settings::parse_duration;
use purefold_wit::{finding, instant};

use super::Misread;
use super::yaml::{Content, Node};

/// A reader of one map.
pub(super) struct Fields<'a> {
    line: usize,
    fields: &'a [(String, Node)],
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// A reader of `node`, which is `what`.
    pub(super) fn of(node: &'a Node, what: &str) -> Result<Self, Misread> {
        match &node.content {
            Content::Map(fields) => Ok(Fields { line: node.line, fields, asked: Vec::new() }),
            _ => Err(Misread { line: node.line, reason: format!("{what} is a map of keys and values") }),
        }
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }

    pub(super) fn node(&mut self, name: &'static str) -> Option<&'a Node> {
        self.asked.push(name);
        self.fields.iter().find(|(key, _)| key == name).map(|(_, node)| node)
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<&'a str>, Misread> {
        self.node(name).map(|node| text(node, name)).transpose()
    }

    pub(super) fn boolean(&mut self, name: &'static str) -> Result<Option<bool>, Misread> {
        let Some(node) = self.node(name) else { return Ok(None) };
        match &node.content {
            Content::Literal(literal) if literal == "true" || literal == "false" => Ok(Some(literal == "true")),
            _ => Err(Misread { line: node.line, reason: format!("`{name}` is true or false") }),
        }
    }

    pub(super) fn number(&mut self, name: &'static str) -> Result<Option<u32>, Misread> {
        let Some(node) = self.node(name) else { return Ok(None) };
        match &node.content {
            Content::Literal(literal) if literal.parse::<u32>().is_ok_and(|number| number > 0) => Ok(literal.parse().ok()),
            _ => Err(Misread { line: node.line, reason: format!("`{name}` is a whole number from 1") }),
        }
    }

    pub(super) fn list(&mut self, name: &'static str) -> Result<Option<&'a [Node]>, Misread> {
        let Some(node) = self.node(name) else { return Ok(None) };
        match &node.content {
            Content::List(items) => Ok(Some(items)),
            _ => Err(Misread { line: node.line, reason: format!("`{name}` is a list") }),
        }
    }

    /// Tells the first key that nobody asked for.
    pub(super) fn finish(self, what: &str) -> Result<(), Misread> {
        let unknown = self.fields.iter().find(|(key, _)| !self.asked.contains(&key.as_str()));
        let Some((key, node)) = unknown else { return Ok(()) };
        let help = match finding::nearest(key, self.asked.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", self.asked.join(", ")),
        };
        Err(Misread { line: node.line, reason: format!("{what} knows no key `{key}`; {help}") })
    }
}

pub(super) fn text<'a>(node: &'a Node, name: &str) -> Result<&'a str, Misread> {
    node.text().ok_or_else(|| Misread { line: node.line, reason: format!("`{name}` is a text; put numbers and the like in quotes") })
}

pub(super) fn duration(node: &Node, name: &str) -> Result<Duration, Misread> {
    parse_duration(text(node, name)?).map_err(|error| Misread { line: node.line, reason: format!("`{name}`: {error}") })
}

pub(super) fn moment(node: &Node, name: &str) -> Result<u64, Misread> {
    instant::parse(text(node, name)?).map_err(|reason| Misread { line: node.line, reason: format!("`{name}`: {reason}") })
}
