//! JSON as it stands in the store, on its way to standard output.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};

use serde::Deserialize;
use serde_json::value::RawValue;

use purefold_wit::instant;

use super::table::visible;

/// A time on a workflow's clock as text. None before a virtual clock began: nothing had happened that has a time.
pub(super) fn moment(now: u64) -> Option<String> {
    instant::format(now).filter(|_| now > 0)
}

/// A stored text as it is: the order of its fields and every digit stay. None where nothing is stored. What is no JSON,
/// because somebody wrote over it, is shown as a string.
pub(super) fn raw(text: &[u8]) -> Option<Box<RawValue>> {
    if text.is_empty() {
        return None;
    }
    // A line of output holds no line break, which JSON admits between its parts.
    if !text.contains(&b'\n')
        && let Ok(raw) = serde_json::from_slice::<Box<RawValue>>(text)
    {
        return Some(raw);
    }
    serde_json::value::to_raw_value(&String::from_utf8_lossy(text)).ok()
}

/// The case of a variant, and what it carries.
pub(super) fn variant(text: &str) -> Option<(String, Option<&RawValue>)> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Bare<'a> {
        Case(#[serde(borrow)] Cow<'a, str>),
    }
    if let Ok(Bare::Case(case)) = serde_json::from_str(text) {
        return Some((case.into_owned(), None));
    }
    let fields: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(text).ok()?;
    let (case, payload) = fields.into_iter().next()?;
    Some((case.into_owned(), Some(payload)))
}

/// The field `name` of an object.
pub(super) fn field<'a>(object: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    let fields: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(object.get()).ok()?;
    fields.get(name).copied()
}

/// The parts of a list.
pub(super) fn list(text: &[u8]) -> Option<Vec<&RawValue>> {
    serde_json::from_slice(text).ok()
}

/// JSON with a line for each part, all moved in by `indent` spaces; nothing in it can reach the terminal as a control sequence.
pub(super) fn write_pretty(out: &mut dyn Write, json: &RawValue, indent: usize) -> io::Result<()> {
    write!(out, "{:indent$}", "")?;
    pretty(json.get(), indent).lines().try_for_each(|line| writeln!(out, "{}", visible(line)))
}

/// JSON with a line for each part, every line but the first moved in by `indent` spaces.
fn pretty(json: &str, indent: usize) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0;
    let mut characters = json.chars().peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent + 2 * depth));
    };
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                out.push('"');
                while let Some(inner) = characters.next() {
                    out.push(inner);
                    match inner {
                        '\\' => out.extend(characters.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '{' | '[' => {
                out.push(character);
                while characters.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = characters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(character);
            }
            ',' => {
                out.push(',');
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            character if character.is_ascii_whitespace() => {}
            character => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn stored_json_is_shown_as_it_is_and_anything_else_as_a_string() {
        assert_eq!(raw(br#"{"b":18446744073709551615,"a":1.50}"#).unwrap().get(), r#"{"b":18446744073709551615,"a":1.50}"#);
        assert!(raw(b"").is_none());
        assert_eq!(raw(b"{\"a\":").unwrap().get(), r#""{\"a\":""#);
        assert_eq!(raw(b"[1,\n2]").unwrap().get(), r#""[1,\n2]""#);
    }

    #[test]
    fn a_variant_is_a_case_with_or_without_something() {
        let (case, payload) = variant(r#"{"note":{"a":1}}"#).unwrap();
        assert_eq!((case.as_str(), payload.unwrap().get()), ("note", r#"{"a":1}"#));
        assert!(matches!(variant(r#""blocked""#), Some((case, None)) if case == "blocked"));
        assert!(variant("7").is_none());
    }

    #[test]
    fn parts_are_found_without_reading_the_rest() {
        let raw: &RawValue = serde_json::from_str(r#"{"id":"x","result":{"err":{"refused":"no"}}}"#).unwrap();
        assert_eq!(field(raw, "result").unwrap().get(), r#"{"err":{"refused":"no"}}"#);
        assert!(field(raw, "none").is_none());
        assert_eq!(list(b"[1,{\"a\":2}]").unwrap()[1].get(), r#"{"a":2}"#);
    }

    #[test]
    fn pretty_keeps_order_and_texts() {
        let shown = pretty(r#"{"b":[1,2],"a":{},"t":"x:{\"y\",\\","n":[]}"#, 2);
        assert_eq!(
            shown,
            "{\n    \"b\": [\n      1,\n      2\n    ],\n    \"a\": {},\n    \"t\": \"x:{\\\"y\\\",\\\\\",\n    \"n\": []\n  }"
        );
        let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(value["t"], "x:{\"y\",\\");
    }
}
