//! Shapes: the types that a contract may use, as read from a component's own WIT.

use std::fmt;
use std::sync::Arc;

use crate::standard;

/// A WIT name: kebab case in WIT, snake case in JSON and SQL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    kebab: Box<str>,
    snake: Box<str>,
}

impl Name {
    /// The name `kebab` and its snake-case form.
    #[must_use]
    pub fn new(kebab: &str) -> Self {
        Name { kebab: kebab.into(), snake: kebab.replace('-', "_").into() }
    }

    /// As WIT and manifests write it: `node-id`.
    #[must_use]
    pub fn kebab(&self) -> &str {
        &self.kebab
    }

    /// As JSON and SQL write it: `node_id`.
    #[must_use]
    pub fn snake(&self) -> &str {
        &self.snake
    }
}

/// An admitted type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// `bool`
    Bool,
    /// `u8`
    U8,
    /// `u16`
    U16,
    /// `u32`
    U32,
    /// `u64`
    U64,
    /// `s8`
    S8,
    /// `s16`
    S16,
    /// `s32`
    S32,
    /// `s64`
    S64,
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// `char`
    Char,
    /// `string`
    String,
    /// `purefold:reducer/types.instant`: microseconds since the Unix epoch, UTC.
    Instant,
    /// `purefold:reducer/types.uuid`: high and low half.
    Uuid,
    /// A record.
    Record(Arc<Record>),
    /// A variant.
    Variant(Arc<Variant>),
    /// An enum.
    Enum(Arc<Enum>),
    /// Flags.
    Flags(Arc<Flags>),
    /// `option<T>`; `T` is never itself an option.
    Option(Arc<Type>),
    /// `result<T, E>`
    Result(Arc<ResultType>),
    /// `list<T>`, where `T` is not a pair that makes it a [`Type::Map`].
    List(Arc<Type>),
    /// A tuple other than `uuid`.
    Tuple(Arc<[Type]>),
    /// `list<tuple<string, T>>`: an object in its own order.
    Map(Arc<Type>),
}

/// A record's name and fields, in declared order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The type's name in WIT.
    pub name: Name,
    /// The fields.
    pub fields: Vec<Field>,
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The field's name.
    pub name: Name,
    /// The field's type.
    pub ty: Type,
}

impl Record {
    /// Index and type of the field called `kebab`.
    #[must_use]
    pub fn field(&self, kebab: &str) -> Option<(usize, &Type)> {
        self.fields.iter().enumerate().find(|(_, field)| field.name.kebab() == kebab).map(|(index, field)| (index, &field.ty))
    }
}

/// A variant's name and cases, in declared order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The type's name in WIT.
    pub name: Name,
    /// The cases.
    pub cases: Vec<Case>,
}

/// A case of a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The case's name.
    pub name: Name,
    /// What it carries.
    pub payload: Option<Type>,
}

impl Variant {
    /// Index and case called `kebab`.
    #[must_use]
    pub fn case(&self, kebab: &str) -> Option<(u32, &Case)> {
        (0..).zip(&self.cases).find(|(_, case)| case.name.kebab() == kebab)
    }
}

/// An enum's name and cases, in declared order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enum {
    /// The type's name in WIT.
    pub name: Name,
    /// The cases.
    pub cases: Vec<Name>,
}

/// A flags type's name and flags, in declared order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// The type's name in WIT.
    pub name: Name,
    /// The flags.
    pub flags: Vec<Name>,
}

/// The two payloads of a `result`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultType {
    /// What success carries.
    pub ok: Option<Type>,
    /// What failure carries.
    pub err: Option<Type>,
}

impl Type {
    /// Whether this is the standard `timer`, the payload of an intent that sets a timer and of the input that it comes back as.
    #[must_use]
    pub fn is_timer(&self) -> bool {
        *self == standard::timer()
    }

    /// Whether this is the standard `timer-cancel`.
    #[must_use]
    pub fn is_timer_cancel(&self) -> bool {
        *self == standard::timer_cancel()
    }

    /// Whether this is the standard `failure`.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        *self == standard::failure()
    }
}

/// As WIT writes the type: `option<list<string>>`. Types with a name of their own are named with their kind: `record version`.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Type::Bool => "bool",
            Type::U8 => "u8",
            Type::U16 => "u16",
            Type::U32 => "u32",
            Type::U64 => "u64",
            Type::S8 => "s8",
            Type::S16 => "s16",
            Type::S32 => "s32",
            Type::S64 => "s64",
            Type::F32 => "f32",
            Type::F64 => "f64",
            Type::Char => "char",
            Type::String => "string",
            Type::Instant => "instant",
            Type::Uuid => "uuid",
            Type::Record(record) => return write!(f, "record {}", record.name.kebab()),
            Type::Variant(variant) => return write!(f, "variant {}", variant.name.kebab()),
            Type::Enum(cases) => return write!(f, "enum {}", cases.name.kebab()),
            Type::Flags(flags) => return write!(f, "flags {}", flags.name.kebab()),
            Type::Option(some) => return write!(f, "option<{}>", Inner(some)),
            Type::List(element) => return write!(f, "list<{}>", Inner(element)),
            Type::Map(element) => return write!(f, "list<tuple<string, {}>>", Inner(element)),
            Type::Tuple(places) => {
                f.write_str("tuple<")?;
                for (index, place) in places.iter().enumerate() {
                    write!(f, "{}{}", if index == 0 { "" } else { ", " }, Inner(place))?;
                }
                return f.write_str(">");
            }
            Type::Result(result) => {
                return match (&result.ok, &result.err) {
                    (None, None) => f.write_str("result"),
                    (Some(ok), None) => write!(f, "result<{}>", Inner(ok)),
                    (None, Some(err)) => write!(f, "result<_, {}>", Inner(err)),
                    (Some(ok), Some(err)) => write!(f, "result<{}, {}>", Inner(ok), Inner(err)),
                };
            }
        };
        f.write_str(word)
    }
}

/// A type inside another: there the bare name says enough, as in WIT.
struct Inner<'a>(&'a Type);

impl fmt::Display for Inner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Type::Record(record) => f.write_str(record.name.kebab()),
            Type::Variant(variant) => f.write_str(variant.name.kebab()),
            Type::Enum(cases) => f.write_str(cases.name.kebab()),
            Type::Flags(flags) => f.write_str(flags.name.kebab()),
            other => other.fmt(f),
        }
    }
}
