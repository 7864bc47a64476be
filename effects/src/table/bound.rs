//! The columns of a route that is ready to perform, whatever the database.

use purefold_wit::Value;

use crate::EffectError;

/// A column, and how a value gets into it.
pub(super) struct BoundColumn<E> {
    /// Which of the record's fields fills it.
    pub(super) index: usize,
    pub(super) field: String,
    pub(super) encoder: E,
}

/// What the fields of an intent's record put into their columns, in the columns' order.
pub(super) fn values<E, V>(
    columns: &[BoundColumn<E>],
    payload: &Value,
    encode: impl Fn(&E, &Value) -> Result<V, String>,
) -> Result<Vec<V>, EffectError> {
    let refuse = |field: &str, reason: &str| EffectError::Refused(format!("cannot store the field `{field}`: {reason}"));
    let Value::Record(fields) = payload else { return Err(EffectError::Refused("the intent is not a record".to_owned())) };
    let value = |column: &BoundColumn<E>| {
        let value = fields.get(column.index).ok_or_else(|| refuse(&column.field, "the record does not have it"))?;
        encode(&column.encoder, value).map_err(|reason| refuse(&column.field, &reason))
    };
    columns.iter().map(value).collect()
}
