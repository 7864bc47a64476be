//! What is sent: method, URL, headers and body of one intent.

use purefold_wit::{Record, Value};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request};

use super::hosts::Hosts;
use super::url::UrlTemplate;
use crate::body::Body;
use crate::route::{self, Bound};
use crate::settings::Settings;
use crate::template::{Part, Template};
use crate::{Call, Route};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// Headers that a route may not set: they are this module's, or they frame the message.
const RESERVED: [&str; 11] = [
    "idempotency-key",
    "x-correlation-id",
    "host",
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A bound route.
pub(super) struct Plan {
    method: Method,
    url: UrlTemplate,
    headers: Vec<(HeaderName, Template)>,
    body: Option<Body>,
    /// For messages: method and origin. A path may hold what is nobody's business.
    attempted: String,
}

impl Plan {
    /// Reads the settings of one route of the effect `effect`.
    pub(super) fn read(route: &Route<'_>, effect: &str, hosts: &Hosts) -> Bound<Plan> {
        let mut settings = route::settings(route);
        let methods = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        let methods: Vec<(&str, &Method)> = methods.iter().map(|method| (method.as_str(), method)).collect();
        let method = if settings.has("method") { settings.choice("method", &methods).cloned() } else { Some(Method::POST) };
        let url = settings.required("url", Settings::string);
        let url = url.and_then(|text| match UrlTemplate::parse(text, route.intent, &settings.place_of("url"), effect, hosts) {
            Ok(url) => Some(url),
            Err(findings) => {
                settings.absorb(findings);
                None
            }
        });
        let headers = headers(&mut settings, route.intent);
        let body = body(&mut settings, route, method.as_ref());
        let findings = settings.finish();
        match (method, url) {
            (Some(method), Some(url)) if findings.is_empty() => {
                let attempted = format!("{method} {}", url.origin());
                Ok(Plan { method, url, headers, body, attempted })
            }
            _ => Err(findings),
        }
    }

    /// What is attempted, for messages: without path, headers and body.
    pub(super) fn attempted(&self) -> &str {
        &self.attempted
    }

    /// The request of one intent.
    ///
    /// # Errors
    /// A record that cannot be sent on this route.
    pub(super) fn request(&self, call: &Call) -> Result<Request, String> {
        let wrong = |reason: String| format!("{}: {reason}", self.attempted);
        let Value::Record(fields) = &*call.payload else { return Err(wrong("the intent is not a record".to_owned())) };
        let mut request = Request::new(self.method.clone(), self.url.fill(fields).map_err(wrong)?);
        if let Some(body) = &self.body {
            *request.body_mut() = Some(body.encode(&call.payload).map_err(wrong)?.into());
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        self.write_headers(call, fields, request.headers_mut()).map_err(wrong)?;
        Ok(request)
    }

    fn write_headers(&self, call: &Call, fields: &[Value], headers: &mut HeaderMap) -> Result<(), String> {
        for (name, template) in &self.headers {
            let mut text = String::new();
            template.render(fields, &mut text, |value, out| {
                if !value.bytes().all(is_header_byte) {
                    return Err("has a character that a header does not carry");
                }
                out.push_str(value);
                Ok(())
            })?;
            let mut value =
                HeaderValue::from_str(&text).map_err(|_| format!("the header `{name}` has a character that it does not carry"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let id = HeaderValue::from_str(&call.id.to_string()).map_err(|error| error.to_string())?;
        headers.insert(IDEMPOTENCY_KEY, id);
        let mut correlation_id = String::new();
        for byte in call.correlation_id.bytes() {
            if is_header_byte(byte) && byte != b'%' {
                correlation_id.push(char::from(byte));
            } else {
                correlation_id.push_str(&format!("%{byte:02X}"));
            }
        }
        headers.insert(CORRELATION_ID, HeaderValue::from_str(&correlation_id).map_err(|error| error.to_string())?);
        // A route that hands on a trace of its own making knows better.
        if let Some(trace) = call.trace.filter(|_| !headers.contains_key(TRACE_PARENT)) {
            headers.insert(TRACE_PARENT, HeaderValue::from_str(&trace.to_string()).map_err(|error| error.to_string())?);
        }
        Ok(())
    }
}

/// Visible ASCII and spaces.
fn is_header_byte(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte)
}

fn headers(settings: &mut Settings<'_>, record: &Record) -> Vec<(HeaderName, Template)> {
    let Some(mut table) = settings.nested("headers") else { return Vec::new() };
    let mut headers = Vec::new();
    for name in table.names() {
        let Some(text) = table.string(name) else { continue };
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
            table.report("header-invalid", name, "is no name of a header", "use letters, digits and `-`");
            continue;
        };
        if RESERVED.contains(&header.as_str()) {
            table.report("header-invalid", name, "is set by purefold itself", "remove it, or use another header");
            continue;
        }
        if headers.iter().any(|(there, _)| *there == header) {
            table.report("header-invalid", name, "is set twice", "keep one; headers have no case");
            continue;
        }
        match Template::parse(text, record, &table.place_of(name)) {
            Ok(template)
                if template.parts().iter().all(|part| !matches!(part, Part::Text(text) if !text.expose().bytes().all(is_header_byte))) =>
            {
                headers.push((header, template));
            }
            Ok(_) => table.report("header-invalid", name, "has a character that a header does not carry", "use visible ASCII and spaces"),
            Err(findings) => table.absorb(findings),
        }
    }
    settings.absorb(table.finish());
    headers
}

/// The record for methods that send one, nothing for the others, unless the route says otherwise.
fn body(settings: &mut Settings<'_>, route: &Route<'_>, method: Option<&Method>) -> Option<Body> {
    let sends = matches!(method, Some(&Method::POST | &Method::PUT | &Method::PATCH));
    if !settings.has("body") {
        return sends.then(|| Body::record(route.intent));
    }
    match settings.string("body")? {
        "none" => None,
        _ if method == Some(&Method::GET) => {
            settings.report("setting-range", "body", "a GET sends no body", "remove it, or choose another method");
            None
        }
        name => Body::bind(settings, "body", name, route.intent),
    }
}
