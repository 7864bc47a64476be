//! From WIT types to shapes. A type that is not admitted becomes a finding and a stand-in, so that the rest is checked too.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use wit_parser::{Handle, Resolve, Type as WitType, TypeDef, TypeDefKind, TypeId, TypeOwner};

use super::{EXPANDED_MAX, NESTING_MAX, TYPES_MAX};
use crate::shape::{Case, Enum, Field, Flags, Name, Record, ResultType, Type, Variant};
use crate::{Finding, standard};

pub(super) struct Reader<'a> {
    pub(super) resolve: &'a Resolve,
    pub(super) findings: Vec<Finding>,
    known: HashMap<TypeId, Measured>,
    too_large: bool,
}

/// A shape with its measures.
#[derive(Clone)]
struct Measured {
    ty: Type,
    nesting: usize,
    expanded: usize,
}

/// The measures of what a type is made of.
#[derive(Default)]
struct Measure {
    nesting: usize,
    expanded: usize,
}

impl Measure {
    fn add(&mut self, part: Measured) -> Type {
        self.nesting = self.nesting.max(part.nesting);
        self.expanded = self.expanded.saturating_add(part.expanded);
        part.ty
    }

    fn of(self, ty: Type) -> Measured {
        Measured { ty, nesting: self.nesting + 1, expanded: self.expanded.saturating_add(1) }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(resolve: &'a Resolve) -> Self {
        Reader { resolve, findings: Vec::new(), known: HashMap::new(), too_large: false }
    }

    pub(super) fn report(&mut self, code: &'static str, place: impl Into<String>, cause: impl Into<String>, help: impl Into<String>) {
        self.findings.push(Finding::new(code, place, cause, help));
    }

    /// The shape of `ty`; `place` names it in findings where it has no name of its own.
    pub(super) fn shape(&mut self, ty: WitType, place: &str) -> Type {
        self.measured(ty, place).ty
    }

    /// Compares every type of the standard package with the standard one. Gives the names of those that differ.
    pub(super) fn forged_standard_types(&mut self) -> HashSet<String> {
        let resolve = self.resolve;
        let mut forged = HashSet::new();
        let owned = resolve.types.iter().filter_map(|(id, def)| Some((id, def.name.as_deref()?, standard_owner(resolve, def)?)));
        for (id, name, interface) in owned {
            let place = format!("{interface}.{name}");
            let same = interface == standard::INTERFACE
                && match (name, &resolve.types[id].kind) {
                    ("instant", TypeDefKind::Type(WitType::U64)) => true,
                    ("uuid", TypeDefKind::Tuple(tuple)) => tuple.types == [WitType::U64, WitType::U64],
                    ("instant" | "uuid", _) => false,
                    _ => standard::named(name).is_some_and(|standard| self.shape(WitType::Id(id), &place) == standard),
                };
            if !same {
                let cause = format!("it differs from `{name}` of {}", standard::INTERFACE);
                self.report("standard-type-forged", place, cause, "use the package purefold:reducer@1.0.0 as it is published, unchanged");
                forged.insert(name.to_owned());
            }
        }
        forged
    }

    fn measured(&mut self, ty: WitType, place: &str) -> Measured {
        let scalar = match ty {
            WitType::Bool => Type::Bool,
            WitType::U8 => Type::U8,
            WitType::U16 => Type::U16,
            WitType::U32 => Type::U32,
            WitType::U64 => Type::U64,
            WitType::S8 => Type::S8,
            WitType::S16 => Type::S16,
            WitType::S32 => Type::S32,
            WitType::S64 => Type::S64,
            WitType::F32 => Type::F32,
            WitType::F64 => Type::F64,
            WitType::Char => Type::Char,
            WitType::String => Type::String,
            WitType::ErrorContext => return self.not_admitted("error-context", place),
            WitType::Id(id) => return self.defined(id, place),
        };
        Measure::default().of(scalar)
    }

    fn defined(&mut self, id: TypeId, place: &str) -> Measured {
        if let Some(known) = self.known.get(&id) {
            return known.clone();
        }
        let resolve: &'a Resolve = self.resolve;
        let def = &resolve.types[id];
        // A type with a name is told by it, wherever it is used.
        let place = def.name.as_deref().unwrap_or(place);
        let measured = match standard_alias(resolve, def) {
            Some(ty) => Measure::default().of(ty),
            None => self.definition(def, place),
        };
        self.check_bounds(&measured, place);
        self.known.insert(id, measured.clone());
        measured
    }

    fn check_bounds(&mut self, measured: &Measured, place: &str) {
        let what = if measured.nesting > NESTING_MAX {
            format!("types nested more than {NESTING_MAX} deep")
        } else if measured.expanded > EXPANDED_MAX {
            format!("more than {EXPANDED_MAX} fields, cases and elements when written out")
        } else if self.known.len() >= TYPES_MAX {
            format!("more than {TYPES_MAX} types")
        } else {
            return;
        };
        // Said once: every type around this one is too large as well.
        if !std::mem::replace(&mut self.too_large, true) {
            self.report("contract-too-large", place, what, "split the domain into smaller reducers, or flatten its types");
        }
    }

    fn definition(&mut self, def: &'a TypeDef, place: &str) -> Measured {
        let mut measure = Measure::default();
        let name = || Name::new(place);
        let ty = match &def.kind {
            TypeDefKind::Type(aliased) => return self.measured(*aliased, place),
            TypeDefKind::Record(record) => {
                let field = |field: &wit_parser::Field| Field {
                    name: Name::new(&field.name),
                    ty: measure.add(self.measured(field.ty, &format!("{place}.{}", field.name))),
                };
                let fields = record.fields.iter().map(field).collect();
                Type::Record(Arc::new(Record { name: name(), fields }))
            }
            TypeDefKind::Variant(variant) => {
                let case = |case: &wit_parser::Case| {
                    measure.expanded += 1;
                    let payload = case.ty.map(|ty| measure.add(self.measured(ty, &format!("{place}.{}", case.name))));
                    Case { name: Name::new(&case.name), payload }
                };
                let cases = variant.cases.iter().map(case).collect();
                Type::Variant(Arc::new(Variant { name: name(), cases }))
            }
            TypeDefKind::Enum(cases) => {
                measure.expanded += cases.cases.len();
                Type::Enum(Arc::new(Enum { name: name(), cases: cases.cases.iter().map(|case| Name::new(&case.name)).collect() }))
            }
            TypeDefKind::Flags(flags) => {
                measure.expanded += flags.flags.len();
                Type::Flags(Arc::new(Flags { name: name(), flags: flags.flags.iter().map(|flag| Name::new(&flag.name)).collect() }))
            }
            TypeDefKind::Option(some) => match measure.add(self.measured(*some, place)) {
                nested @ Type::Option(_) => {
                    let cause = format!("option<{nested}> has two ways to hold nothing, and JSON has one");
                    self.report("nested-option", place, cause, "use one option, or a variant that names the cases");
                    nested
                }
                some => Type::Option(Arc::new(some)),
            },
            TypeDefKind::Result(result) => Type::Result(Arc::new(ResultType {
                ok: result.ok.map(|ok| measure.add(self.measured(ok, place))),
                err: result.err.map(|err| measure.add(self.measured(err, place))),
            })),
            TypeDefKind::Tuple(tuple) => Type::Tuple(tuple.types.iter().map(|part| measure.add(self.measured(*part, place))).collect()),
            TypeDefKind::List(element) => match measure.add(self.measured(*element, place)) {
                Type::Tuple(pair) if matches!(&*pair, [Type::String, _]) => Type::Map(Arc::new(pair[1].clone())),
                element => Type::List(Arc::new(element)),
            },
            kind @ (TypeDefKind::Resource
            | TypeDefKind::Handle(_)
            | TypeDefKind::Map(..)
            | TypeDefKind::FixedLengthList(..)
            | TypeDefKind::Future(_)
            | TypeDefKind::Stream(_)
            | TypeDefKind::Unknown) => return self.not_admitted(kind_text(kind), place),
        };
        measure.of(ty)
    }

    fn not_admitted(&mut self, what: &str, place: &str) -> Measured {
        let help = "use records, variants, enums, flags, options, results, lists, tuples, strings and numbers";
        self.report("type-not-admitted", place, format!("a contract has no place for: {what}"), help);
        stand_in(place)
    }
}

/// What stands where a type is not admitted. A record, because a record may stand anywhere.
fn stand_in(place: &str) -> Measured {
    Measure::default().of(Type::Record(Arc::new(Record { name: Name::new(place), fields: Vec::new() })))
}

/// The interface `purefold:reducer/types`, of whatever version, where that owns `def`.
fn standard_owner(resolve: &Resolve, def: &TypeDef) -> Option<String> {
    let TypeOwner::Interface(interface) = def.owner else { return None };
    let id = resolve.id_of(interface)?;
    let family = standard::INTERFACE.split('@').next()?;
    (id.split('@').next() == Some(family)).then_some(id)
}

/// `instant` and `uuid` are aliases: who owns them tells them from the same numbers of another's.
fn standard_alias(resolve: &Resolve, def: &TypeDef) -> Option<Type> {
    let owner = standard_owner(resolve, def)?;
    match (owner == standard::INTERFACE, def.name.as_deref()?) {
        (true, "instant") => Some(Type::Instant),
        (true, "uuid") => Some(Type::Uuid),
        _ => None,
    }
}

fn kind_text(kind: &TypeDefKind) -> &'static str {
    match kind {
        TypeDefKind::Handle(Handle::Own(_)) => "a resource (by an owned handle)",
        TypeDefKind::Handle(Handle::Borrow(_)) => "a resource (by a borrowed handle)",
        TypeDefKind::Resource => "a resource",
        TypeDefKind::Map(..) => "map<…> (write list<tuple<string, T>>)",
        TypeDefKind::FixedLengthList(..) => "a list of fixed length (write a tuple or a list)",
        TypeDefKind::Future(_) => "a future",
        TypeDefKind::Stream(_) => "a stream",
        _ => "a type of unknown structure",
    }
}
