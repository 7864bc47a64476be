//! How events stand in a request: structured, binary or batched (the HTTP protocol binding of CloudEvents 1.0).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;

use super::refusal::Refusal;
use crate::source::{Undecodable, structured};

const STRUCTURED: &str = "application/cloudevents+json";
const BATCHED: &str = "application/cloudevents-batch+json";
const JSON: &str = "application/json";

/// The media types of whole events, for people.
pub(super) const TYPES: &str = "application/cloudevents+json or application/cloudevents-batch+json";

/// What is taken, for `Accept-Post`.
pub(super) const ACCEPTED: &str = "application/cloudevents+json, application/cloudevents-batch+json, application/json";

/// Events of one batch.
const MOST_EVENTS: usize = 1000;

const ATTRIBUTE_PREFIX: &str = "ce-";

/// How events stand in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The body is the event.
    Structured,
    /// The headers are its attributes, the body its data.
    Binary,
    /// The body is a list of events.
    Batched,
}

/// The events of a request, each as its bytes, or what is wrong with the one of that place.
pub(super) type Events = Vec<Result<Arc<[u8]>, Undecodable>>;

impl Mode {
    /// The mode that the headers declare.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let is_binary = headers.keys().any(|name| name.as_str().starts_with(ATTRIBUTE_PREFIX));
        let Some(value) = headers.get(header::CONTENT_TYPE) else {
            return if is_binary { Ok(Mode::Binary) } else { Err(Refusal::media_type_unknown("the request has no Content-Type")) };
        };
        let unknown = || Refusal::media_type_unknown(format!("events are not taken as {:?}", String::from_utf8_lossy(value.as_bytes())));
        let (essence, charset) = parse(value.to_str().map_err(|_| unknown())?);
        if charset.is_some_and(|charset| !charset.eq_ignore_ascii_case("utf-8")) {
            return Err(unknown());
        }
        match essence.as_str() {
            STRUCTURED => Ok(Mode::Structured),
            BATCHED => Ok(Mode::Batched),
            // Any other dialect of JSON is data as well.
            json if is_binary && (json == JSON || json.ends_with("+json")) => Ok(Mode::Binary),
            _ => Err(unknown()),
        }
    }

    /// The events that a request of this mode holds.
    pub(super) fn events(self, headers: &HeaderMap, body: &[u8]) -> Result<Events, Refusal> {
        match self {
            Mode::Structured => Ok(vec![Ok(body.into())]),
            Mode::Binary => Ok(vec![of_headers(headers, body)]),
            Mode::Batched => batched(body),
        }
    }
}

/// A media type in lower case without its parameters, and its charset.
fn parse(value: &str) -> (String, Option<&str>) {
    let mut parts = value.split(';');
    let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let charset = parts.filter_map(|part| part.trim().split_once('=')).find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    (essence, charset.map(|(_, charset)| charset.trim().trim_matches('"')))
}

fn batched(body: &[u8]) -> Result<Events, Refusal> {
    let wrong = |code, reason| Refusal::of(Undecodable { event_id: None, code, path: String::new(), reason });
    let events: Vec<&RawValue> = serde_json::from_slice(body).map_err(|error| {
        let code = if error.is_data() { "not-cloudevent" } else { "not-json" };
        wrong(code, format!("a batch is a list of events: {error}"))
    })?;
    if events.len() > MOST_EVENTS {
        return Err(Refusal::batch_too_large(format!("{} events; the limit is {MOST_EVENTS}", events.len())));
    }
    Ok(events.into_iter().map(|event| Ok(event.get().as_bytes().into())).collect())
}

/// The event of a binary request in its structured form, in which the journal keeps it.
fn of_headers(headers: &HeaderMap, body: &[u8]) -> Result<Arc<[u8]>, Undecodable> {
    let mut attributes = BTreeMap::new();
    let id = headers.get("ce-id").and_then(|id| attribute(id.as_bytes()));
    let wrong = |code, path: &str, reason: String| Undecodable { event_id: id.clone(), code, path: path.into(), reason };
    if let Some(content_type) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) {
        attributes.insert("datacontenttype".to_owned(), content_type.to_owned());
    }
    for (header, value) in headers {
        let Some(name) = header.as_str().strip_prefix(ATTRIBUTE_PREFIX) else { continue };
        if !structured::is_attribute(name) || name.starts_with("data") {
            return Err(wrong("not-cloudevent", name, "it is no attribute that a header may carry".into()));
        }
        let text = attribute(value.as_bytes()).ok_or_else(|| wrong("not-cloudevent", name, "it is no text".into()))?;
        if attributes.insert(name.to_owned(), text).is_some() {
            return Err(wrong("not-cloudevent", name, "it is given twice".into()));
        }
    }
    let attributes = attributes.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    structured::event(attributes, body).map_err(|error| wrong("not-json", "data", error.to_string()))
}

/// An attribute's text: quoted or not, and percent-encoded where it is not plain ASCII.
fn attribute(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let unquoted = match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(quoted) => &quoted.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => text,
    };
    Some(percent_decode_str(unquoted).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect::<Vec<_>>().into_iter().fold(
            HeaderMap::new(),
            |mut headers, (name, value): (header::HeaderName, header::HeaderValue)| {
                headers.append(name, value);
                headers
            },
        )
    }

    #[test]
    fn the_mode_is_what_the_headers_declare() {
        let mode = |pairs: &[(&'static str, &'static str)]| Mode::of(&headers(pairs)).map_err(|refusal| refusal.status.as_u16());
        assert_eq!(mode(&[("content-type", "application/cloudevents+json; charset=UTF-8")]), Ok(Mode::Structured));
        assert_eq!(mode(&[("content-type", "Application/CloudEvents+JSON")]), Ok(Mode::Structured));
        assert_eq!(mode(&[("content-type", "application/cloudevents-batch+json")]), Ok(Mode::Batched));
        assert_eq!(mode(&[("content-type", "application/json"), ("ce-id", "1")]), Ok(Mode::Binary));
        assert_eq!(mode(&[("content-type", "application/vnd.x+json"), ("ce-id", "1")]), Ok(Mode::Binary));
        assert_eq!(mode(&[("ce-id", "1")]), Ok(Mode::Binary));
        for unknown in [
            &[("content-type", "application/json")][..],
            &[("content-type", "text/plain"), ("ce-id", "1")],
            &[("content-type", "application/cloudevents+avro")],
            &[("content-type", "application/cloudevents+json; charset=latin1")],
            &[],
        ] {
            assert_eq!(mode(unknown), Err(415), "{unknown:?}");
        }
    }

    #[test]
    fn a_binary_event_is_put_into_its_structured_form() {
        let of = |pairs: &[(&'static str, &'static str)], body: &str| {
            let bytes = of_headers(&headers(pairs), body.as_bytes()).map_err(|wrong| (wrong.code, wrong.path))?;
            Ok::<_, (&str, String)>(String::from_utf8(bytes.to_vec()).unwrap())
        };
        let plain = &[("ce-id", "1"), ("ce-type", "t"), ("ce-source", "/%C3%A4"), ("content-type", "application/json")];
        let event = r#"{"datacontenttype":"application/json","id":"1","source":"/ä","type":"t","data":{"n": 18446744073709551615}}"#;
        assert_eq!(of(plain, r#"{"n": 18446744073709551615}"#), Ok(event.into()));
        assert_eq!(of(&[("ce-id", "\"a \\\"b\\\"\"")], " "), Ok(r#"{"id":"a \"b\""}"#.into()));
        assert_eq!(of(&[("ce-id", "1"), ("ce-id", "2")], ""), Err(("not-cloudevent", "id".into())));
        assert_eq!(of(&[("ce-da-ta", "1")], ""), Err(("not-cloudevent", "da-ta".into())));
        assert_eq!(of(&[("ce-data", "1")], ""), Err(("not-cloudevent", "data".into())));
        assert_eq!(of(&[("ce-id", "%ff")], ""), Err(("not-cloudevent", "id".into())));
        assert_eq!(of(&[("ce-id", "1")], "{"), Err(("not-json", "data".into())));
        assert_eq!(of(&[("ce-id", "1")], "{}, \"id\":\"2\""), Err(("not-json", "data".into())));
    }

    #[test]
    fn a_batch_is_a_list_of_events() {
        let of =
            |body: &str| batched(body.as_bytes()).map(|events| events.len()).map_err(|refusal| (refusal.status.as_u16(), refusal.code));
        assert_eq!(of("[]"), Ok(0));
        assert_eq!(of(r#"[{"id":1}, "not even one"]"#), Ok(2));
        assert_eq!(of(r#"{"id":1}"#), Err((400, "not-cloudevent")));
        assert_eq!(of(r#"[{"id":1}"#), Err((400, "not-json")));
        assert_eq!(of(&format!("[{}1]", "1,".repeat(MOST_EVENTS))), Err((413, "batch-too-large")));
    }
}
