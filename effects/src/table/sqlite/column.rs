//! Which SQL type a field's type has on SQLite, what an existing column accepts, and how a value gets there.

use std::sync::Arc;

use purefold_wit::{Codec, Enum, Type, Value, instant, uuid};
use rusqlite::types::Value as SqlValue;

use crate::table::definition::{Described, case_names};

/// What SQLite stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    Integer,
    Real,
    Text,
}

impl Storage {
    pub(super) fn sql(self) -> &'static str {
        match self {
            Storage::Integer => "INTEGER",
            Storage::Real => "REAL",
            Storage::Text => "TEXT",
        }
    }
}

/// How values of one type are stored.
#[derive(Clone)]
pub(super) struct ColumnType {
    pub(super) optional: bool,
    pub(super) form: Form,
}

/// The form of a value that is present.
#[derive(Clone)]
pub(super) enum Form {
    Bool,
    Integer,
    Float,
    Text,
    Instant,
    Uuid,
    Enum(Arc<Enum>),
    /// Everything with parts, in its canonical JSON.
    Json(Codec),
}

impl ColumnType {
    pub(super) fn of(ty: &Type) -> ColumnType {
        match ty {
            Type::Option(inner) => ColumnType { optional: true, form: Form::of(inner) },
            other => ColumnType { optional: false, form: Form::of(other) },
        }
    }

    /// The column that is made for a field's type.
    pub(super) fn describe(ty: &Type) -> Described {
        let ty = ColumnType::of(ty);
        let names = if let Form::Enum(cases) = &ty.form { Some(case_names(cases)) } else { None };
        Described { sql: ty.form.storage().sql().to_owned(), optional: ty.optional, names }
    }

    /// The value as SQLite takes it.
    ///
    /// # Errors
    /// A value that has no form here, told without the value.
    pub(super) fn encode(&self, value: &Value) -> Result<SqlValue, String> {
        match (self.optional, value) {
            (true, Value::Option(None)) => Ok(SqlValue::Null),
            (true, Value::Option(Some(inner))) => self.form.encode(inner),
            (_, value) => self.form.encode(value),
        }
    }
}

impl Form {
    fn of(ty: &Type) -> Form {
        match ty {
            Type::Bool => Form::Bool,
            Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::S8 | Type::S16 | Type::S32 | Type::S64 => Form::Integer,
            Type::F32 | Type::F64 => Form::Float,
            Type::Char | Type::String => Form::Text,
            Type::Instant => Form::Instant,
            Type::Uuid => Form::Uuid,
            Type::Enum(cases) => Form::Enum(Arc::clone(cases)),
            // An option here is an option's own inside, which no contract has.
            Type::Record(_)
            | Type::Variant(_)
            | Type::Flags(_)
            | Type::Option(_)
            | Type::Result(_)
            | Type::List(_)
            | Type::Tuple(_)
            | Type::Map(_) => Form::Json(Codec::new(ty)),
        }
    }

    pub(super) fn storage(&self) -> Storage {
        match self {
            Form::Bool | Form::Integer => Storage::Integer,
            Form::Float => Storage::Real,
            Form::Text | Form::Instant | Form::Uuid | Form::Enum(_) | Form::Json(_) => Storage::Text,
        }
    }

    /// Whether a column declared as `declared` keeps such a value as it is. `strict` tables have five types only.
    pub(super) fn fits(&self, declared: &str, strict: bool) -> bool {
        let declared = declared.to_ascii_uppercase();
        if declared == "ANY" || declared.is_empty() {
            return true;
        }
        let has = |part: &str| declared.contains(part);
        // The rules of affinity, in SQLite's own order.
        if has("INT") {
            return matches!(self, Form::Bool | Form::Integer);
        }
        if has("CHAR") || has("CLOB") || has("TEXT") {
            return self.storage() == Storage::Text;
        }
        if has("BLOB") {
            return false;
        }
        if has("REAL") || has("FLOA") || has("DOUB") {
            return matches!(self, Form::Float);
        }
        // What is left turns texts that look like numbers into numbers; forms that never look so are safe
        // where the name says that they are meant.
        !strict
            && match self {
                Form::Bool | Form::Integer | Form::Float => !has("DATE") && !has("TIME") && !has("JSON") && !has("UUID"),
                Form::Instant => has("DATE") || has("TIME"),
                Form::Uuid => has("UUID"),
                Form::Json(_) => has("JSON"),
                Form::Text | Form::Enum(_) => false,
            }
    }

    fn encode(&self, value: &Value) -> Result<SqlValue, String> {
        Ok(match (self, value) {
            (Form::Bool, Value::Bool(flag)) => SqlValue::Integer(i64::from(*flag)),
            (Form::Integer, value) => SqlValue::Integer(integer(value)?),
            (Form::Float, Value::F32(number)) => real(f64::from(*number))?,
            (Form::Float, Value::F64(number)) => real(*number)?,
            (Form::Text, Value::String(text)) => SqlValue::Text(text.to_string()),
            (Form::Text, Value::Char(one)) => SqlValue::Text(one.to_string()),
            (Form::Instant, Value::Instant(micros)) => SqlValue::Text(instant::format(*micros).ok_or("the instant is past the year 9999")?),
            (Form::Uuid, Value::Uuid(high, low)) => SqlValue::Text(uuid::format(*high, *low)),
            (Form::Enum(cases), Value::Enum(case)) => {
                let name = cases.cases.get(*case as usize).ok_or("the case does not exist")?;
                SqlValue::Text(name.snake().to_owned())
            }
            (Form::Json(codec), value) => {
                let mut json = Vec::new();
                codec.encode(value, &mut json).map_err(|error| error.to_string())?;
                SqlValue::Text(String::from_utf8(json).map_err(|_| "the JSON is not UTF-8")?)
            }
            _ => return Err("the value is not of the field's type".to_owned()),
        })
    }
}

/// Integers of every width; SQLite's are signed and of 64 bits.
fn integer(value: &Value) -> Result<i64, String> {
    Ok(match value {
        Value::U8(number) => i64::from(*number),
        Value::U16(number) => i64::from(*number),
        Value::U32(number) => i64::from(*number),
        Value::U64(number) => {
            i64::try_from(*number).map_err(|_| format!("a number is past {}, the largest that SQLite holds", i64::MAX))?
        }
        Value::S8(number) => i64::from(*number),
        Value::S16(number) => i64::from(*number),
        Value::S32(number) => i64::from(*number),
        Value::S64(number) => *number,
        _ => return Err("the value is not of the field's type".to_owned()),
    })
}

/// SQLite would store NaN as NULL, without a word.
fn real(number: f64) -> Result<SqlValue, String> {
    if number.is_nan() { Err("NaN has no form in SQLite".to_owned()) } else { Ok(SqlValue::Real(number)) }
}
