//! Which type of PostgreSQL a field's type has, what an existing column accepts, and how a value gets there.

use std::sync::Arc;

use purefold_wit::{Codec, Enum, Type, Value, instant, uuid};

use super::catalog::Column;
use crate::postgres::Text;
use crate::table::definition::{Described, case_names};

/// The column that is made for a field's type.
pub(super) fn describe(ty: &Type) -> Described {
    let (optional, inner) = present(ty);
    let names = if let Type::Enum(cases) = inner { Some(case_names(cases)) } else { None };
    Described { sql: made(inner), optional, names }
}

/// The type without the option around it, and whether there was one.
fn present(ty: &Type) -> (bool, &Type) {
    match ty {
        Type::Option(inner) => (true, inner),
        other => (false, other),
    }
}

fn made(ty: &Type) -> String {
    match ty {
        Type::Bool => "boolean",
        Type::U8 | Type::S8 | Type::S16 => "smallint",
        Type::U16 | Type::S32 => "integer",
        Type::U32 | Type::S64 => "bigint",
        Type::U64 => "numeric(20)",
        Type::F32 => "real",
        Type::F64 => "double precision",
        Type::Char | Type::String | Type::Enum(_) => "text",
        Type::Instant => "timestamptz",
        Type::Uuid => "uuid",
        Type::List(item) if Scalar::of(present(item).1).is_some() => return format!("{}[]", made(present(item).1)),
        _ => "jsonb",
    }
    .to_owned()
}

/// How a value of a field gets into a column.
pub(super) struct Encoder {
    optional: bool,
    form: Form,
}

enum Form {
    One(Scalar),
    /// An array, whose items may be absent.
    Many(Scalar),
    /// Everything with parts, in its canonical JSON.
    Json(Codec),
}

/// A value that is one thing.
#[derive(Clone)]
enum Scalar {
    Bool,
    Integer(Type),
    Float { double: bool },
    Text,
    Instant,
    Uuid,
    Enum(Arc<Enum>),
}

impl Encoder {
    /// How fields of type `ty` get into `column`.
    ///
    /// # Errors
    /// Where the column does not keep them as they are: the type that would.
    pub(super) fn new(ty: &Type, column: &Column) -> Result<Encoder, String> {
        let (optional, inner) = present(ty);
        let form = match (Scalar::of(inner), inner, &column.element) {
            (Some(scalar), ..) if scalar.fits(&column.ty, &column.labels) => Some(Form::One(scalar)),
            (None, Type::List(item), Some(element)) => {
                Scalar::of(present(item).1).filter(|scalar| scalar.fits(element, &column.labels)).map(Form::Many)
            }
            (None, ..) if matches!(column.ty.as_str(), "jsonb" | "json" | "text" | "varchar") => Some(Form::Json(Codec::new(inner))),
            _ => None,
        };
        form.map(|form| Encoder { optional, form }).ok_or_else(|| made(inner))
    }

    /// The value as PostgreSQL reads it.
    ///
    /// # Errors
    /// A value that has no form here, told without the value.
    pub(super) fn encode(&self, value: &Value) -> Result<Text, String> {
        let value = match value {
            Value::Option(None) if self.optional => return Ok(Text(None)),
            Value::Option(Some(inner)) if self.optional => inner,
            other => other,
        };
        Ok(Text::of(match &self.form {
            Form::One(scalar) => scalar.encode(value)?,
            Form::Many(scalar) => array(scalar, value)?,
            Form::Json(codec) => {
                let mut json = Vec::new();
                codec.encode(value, &mut json).map_err(|error| error.to_string())?;
                String::from_utf8(json).map_err(|_| "the JSON is not UTF-8")?
            }
        }))
    }
}

/// `{"a","b",NULL}`: every item between quotes, which every type's own rules take off again.
fn array(scalar: &Scalar, value: &Value) -> Result<String, String> {
    let Value::List(items) = value else { return Err(MISFIT.to_owned()) };
    let mut text = String::from("{");
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        let item = match item {
            Value::Option(None) => {
                text.push_str("NULL");
                continue;
            }
            Value::Option(Some(inner)) => inner,
            other => other,
        };
        text.push('"');
        text.push_str(&scalar.encode(item)?.replace('\\', "\\\\").replace('"', "\\\""));
        text.push('"');
    }
    text.push('}');
    Ok(text)
}

const MISFIT: &str = "the value is not of the field's type";

impl Scalar {
    fn of(ty: &Type) -> Option<Scalar> {
        Some(match ty {
            Type::Bool => Scalar::Bool,
            Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::S8 | Type::S16 | Type::S32 | Type::S64 => Scalar::Integer(ty.clone()),
            Type::F32 => Scalar::Float { double: false },
            Type::F64 => Scalar::Float { double: true },
            Type::Char | Type::String => Scalar::Text,
            Type::Instant => Scalar::Instant,
            Type::Uuid => Scalar::Uuid,
            Type::Enum(cases) => Scalar::Enum(Arc::clone(cases)),
            _ => return None,
        })
    }

    /// Whether a column of the type `name` keeps every such value as it is, or refuses it. `labels` are those of an enum.
    fn fits(&self, name: &str, labels: &[String]) -> bool {
        let is_text = matches!(name, "text" | "varchar" | "bpchar" | "citext");
        match self {
            Scalar::Bool => name == "bool",
            Scalar::Integer(ty) => integer_fits(ty, name),
            Scalar::Float { double } => name == "float8" || (name == "float4" && !double),
            Scalar::Text => is_text,
            Scalar::Instant => name == "timestamptz" || is_text,
            Scalar::Uuid => name == "uuid" || is_text,
            Scalar::Enum(cases) => is_text || (!labels.is_empty() && case_names(cases).iter().all(|case| labels.contains(case))),
        }
    }

    fn encode(&self, value: &Value) -> Result<String, String> {
        Ok(match (self, value) {
            (Scalar::Bool, Value::Bool(flag)) => flag.to_string(),
            (Scalar::Integer(_), value) => integer(value)?,
            (Scalar::Float { .. }, Value::F32(number)) => float(f64::from(*number), number.to_string()),
            (Scalar::Float { .. }, Value::F64(number)) => float(*number, number.to_string()),
            (Scalar::Text, Value::String(text)) => text.to_string(),
            (Scalar::Text, Value::Char(one)) => one.to_string(),
            (Scalar::Instant, Value::Instant(micros)) => instant::format(*micros).ok_or("the instant is past the year 9999")?,
            (Scalar::Uuid, Value::Uuid(high, low)) => uuid::format(*high, *low),
            (Scalar::Enum(cases), Value::Enum(case)) => {
                cases.cases.get(*case as usize).ok_or("the case does not exist")?.snake().to_owned()
            }
            _ => return Err(MISFIT.to_owned()),
        })
    }
}

/// Integers fit where every one of them does, and `u64` into `bigint` too: the server refuses what is past its end.
fn integer_fits(ty: &Type, column: &str) -> bool {
    let bits = match column {
        "int2" => 16,
        "int4" => 32,
        "int8" => 64,
        "numeric" => return true,
        _ => return false,
    };
    match ty {
        Type::U8 | Type::S8 | Type::S16 => true,
        Type::U16 | Type::S32 => bits >= 32,
        _ => bits >= 64,
    }
}

fn integer(value: &Value) -> Result<String, String> {
    Ok(match value {
        Value::U8(number) => number.to_string(),
        Value::U16(number) => number.to_string(),
        Value::U32(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        Value::S8(number) => number.to_string(),
        Value::S16(number) => number.to_string(),
        Value::S32(number) => number.to_string(),
        Value::S64(number) => number.to_string(),
        _ => return Err(MISFIT.to_owned()),
    })
}

/// Rust writes the shortest text that is read back as the same number; of what is no number PostgreSQL has its own names.
fn float(number: f64, text: String) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else {
        text
    }
}
