//! The JSON codec: bytes to typed values and back, by a plan compiled once for each type.
//!
//! Decoding is directed by the type and streams from the bytes into the value, encoding streams from the value into the
//! bytes; there is no JSON tree in between. `serde_json` does all lexing. The form is the one of the design's "JSON form
//! of a value"; the encoding is canonical, so equal values have equal bytes (and every NaN is the same one).

mod decode;
mod encode;
mod keys;
mod names;
mod path;
mod plan;

use std::sync::Arc;

use crate::{Type, Value};
use plan::Plan;

/// What becomes of a record's unknown fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownFields {
    /// Skipped, so that producers of events can add fields. Their values need only be JSON.
    Ignore,
    /// An error: in states and journals a field that nobody knows is damage.
    Refuse,
}

/// A codec for one type. Cheap to clone, and the same plan serves all threads.
///
/// ```
/// use purefold_wit::{Codec, Type, UnknownFields, Value};
/// use std::sync::Arc;
///
/// let codec = Codec::new(&Type::List(Arc::new(Type::U16)));
/// let value = codec.decode("ports", b" [80, 443] ", UnknownFields::Ignore)?;
/// assert_eq!(value, Value::List(vec![Value::U16(80), Value::U16(443)]));
///
/// let mut bytes = Vec::new();
/// codec.encode(&value, &mut bytes).unwrap();
/// assert_eq!(bytes, b"[80,443]");
///
/// let error = codec.decode("ports", br#"[80, "x"]"#, UnknownFields::Ignore).unwrap_err();
/// assert_eq!(error.to_string(), r#"ports[1]: expected u16, found "x""#);
/// # Ok::<(), purefold_wit::DecodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Codec {
    plan: Arc<Plan>,
}

impl Codec {
    /// Compiles the plan for `ty`, which must be of an admitted contract: an option of an option has no JSON form of its own.
    #[must_use]
    pub fn new(ty: &Type) -> Codec {
        Codec { plan: Arc::new(Plan::compile(ty)) }
    }

    /// Reads one value; only white space may follow it. `root` begins every path in an error.
    ///
    /// # Errors
    /// The first thing in `json` that is no JSON or does not fit the type, with its path.
    pub fn decode(&self, root: &str, json: &[u8], unknown: UnknownFields) -> Result<Value, DecodeError> {
        decode::decode(&self.plan, root, json, unknown)
    }

    /// Appends the canonical encoding of `value` to `out`, which is left as it was where that fails.
    ///
    /// # Errors
    /// The first part of `value` that has no JSON form or is not of the type.
    pub fn encode(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode::encode(&self.plan, value, out)
    }
}

/// Why bytes are no value of a type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct DecodeError {
    /// Where: `data.endpoints[2].port`.
    pub path: String,
    /// What is wrong there: `expected u16, found "x"`.
    pub reason: String,
}

/// Why a value has no JSON form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct EncodeError {
    /// Where, below `value`: `value.due`.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
    /// Stable code: `instant-out-of-range`, `duplicate-key` or `value-mismatch`.
    pub code: &'static str,
}
