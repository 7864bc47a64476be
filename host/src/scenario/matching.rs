//! Typed values held against what a scenario expects of them: as much of a record as it names.

use purefold_wit::{Codec, Type, UnknownFields, Value, finding};

use super::expect::Failure;
use super::yaml::{Content, Node};

/// Longest text of a value in a failure.
const TEXT_MOST: usize = 300;

/// Adds to `failures` where `value` is not what `expected` says. Records and maps may hold more than it names, and a name
/// may be a path (`capabilities.postgres`); lists must be as long.
pub(super) fn compare(path: &str, ty: &Type, value: &Value, expected: &Node, failures: &mut Vec<Failure>) {
    match (ty, value, &expected.content) {
        (Type::Record(record), Value::Record(values), Content::Map(fields)) => {
            for (key, expected) in fields {
                let (name, inner) = split(key, expected);
                let Some((index, ty)) = record.field(&name.replace('_', "-")) else {
                    let near = finding::nearest(name, record.fields.iter().map(|field| field.name.snake()));
                    let help = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                    let found = format!("the {ty} has no field `{name}`{help}");
                    failures.push(Failure { line: expected.line, path: path.to_owned(), expected: format!("`{name}`"), found });
                    continue;
                };
                compare(&format!("{path}.{}", record.fields[index].name.snake()), ty, &values[index], &inner, failures);
            }
        }
        (Type::Option(ty), Value::Option(Some(value)), _) if !expected.is_null() => compare(path, ty, value, expected, failures),
        (Type::Variant(variant), Value::Variant(case, payload), Content::Map(fields)) => {
            let case = &variant.cases[*case as usize];
            let below = match fields.as_slice() {
                [(key, inner)] => Some(split(key, inner)).filter(|(name, _)| name.replace('_', "-") == case.name.kebab()),
                _ => None,
            };
            match (below, &case.payload, payload) {
                (Some((_, inner)), Some(ty), Some(payload)) => {
                    compare(&format!("{path}.{}", case.name.snake()), ty, payload, &inner, failures);
                }
                _ => failures.push(differs(path, ty, value, expected)),
            }
        }
        // The name alone says nothing of what the case carries.
        (Type::Variant(variant), Value::Variant(case, Some(_)), Content::Text(name))
            if variant.cases[*case as usize].name.kebab() == name.replace('_', "-") => {}
        (Type::Result(result), Value::Result(found), Content::Map(fields)) if fields.len() == 1 => {
            let (side, ty, payload) = match found {
                Ok(payload) => ("ok", &result.ok, payload),
                Err(payload) => ("err", &result.err, payload),
            };
            match (ty, payload) {
                (Some(ty), Some(payload)) if fields[0].0 == side => compare(&format!("{path}.{side}"), ty, payload, &fields[0].1, failures),
                (None, _) if fields[0].0 == side => {}
                _ => failures.push(differs(path, &Type::Result(result.clone()), value, expected)),
            }
        }
        (Type::List(ty), Value::List(values), Content::List(items)) if values.len() == items.len() => {
            for (index, (value, item)) in values.iter().zip(items).enumerate() {
                compare(&format!("{path}[{index}]"), ty, value, item, failures);
            }
        }
        (Type::Map(ty), Value::Map(values), Content::Map(fields)) => {
            for (key, expected) in fields {
                let path = format!("{path}[{key:?}]");
                match values.iter().find(|(known, _)| **known == **key) {
                    Some((_, value)) => compare(&path, ty, value, expected, failures),
                    None => {
                        failures.push(Failure { line: expected.line, path, expected: expected.json(), found: "no such key".to_owned() });
                    }
                }
            }
        }
        _ => {
            let codec = Codec::new(ty);
            match codec.decode(path, expected.json().as_bytes(), UnknownFields::Refuse) {
                Ok(wanted) if canonical(&codec, &wanted) == canonical(&codec, value) => {}
                Ok(_) => failures.push(differs(path, ty, value, expected)),
                Err(error) => {
                    let found = format!("{} (what is expected does not fit the type: {})", text(ty, value), error.reason);
                    failures.push(Failure { line: expected.line, path: error.path, expected: shortened(&expected.json()), found });
                }
            }
        }
    }
}

/// The first name of a path, and what is expected below it.
fn split<'a>(key: &'a str, expected: &Node) -> (&'a str, Node) {
    match key.split_once('.') {
        None => (key, expected.clone()),
        Some((name, rest)) => (name, Node { line: expected.line, content: Content::Map(vec![(rest.to_owned(), expected.clone())]) }),
    }
}

/// Whether `value` is what `expected` says.
pub(super) fn fits(ty: &Type, value: &Value, expected: &Node) -> bool {
    let mut failures = Vec::new();
    compare("", ty, value, expected, &mut failures);
    failures.is_empty()
}

fn differs(path: &str, ty: &Type, value: &Value, expected: &Node) -> Failure {
    Failure { line: expected.line, path: path.to_owned(), expected: shortened(&expected.json()), found: text(ty, value) }
}

/// NaN equals itself here.
fn canonical(codec: &Codec, value: &Value) -> Option<Vec<u8>> {
    let mut json = Vec::new();
    codec.encode(value, &mut json).ok().map(|()| json)
}

pub(super) fn text(ty: &Type, value: &Value) -> String {
    let json = canonical(&Codec::new(ty), value).unwrap_or_default();
    shortened(&String::from_utf8_lossy(&json))
}

pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(TEXT_MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
