//! Types for the codec's tests: by hand, and any there can be, with any value of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use purefold_wit::{Case, Enum, Field, Flags, Name, Record, ResultType, Type, Value, Variant, instant};

pub(crate) fn record(name: &str, fields: &[(&str, Type)]) -> Type {
    let fields = fields.iter().map(|(name, ty)| Field { name: Name::new(name), ty: ty.clone() }).collect();
    Type::Record(Arc::new(Record { name: Name::new(name), fields }))
}

pub(crate) fn variant(name: &str, cases: &[(&str, Option<Type>)]) -> Type {
    let cases = cases.iter().map(|(name, payload)| Case { name: Name::new(name), payload: payload.clone() }).collect();
    Type::Variant(Arc::new(Variant { name: Name::new(name), cases }))
}

pub(crate) fn enumeration(name: &str, cases: &[&str]) -> Type {
    Type::Enum(Arc::new(Enum { name: Name::new(name), cases: cases.iter().map(|case| Name::new(case)).collect() }))
}

pub(crate) fn flags(name: &str, flags: &[&str]) -> Type {
    Type::Flags(Arc::new(Flags { name: Name::new(name), flags: flags.iter().map(|flag| Name::new(flag)).collect() }))
}

pub(crate) fn option(some: Type) -> Type {
    Type::Option(Arc::new(some))
}

pub(crate) fn list(element: Type) -> Type {
    Type::List(Arc::new(element))
}

pub(crate) fn map(value: Type) -> Type {
    Type::Map(Arc::new(value))
}

pub(crate) fn tuple(places: &[Type]) -> Type {
    Type::Tuple(places.into())
}

pub(crate) fn result(ok: Option<Type>, err: Option<Type>) -> Type {
    Type::Result(Arc::new(ResultType { ok, err }))
}

/// Any admitted type.
pub(crate) fn any_type() -> impl Strategy<Value = Type> {
    let word = "[a-z][a-z0-9]{0,4}(-[a-z0-9]{1,9}){0,2}";
    let words = move || btree_set(word, 1..6).prop_shuffle_set();
    let scalar = prop_oneof![
        Just(Type::Bool),
        Just(Type::U8),
        Just(Type::U16),
        Just(Type::U32),
        Just(Type::U64),
        Just(Type::S8),
        Just(Type::S16),
        Just(Type::S32),
        Just(Type::S64),
        Just(Type::F32),
        Just(Type::F64),
        Just(Type::Char),
        Just(Type::String),
        Just(Type::Instant),
        Just(Type::Uuid),
        words().prop_map(|words| enumeration("words", &borrowed(&words))),
        words().prop_map(|words| flags("bits", &borrowed(&words))),
    ];
    scalar.prop_recursive(4, 48, 6, move |inner| {
        let named = (words(), vec(proptest::option::weighted(0.8, inner.clone()), 6));
        prop_oneof![
            3 => named.clone().prop_map(|(words, types)| {
                let fields: Vec<(&str, Type)> = words.iter().zip(types).map(|(word, ty)| (&**word, ty.unwrap_or(Type::Bool))).collect();
                record("fields", &fields)
            }),
            2 => named.prop_map(|(words, types)| {
                let cases: Vec<(&str, Option<Type>)> = words.iter().zip(types).map(|(word, ty)| (&**word, ty)).collect();
                variant("cases", &cases)
            }),
            2 => inner.clone().prop_map(|ty| if matches!(ty, Type::Option(_)) { ty } else { option(ty) }),
            1 => (proptest::option::of(inner.clone()), proptest::option::of(inner.clone())).prop_map(|(ok, err)| result(ok, err)),
            1 => inner.clone().prop_map(list),
            1 => vec(inner.clone(), 1..4).prop_map(|places| tuple(&places)),
            1 => inner.prop_map(map),
        ]
    })
}

fn borrowed(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// Sets as shuffled lists: names without repeats, in no order.
trait ShuffleSet: Strategy<Value = BTreeSet<String>> + Sized {
    fn prop_shuffle_set(self) -> impl Strategy<Value = Vec<String>> + Clone;
}

impl<S: Strategy<Value = BTreeSet<String>> + Clone> ShuffleSet for S {
    fn prop_shuffle_set(self) -> impl Strategy<Value = Vec<String>> + Clone {
        self.prop_map(|words| words.into_iter().collect::<Vec<_>>()).prop_shuffle()
    }
}

/// Any value of the type that has a JSON form.
pub(crate) fn value_of(ty: &Type) -> BoxedStrategy<Value> {
    let boxed = |payload: Option<&Type>| match payload {
        Some(ty) => value_of(ty).prop_map(|value| Some(Box::new(value))).boxed(),
        None => Just(None).boxed(),
    };
    match ty {
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::U8 => any::<u8>().prop_map(Value::U8).boxed(),
        Type::U16 => any::<u16>().prop_map(Value::U16).boxed(),
        Type::U32 => any::<u32>().prop_map(Value::U32).boxed(),
        Type::U64 => any::<u64>().prop_map(Value::U64).boxed(),
        Type::S8 => any::<i8>().prop_map(Value::S8).boxed(),
        Type::S16 => any::<i16>().prop_map(Value::S16).boxed(),
        Type::S32 => any::<i32>().prop_map(Value::S32).boxed(),
        Type::S64 => any::<i64>().prop_map(Value::S64).boxed(),
        // By bits, so that subnormal numbers, infinities and every NaN are among them.
        Type::F32 => any::<u32>().prop_map(|bits| Value::F32(f32::from_bits(bits))).boxed(),
        Type::F64 => any::<u64>().prop_map(|bits| Value::F64(f64::from_bits(bits))).boxed(),
        Type::Char => any::<char>().prop_map(Value::Char).boxed(),
        Type::String => any::<String>().prop_map(|text| Value::String(text.into())).boxed(),
        Type::Instant => (0..=instant::LAST).prop_map(Value::Instant).boxed(),
        Type::Uuid => any::<(u64, u64)>().prop_map(|(high, low)| Value::Uuid(high, low)).boxed(),
        Type::Record(record) => {
            let fields: Vec<_> = record.fields.iter().map(|field| value_of(&field.ty)).collect();
            fields.prop_map(|fields| Value::Record(fields.into())).boxed()
        }
        Type::Variant(variant) => {
            let cases = (0..).zip(&variant.cases);
            let cases: Vec<_> = cases
                .map(|(index, case)| boxed(case.payload.as_ref()).prop_map(move |payload| Value::Variant(index, payload)).boxed())
                .collect();
            proptest::strategy::Union::new(cases).boxed()
        }
        Type::Enum(cases) => (0..u32::try_from(cases.cases.len()).unwrap()).prop_map(Value::Enum).boxed(),
        Type::Flags(flags) => vec(any::<bool>(), flags.flags.len())
            .prop_map(|set| Value::Flags((0..).zip(set).filter(|(_, set)| *set).map(|(index, _)| index).collect()))
            .boxed(),
        Type::Option(some) => prop_oneof![Just(None), boxed(Some(some))].prop_map(Value::Option).boxed(),
        Type::Result(result) => {
            prop_oneof![boxed(result.ok.as_ref()).prop_map(Ok), boxed(result.err.as_ref()).prop_map(Err)].prop_map(Value::Result).boxed()
        }
        Type::List(element) => vec(value_of(element), 0..4).prop_map(Value::List).boxed(),
        Type::Tuple(places) => {
            let places: Vec<_> = places.iter().map(value_of).collect();
            places.prop_map(|places| Value::Tuple(places.into())).boxed()
        }
        Type::Map(element) => {
            let key = prop_oneof!["[a-z_]{0,8}", any::<String>()];
            vec((key, value_of(element)), 0..24)
                .prop_map(|mut entries| {
                    let mut seen = BTreeSet::new();
                    entries.retain(|(key, _)| seen.insert(key.clone()));
                    Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
                })
                .boxed()
        }
    }
}

/// A type with one of its values.
pub(crate) fn any_typed() -> impl Strategy<Value = (Type, Value)> {
    any_type().prop_flat_map(|ty| {
        let value = value_of(&ty);
        (Just(ty), value)
    })
}
