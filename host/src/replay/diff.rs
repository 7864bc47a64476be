//! Typed differences: two values of one type, compared field by field.

use purefold_wit::{Codec, Type, UnknownFields, Value};

/// Differences that are told of one pair of values.
const MOST_DIFFERENCES: usize = 20;

/// Longest text of a value in a difference.
const MOST_TEXT_BYTES: usize = 200;

/// One place where two values differ.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// The path, as `state.endpoints[2].port`.
    pub path: String,
    /// What the store holds there.
    pub stored: String,
    /// What replay gives there.
    pub replayed: String,
}

/// Where the stored JSON of type `ty` differs from the replayed one; `root` begins every path.
#[must_use]
pub fn differences(root: &str, ty: &Type, stored: &[u8], replayed: &[u8]) -> Vec<Difference> {
    if stored == replayed {
        return Vec::new();
    }
    let codec = Codec::new(ty);
    let decode = |json| codec.decode(root, json, UnknownFields::Refuse);
    let whole =
        |reason: String| Difference { path: root.to_owned(), stored: reason, replayed: shortened(&String::from_utf8_lossy(replayed)) };
    match (decode(stored), decode(replayed)) {
        (Ok(left), Ok(right)) => {
            let mut found = Vec::new();
            compare(root, ty, &left, &right, &mut found);
            if found.is_empty() {
                // The same value written in another way: the encoding is not canonical.
                found.push(whole(shortened(&String::from_utf8_lossy(stored))));
            }
            found
        }
        (Err(error), _) => vec![whole(format!("not readable: {error}"))],
        (Ok(_), Err(error)) => vec![whole(format!("the replayed one is not readable: {error}"))],
    }
}

fn compare(path: &str, ty: &Type, left: &Value, right: &Value, found: &mut Vec<Difference>) {
    if found.len() >= MOST_DIFFERENCES || left == right {
        return;
    }
    match (ty, left, right) {
        (Type::Record(record), Value::Record(left), Value::Record(right)) => {
            for (field, (left, right)) in record.fields.iter().zip(left.iter().zip(right)) {
                compare(&format!("{path}.{}", field.name.snake()), &field.ty, left, right, found);
            }
        }
        (Type::Variant(variant), Value::Variant(a, Some(left)), Value::Variant(b, Some(right))) if a == b => {
            let case = &variant.cases[*a as usize];
            if let Some(ty) = &case.payload {
                compare(&format!("{path}.{}", case.name.snake()), ty, left, right, found);
            }
        }
        (Type::Option(ty), Value::Option(Some(left)), Value::Option(Some(right))) => compare(path, ty, left, right, found),
        (Type::List(ty), Value::List(left), Value::List(right)) => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                compare(&format!("{path}[{index}]"), ty, left, right, found);
            }
            if left.len() != right.len() {
                let count = |values: &[Value]| format!("{} elements", values.len());
                found.push(Difference { path: path.to_owned(), stored: count(left), replayed: count(right) });
            }
        }
        _ => found.push(Difference { path: path.to_owned(), stored: text(ty, left), replayed: text(ty, right) }),
    }
}

fn text(ty: &Type, value: &Value) -> String {
    let mut json = Vec::new();
    match Codec::new(ty).encode(value, &mut json) {
        Ok(()) => shortened(&String::from_utf8_lossy(&json)),
        Err(error) => format!("not writable: {}", error.reason),
    }
}

pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().find(|(index, _)| *index >= MOST_TEXT_BYTES) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
