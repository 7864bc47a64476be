//! Where a request goes: a URL with fields in its path and query, never in what comes before.

use purefold_wit::{Finding, Record, Value};
use reqwest::Url;

use super::hosts::Hosts;
use crate::template::Template;

/// Longest URL that is sent.
const URL_BYTES_MAX: usize = 8 * 1024;

/// A URL template whose host is allowed, whatever the fields hold.
pub(super) struct UrlTemplate {
    /// Scheme, host and port, without a slash: the same for every intent.
    origin: String,
    /// The path, with its first slash.
    path: Template,
    /// What follows the question mark.
    query: Option<Template>,
}

impl UrlTemplate {
    /// Reads `text`, and holds its host against the list of the effect `effect`.
    pub(super) fn parse(text: &str, record: &Record, place: &str, effect: &str, hosts: &Hosts) -> Result<UrlTemplate, Vec<Finding>> {
        let wrong = |cause: &str, help: &str| vec![Finding::new("url-malformed", place, cause, help)];
        let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https")) else {
            return Err(wrong("does not begin with http:// or https://", "write the whole URL: https://pay.example/charges/{id}"));
        };
        // URL parsers mend such characters, each in its own way; none of them may decide where a request goes.
        if text.contains(['\\', '#']) || text.contains(char::is_whitespace) || text.contains(char::is_control) {
            return Err(wrong("has a backslash, a `#`, a space or a control character", "percent-encode it, or remove it"));
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if authority.contains(['{', '}', '@', '%']) {
            let help = "write host and port as they are; fields go into the path or the query, credentials into `headers`";
            return Err(vec![Finding::new("host-not-allowed", place, "has a field, a credential or an escape in its host", help)]);
        }
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let path = if path.is_empty() { "/" } else { path };
        if walks(path) {
            return Err(wrong("has `.` or `..` as a part of its path", "write the path that they lead to"));
        }
        let origin = Url::parse(&format!("{scheme}://{authority}/")).ok().filter(|url| url.host_str().is_some_and(|host| !host.is_empty()));
        let Some(origin) = origin else {
            return Err(wrong("has no host that a URL may have", "write the whole URL: https://pay.example/charges"));
        };
        if !hosts.allow(&origin) {
            let cause = format!("requests to {} are not allowed", shown(&origin));
            let help = format!("add it to `effects.{effect}.hosts` if requests may go there");
            return Err(vec![Finding::new("host-not-allowed", place, cause, help)]);
        }
        let mut findings = Vec::new();
        let path = Template::parse(path, record, place).map_err(|found| findings.extend(found)).ok();
        let query = query.map(|query| Template::parse(query, record, place).map_err(|found| findings.extend(found)).ok());
        let (Some(path), Some(query)) = (path, query.map_or(Some(None), |query| query.map(Some))) else { return Err(findings) };
        Ok(UrlTemplate { origin: origin.origin().ascii_serialization(), path, query })
    }

    /// Scheme, host and port, for messages.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// The URL for one intent.
    ///
    /// # Errors
    /// Fields that would lead elsewhere than the template says: an empty one or dots alone in the path.
    pub(super) fn fill(&self, fields: &[Value]) -> Result<Url, String> {
        let mut text = self.origin.clone();
        self.path.render(fields, &mut text, |value, out| {
            if value.is_empty() {
                return Err("is empty, and the URL's path needs it");
            }
            escape(value, out);
            Ok(())
        })?;
        if walks(&text[self.origin.len()..]) {
            return Err("a field makes a part of the URL's path `.` or `..`, which leads elsewhere".to_owned());
        }
        if let Some(query) = &self.query {
            text.push('?');
            query.render(fields, &mut text, |value, out| {
                escape(value, out);
                Ok(())
            })?;
        }
        if text.len() > URL_BYTES_MAX {
            return Err(format!("the URL has {} bytes; at most {URL_BYTES_MAX} are sent", text.len()));
        }
        let url = Url::parse(&text).map_err(|error| format!("the URL cannot be read: {error}"))?;
        if url.origin().ascii_serialization() != self.origin {
            return Err("a field makes the URL lead elsewhere than its template".to_owned());
        }
        Ok(url)
    }
}

/// Whether a segment of the path is dots alone, in whatever spelling: URL parsers walk by them.
fn walks(path: &str) -> bool {
    path.split('/').any(|segment| matches!(&*segment.to_ascii_lowercase().replace("%2e", "."), "." | ".."))
}

/// Percent-encodes everything that is not unreserved (RFC 3986).
fn escape(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use proptest::prelude::*;
    use purefold_wit::{Field, Name, Type};

    use super::*;

    fn record() -> Record {
        Record { name: Name::new("r"), fields: vec![Field { name: Name::new("id"), ty: Type::String }] }
    }

    fn hosts() -> Hosts {
        let table = "hosts = ['pay.example', '127.0.0.1:8080']".parse().unwrap();
        Hosts::read(&mut crate::settings::Settings::new(&table, ""), "hosts").unwrap()
    }

    fn parse(text: &str) -> Result<UrlTemplate, Vec<Finding>> {
        UrlTemplate::parse(text, &record(), "intents.i.url", "pay", &hosts())
    }

    fn fill(template: &str, id: &str) -> Result<String, String> {
        parse(template).unwrap().fill(&[Value::String(id.into())]).map(String::from)
    }

    #[test]
    fn no_template_leads_past_the_list() {
        for (text, code) in [
            ("https://evil.example/", "host-not-allowed"),
            ("https://pay.example@evil.example/", "host-not-allowed"),
            ("https://user:secret@pay.example/", "host-not-allowed"),
            ("https://pay.example:1/", "host-not-allowed"),
            ("https://pay%2eexample/", "host-not-allowed"),
            ("https://{id}/", "host-not-allowed"),
            ("https://pay.example.{id}/", "host-not-allowed"),
            ("https://pay.example:{id}/", "host-not-allowed"),
            ("http://127.0.0.1:80808/", "url-malformed"),
            ("{id}://pay.example/", "url-malformed"),
            ("ftp://pay.example/", "url-malformed"),
            ("//pay.example/", "url-malformed"),
            ("https:pay.example/", "url-malformed"),
            ("https:///pay.example/", "url-malformed"),
            ("https://evil.example\\@pay.example/", "url-malformed"),
            ("https://pay.example\n.evil.example/", "url-malformed"),
            ("https://pay.example/a#b", "url-malformed"),
            ("https://pay.example/a/../b", "url-malformed"),
            ("https://pay.example/a/%2E./b", "url-malformed"),
            ("https://pay.example/{di}", "template-field"),
        ] {
            let findings = parse(text).err().unwrap_or_else(|| panic!("{text} is taken"));
            assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), [code], "{text}");
            assert!(!findings[0].to_string().contains("secret"), "{}", findings[0]);
        }
    }

    #[test]
    fn fields_stay_in_their_place() {
        for (template, id, url) in [
            ("https://pay.example/c/{id}", "a b/c?d#e", "https://pay.example/c/a%20b%2Fc%3Fd%23e"),
            ("https://pay.example/c/{id}/x", "ü%2e", "https://pay.example/c/%C3%BC%252e/x"),
            ("https://pay.example?q={id}", "a&b=c", "https://pay.example/?q=a%26b%3Dc"),
            ("https://pay.example/c?q={id}", "", "https://pay.example/c?q="),
            ("http://127.0.0.1:8080", "x", "http://127.0.0.1:8080/"),
            ("https://pay.example/c/x{id}", "..", "https://pay.example/c/x.."),
        ] {
            assert_eq!(fill(template, id).as_deref(), Ok(url));
        }
        for (template, id) in [
            ("https://pay.example/c/{id}", ""),
            ("https://pay.example/c/{id}", "."),
            ("https://pay.example/c/{id}", ".."),
            ("https://pay.example/c/%2e{id}/x", "."),
            ("https://pay.example/c/{id}", &"x".repeat(URL_BYTES_MAX)),
        ] {
            assert!(fill(template, id).is_err(), "{template} with {id}");
        }
    }

    proptest! {
        #[test]
        fn no_field_changes_anything_but_its_own_segment(id in any::<String>()) {
            if let Ok(text) = fill("https://pay.example/c/{id}/end?q={id}", &id) {
                let url = Url::parse(&text).unwrap();
                prop_assert_eq!(url.host_str(), Some("pay.example"));
                let segments: Vec<&str> = url.path_segments().unwrap().collect();
                prop_assert_eq!(segments.len(), 3);
                prop_assert_eq!((segments[0], segments[2]), ("c", "end"));
                let pairs: Vec<_> = url.query_pairs().collect();
                prop_assert_eq!(pairs.len(), 1);
                prop_assert_eq!(&*pairs[0].1, &id);
            }
        }
    }
}
