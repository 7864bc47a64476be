//! A type of every shape that the codec knows.

use std::sync::Arc;

use purefold_wit::{Case, Enum, Field, Flags, Name, Record, ResultType, Type, Variant};

fn name(text: &str) -> Name {
    Name::new(text)
}

fn record(text: &str, fields: &[(&str, Type)]) -> Type {
    let fields = fields.iter().map(|(field, ty)| Field { name: name(field), ty: ty.clone() }).collect();
    Type::Record(Arc::new(Record { name: name(text), fields }))
}

fn option(ty: Type) -> Type {
    Type::Option(Arc::new(ty))
}

fn list(ty: Type) -> Type {
    Type::List(Arc::new(ty))
}

/// A variant whose cases hold one of everything.
pub(crate) fn everything() -> Type {
    let numbers = record(
        "numbers",
        &[
            ("a", Type::U8),
            ("b", Type::U16),
            ("c", Type::U32),
            ("d", Type::U64),
            ("e", Type::S8),
            ("f", Type::S16),
            ("g", Type::S32),
            ("h", Type::S64),
            ("single", Type::F32),
            ("double", Type::F64),
        ],
    );
    let colour = Type::Enum(Arc::new(Enum { name: name("colour"), cases: ["red", "dark-green", "blue"].map(name).into() }));
    let marks = Type::Flags(Arc::new(Flags { name: name("marks"), flags: ["bold", "under-lined"].map(name).into() }));
    let texts = record(
        "texts",
        &[
            ("text", Type::String),
            ("letter", Type::Char),
            ("at", Type::Instant),
            ("id", Type::Uuid),
            ("yes", Type::Bool),
            ("colour", colour),
            ("marks", marks),
        ],
    );
    let outcome = Type::Result(Arc::new(ResultType { ok: Some(Type::U32), err: Some(Type::String) }));
    let nested = record(
        "nested",
        &[
            ("maybe", option(numbers.clone())),
            ("many", list(texts.clone())),
            ("by-name", Type::Map(Arc::new(list(Type::S64)))),
            ("pair", Type::Tuple(vec![Type::F64, option(Type::String)].into())),
            ("outcome", outcome),
        ],
    );
    let case = |text: &str, payload: Option<Type>| Case { name: name(text), payload };
    let cases = vec![case("numbers", Some(numbers)), case("texts", Some(texts)), case("nested", Some(nested)), case("nothing", None)];
    Type::Variant(Arc::new(Variant { name: name("everything"), cases }))
}
