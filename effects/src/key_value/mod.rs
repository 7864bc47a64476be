//! `key-value`: small JSON values under text keys.
//!
//! This module reads a route's settings; a backend stores.

mod consul;
mod sqlite;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use purefold_wit::{Codec, Finding, Type, Value};

use crate::backend;
use crate::body::Body;
use crate::consul::Agent;
use crate::route::{self, Bound};
use crate::settings::Settings;
use crate::template::Template;
use crate::{Effect, Route};

/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 512;

/// Largest value, in bytes: what Consul takes, so that a workflow can move there.
const VALUE_BYTES_MAX: usize = 512 * 1024;

const BACKENDS: [&str; 2] = ["sqlite", "consul"];

pub(crate) fn open(name: &str, mut settings: Settings<'_>, base: &Path) -> Result<Arc<dyn Effect>, Vec<Finding>> {
    match backend::choose(&mut settings, "key-value", &BACKENDS) {
        Some("consul") => {
            let agent = Agent::read(&mut settings, base);
            let marks = settings.string("marks").unwrap_or(consul::MARKS_DEFAULT).trim_matches('/').to_owned();
            backend::opened(settings, agent, |agent| consul::open(name, agent, marks))
        }
        chosen => {
            let path = chosen.and_then(|chosen| settings.path(chosen, base));
            backend::opened(settings, path, |path| sqlite::open(name, &path))
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Put,
    Delete,
    Cas,
}

/// A bound route.
pub(crate) struct Plan {
    key: Template,
    action: Action,
}

enum Action {
    Put(Body),
    Delete,
    Cas { value: Body, expect: Expect },
}

/// The value that a `cas` must find.
struct Expect {
    index: usize,
    codec: Codec,
    /// The field is an option: none means that the key must not be there.
    optional: bool,
}

/// What one intent asks for.
pub(crate) enum Entry {
    Put {
        key: String,
        value: String,
    },
    Delete {
        key: String,
    },
    /// `expect` is what must be there now; `None`: nothing.
    Cas {
        key: String,
        value: String,
        expect: Option<String>,
    },
}

/// Reads the settings of one route.
fn plan(route: &Route<'_>) -> Bound<Plan> {
    let mut settings = route::settings(route);
    route::no_reply(&mut settings, route);
    let verbs = [("put", Verb::Put), ("delete", Verb::Delete), ("cas", Verb::Cas)];
    let verb = settings.required("operation", |settings, name| settings.choice(name, &verbs));
    let key = settings.required("key", Settings::string).and_then(|text| key_template(&mut settings, route, text));
    let action = match verb {
        None => {
            // Which other settings there may be is not known.
            settings.has("value");
            settings.has("expect");
            None
        }
        Some(Verb::Delete) => Some(Action::Delete),
        Some(Verb::Put) => value(&mut settings, route).map(|(value, _)| Action::Put(value)),
        Some(Verb::Cas) => {
            let value = value(&mut settings, route);
            let expected = settings.required("expect", Settings::string);
            value.zip(expected).and_then(|((value, ty), name)| {
                let expect = expect(&mut settings, route, name, ty.as_ref())?;
                Some(Action::Cas { value, expect })
            })
        }
    };
    let findings = settings.finish();
    match (key, action) {
        (Some(key), Some(action)) if findings.is_empty() => Ok(Plan { key, action }),
        _ => Err(findings),
    }
}

fn key_template(settings: &mut Settings<'_>, route: &Route<'_>, text: &str) -> Option<Template> {
    if route.intent.field(text).is_some() {
        let cause = format!("`{text}` would be the key of every entity");
        settings.report("template-field", "key", cause, format!("write `{{{text}}}` for the field's value"));
        return None;
    }
    match Template::parse(text, route.intent, &settings.place_of("key")) {
        Ok(template) => Some(template),
        Err(findings) => {
            settings.absorb(findings);
            None
        }
    }
}

/// What is stored, and its type where it is one field.
fn value(settings: &mut Settings<'_>, route: &Route<'_>) -> Option<(Body, Option<Type>)> {
    let name = if settings.has("value") { settings.string("value")? } else { "record" };
    let body = Body::bind(settings, "value", name, route.intent)?;
    let ty = if name == "record" { None } else { route.intent.field(name).map(|(_, ty)| ty.clone()) };
    Some((body, ty))
}

fn expect(settings: &mut Settings<'_>, route: &Route<'_>, name: &str, value: Option<&Type>) -> Option<Expect> {
    let Some(value) = value else {
        let cause = "compares with one field, and `value` is the whole record";
        settings.report("field-type", "expect", cause, "set `value` to the field that is stored");
        return None;
    };
    let Some((index, ty)) = route.intent.field(name) else {
        let cause = format!("`{}` has no field `{name}`", route.intent.name.kebab());
        settings.report("field-missing", "expect", cause, format!("its fields are {}", route::field_names(route.intent)));
        return None;
    };
    let optional = matches!(ty, Type::Option(inner) if **inner == *value);
    if !optional && ty != value {
        let cause = format!("the field `{name}` is {ty}, and what is stored is {value}");
        settings.report("field-type", "expect", cause, format!("make it {value} or option<{value}>"));
        return None;
    }
    Some(Expect { index, codec: Codec::new(value), optional })
}

impl Plan {
    /// What the intent's record asks for.
    ///
    /// # Errors
    /// A key or value that cannot be stored.
    fn entry(&self, payload: &Value) -> Result<Entry, String> {
        let Value::Record(fields) = payload else { return Err("the intent is not a record".to_owned()) };
        let mut key = String::new();
        self.key.render(fields, &mut key, |text, out| {
            out.push_str(text);
            Ok(())
        })?;
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(format!("the key has {} bytes; it takes 1 to {KEY_BYTES_MAX}", key.len()));
        }
        Ok(match &self.action {
            Action::Delete => Entry::Delete { key },
            Action::Put(value) => Entry::Put { key, value: bounded(value, payload)? },
            Action::Cas { value, expect } => Entry::Cas { key, value: bounded(value, payload)?, expect: expect.read(fields)? },
        })
    }
}

impl Expect {
    fn read(&self, fields: &[Value]) -> Result<Option<String>, String> {
        let value = fields.get(self.index).ok_or("the record does not have the field of `expect`")?;
        let value = match value {
            Value::Option(inner) if self.optional => match inner {
                Some(inner) => inner,
                None => return Ok(None),
            },
            other => other,
        };
        let mut json = Vec::new();
        self.codec.encode(value, &mut json).map_err(|error| error.to_string())?;
        String::from_utf8(json).map(Some).map_err(|_| "the JSON is not UTF-8".to_owned())
    }
}

fn bounded(value: &Body, payload: &Value) -> Result<String, String> {
    let json = value.encode(payload)?;
    if json.len() > VALUE_BYTES_MAX {
        return Err(format!("the value has {} bytes of JSON; at most {VALUE_BYTES_MAX} are stored", json.len()));
    }
    String::from_utf8(json).map_err(|_| "the JSON is not UTF-8".to_owned())
}
