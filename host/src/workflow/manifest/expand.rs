//! `${NAME}` in a manifest's strings: read from the environment, and kept out of everything that is shown.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use purefold_effects::Secret;
use purefold_wit::Finding;
use toml::Value;

/// A value shorter than this is not kept out of findings: it is no secret, and taking it out would garble the text.
const SECRET_BYTES_LEAST: usize = 3;

/// The same for what stands in a URL's query: much of it is no secret.
const QUERY_BYTES_LEAST: usize = 8;

/// The same for what a backend answers, which may be told to the reducer: shorter texts are data more often than secrets.
const REPLY_BYTES_LEAST: usize = 8;

/// What a URL does not escape (RFC 3986, "unreserved").
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What the environment put into a manifest.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// Value and name, longest value first, so that no value is torn by a shorter one within it.
    values: Vec<(Secret, String)>,
}

impl Variables {
    fn add(&mut self, name: &str, value: &str) {
        for value in std::iter::once(value.to_owned()).chain(secrets_of_url(value)) {
            if value.len() < SECRET_BYTES_LEAST {
                continue;
            }
            // As it stands, as messages and JSON quote it, and as a URL has it.
            let (quoted, json) = (format!("{value:?}"), serde_json::Value::from(value.as_str()).to_string());
            let inner = |quoted: &str| quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned();
            let escaped = utf8_percent_encode(&value, ESCAPED).to_string();
            for form in [inner(&quoted), inner(&json), escaped, value] {
                let form = Secret::new(form);
                if !self.values.iter().any(|(known, _)| *known == form) {
                    self.values.push((form, name.to_owned()));
                }
            }
        }
        self.values.sort_by_key(|(value, _)| std::cmp::Reverse(value.expose().len()));
    }

    /// `text` with every value from the environment replaced by the `${NAME}` that it came from.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        self.values.iter().fold(text.to_owned(), |text, (value, name)| text.replace(value.expose(), &format!("${{{name}}}")))
    }

    /// Hides the values in all texts of what a backend answered. One that repeats what it was sent tells no secret on.
    pub fn hide_in_reply(&self, reply: &mut purefold_wit::Value) {
        use purefold_wit::Value as Typed;
        let in_option = |payload: &mut Option<Box<Typed>>| {
            if let Some(payload) = payload {
                self.hide_in_reply(payload);
            }
        };
        match reply {
            Typed::String(text) => self.hide_in_text(text),
            Typed::Record(fields) | Typed::Tuple(fields) => fields.iter_mut().for_each(|field| self.hide_in_reply(field)),
            Typed::List(items) => items.iter_mut().for_each(|item| self.hide_in_reply(item)),
            Typed::Variant(_, payload) | Typed::Option(payload) | Typed::Result(Ok(payload) | Err(payload)) => in_option(payload),
            Typed::Map(entries) => {
                for (key, value) in entries {
                    self.hide_in_text(key);
                    self.hide_in_reply(value);
                }
            }
            _ => {}
        }
    }

    fn hide_in_text(&self, text: &mut Box<str>) {
        let secrets = self.values.iter().take_while(|(value, _)| value.expose().len() >= REPLY_BYTES_LEAST);
        for (value, name) in secrets {
            if text.contains(value.expose()) {
                *text = text.replace(value.expose(), &format!("${{{name}}}")).into();
            }
        }
    }

    /// Hides the values in all texts of a finding.
    pub fn redact(&self, finding: &mut Finding) {
        for text in [&mut finding.place, &mut finding.cause, &mut finding.help] {
            *text = self.hide(text);
        }
    }
}

/// The parts of a URL, or of a connection string of that form, that may be told apart from the rest: the password, and the
/// longer values of the query. Whoever connects may have decoded them.
fn secrets_of_url(value: &str) -> Vec<String> {
    let Some((_, rest)) = value.split_once("://") else { return Vec::new() };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = rest.split('/').next().unwrap_or_default();
    let password = authority.rsplit_once('@').and_then(|(user, _)| Some(user.split_once(':')?.1));
    let in_query = query.split('&').filter_map(|pair| Some(pair.split_once('=')?.1)).filter(|value| value.len() >= QUERY_BYTES_LEAST);
    let parts = password.into_iter().chain(in_query);
    parts.flat_map(|part| [part.to_owned(), percent_decode_str(part).decode_utf8_lossy().into_owned()]).collect()
}

/// Replaces every `${NAME}` in the table's strings. Keys are left alone.
pub(super) fn expand(table: &mut toml::Table, environment: &dyn Fn(&str) -> Option<String>, findings: &mut Vec<Finding>) -> Variables {
    let mut expansion = Expansion { environment, variables: Variables::default(), findings };
    expansion.table(table, "");
    expansion.variables
}

struct Expansion<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    variables: Variables,
    findings: &'a mut Vec<Finding>,
}

impl Expansion<'_> {
    fn table(&mut self, table: &mut toml::Table, place: &str) {
        for (key, value) in table.iter_mut() {
            let place = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
            self.value(value, &place);
        }
    }

    fn value(&mut self, value: &mut Value, place: &str) {
        match value {
            Value::String(text) if text.contains('$') => *text = self.text(text, place),
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.value(item, &format!("{place}[{index}]"));
                }
            }
            Value::Table(table) => self.table(table, place),
            _ => {}
        }
    }

    fn text(&mut self, text: &str, place: &str) -> String {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            expanded.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("$${") {
                expanded.push_str("${");
                rest = after;
            } else if let Some(after) = rest.strip_prefix("${") {
                let Some(end) = after.find('}').filter(|end| is_name(&after[..*end])) else {
                    self.findings.push(Finding::new(
                        "variable-syntax",
                        place,
                        format!("`{text}` holds a `${{` that no variable's name and `}}` follow"),
                        "write `${NAME}` for an environment variable, `$${` for the characters themselves",
                    ));
                    expanded.push_str(rest);
                    return expanded;
                };
                let (name, after) = (&after[..end], &after[end + 1..]);
                self.variable(name, place, &mut expanded);
                rest = after;
            } else {
                expanded.push('$');
                rest = &rest[1..];
            }
        }
        expanded.push_str(rest);
        expanded
    }

    fn variable(&mut self, name: &str, place: &str, expanded: &mut String) {
        if let Some(value) = (self.environment)(name) {
            self.variables.add(name, &value);
            expanded.push_str(&value);
        } else {
            self.findings.push(Finding::new(
                "variable-missing",
                place,
                format!("the environment has no variable `{name}` (or it is not UTF-8)"),
                format!("set `{name}` before you start purefold, or write the value into the manifest"),
            ));
            // The name stands in, so that one missing variable does not cause a second finding for an empty setting.
            expanded.push_str(name);
        }
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn expanded(text: &str) -> (String, Vec<Finding>) {
        let mut table = toml::Table::new();
        table.insert("value".to_owned(), Value::String(text.to_owned()));
        let environment = |name: &str| match name {
            "HOST" => Some("db.example".to_owned()),
            "PASSWORD" => Some("p\"4ss".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let mut findings = Vec::new();
        let variables = expand(&mut table, &environment, &mut findings);
        for finding in &mut findings {
            variables.redact(finding);
        }
        (table["value"].as_str().unwrap().to_owned(), findings)
    }

    #[test]
    fn what_a_backend_repeats_is_hidden_in_its_typed_reply_and_data_is_left_alone() {
        use purefold_wit::Value as Typed;
        let mut variables = Variables::default();
        variables.add("TOKEN", "swordfish-1");
        variables.add("PORT", "8500");
        let text = |text: &str| Typed::String(text.into());
        let reply = |token: &str| {
            Typed::Record(Box::new([
                text(&format!("Bearer {token}")),
                text("port 8500"),
                Typed::U16(8500),
                Typed::List(vec![Typed::Option(Some(Box::new(text(token))))]),
                Typed::Result(Err(Some(Box::new(Typed::Variant(1, Some(Box::new(text(token)))))))),
                Typed::Map(vec![(token.into(), Typed::Tuple(Box::new([text(token)])))]),
            ]))
        };
        let mut hidden = reply("swordfish-1");
        variables.hide_in_reply(&mut hidden);
        assert_eq!(hidden, reply("${TOKEN}"));
    }

    #[test]
    fn variables_escapes_and_plain_dollars() {
        for (text, expected) in [
            ("postgres://u:${PASSWORD}@${HOST}/x", "postgres://u:p\"4ss@db.example/x"),
            ("$${HOST}", "${HOST}"),
            ("a$b$$", "a$b$$"),
            ("$$${HOST}", "$${HOST}"),
            ("[${EMPTY}]", "[]"),
        ] {
            let (value, findings) = expanded(text);
            assert_eq!(value, expected, "{text}");
            assert_eq!(findings, [], "{text}");
        }
    }

    #[test]
    fn a_missing_variable_is_named() {
        let (_, findings) = expanded("${HOST}${NOWHERE}");
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].code, findings[0].place.as_str()), ("variable-missing", "value"));
        assert!(findings[0].cause.contains("`NOWHERE`"));
    }

    #[test]
    fn what_is_no_name_is_a_finding() {
        for text in ["${", "${}", "${A B}", "${1}", "${HOST"] {
            assert_eq!(expanded(text).1[0].code, "variable-syntax", "{text}");
        }
    }

    #[test]
    fn values_are_hidden_as_they_stand_and_as_they_are_quoted() {
        let mut variables = Variables::default();
        variables.add("PASSWORD", "p\"4ss");
        variables.add("URL", "db://p\"4ss@host");
        variables.add("FLAG", "1");
        assert_eq!(variables.hide("cannot use \"p\\\"4ss\" nor p\"4ss 1"), "cannot use \"${PASSWORD}\" nor ${PASSWORD} 1");
        assert_eq!(variables.hide("db://p\"4ss@host"), "${URL}");
        assert_eq!(variables.hide("https://x.example/?key=p%224ss"), "https://x.example/?key=${PASSWORD}");
        assert!(!format!("{variables:?}").contains("4ss"));
    }

    #[test]
    fn the_secrets_in_a_connection_string_are_hidden_apart_from_it() {
        let mut variables = Variables::default();
        variables.add("DATABASE", "postgres://reader:p%40ssw0rd@db.example:5432/orders?sslmode=off&token=swordfish-7f");
        for told in ["password p%40ssw0rd is wrong", "password p@ssw0rd is wrong", "token swordfish-7f is wrong"] {
            let hidden = variables.hide(told);
            assert!(hidden.contains("${DATABASE} is wrong"), "{hidden}");
        }
        assert_eq!(variables.hide("db.example is off"), "db.example is off");
    }
}
