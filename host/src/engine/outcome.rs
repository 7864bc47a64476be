//! From the conclusion of an intent to the input that tells the reducer.

use purefold_effects::IntentId;
use purefold_wit::Value;

use super::entity::Outstanding;
use super::input::Conclusion;
use crate::workflow::{OutcomeField, OutcomePlan};

/// The input variant that tells the reducer how `intent` ended.
pub(super) fn outcome_input(plan: &OutcomePlan, intent: &Outstanding, id: IntentId, conclusion: Conclusion) -> Value {
    let mut result = Some(match conclusion {
        Ok(reply) => Value::Result(Ok(reply.map(Box::new))),
        Err((kind, text)) => {
            let failure = Value::Variant(kind.case(), Some(Box::new(Value::String(text.into()))));
            Value::Result(Err(Some(Box::new(failure))))
        }
    });
    let echo = |index: usize| match intent.payload.as_deref() {
        Some(Value::Record(fields)) => fields.get(index).cloned(),
        _ => None,
    };
    let fields = plan.fields.iter().filter_map(|field| match field {
        OutcomeField::Result => result.take(),
        OutcomeField::IntentId => Some(Value::Uuid(id.0, id.1)),
        OutcomeField::Echo(index) => echo(*index),
    });
    Value::Variant(plan.input_case, Some(Box::new(Value::Record(fields.collect()))))
}

/// What a `concluded` entry says of its intent.
pub(super) fn concluded_input(case: &str, sequence: u64, index: u32) -> Box<[u8]> {
    // The name of a case needs no escapes.
    format!(r#"{{"case":"{case}","index":{index},"sequence":{sequence}}}"#).into_bytes().into()
}

/// What a `concluded` entry says of the result: the JSON form of a `result<_, failure>`. A reply that no outcome route
/// asks for is not kept.
pub(super) fn concluded_output(conclusion: &Conclusion) -> Box<[u8]> {
    match conclusion {
        Ok(_) => (*br#"{"ok":null}"#).into(),
        Err((kind, text)) => serde_json::json!({ "err": { kind.name(): text } }).to_string().into_bytes().into(),
    }
}
