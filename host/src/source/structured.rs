//! Events in the structured form of CloudEvents, made from attributes that came apart from their data.

use std::sync::Arc;

use serde_json::value::RawValue;

/// Whether an attribute may have this name.
pub(super) fn is_attribute(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// The event of these attributes, whose names are letters and digits. Data of white space alone is none.
pub(super) fn event<'a>(attributes: impl Iterator<Item = (&'a str, &'a str)>, data: &[u8]) -> serde_json::Result<Arc<[u8]>> {
    let mut event = Vec::with_capacity(data.len() + 512);
    event.push(b'{');
    for (name, text) in attributes {
        if event.len() > 1 {
            event.push(b',');
        }
        event.push(b'"');
        event.extend_from_slice(name.as_bytes());
        event.extend_from_slice(b"\":");
        serde_json::to_writer(&mut event, text)?;
    }
    if !data.iter().all(u8::is_ascii_whitespace) {
        // One value, whole: otherwise it could go on as attributes of its own.
        serde_json::from_slice::<&RawValue>(data)?;
        event.extend_from_slice(b",\"data\":");
        event.extend_from_slice(data);
    }
    event.push(b'}');
    Ok(event.into())
}
