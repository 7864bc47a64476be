//! From a record to an event in the structured form of CloudEvents, in which the journal keeps it.

use std::collections::BTreeMap;
use std::sync::Arc;

use purefold_wit::instant;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::group::Reading;
use super::{KafkaSettings, Partition};
use crate::journal::EntryHash;
use crate::source::{Undecodable, structured};

/// How much of an oversized record a dead letter keeps.
const KEPT_BYTES: usize = 4096;

const ATTRIBUTE_PREFIX: &str = "ce_";
const STRUCTURED: &str = "application/cloudevents+json";
const BATCHED: &str = "application/cloudevents-batch";
const OTHER_FORMAT: &str = "application/cloudevents";

/// Headers of an event that is no CloudEvent.
const CORRELATION: &str = "correlationid";
const TRACE_PARENT: &str = "traceparent";

/// What tells a record from another one that stands at the same offset of another log.
pub(super) fn tail_of(message: &BorrowedMessage<'_>) -> EntryHash {
    let mut hasher = Sha256::new();
    let part = |bytes: Option<&[u8]>, hasher: &mut Sha256| {
        let length = bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX));
        hasher.update(length.to_be_bytes());
        hasher.update(bytes.unwrap_or_default());
    };
    hasher.update(message.timestamp().to_millis().unwrap_or(-1).to_be_bytes());
    part(message.key(), &mut hasher);
    part(message.payload(), &mut hasher);
    hasher.finalize().into()
}

/// What records of one reading mean.
pub(super) struct Converter {
    most_bytes: usize,
    id_header: Option<String>,
    id_field: Option<String>,
    /// By part: the partition, and the source of events that name none.
    parts: Vec<(Partition, String)>,
}

/// A record as it came.
pub(super) struct Record<'a> {
    pub(super) headers: Vec<(&'a str, &'a [u8])>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) offset: i64,
    /// In milliseconds since the Unix epoch.
    pub(super) timestamp: Option<i64>,
}

impl Converter {
    pub(super) fn new(settings: &KafkaSettings, reading: &Reading) -> Self {
        let part = |from: &super::ReadFrom| {
            let partition = from.partition.clone();
            // After its position was set, the same offsets may hold other events.
            let source = match from.generation {
                0 => format!("kafka:{}", partition.topic),
                generation => format!("kafka:{}#{generation}", partition.topic),
            };
            (partition, source)
        };
        Converter {
            most_bytes: reading.most_bytes,
            id_header: settings.id_header.clone(),
            id_field: settings.id_field.clone(),
            parts: reading.parts.iter().map(part).collect(),
        }
    }

    /// The event's bytes; or what the dead letter keeps, and why it is one.
    pub(super) fn event(&self, message: &BorrowedMessage<'_>, part: usize) -> (Arc<[u8]>, Option<Undecodable>) {
        let headers =
            message.headers().map(|headers| headers.iter().map(|header| (header.key, header.value.unwrap_or_default())).collect());
        let record = Record {
            headers: headers.unwrap_or_default(),
            value: message.payload(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
        };
        match self.convert(&record, part) {
            Ok(bytes) => (bytes, None),
            Err(undecodable) => {
                let value = record.value.unwrap_or_default();
                (
                    value[..value.len().min(if undecodable.code == "event-too-large" { KEPT_BYTES } else { usize::MAX })].into(),
                    Some(undecodable),
                )
            }
        }
    }

    pub(super) fn convert(&self, record: &Record<'_>, part: usize) -> Result<Arc<[u8]>, Undecodable> {
        let id = record.header("ce_id").or_else(|| record.header(self.id_header.as_deref()?)).map(str::to_owned);
        let wrong = |code, reason: String| Undecodable { event_id: id.clone(), code, path: String::new(), reason };
        let Some(value) = record.value else {
            return Err(wrong("tombstone", "the record has no value: it says that what its key names is gone, and is no event".into()));
        };
        if value.len() > self.most_bytes {
            let reason = format!("{} bytes; the limit is {}; raise limits.event to take it", value.len(), self.most_bytes);
            return Err(wrong("event-too-large", reason));
        }
        let content_type = record.header("content-type").unwrap_or_default().to_ascii_lowercase();
        if content_type.starts_with(BATCHED) {
            return Err(wrong("batch-refused", "a record is one event; send each event as a record of its own".into()));
        }
        if content_type.starts_with(STRUCTURED) {
            return Ok(value.into());
        }
        if content_type.starts_with(OTHER_FORMAT) {
            return Err(wrong("not-json", format!("events are taken in JSON, not as {content_type:?}")));
        }
        if record.headers.iter().any(|(name, _)| name.starts_with(ATTRIBUTE_PREFIX)) {
            binary(record, value)
        } else {
            self.plain(record, value, part)
        }
    }

    /// The event that data alone is: its type is the topic.
    fn plain(&self, record: &Record<'_>, value: &[u8], part: usize) -> Result<Arc<[u8]>, Undecodable> {
        let (partition, source) = &self.parts[part];
        let told = record.header(self.id_header.as_deref().unwrap_or_default()).map(str::to_owned);
        let told = told.or_else(|| field(value, self.id_field.as_deref()?));
        let id = told.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("{partition}/{}", record.offset));
        let mut attributes: BTreeMap<&str, String> = BTreeMap::new();
        attributes.insert("specversion", "1.0".into());
        attributes.insert("source", source.clone());
        attributes.insert("type", partition.topic.to_string());
        let time = record.timestamp.and_then(|millis| instant::format(u64::try_from(millis).ok()?.saturating_mul(1000)));
        for (name, text) in [("time", time), (CORRELATION, record.text(CORRELATION)), (TRACE_PARENT, record.text(TRACE_PARENT))] {
            if let Some(text) = text {
                attributes.insert(name, text);
            }
        }
        let wrong = |error: serde_json::Error| Undecodable {
            event_id: Some(id.clone()),
            code: "not-json",
            path: "data".into(),
            reason: error.to_string(),
        };
        let id_attribute = [("id", id.as_str())];
        let attributes = id_attribute.into_iter().chain(attributes.iter().map(|(name, text)| (*name, text.as_str())));
        structured::event(attributes, value).map_err(wrong)
    }
}

/// The event of the binary mode: attributes in headers, data in the value.
fn binary(record: &Record<'_>, value: &[u8]) -> Result<Arc<[u8]>, Undecodable> {
    let id = record.text("ce_id");
    let wrong = |code, path: &str, reason: String| Undecodable { event_id: id.clone(), code, path: path.into(), reason };
    let mut attributes: BTreeMap<&str, &str> = BTreeMap::new();
    for (header, bytes) in &record.headers {
        let name = match (header.strip_prefix(ATTRIBUTE_PREFIX), *header) {
            (Some(name), _) => name,
            (None, "content-type") => "datacontenttype",
            (None, _) => continue,
        };
        if !structured::is_attribute(name) || (name.starts_with("data") && header.starts_with(ATTRIBUTE_PREFIX)) {
            return Err(wrong("not-cloudevent", name, "it is no attribute that a header may carry".into()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| wrong("not-cloudevent", name, "it is no text".into()))?;
        if attributes.insert(name, text).is_some() {
            return Err(wrong("not-cloudevent", name, "it is given twice".into()));
        }
    }
    if let Some(parent) = record.header(TRACE_PARENT) {
        attributes.entry(TRACE_PARENT).or_insert(parent);
    }
    structured::event(attributes.into_iter(), value).map_err(|error| wrong("not-json", "data", error.to_string()))
}

impl<'a> Record<'a> {
    /// The last header of that name, where it is text.
    fn header(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.headers.iter().rev().find(|(header, _)| *header == name)?;
        std::str::from_utf8(value).ok()
    }

    fn text(&self, name: &str) -> Option<String> {
        self.header(name).filter(|text| !text.is_empty()).map(str::to_owned)
    }
}

/// The text or number in a field of an object.
fn field(value: &[u8], name: &str) -> Option<String> {
    let fields: std::collections::HashMap<&str, &RawValue> = serde_json::from_slice(value).ok()?;
    let raw = fields.get(name)?.get();
    match serde_json::from_str::<serde_json::Value>(raw).ok()? {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
