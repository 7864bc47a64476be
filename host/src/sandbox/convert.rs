//! Between our values, which know their types by index, and the engine's, which carry names.

use std::sync::Arc;

use purefold_wit::{Record, Type, Value};
use wasmtime::component::Val;

type Converted<T> = Result<T, String>;

/// Puts `value` into `slot` in the engine's form.
///
/// `slot` may hold an earlier value of the same type: what is alike in both stays where it is. Names make up most of
/// the engine's form, and those of a record never change.
pub(super) fn put(slot: &mut Val, ty: &Type, value: &Value) -> Converted<()> {
    match (ty, value, &mut *slot) {
        (Type::String, Value::String(v), _) => put_text(slot, v),
        (Type::Uuid, Value::Uuid(high, low), _) => put_uuid(slot, (*high, *low)),
        (Type::Record(record), Value::Record(fields), _) => put_record(slot, record, fields)?,
        (Type::Variant(variant), Value::Variant(index, Some(payload)), Val::Variant(name, Some(inner))) => {
            match variant.cases.get(*index as usize) {
                Some(case) if case.name.kebab() == *name => match &case.payload {
                    Some(ty) => put(inner, ty, payload)?,
                    None => return Err(format!("case {name} has no payload")),
                },
                _ => *slot = to_val(ty, value)?,
            }
        }
        (Type::Option(ty), Value::Option(Some(v)), Val::Option(Some(inner))) => put(inner, ty, v)?,
        _ => *slot = to_val(ty, value)?,
    }
    Ok(())
}

/// Puts a text into `slot`.
pub(super) fn put_text(slot: &mut Val, text: &str) {
    match slot {
        Val::String(old) => {
            old.clear();
            old.push_str(text);
        }
        _ => *slot = Val::String(text.to_owned()),
    }
}

/// Puts the halves of a UUID into `slot`.
pub(super) fn put_uuid(slot: &mut Val, (high, low): (u64, u64)) {
    let halves = [Val::U64(high), Val::U64(low)];
    match slot {
        Val::Tuple(old) if old.len() == halves.len() => old.clone_from_slice(&halves),
        _ => *slot = Val::Tuple(halves.into()),
    }
}

/// Puts a record's fields into `slot`, as [`put`] does.
pub(super) fn put_record(slot: &mut Val, record: &Arc<Record>, fields: &[Value]) -> Converted<()> {
    if record.fields.len() != fields.len() {
        return Err(format!("{} values for the {} fields of {}", fields.len(), record.fields.len(), record.name.kebab()));
    }
    let types = record.fields.iter();
    match slot {
        Val::Record(slots) if slots.len() == fields.len() => {
            for (((_, slot), field), value) in slots.iter_mut().zip(types).zip(fields) {
                put(slot, &field.ty, value)?;
            }
        }
        _ => {
            let mut slots = Vec::with_capacity(fields.len());
            for (field, value) in types.zip(fields) {
                slots.push((field.name.kebab().to_owned(), to_val(&field.ty, value)?));
            }
            *slot = Val::Record(slots);
        }
    }
    Ok(())
}

/// `value` in the engine's form.
fn to_val(ty: &Type, value: &Value) -> Converted<Val> {
    Ok(match (ty, value) {
        (Type::Bool, Value::Bool(v)) => Val::Bool(*v),
        (Type::U8, Value::U8(v)) => Val::U8(*v),
        (Type::U16, Value::U16(v)) => Val::U16(*v),
        (Type::U32, Value::U32(v)) => Val::U32(*v),
        (Type::U64, Value::U64(v)) | (Type::Instant, Value::Instant(v)) => Val::U64(*v),
        (Type::S8, Value::S8(v)) => Val::S8(*v),
        (Type::S16, Value::S16(v)) => Val::S16(*v),
        (Type::S32, Value::S32(v)) => Val::S32(*v),
        (Type::S64, Value::S64(v)) => Val::S64(*v),
        (Type::F32, Value::F32(v)) => Val::Float32(*v),
        (Type::F64, Value::F64(v)) => Val::Float64(*v),
        (Type::Char, Value::Char(v)) => Val::Char(*v),
        (Type::String, Value::String(v)) => Val::String(v.as_ref().into()),
        (Type::Uuid, Value::Uuid(high, low)) => Val::Tuple(vec![Val::U64(*high), Val::U64(*low)]),
        (Type::Record(record), Value::Record(fields)) => {
            let mut slot = Val::Bool(false);
            put_record(&mut slot, record, fields)?;
            slot
        }
        (Type::Variant(variant), Value::Variant(index, payload)) => {
            let case = variant.cases.get(*index as usize).ok_or_else(|| format!("no case {index} in variant {}", variant.name.kebab()))?;
            let payload = match (&case.payload, payload) {
                (Some(ty), Some(value)) => Some(Box::new(to_val(ty, value)?)),
                (None, None) => None,
                _ => return Err(format!("case {} has or lacks a payload", case.name.kebab())),
            };
            Val::Variant(case.name.kebab().into(), payload)
        }
        (Type::Enum(cases), Value::Enum(index)) => {
            let case = cases.cases.get(*index as usize).ok_or_else(|| format!("no case {index} in enum {}", cases.name.kebab()))?;
            Val::Enum(case.kebab().into())
        }
        (Type::Flags(flags), Value::Flags(set)) => Val::Flags(
            set.iter()
                .map(|index| flags.flags.get(*index as usize).map(|name| name.kebab().to_owned()))
                .collect::<Option<_>>()
                .ok_or_else(|| format!("unknown flag of {}", flags.name.kebab()))?,
        ),
        (Type::Option(ty), Value::Option(value)) => Val::Option(value.as_ref().map(|v| to_val(ty, v).map(Box::new)).transpose()?),
        (Type::Result(result), Value::Result(value)) => Val::Result(match value {
            Ok(value) => Ok(payload_to_val(result.ok.as_ref(), value.as_deref())?),
            Err(value) => Err(payload_to_val(result.err.as_ref(), value.as_deref())?),
        }),
        (Type::List(ty), Value::List(values)) => Val::List(all(values.len(), values.iter().map(|v| to_val(ty, v)))?),
        (Type::Tuple(types), Value::Tuple(values)) if types.len() == values.len() => {
            Val::Tuple(all(values.len(), types.iter().zip(values).map(|(ty, v)| to_val(ty, v)))?)
        }
        (Type::Map(ty), Value::Map(entries)) => Val::List(
            entries
                .iter()
                .map(|(key, v)| Ok(Val::Tuple(vec![Val::String(key.as_ref().into()), to_val(ty, v)?])))
                .collect::<Converted<_>>()?,
        ),
        (ty, _) => return Err(format!("a value that is no {ty}")),
    })
}

/// Collects what may fail into a vector of the right size from the start: collecting into a `Result` grows it step by step.
fn all<T>(count: usize, values: impl Iterator<Item = Converted<T>>) -> Converted<Vec<T>> {
    let mut collected = Vec::with_capacity(count);
    for value in values {
        collected.push(value?);
    }
    Ok(collected)
}

fn payload_to_val(ty: Option<&Type>, value: Option<&Value>) -> Converted<Option<Box<Val>>> {
    match (ty, value) {
        (None, None) => Ok(None),
        (Some(ty), Some(value)) => Ok(Some(Box::new(to_val(ty, value)?))),
        _ => Err("a result with or without a payload against its type".into()),
    }
}

/// The engine's value in our form.
pub(super) fn from_val(ty: &Type, value: Val) -> Converted<Value> {
    Ok(match (ty, value) {
        (Type::Bool, Val::Bool(v)) => Value::Bool(v),
        (Type::U8, Val::U8(v)) => Value::U8(v),
        (Type::U16, Val::U16(v)) => Value::U16(v),
        (Type::U32, Val::U32(v)) => Value::U32(v),
        (Type::U64, Val::U64(v)) => Value::U64(v),
        (Type::Instant, Val::U64(v)) => Value::Instant(v),
        (Type::S8, Val::S8(v)) => Value::S8(v),
        (Type::S16, Val::S16(v)) => Value::S16(v),
        (Type::S32, Val::S32(v)) => Value::S32(v),
        (Type::S64, Val::S64(v)) => Value::S64(v),
        // A guest can build NaN bits by integer moves, which the engine's canonicalization does not see.
        (Type::F32, Val::Float32(v)) => Value::F32(if v.is_nan() { f32::from_bits(0x7fc0_0000) } else { v }),
        (Type::F64, Val::Float64(v)) => Value::F64(if v.is_nan() { f64::from_bits(0x7ff8_0000_0000_0000) } else { v }),
        (Type::Char, Val::Char(v)) => Value::Char(v),
        (Type::String, Val::String(v)) => Value::String(v.into()),
        (Type::Uuid, Val::Tuple(halves)) => match halves.as_slice() {
            [Val::U64(high), Val::U64(low)] => Value::Uuid(*high, *low),
            _ => return Err("a value that is no uuid".into()),
        },
        (Type::Record(record), Val::Record(fields)) => {
            if record.fields.len() != fields.len() {
                return Err(format!("{} fields where {} has {}", fields.len(), record.name.kebab(), record.fields.len()));
            }
            let values = record.fields.iter().zip(fields).map(|(field, (_, value))| from_val(&field.ty, value));
            Value::Record(all(record.fields.len(), values)?.into_boxed_slice())
        }
        (Type::Variant(variant), Val::Variant(name, payload)) => {
            let (index, case) = variant.case(&name).ok_or_else(|| format!("no case {name} in variant {}", variant.name.kebab()))?;
            let payload = match (&case.payload, payload) {
                (Some(ty), Some(value)) => Some(Box::new(from_val(ty, *value)?)),
                (None, None) => None,
                _ => return Err(format!("case {name} has or lacks a payload")),
            };
            Value::Variant(index, payload)
        }
        (Type::Enum(cases), Val::Enum(name)) => {
            let index = (0..).zip(&cases.cases).find(|(_, case)| case.kebab() == name).map(|(index, _)| index);
            Value::Enum(index.ok_or_else(|| format!("no case {name} in enum {}", cases.name.kebab()))?)
        }
        (Type::Flags(flags), Val::Flags(set)) => Value::Flags(
            (0..).zip(&flags.flags).filter(|(_, flag)| set.iter().any(|name| name == flag.kebab())).map(|(index, _)| index).collect(),
        ),
        (Type::Option(ty), Val::Option(value)) => Value::Option(value.map(|v| from_val(ty, *v).map(Box::new)).transpose()?),
        (Type::Result(result), Val::Result(value)) => Value::Result(match value {
            Ok(value) => Ok(payload_from_val(result.ok.as_ref(), value)?),
            Err(value) => Err(payload_from_val(result.err.as_ref(), value)?),
        }),
        (Type::List(ty), Val::List(values)) => Value::List(all(values.len(), values.into_iter().map(|v| from_val(ty, v)))?),
        (Type::Tuple(types), Val::Tuple(values)) if types.len() == values.len() => {
            Value::Tuple(types.iter().zip(values).map(|(ty, v)| from_val(ty, v)).collect::<Converted<_>>()?)
        }
        (Type::Map(ty), Val::List(entries)) => {
            let entry = |entry| match entry {
                Val::Tuple(pair) => match <[Val; 2]>::try_from(pair) {
                    Ok([Val::String(key), value]) => Ok((key.into_boxed_str(), from_val(ty, value)?)),
                    _ => Err("a map's entry that is no pair of a text and a value".to_owned()),
                },
                _ => Err("a map's entry that is no pair".to_owned()),
            };
            Value::Map(entries.into_iter().map(entry).collect::<Converted<_>>()?)
        }
        (ty, _) => return Err(format!("a value that is no {ty}")),
    })
}

fn payload_from_val(ty: Option<&Type>, value: Option<Box<Val>>) -> Converted<Option<Box<Value>>> {
    match (ty, value) {
        (None, None) => Ok(None),
        (Some(ty), Some(value)) => Ok(Some(Box::new(from_val(ty, *value)?))),
        _ => Err("a result with or without a payload against its type".into()),
    }
}
