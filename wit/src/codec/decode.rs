//! Decoding: a plan drives `serde_json`'s deserializer. What goes wrong is noted in a [`Trace`] beside the deserializer,
//! and the path to it is collected while the error unwinds, so that well-formed input pays for neither.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Display};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::keys::{CaseKey, FieldKey, Text, hint};
use super::names::Names;
use super::path::{self, Segment};
use super::plan::{FlagsPlan, ListPlan, Plan, RecordPlan, ResultPlan, TuplePlan, VariantPlan};
use super::{DecodeError, UnknownFields};
use crate::{Value, instant, uuid};

/// Most absent fields in one text. They take no bytes of it, so they alone could make a value outgrow its text without
/// bound; the canonical encoding has none.
const ABSENT_FIELDS_MAX: u32 = 65_536;

/// Largest map whose keys are compared with each other; a larger one is worth a hash table.
const DUPLICATES_BY_SCAN_MAX: usize = 16;

pub(super) fn decode(plan: &Plan, root: &str, json: &[u8], unknown: UnknownFields) -> Result<Value, DecodeError> {
    let trace = Trace { unknown, absent: Cell::new(0), reason: RefCell::new(None), segments: RefCell::new(Vec::new()) };
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let decoded = Node { plan, trace: &trace }.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    decoded.map_err(|error| DecodeError {
        path: path::render(root, &trace.segments.into_inner()),
        reason: trace.reason.into_inner().unwrap_or_else(|| format!("not readable as JSON: {error}")),
    })
}

/// What one decoding knows besides the plan.
pub(super) struct Trace {
    pub(super) unknown: UnknownFields,
    /// Absent fields so far.
    absent: Cell<u32>,
    /// Why a value does not fit; `None` where `serde_json` itself found the error.
    reason: RefCell<Option<String>>,
    /// The path to the error, innermost first.
    segments: RefCell<Vec<Segment>>,
}

impl Trace {
    /// The error that `reason` is told by; the deserializer's own says nothing.
    #[cold]
    fn fail<E: Error>(&self, reason: String) -> E {
        self.reason.replace(Some(reason));
        E::custom("")
    }

    /// As [`Trace::fail`], for what lies one step further in.
    #[cold]
    pub(super) fn fail_at<E: Error>(&self, segment: Segment, reason: String) -> E {
        self.within(self.fail(reason), segment)
    }

    /// `error`, which came from one step further in.
    #[cold]
    fn within<E>(&self, error: E, segment: Segment) -> E {
        self.segments.borrow_mut().push(segment);
        error
    }
}

fn name(name: &str) -> Segment {
    Segment::Name(name.into())
}

/// One value to decode.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    plan: &'a Plan,
    trace: &'a Trace,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.plan {
            Plan::Option(_) => deserializer.deserialize_option(self),
            // The deserializer reads numbers as f64, from which an f32 would be rounded a second time.
            Plan::F32 => self.f32(<&RawValue as serde::Deserialize>::deserialize(deserializer)?.get()),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl Node<'_> {
    #[cold]
    fn unexpected<E: Error>(&self, found: impl Display) -> E {
        self.trace.fail(format!("expected {}, found {found}", self.plan.expected()))
    }

    fn unsigned<E: Error>(&self, number: u64) -> Result<Value, E> {
        let value = match self.plan {
            Plan::U8 => u8::try_from(number).ok().map(Value::U8),
            Plan::U16 => u16::try_from(number).ok().map(Value::U16),
            Plan::U32 => u32::try_from(number).ok().map(Value::U32),
            Plan::U64 => Some(Value::U64(number)),
            Plan::S8 => i8::try_from(number).ok().map(Value::S8),
            Plan::S16 => i16::try_from(number).ok().map(Value::S16),
            Plan::S32 => i32::try_from(number).ok().map(Value::S32),
            Plan::S64 => i64::try_from(number).ok().map(Value::S64),
            // Rounds to the nearest, as reading the same digits as a float does.
            Plan::F64 => Some(Value::F64(number as f64)),
            _ => None,
        };
        value.ok_or_else(|| self.unexpected(number))
    }

    fn signed<E: Error>(&self, number: i64) -> Result<Value, E> {
        let value = match self.plan {
            Plan::S8 => i8::try_from(number).ok().map(Value::S8),
            Plan::S16 => i16::try_from(number).ok().map(Value::S16),
            Plan::S32 => i32::try_from(number).ok().map(Value::S32),
            Plan::S64 => Some(Value::S64(number)),
            Plan::F64 => Some(Value::F64(number as f64)),
            _ => None,
        };
        value.ok_or_else(|| self.unexpected(number))
    }

    /// An f32 from the JSON text of one value.
    fn f32<E: Error>(&self, raw: &str) -> Result<Value, E> {
        match raw.as_bytes().first() {
            Some(b'"') => {
                let text: String = serde_json::from_str(raw).map_err(E::custom)?;
                match special(&text) {
                    Some(number) => Ok(Value::F32(number as f32)),
                    None => Err(self.unexpected(path::quoted(&text))),
                }
            }
            Some(b'-' | b'0'..=b'9') => match raw.parse::<f32>() {
                Ok(number) if number.is_finite() => Ok(Value::F32(number)),
                _ => Err(self.unexpected(path::shortened(raw))),
            },
            Some(b'{') => Err(self.unexpected("an object")),
            Some(b'[') => Err(self.unexpected("an array")),
            _ => Err(self.unexpected(raw)),
        }
    }

    fn text<E: Error>(&self, text: &str) -> Result<Value, E> {
        match self.plan {
            Plan::String => Ok(Value::String(text.into())),
            Plan::Instant => match instant::parse(text) {
                Ok(micros) => Ok(Value::Instant(micros)),
                Err(reason) => Err(self.unexpected(format_args!("{} ({reason})", path::quoted(text)))),
            },
            Plan::Uuid => match uuid::parse(text) {
                Some((high, low)) => Ok(Value::Uuid(high, low)),
                None => Err(self.unexpected(path::quoted(text))),
            },
            Plan::Enum(plan) => match plan.names.find(text, 0) {
                Some(index) => Ok(Value::Enum(index as u32)),
                None => Err(self.unknown(text, &plan.names)),
            },
            Plan::Variant(plan) => match plan.names.find(text, 0) {
                Some(index) => match &plan.cases[index].payload {
                    None => Ok(Value::Variant(index as u32, None)),
                    Some(payload) => Err(self.trace.fail(format!(
                        "case {} of {} carries {}: write {{{}: …}}",
                        path::quoted(text),
                        plan.expected,
                        payload.expected(),
                        path::quoted(text)
                    ))),
                },
                None => Err(self.unknown(text, &plan.names)),
            },
            Plan::F64 => special(text).map(Value::F64).ok_or_else(|| self.unexpected(path::quoted(text))),
            Plan::Char => {
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(char), None) => Ok(Value::Char(char)),
                    _ => Err(self.unexpected(path::quoted(text))),
                }
            }
            _ => Err(self.unexpected(path::quoted(text))),
        }
    }

    /// The error for a word that is none of `known`.
    #[cold]
    pub(super) fn unknown<E: Error>(&self, found: &str, known: &Names) -> E {
        let expected = self.plan.expected();
        self.trace.fail(format!("expected {expected}, found {}{}", path::quoted(found), hint(found, known)))
    }

    fn record<'de, A: MapAccess<'de>>(&self, plan: &RecordPlan, mut map: A) -> Result<Value, A::Error> {
        let mut slots: Vec<Option<Value>> = Vec::new();
        slots.resize_with(plan.fields.len(), || None);
        let mut likely = 0;
        while let Some(key) = map.next_key_seed(FieldKey { plan, likely, trace: self.trace })? {
            let Some(index) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let field = Node { plan: &plan.fields[index].plan, trace: self.trace };
            if slots[index].is_some() {
                return Err(self.trace.fail_at(name(plan.names.name(index)), "duplicate key".into()));
            }
            slots[index] = Some(map.next_value_seed(field).map_err(|error| self.trace.within(error, name(plan.names.name(index))))?);
            likely = index + 1;
        }
        // Collecting reuses the slots' allocation: an absent value is as large as a present one.
        let fields: Result<Vec<Value>, A::Error> = slots
            .into_iter()
            .enumerate()
            .map(|(index, slot)| match (slot, &plan.fields[index].plan) {
                (Some(value), _) => Ok(value),
                (None, Plan::Option(_)) => self.absent(),
                (None, missing) => {
                    Err(self.trace.fail_at(name(plan.names.name(index)), format!("missing, expected {}", missing.expected())))
                }
            })
            .collect();
        Ok(Value::Record(fields?.into()))
    }

    fn absent<E: Error>(&self) -> Result<Value, E> {
        let absent = self.trace.absent.get() + 1;
        self.trace.absent.set(absent);
        if absent > ABSENT_FIELDS_MAX {
            return Err(self.trace.fail(format!("more than {ABSENT_FIELDS_MAX} fields are absent")));
        }
        Ok(Value::Option(None))
    }

    fn variant<'de, A: MapAccess<'de>>(&self, plan: &VariantPlan, mut map: A) -> Result<Value, A::Error> {
        let Some(index) = map.next_key_seed(CaseKey { node: *self, plan })? else {
            return Err(self.unexpected("an object without a key"));
        };
        let Some(payload) = &plan.cases[index].payload else {
            let case = path::quoted(plan.names.name(index));
            return Err(self.trace.fail(format!("case {case} of {} carries nothing: write {case}", plan.expected)));
        };
        let payload = Node { plan: payload, trace: self.trace };
        let payload = map.next_value_seed(payload).map_err(|error| self.trace.within(error, name(plan.names.name(index))))?;
        self.single(&mut map)?;
        Ok(Value::Variant(index as u32, Some(Box::new(payload))))
    }

    fn result<'de, A: MapAccess<'de>>(&self, plan: &ResultPlan, mut map: A) -> Result<Value, A::Error> {
        let Some(key) = map.next_key::<Text>()? else { return Err(self.unexpected("an object without a key")) };
        let (side, payload) = match &*key.0 {
            "ok" => ("ok", &plan.ok),
            "err" => ("err", &plan.err),
            other => return Err(self.unexpected(format_args!("the key {}, neither \"ok\" nor \"err\"", path::quoted(other)))),
        };
        let value = map.next_value_seed(Node { plan: payload, trace: self.trace }).map_err(|error| self.trace.within(error, name(side)))?;
        self.single(&mut map)?;
        let payload = (!matches!(payload, Plan::Null)).then(|| Box::new(value));
        Ok(Value::Result(if side == "ok" { Ok(payload) } else { Err(payload) }))
    }

    /// Whether the object of a variant or result ends after its one key.
    fn single<'de, A: MapAccess<'de>>(&self, map: &mut A) -> Result<(), A::Error> {
        match map.next_key::<Text>()? {
            None => Ok(()),
            Some(second) => Err(self.unexpected(format_args!("a second key {}", path::quoted(&second.0)))),
        }
    }

    fn map<'de, A: MapAccess<'de>>(&self, plan: &ListPlan, mut map: A) -> Result<Value, A::Error> {
        let mut entries: Vec<(Box<str>, Value)> = Vec::new();
        while let Some(Text(key)) = map.next_key()? {
            match map.next_value_seed(Node { plan: &plan.element, trace: self.trace }) {
                Ok(value) => entries.push((key, value)),
                Err(error) => return Err(self.trace.within(error, Segment::Key(key))),
            }
        }
        match duplicate(&entries) {
            Some(key) => Err(self.trace.fail_at(Segment::Key(key.into()), "duplicate key".into())),
            None => Ok(Value::Map(entries)),
        }
    }

    fn list<'de, A: SeqAccess<'de>>(&self, plan: &ListPlan, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        let element = Node { plan: &plan.element, trace: self.trace };
        while let Some(value) = list.next_element_seed(element).map_err(|error| self.trace.within(error, Segment::Index(values.len())))? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn tuple<'de, A: SeqAccess<'de>>(&self, plan: &TuplePlan, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::with_capacity(plan.places.len());
        for (index, plan) in plan.places.iter().enumerate() {
            let place = Node { plan, trace: self.trace };
            match list.next_element_seed(place).map_err(|error| self.trace.within(error, Segment::Index(index)))? {
                Some(value) => values.push(value),
                None => return Err(self.unexpected(format_args!("an array of {index}"))),
            }
        }
        if list.next_element::<IgnoredAny>()?.is_some() {
            return Err(self.unexpected(format_args!("an array of more than {}", values.len())));
        }
        Ok(Value::Tuple(values.into()))
    }

    fn flags<'de, A: SeqAccess<'de>>(&self, plan: &FlagsPlan, mut list: A) -> Result<Value, A::Error> {
        let mut set: Vec<u32> = Vec::new();
        let flag = Node { plan: &plan.flag, trace: self.trace };
        let mut position = 0;
        while let Some(value) = list.next_element_seed(flag).map_err(|error| self.trace.within(error, Segment::Index(position)))? {
            if let Value::Enum(index) = value {
                match set.binary_search(&index) {
                    Ok(_) => return Err(self.trace.fail_at(Segment::Index(position), "the same flag twice".into())),
                    Err(place) => set.insert(place, index),
                }
            }
            position += 1;
        }
        Ok(Value::Flags(set.into()))
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.plan.expected())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        if matches!(self.plan, Plan::Bool) { Ok(Value::Bool(value)) } else { Err(self.unexpected(value)) }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        self.unsigned(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        self.signed(number)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        if matches!(self.plan, Plan::F64) { Ok(Value::F64(number)) } else { Err(self.unexpected(ryu::Buffer::new().format(number))) }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.text(text)
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        // What stands for nothing is a value all the same; who asked for it drops it.
        if matches!(self.plan, Plan::Null) { Ok(Value::Option(None)) } else { Err(self.unexpected("null")) }
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Option(None))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let Plan::Option(plan) = self.plan else { return Err(self.unexpected("a value")) };
        let some = Node { plan: &plan.some, trace: self.trace }.deserialize(deserializer)?;
        Ok(Value::Option(Some(Box::new(some))))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        match self.plan {
            Plan::Record(plan) => self.record(plan, map),
            Plan::Variant(plan) => self.variant(plan, map),
            Plan::Result(plan) => self.result(plan, map),
            Plan::Map(plan) => self.map(plan, map),
            _ => Err(self.unexpected("an object")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Value, A::Error> {
        match self.plan {
            Plan::List(plan) => self.list(plan, list),
            Plan::Tuple(plan) => self.tuple(plan, list),
            Plan::Flags(plan) => self.flags(plan, list),
            _ => Err(self.unexpected("an array")),
        }
    }
}

/// The number that a text stands for where JSON has no number for it. There is one NaN.
fn special(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// The first key that stands there a second time.
pub(super) fn duplicate(entries: &[(Box<str>, Value)]) -> Option<&str> {
    if entries.len() <= DUPLICATES_BY_SCAN_MAX {
        return entries
            .iter()
            .enumerate()
            .find(|(at, (key, _))| entries[..*at].iter().any(|(other, _)| other == key))
            .map(|(_, (key, _))| &**key);
    }
    let mut seen = std::collections::HashSet::with_capacity(entries.len());
    entries.iter().map(|(key, _)| &**key).find(|key| !seen.insert(*key))
}
