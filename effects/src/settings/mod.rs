//! Reading settings: typed getters over one table of a manifest that collect everything wrong instead of stopping at it.
//!
//! ```
//! use purefold_effects::settings::Settings;
//!
//! let table: toml::Table = "topic = 'orders'\ntimout = '5s'".parse().expect("TOML");
//! let mut settings = Settings::new(&table, "effects.events");
//! assert_eq!(settings.required("topic", Settings::string), Some("orders"));
//! let timeout = settings.duration("timeout", std::time::Duration::ZERO..=std::time::Duration::from_secs(60));
//! assert_eq!(timeout, None);
//! let findings = settings.finish();
//! assert_eq!(findings[0].code, "setting-unknown");
//! assert_eq!(findings[0].place, "effects.events.timout");
//! assert!(findings[0].help.contains("`timeout`"));
//! ```

mod duration;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use purefold_wit::{Finding, finding};
use toml::{Table, Value};

use crate::Secret;

pub use duration::{DurationError, format_duration, parse_duration};

/// A reader of one table of settings.
///
/// A getter answers `None` where the setting is absent, and where it is wrong: then it has kept a [`Finding`].
/// [`Settings::finish`] hands over all findings, and among them every setting that nobody asked for.
pub struct Settings<'a> {
    table: &'a Table,
    place: String,
    asked: Vec<String>,
    findings: Vec<Finding>,
}

impl<'a> Settings<'a> {
    /// A reader of `table`, which stands at `place` in its file (`effects.records`). The file's top has the place "".
    #[must_use]
    pub fn new(table: &'a Table, place: impl Into<String>) -> Self {
        Settings { table, place: place.into(), asked: Vec::new(), findings: Vec::new() }
    }

    /// The place that this table stands at.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The place of the setting `name`, as findings tell it.
    #[must_use]
    pub fn place_of(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) }
    }

    /// Whether the setting is there, of whatever type. Makes its name known.
    pub fn has(&mut self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// The names that are there, in the file's order.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.table.keys().map(String::as_str)
    }

    /// The setting as it stands. Makes its name known.
    pub fn raw(&mut self, name: &str) -> Option<&'a Value> {
        if !self.asked.iter().any(|asked| asked == name) {
            self.asked.push(name.to_owned());
        }
        self.table.get(name)
    }

    /// Reads `name` by one of the getters and reports `setting-missing` where it is absent.
    pub fn required<T>(&mut self, name: &str, read: impl FnOnce(&mut Self, &str) -> Option<T>) -> Option<T> {
        if !self.has(name) {
            self.report("setting-missing", name, "is not set", format!("add `{name} = …`"));
        }
        read(self, name)
    }

    /// A text that is not empty.
    pub fn string(&mut self, name: &str) -> Option<&'a str> {
        let value = self.raw(name)?;
        match value {
            Value::String(text) if text.is_empty() => {
                self.report("setting-range", name, "is empty", "give it a text of at least one character");
                None
            }
            Value::String(text) => Some(text),
            other => self.wrong_type(name, "a text", other),
        }
    }

    /// A text that is not empty and must not be shown.
    pub fn secret(&mut self, name: &str) -> Option<Secret> {
        self.string(name).map(Secret::new)
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        match self.raw(name)? {
            Value::Boolean(value) => Some(*value),
            other => self.wrong_type(name, "true or false", other),
        }
    }

    /// A whole number within `range`.
    pub fn integer(&mut self, name: &str, range: RangeInclusive<i64>) -> Option<i64> {
        match self.raw(name)? {
            Value::Integer(value) if range.contains(value) => Some(*value),
            Value::Integer(value) => {
                let help = format!("give a number from {} to {}", range.start(), range.end());
                self.report("setting-range", name, format!("{value} is out of range"), help);
                None
            }
            other => self.wrong_type(name, "a whole number", other),
        }
    }

    /// A number within `range`, with or without a fraction.
    #[allow(clippy::cast_precision_loss, reason = "only numbers within a range that a fraction makes sense in are taken")]
    pub fn number(&mut self, name: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let value = match self.raw(name)? {
            Value::Float(value) => *value,
            Value::Integer(value) => *value as f64,
            other => return self.wrong_type(name, "a number", other),
        };
        if !range.contains(&value) {
            let help = format!("give a number from {} to {}", range.start(), range.end());
            self.report("setting-range", name, format!("{value} is out of range"), help);
            return None;
        }
        Some(value)
    }

    /// A duration within `range`, written as text: `200ms`, `30s`, `5m`, `1h`, `1d`.
    pub fn duration(&mut self, name: &str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let text = match self.raw(name)? {
            Value::String(text) => text,
            other => return self.wrong_type(name, "a duration as text, such as \"30s\"", other),
        };
        match parse_duration(text) {
            Ok(value) if range.contains(&value) => Some(value),
            Ok(_) => {
                let help = format!("give a duration from {} to {}", format_duration(*range.start()), format_duration(*range.end()));
                self.report("setting-range", name, format!("\"{text}\" is out of range"), help);
                None
            }
            Err(error) => {
                self.report("setting-type", name, error.to_string(), "write a whole number and a unit: 200ms, 30s, 5m, 1h, 1d");
                None
            }
        }
    }

    /// A list of texts, none of them empty.
    pub fn strings(&mut self, name: &str) -> Option<Vec<&'a str>> {
        let list = match self.raw(name)? {
            Value::Array(list) => list,
            other => return self.wrong_type(name, "a list of texts", other),
        };
        let mut texts = Vec::with_capacity(list.len());
        for (index, item) in list.iter().enumerate() {
            match item {
                Value::String(text) if !text.is_empty() => texts.push(text.as_str()),
                Value::String(_) => {
                    self.report("setting-range", &format!("{name}[{index}]"), "is empty", "remove it or give it a text");
                    return None;
                }
                other => return self.wrong_type(&format!("{name}[{index}]"), "a text", other),
            }
        }
        Some(texts)
    }

    /// One of the listed words, and what it stands for.
    pub fn choice<T: Clone>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = match self.raw(name)? {
            Value::String(text) => text,
            other => return self.wrong_type(name, "a text", other),
        };
        if let Some((_, meaning)) = choices.iter().find(|(word, _)| word == text) {
            return Some(meaning.clone());
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let help = match finding::nearest(text, words.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? Known are {}", words.join(", ")),
            None => format!("known are {}", words.join(", ")),
        };
        self.report("setting-range", name, format!("`{text}` is not known"), help);
        None
    }

    /// A table whose names are free: it is the reader's to check them.
    pub fn table(&mut self, name: &str) -> Option<&'a Table> {
        match self.raw(name)? {
            Value::Table(table) => Some(table),
            other => self.wrong_type(name, "a table", other),
        }
    }

    /// A table with settings of its own. Hand its [`Settings::finish`] to [`Settings::absorb`].
    pub fn nested(&mut self, name: &str) -> Option<Settings<'a>> {
        let place = self.place_of(name);
        self.table(name).map(|table| Settings::new(table, place))
    }

    /// A path, taken relative to `base`.
    pub fn path(&mut self, name: &str, base: &Path) -> Option<PathBuf> {
        self.string(name).map(|text| base.join(text))
    }

    /// Keeps a finding about the setting `name`.
    pub fn report(&mut self, code: &'static str, name: &str, cause: impl Into<String>, help: impl Into<String>) {
        let place = self.place_of(name);
        self.findings.push(Finding::new(code, place, cause, help));
    }

    /// Keeps findings that were made elsewhere.
    pub fn absorb(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
    }

    /// All findings so far, and `setting-unknown` for each setting that was never asked for.
    #[must_use]
    pub fn finish(mut self) -> Vec<Finding> {
        for name in self.table.keys() {
            if self.asked.iter().any(|asked| asked == name) {
                continue;
            }
            let absent = self.asked.iter().map(String::as_str).filter(|asked| !self.table.contains_key(*asked));
            let help = match finding::nearest(name, absent) {
                Some(near) => format!("did you mean `{near}`?"),
                None if self.asked.is_empty() => "remove it".to_owned(),
                None => format!("remove it; known here are {}", self.asked.join(", ")),
            };
            let place = self.place_of(name);
            self.findings.push(Finding::new("setting-unknown", place, format!("there is no setting `{name}`"), help));
        }
        self.findings
    }

    /// The value is not told: it may be a secret that stands in the wrong place.
    fn wrong_type<T>(&mut self, name: &str, expected: &str, found: &Value) -> Option<T> {
        let found = match found {
            Value::String(_) => "a text",
            Value::Integer(_) => "a whole number",
            Value::Float(_) => "a number with a fraction",
            Value::Boolean(_) => "true or false",
            Value::Datetime(_) => "a date",
            Value::Array(_) => "a list",
            Value::Table(_) => "a table",
        };
        self.report("setting-type", name, format!("expected {expected}, found {found}"), format!("write {expected}"));
        None
    }
}
