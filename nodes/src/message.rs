//! What a node sends.

use anyhow::{Context, Result};
use serde_json::value::RawValue;

use crate::event::Event;

/// How an event travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Everything in the value, as one JSON object.
    Structured,
    /// Attributes in headers, the data in the value.
    Binary,
}

/// An event of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Type and topic.
    pub kind: &'static str,
    /// The event's id.
    pub id: String,
    /// Its source.
    pub source: String,
    /// The node's id: the record's key.
    pub node: String,
    /// When it was made, in microseconds since the epoch.
    pub time: u64,
    /// Its correlation id, where it has one.
    pub correlation: Option<String>,
    /// Its data as JSON.
    pub data: String,
}

impl Message {
    /// The event as one JSON object, with `kind` as its type.
    ///
    /// # Errors
    /// Where the data is no JSON.
    pub fn structured(&self, kind: &str) -> Result<String> {
        let data = RawValue::from_string(self.data.clone()).context("an event's data is JSON")?;
        Ok(Event::new(kind, &self.id, &self.source, Some(self.time), self.correlation.as_deref(), data).line()?)
    }

    /// The attributes as headers, with `kind` as its type.
    #[must_use]
    pub fn headers(&self, kind: &str) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("ce_specversion", "1.0".to_owned()),
            ("ce_id", self.id.clone()),
            ("ce_source", self.source.clone()),
            ("ce_type", kind.to_owned()),
            ("ce_time", crate::event::instant(self.time)),
        ];
        headers.extend(self.correlation.clone().map(|correlation| ("ce_correlationid", correlation)));
        headers
    }
}

/// What goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// An event.
    Event(Message, Form),
    /// Something that is none, for that topic.
    Garbage(&'static str, &'static str),
}
