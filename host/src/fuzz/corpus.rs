//! Decisions that went wrong once, a line of JSON each: what `purefold reduce` takes, and what went wrong.

use purefold_wit::{Codec, UnknownFields, Value};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Found, Target};
use crate::sandbox::Context;

/// Lines of a corpus that are read.
pub const CORPUS_LINES_MOST: usize = 1_000;

/// A decision that went wrong once.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its context.
    pub context: Context,
    /// The state, where there was one.
    pub state: Option<Value>,
    /// The input variant.
    pub input: Value,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    context: &'a RawValue,
    #[serde(borrow, default)]
    state: Option<&'a RawValue>,
    #[serde(borrow)]
    input: &'a RawValue,
}

/// A decision as the line that `purefold reduce` takes; none where a part of it has no JSON form.
#[must_use]
pub fn write_line(target: &Target, found: &Found) -> Option<String> {
    let json = |codec: &Codec, value: &Value| {
        let mut json = Vec::new();
        codec.encode(value, &mut json).ok().and_then(|()| String::from_utf8(json).ok())
    };
    let contract = target.contract();
    let context = json(&Codec::new(&contract.context), &found.context.value())?;
    let state = match &found.state {
        Some(state) => json(&Codec::new(&purefold_wit::Type::Record(contract.state.clone())), state)?,
        None => "null".to_owned(),
    };
    let input = json(target.codec().input(), &found.input)?;
    let wrong = serde_json::Value::from(found.wrong.code.as_str());
    Some(format!(r#"{{"context":{context},"state":{state},"input":{input},"wrong":{wrong}}}"#))
}

/// Reads such a line.
///
/// # Errors
/// Where it does not fit the contract, which may have changed since.
pub fn read_line(target: &Target, line: &str) -> Result<Kept, String> {
    let line: Line<'_> = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let codec = Codec::new(&target.contract().context);
    let context = codec.decode("context", line.context.get().as_bytes(), UnknownFields::Ignore).map_err(|error| error.to_string())?;
    let context = Context::of(&context).ok_or("context: it is not the standard context")?;
    let state = line.state.filter(|state| state.get() != "null").map(|state| target.codec().decode_state(state.get().as_bytes()));
    let state = state.transpose().map_err(|error| error.to_string())?;
    let input =
        target.codec().input().decode("input", line.input.get().as_bytes(), UnknownFields::Ignore).map_err(|error| error.to_string())?;
    Ok(Kept { context, state, input })
}
