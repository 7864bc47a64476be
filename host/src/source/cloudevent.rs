//! The envelope: a CloudEvent 1.0 in its JSON format, one a line.

use std::borrow::Cow;

use purefold_effects::TraceParent;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Longest id, source, type or correlation id, in bytes.
const MOST_ATTRIBUTE_BYTES: usize = 1024;

/// A CloudEvent, borrowed from its bytes.
#[derive(Debug, Deserialize)]
pub struct CloudEvent<'a> {
    #[serde(borrow, default)]
    specversion: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    source: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "type")]
    ty: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    time: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    correlationid: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    traceparent: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    data_base64: Option<serde::de::IgnoredAny>,
}

/// Why bytes are no CloudEvent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct EnvelopeError {
    /// Stable code.
    pub code: &'static str,
    /// The attribute.
    pub path: &'static str,
    /// What is wrong.
    pub reason: String,
}

impl<'a> CloudEvent<'a> {
    /// Reads the envelope of `bytes`; the data stays JSON text.
    ///
    /// # Errors
    /// Where the bytes are no JSON object or a required attribute is missing or too long.
    pub fn read(bytes: &'a [u8]) -> Result<Self, EnvelopeError> {
        // A derived reader also takes a struct's fields from an array, one after the other.
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
            return Err(EnvelopeError { code: "not-cloudevent", path: "", reason: "expected an object, found an array".into() });
        }
        let event: CloudEvent<'a> = serde_json::from_slice(bytes).map_err(|error| {
            let code = if error.is_data() { "not-cloudevent" } else { "not-json" };
            EnvelopeError { code, path: "", reason: error.to_string() }
        })?;
        let wrong = |path, reason: String| Err(EnvelopeError { code: "not-cloudevent", path, reason });
        match event.specversion.as_deref() {
            Some("1.0") => {}
            Some(other) => return wrong("specversion", format!("expected \"1.0\", found {other:?}")),
            None => return wrong("specversion", "missing".into()),
        }
        for (path, attribute) in [("id", &event.id), ("source", &event.source), ("type", &event.ty)] {
            match attribute.as_deref() {
                None | Some("") => return wrong(path, "missing or empty".into()),
                Some(text) if text.len() > MOST_ATTRIBUTE_BYTES => {
                    return wrong(path, format!("{} bytes; the limit is {MOST_ATTRIBUTE_BYTES}", text.len()));
                }
                Some(_) => {}
            }
        }
        if event.correlationid.as_ref().is_some_and(|id| id.len() > MOST_ATTRIBUTE_BYTES) {
            return wrong("correlationid", format!("the limit is {MOST_ATTRIBUTE_BYTES} bytes"));
        }
        if event.data_base64.is_some() {
            return wrong("data_base64", "only JSON data is taken".into());
        }
        Ok(event)
    }

    /// The event's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    /// The event's source.
    #[must_use]
    pub fn source(&self) -> &str {
        self.source.as_deref().unwrap_or_default()
    }

    /// The event's type.
    #[must_use]
    pub fn ty(&self) -> &str {
        self.ty.as_deref().unwrap_or_default()
    }

    /// The extension attribute `correlationid`.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.correlationid.as_deref().filter(|id| !id.is_empty())
    }

    /// The extension attribute `traceparent`: what the event says it follows from. One that is not well formed says nothing.
    #[must_use]
    pub fn trace_parent(&self) -> Option<TraceParent> {
        // It needs no escapes.
        TraceParent::parse(self.traceparent?.get().strip_prefix('"')?.strip_suffix('"')?)
    }

    /// The event's time in microseconds, where it has one.
    ///
    /// # Errors
    /// Where the text is no RFC 3339 time.
    pub fn time(&self) -> Result<Option<u64>, EnvelopeError> {
        let Some(text) = &self.time else { return Ok(None) };
        purefold_wit::instant::parse(text).map(Some).map_err(|reason| EnvelopeError { code: "not-cloudevent", path: "time", reason })
    }

    /// The data as JSON text; `null` where there is none.
    #[must_use]
    pub fn data(&self) -> &'a str {
        self.data.map_or("null", RawValue::get)
    }
}
