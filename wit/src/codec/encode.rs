//! Encoding: the canonical form, written straight into the caller's buffer.

use super::EncodeError;
use super::decode::duplicate;
use super::path::{self, Segment};
use super::plan::{Plan, RecordPlan, ResultPlan, VariantPlan, WordsPlan};
use crate::{Value, instant, uuid};

/// What the path of an error begins with.
const ROOT: &str = "value";

pub(super) fn encode(plan: &Plan, value: &Value, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let before = out.len();
    put(plan, value, out).map_err(|failure| {
        out.truncate(before);
        EncodeError { path: path::render(ROOT, &failure.segments), reason: failure.reason, code: failure.code }
    })
}

/// An error on its way out. Boxed, so that the way of success passes nothing large.
struct Failure {
    code: &'static str,
    reason: String,
    /// The path, innermost first.
    segments: Vec<Segment>,
}

type Put = Result<(), Box<Failure>>;

#[cold]
fn fail(code: &'static str, reason: String) -> Box<Failure> {
    Box::new(Failure { code, reason, segments: Vec::new() })
}

#[cold]
fn mismatch(plan: &Plan, value: &Value) -> Box<Failure> {
    fail("value-mismatch", format!("expected {}, the value is {}", plan.expected(), kind(value)))
}

#[cold]
fn within(mut failure: Box<Failure>, segment: Segment) -> Box<Failure> {
    failure.segments.push(segment);
    failure
}

fn put(plan: &Plan, value: &Value, out: &mut Vec<u8>) -> Put {
    match (plan, value) {
        (Plan::Bool, Value::Bool(value)) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        (Plan::U8, Value::U8(number)) => integer(*number, out),
        (Plan::U16, Value::U16(number)) => integer(*number, out),
        (Plan::U32, Value::U32(number)) => integer(*number, out),
        (Plan::U64, Value::U64(number)) => integer(*number, out),
        (Plan::S8, Value::S8(number)) => integer(*number, out),
        (Plan::S16, Value::S16(number)) => integer(*number, out),
        (Plan::S32, Value::S32(number)) => integer(*number, out),
        (Plan::S64, Value::S64(number)) => integer(*number, out),
        (Plan::F32, Value::F32(number)) => float(*number, f64::from(*number), out),
        (Plan::F64, Value::F64(number)) => float(*number, *number, out),
        (Plan::Char, Value::Char(char)) => string(char.encode_utf8(&mut [0; 4]), out),
        (Plan::String, Value::String(text)) => string(text, out),
        (Plan::Instant, Value::Instant(micros)) => match instant::text(*micros) {
            Some(text) => quoted(&text, out),
            None => {
                let reason = format!("{micros} microseconds are past the last instant, 9999-12-31T23:59:59.999999Z");
                return Err(fail("instant-out-of-range", reason));
            }
        },
        (Plan::Uuid, Value::Uuid(high, low)) => quoted(&uuid::text(*high, *low), out),
        (Plan::Record(record), Value::Record(fields)) if fields.len() == record.fields.len() => return put_record(record, fields, out),
        (Plan::Variant(variant), Value::Variant(index, payload)) => {
            return put_variant(variant, *index, payload.as_deref(), out).unwrap_or_else(|| Err(mismatch(plan, value)));
        }
        (Plan::Enum(words), Value::Enum(index)) => return word(words, *index, out).ok_or_else(|| mismatch(plan, value)),
        (Plan::Flags(flags), Value::Flags(set)) if set.is_sorted_by(|one, next| one < next) => {
            return sequence(set.iter(), out, |flag, out| put(&flags.flag, &Value::Enum(*flag), out));
        }
        (Plan::Option(_), Value::Option(None)) => out.extend_from_slice(b"null"),
        (Plan::Option(option), Value::Option(Some(some))) => return put(&option.some, some, out),
        (Plan::Result(result), Value::Result(side)) => return put_result(result, side, out).unwrap_or_else(|| Err(mismatch(plan, value))),
        (Plan::List(list), Value::List(values)) => return sequence(values.iter(), out, |value, out| put(&list.element, value, out)),
        (Plan::Tuple(tuple), Value::Tuple(values)) if values.len() == tuple.places.len() => {
            return sequence(tuple.places.iter().zip(values), out, |(plan, value), out| put(plan, value, out));
        }
        (Plan::Map(map), Value::Map(entries)) => return put_map(&map.element, entries, out),
        _ => return Err(mismatch(plan, value)),
    }
    Ok(())
}

fn put_record(record: &RecordPlan, fields: &[Value], out: &mut Vec<u8>) -> Put {
    if fields.is_empty() {
        out.push(b'{');
    }
    for (index, (field, value)) in record.fields.iter().zip(fields).enumerate() {
        out.extend_from_slice(&field.prefix);
        put(&field.plan, value, out).map_err(|failure| within(failure, Segment::Name(record.names.name(index).into())))?;
    }
    out.push(b'}');
    Ok(())
}

/// `None` where there is no such case, or it carries something and the value does not, or the reverse.
fn put_variant(variant: &VariantPlan, index: u32, payload: Option<&Value>, out: &mut Vec<u8>) -> Option<Put> {
    let case = variant.cases.get(index as usize)?;
    match (&case.payload, payload) {
        (None, None) => {
            out.extend_from_slice(&case.prefix);
            Some(Ok(()))
        }
        (Some(plan), Some(payload)) => {
            out.extend_from_slice(&case.prefix);
            let put = put(plan, payload, out).map_err(|failure| within(failure, Segment::Name(variant.names.name(index as usize).into())));
            out.push(b'}');
            Some(put)
        }
        _ => None,
    }
}

/// `None` where the side carries something and the value does not, or the reverse.
fn put_result(result: &ResultPlan, side: &Result<Option<Box<Value>>, Option<Box<Value>>>, out: &mut Vec<u8>) -> Option<Put> {
    let (prefix, name, plan, payload) = match side {
        Ok(payload) => (&b"{\"ok\":"[..], "ok", &result.ok, payload),
        Err(payload) => (&b"{\"err\":"[..], "err", &result.err, payload),
    };
    out.extend_from_slice(prefix);
    let put = match (plan, payload) {
        (Plan::Null, None) => {
            out.extend_from_slice(b"null");
            Ok(())
        }
        (Plan::Null, Some(_)) | (_, None) => return None,
        (plan, Some(payload)) => put(plan, payload, out).map_err(|failure| within(failure, Segment::Name(name.into()))),
    };
    out.push(b'}');
    Some(put)
}

fn put_map(plan: &Plan, entries: &[(Box<str>, Value)], out: &mut Vec<u8>) -> Put {
    if let Some(key) = duplicate(entries) {
        return Err(within(fail("duplicate-key", "the same key twice".into()), Segment::Key(key.into())));
    }
    out.push(b'{');
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(key, out);
        out.push(b':');
        put(plan, value, out).map_err(|failure| within(failure, Segment::Key(key.clone())))?;
    }
    out.push(b'}');
    Ok(())
}

/// An array of what `put` writes for each item.
fn sequence<T>(items: impl Iterator<Item = T>, out: &mut Vec<u8>, mut put: impl FnMut(T, &mut Vec<u8>) -> Put) -> Put {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        put(item, out).map_err(|failure| within(failure, Segment::Index(index)))?;
    }
    out.push(b']');
    Ok(())
}

fn word(words: &WordsPlan, index: u32, out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(words.quoted.get(index as usize)?);
    Some(())
}

fn integer(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// The shortest digits that read back as the same number; `wide` is the same number, to tell the special ones.
fn float(number: impl ryu::Float, wide: f64, out: &mut Vec<u8>) {
    if wide.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if wide.is_infinite() {
        out.extend_from_slice(if wide > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" });
    } else {
        out.extend_from_slice(ryu::Buffer::new().format_finite(number).as_bytes());
    }
}

/// Text that has nothing to escape.
fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

fn string(text: &str, out: &mut Vec<u8>) {
    // Most texts have nothing to escape, and are copied whole.
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        quoted(text.as_bytes(), out);
    } else {
        escaped(text, out);
    }
}

/// The escapes are those of `serde_json`: the two-character ones where there is one, else `\u00xx`.
fn escaped(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
}

/// What a value is, for the message about one that is not of its type.
fn kind(value: &Value) -> String {
    let kind = match value {
        Value::Bool(_) => "a bool",
        Value::U8(_) => "a u8",
        Value::U16(_) => "a u16",
        Value::U32(_) => "a u32",
        Value::U64(_) => "a u64",
        Value::S8(_) => "an s8",
        Value::S16(_) => "an s16",
        Value::S32(_) => "an s32",
        Value::S64(_) => "an s64",
        Value::F32(_) => "an f32",
        Value::F64(_) => "an f64",
        Value::Char(_) => "a char",
        Value::String(_) => "a string",
        Value::Instant(_) => "an instant",
        Value::Uuid(..) => "a uuid",
        Value::Record(fields) => return format!("a record of {} fields", fields.len()),
        Value::Variant(index, Some(_)) => return format!("case {index} of a variant, with a payload"),
        Value::Variant(index, None) => return format!("case {index} of a variant, without a payload"),
        Value::Enum(index) => return format!("case {index} of an enum"),
        Value::Flags(set) => return format!("the flags {set:?}"),
        Value::Option(Some(_)) => "an option with a value",
        Value::Option(None) => "an option without a value",
        Value::Result(Ok(Some(_)) | Err(Some(_))) => "a result with a payload",
        Value::Result(Ok(None) | Err(None)) => "a result without a payload",
        Value::List(_) => "a list",
        Value::Tuple(places) => return format!("a tuple of {}", places.len()),
        Value::Map(_) => "a map",
    };
    kind.to_owned()
}
