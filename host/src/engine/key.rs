//! The text of an entity's key.

use purefold_wit::{Type, Value};

/// Longest key, in bytes.
pub const MOST_KEY_BYTES: usize = 256;

/// The names of an enum's cases in JSON, where the key is an enum.
#[must_use]
pub fn key_names(ty: &Type) -> Option<Vec<String>> {
    match ty {
        Type::Enum(cases) => Some(cases.cases.iter().map(|name| name.snake().to_owned()).collect()),
        _ => None,
    }
}

/// The key's text: a string as it is, a uuid in canonical form, an integer in decimals, an enum by its name.
/// `None` where it is empty or too long.
#[must_use]
pub fn key_text(value: &Value, names: Option<&[String]>) -> Option<String> {
    let text = match value {
        Value::String(text) => text.to_string(),
        Value::Uuid(high, low) => purefold_wit::uuid::format(*high, *low),
        Value::U8(n) => n.to_string(),
        Value::U16(n) => n.to_string(),
        Value::U32(n) => n.to_string(),
        Value::U64(n) => n.to_string(),
        Value::S8(n) => n.to_string(),
        Value::S16(n) => n.to_string(),
        Value::S32(n) => n.to_string(),
        Value::S64(n) => n.to_string(),
        Value::Enum(index) => names?.get(*index as usize)?.clone(),
        _ => return None,
    };
    (1..=MOST_KEY_BYTES).contains(&text.len()).then_some(text)
}
