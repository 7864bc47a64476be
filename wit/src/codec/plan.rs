//! The plan: a type, compiled for decoding and encoding.

use std::collections::HashMap;
use std::sync::Arc;

use super::names::Names;
use crate::shape::{Enum, Flags, Name, Record, Type, Variant};

/// What to do for one type.
#[derive(Debug)]
pub(super) enum Plan {
    /// The payload of a result's side that carries nothing: null.
    Null,
    Bool,
    U8,
    U16,
    U32,
    U64,
    S8,
    S16,
    S32,
    S64,
    F32,
    F64,
    Char,
    String,
    Instant,
    Uuid,
    Record(Arc<RecordPlan>),
    Variant(Arc<VariantPlan>),
    Enum(Arc<WordsPlan>),
    Flags(Arc<FlagsPlan>),
    Option(Box<OptionPlan>),
    Result(Box<ResultPlan>),
    List(Box<ListPlan>),
    Tuple(Box<TuplePlan>),
    Map(Box<ListPlan>),
}

#[derive(Debug)]
pub(super) struct RecordPlan {
    /// As messages name it: `record version`.
    pub(super) expected: Box<str>,
    pub(super) fields: Box<[FieldPlan]>,
    pub(super) names: Names,
}

#[derive(Debug)]
pub(super) struct FieldPlan {
    /// What the encoding has before the field's value: `{"major":` or `,"minor":`.
    pub(super) prefix: Box<[u8]>,
    pub(super) plan: Plan,
}

#[derive(Debug)]
pub(super) struct VariantPlan {
    pub(super) expected: Box<str>,
    pub(super) cases: Box<[CasePlan]>,
    pub(super) names: Names,
}

#[derive(Debug)]
pub(super) struct CasePlan {
    /// `{"case":` before a payload, the whole `"case"` without one.
    pub(super) prefix: Box<[u8]>,
    pub(super) payload: Option<Plan>,
}

/// The words of an enum or of a flags type.
#[derive(Debug)]
pub(super) struct WordsPlan {
    pub(super) expected: Box<str>,
    pub(super) names: Names,
    /// Each word in its quotes.
    pub(super) quoted: Box<[Box<[u8]>]>,
}

#[derive(Debug)]
pub(super) struct FlagsPlan {
    pub(super) expected: Box<str>,
    /// What each element of the array is: one of the flags, as if of an enum.
    pub(super) flag: Plan,
}

#[derive(Debug)]
pub(super) struct OptionPlan {
    pub(super) expected: Box<str>,
    pub(super) some: Plan,
}

#[derive(Debug)]
pub(super) struct ResultPlan {
    pub(super) expected: Box<str>,
    pub(super) ok: Plan,
    pub(super) err: Plan,
}

/// A list, or a map's values.
#[derive(Debug)]
pub(super) struct ListPlan {
    pub(super) expected: Box<str>,
    pub(super) element: Plan,
}

#[derive(Debug)]
pub(super) struct TuplePlan {
    pub(super) expected: Box<str>,
    pub(super) places: Box<[Plan]>,
}

impl Plan {
    pub(super) fn compile(ty: &Type) -> Plan {
        Compiler::default().plan(ty)
    }

    /// As messages name the type: `u16`, `record version`.
    pub(super) fn expected(&self) -> &str {
        match self {
            Plan::Null => "null",
            Plan::Bool => "bool",
            Plan::U8 => "u8",
            Plan::U16 => "u16",
            Plan::U32 => "u32",
            Plan::U64 => "u64",
            Plan::S8 => "s8",
            Plan::S16 => "s16",
            Plan::S32 => "s32",
            Plan::S64 => "s64",
            Plan::F32 => "f32",
            Plan::F64 => "f64",
            Plan::Char => "char",
            Plan::String => "string",
            Plan::Instant => "instant",
            Plan::Uuid => "uuid",
            Plan::Record(plan) => &plan.expected,
            Plan::Variant(plan) => &plan.expected,
            Plan::Enum(plan) => &plan.expected,
            Plan::Flags(plan) => &plan.expected,
            Plan::Option(plan) => &plan.expected,
            Plan::Result(plan) => &plan.expected,
            Plan::List(plan) | Plan::Map(plan) => &plan.expected,
            Plan::Tuple(plan) => &plan.expected,
        }
    }
}

/// Compiles each shared record and variant once: written out as a tree, a type can be exponentially larger.
#[derive(Default)]
struct Compiler {
    records: HashMap<*const Record, Arc<RecordPlan>>,
    variants: HashMap<*const Variant, Arc<VariantPlan>>,
    enums: HashMap<*const Enum, Arc<WordsPlan>>,
    flags: HashMap<*const Flags, Arc<FlagsPlan>>,
}

impl Compiler {
    fn plan(&mut self, ty: &Type) -> Plan {
        let expected = || ty.to_string().into();
        match ty {
            Type::Bool => Plan::Bool,
            Type::U8 => Plan::U8,
            Type::U16 => Plan::U16,
            Type::U32 => Plan::U32,
            Type::U64 => Plan::U64,
            Type::S8 => Plan::S8,
            Type::S16 => Plan::S16,
            Type::S32 => Plan::S32,
            Type::S64 => Plan::S64,
            Type::F32 => Plan::F32,
            Type::F64 => Plan::F64,
            Type::Char => Plan::Char,
            Type::String => Plan::String,
            Type::Instant => Plan::Instant,
            Type::Uuid => Plan::Uuid,
            Type::Record(record) => Plan::Record(match self.records.get(&Arc::as_ptr(record)) {
                Some(plan) => Arc::clone(plan),
                None => {
                    let plan = Arc::new(self.record(record, expected()));
                    self.records.insert(Arc::as_ptr(record), Arc::clone(&plan));
                    plan
                }
            }),
            Type::Variant(variant) => Plan::Variant(match self.variants.get(&Arc::as_ptr(variant)) {
                Some(plan) => Arc::clone(plan),
                None => {
                    let plan = Arc::new(self.variant(variant, expected()));
                    self.variants.insert(Arc::as_ptr(variant), Arc::clone(&plan));
                    plan
                }
            }),
            Type::Enum(words) => Plan::Enum(Arc::clone(
                self.enums
                    .entry(Arc::as_ptr(words))
                    .or_insert_with(|| Arc::new(WordsPlan::new(expected(), words.cases.iter().map(Name::snake)))),
            )),
            Type::Flags(words) => {
                Plan::Flags(Arc::clone(self.flags.entry(Arc::as_ptr(words)).or_insert_with(|| Arc::new(FlagsPlan::new(words, expected())))))
            }
            Type::Option(some) => Plan::Option(Box::new(OptionPlan { expected: expected(), some: self.plan(some) })),
            Type::Result(result) => Plan::Result(Box::new(ResultPlan {
                expected: expected(),
                ok: result.ok.as_ref().map_or(Plan::Null, |ok| self.plan(ok)),
                err: result.err.as_ref().map_or(Plan::Null, |err| self.plan(err)),
            })),
            Type::List(element) => Plan::List(Box::new(ListPlan { expected: expected(), element: self.plan(element) })),
            Type::Tuple(places) => {
                Plan::Tuple(Box::new(TuplePlan { expected: expected(), places: places.iter().map(|place| self.plan(place)).collect() }))
            }
            Type::Map(element) => Plan::Map(Box::new(ListPlan { expected: expected(), element: self.plan(element) })),
        }
    }

    fn record(&mut self, record: &Record, expected: Box<str>) -> RecordPlan {
        let fields = record
            .fields
            .iter()
            .enumerate()
            .map(|(index, field)| FieldPlan {
                prefix: key(if index == 0 { "{" } else { "," }, field.name.snake()),
                plan: self.plan(&field.ty),
            })
            .collect();
        RecordPlan { expected, fields, names: Names::new(record.fields.iter().map(|field| field.name.snake())) }
    }

    fn variant(&mut self, variant: &Variant, expected: Box<str>) -> VariantPlan {
        let cases = variant
            .cases
            .iter()
            .map(|case| match &case.payload {
                Some(payload) => CasePlan { prefix: key("{", case.name.snake()), payload: Some(self.plan(payload)) },
                None => CasePlan { prefix: quote(case.name.snake()), payload: None },
            })
            .collect();
        VariantPlan { expected, cases, names: Names::new(variant.cases.iter().map(|case| case.name.snake())) }
    }
}

impl WordsPlan {
    fn new<'a>(expected: Box<str>, words: impl Iterator<Item = &'a str> + Clone) -> WordsPlan {
        WordsPlan { expected, names: Names::new(words.clone()), quoted: words.map(quote).collect() }
    }
}

impl FlagsPlan {
    fn new(flags: &Flags, expected: Box<str>) -> FlagsPlan {
        let words = WordsPlan::new(format!("a flag of {}", flags.name.kebab()).into(), flags.flags.iter().map(Name::snake));
        FlagsPlan { expected, flag: Plan::Enum(Arc::new(words)) }
    }
}

fn quote(name: &str) -> Box<[u8]> {
    serde_json::Value::from(name).to_string().into_bytes().into()
}

fn key(opening: &str, name: &str) -> Box<[u8]> {
    [opening.as_bytes(), &quote(name), b":"].concat().into()
}
