//! Keys of objects: looked up where they stand, so that a known one is never copied.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, Visitor};

use super::UnknownFields;
use super::decode::{Node, Trace};
use super::names::Names;
use super::path::{self, Segment};
use super::plan::{RecordPlan, VariantPlan};
use crate::finding;

/// Most names that a message lists when it says which are known.
const KNOWN_NAMES_MAX: usize = 12;

/// A record's key: the field's index, or `None` where it is to be skipped.
pub(super) struct FieldKey<'a> {
    pub(super) plan: &'a RecordPlan,
    pub(super) likely: usize,
    pub(super) trace: &'a Trace,
}

impl<'de> DeserializeSeed<'de> for FieldKey<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldKey<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        match (self.plan.names.find(key, self.likely), self.trace.unknown) {
            (None, UnknownFields::Refuse) => {
                let reason = format!("unknown field of {}{}", self.plan.expected, hint(key, &self.plan.names));
                Err(self.trace.fail_at(Segment::field(key), reason))
            }
            (index, _) => Ok(index),
        }
    }
}

/// A variant's only key: the case's index.
pub(super) struct CaseKey<'a> {
    pub(super) node: Node<'a>,
    pub(super) plan: &'a VariantPlan,
}

impl<'de> DeserializeSeed<'de> for CaseKey<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for CaseKey<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a case's name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<usize, E> {
        self.plan.names.find(key, 0).ok_or_else(|| self.node.unknown(key, &self.plan.names))
    }
}

/// A key or a name as it stands.
pub(super) struct Text(pub(super) Box<str>);

impl<'de> serde::Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        Box::<str>::deserialize(deserializer).map(Text)
    }
}

/// What to say about a name that is unknown: the one that was perhaps meant, else those that there are.
pub(super) fn hint(found: &str, known: &Names) -> String {
    // A long text is no misspelt name, and the distance to it is costly.
    let near = (found.len() <= path::EXCERPT_MAX_BYTES).then(|| finding::nearest(found, known.iter())).flatten();
    if let Some(near) = near {
        return format!("; did you mean {}?", path::quoted(near));
    }
    let listed: Vec<String> = known.iter().take(KNOWN_NAMES_MAX).map(path::quoted).collect();
    let more = if known.len() > listed.len() { ", …" } else { "" };
    format!("; known are {}{more}", listed.join(", "))
}
