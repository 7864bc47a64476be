//! Values on their way to a database and back, whichever database it is.

use std::borrow::Cow;
use std::sync::Arc;

use super::StoreError;

/// One value. Booleans are 0 and 1 here; a database may keep them as a type of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Value<'v> {
    Null,
    Int(i64),
    /// UTF-8 by construction, or by the database's own check.
    Text(Cow<'v, [u8]>),
    Bytes(Cow<'v, [u8]>),
    /// Bytes of a fingerprint.
    Fingerprint([u8; 16]),
    /// Values of one kind, where a statement is about many rows.
    List(Vec<Value<'v>>),
}

/// Values of a statement, in the order of its placeholders.
macro_rules! values {
    ($($value:expr),* $(,)?) => { [$($crate::store::value::Value::from($value)),*] };
}
pub(crate) use values;

impl<'v> Value<'v> {
    /// JSON: a text that is at hand as bytes.
    pub(super) fn json(bytes: &'v [u8]) -> Self {
        Value::Text(Cow::Borrowed(bytes))
    }

    /// The same, whoever else it was of.
    pub(super) fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Int(number) => Value::Int(number),
            Value::Text(bytes) => Value::Text(bytes.into_owned().into()),
            Value::Bytes(bytes) => Value::Bytes(bytes.into_owned().into()),
            Value::Fingerprint(bytes) => Value::Fingerprint(bytes),
            Value::List(values) => Value::List(values.into_iter().map(Value::into_owned).collect()),
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "nothing",
            Value::Int(_) => "a number",
            Value::Text(_) => "a text",
            Value::Bytes(_) | Value::Fingerprint(_) => "bytes",
            Value::List(_) => "a list",
        }
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Value::Int(number)
    }
}

/// The databases' integers are signed; instants, sequences and offsets stay far below the sign bit.
impl From<u64> for Value<'_> {
    #[allow(clippy::cast_possible_wrap)]
    fn from(number: u64) -> Self {
        Value::Int(number as i64)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Value::Int(number.into())
    }
}

impl From<u16> for Value<'_> {
    fn from(number: u16) -> Self {
        Value::Int(number.into())
    }
}

impl From<bool> for Value<'_> {
    fn from(is: bool) -> Self {
        Value::Int(is.into())
    }
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(text: &'v str) -> Self {
        Value::Text(Cow::Borrowed(text.as_bytes()))
    }
}

impl<'v> From<&'v String> for Value<'v> {
    fn from(text: &'v String) -> Self {
        Value::from(text.as_str())
    }
}

impl<'v> From<&'v Arc<str>> for Value<'v> {
    fn from(text: &'v Arc<str>) -> Self {
        Value::from(&**text)
    }
}

impl<'v> From<&'v [u8]> for Value<'v> {
    fn from(bytes: &'v [u8]) -> Self {
        Value::Bytes(Cow::Borrowed(bytes))
    }
}

impl<'v, const N: usize> From<&'v [u8; N]> for Value<'v> {
    fn from(bytes: &'v [u8; N]) -> Self {
        Value::Bytes(Cow::Borrowed(bytes))
    }
}

impl From<u128> for Value<'_> {
    fn from(fingerprint: u128) -> Self {
        Value::Fingerprint(fingerprint.to_be_bytes())
    }
}

impl<'v, T: Into<Value<'v>>> From<Option<T>> for Value<'v> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// What a column can be read as.
pub(crate) trait Column: Sized {
    /// What it is told as where something else is found.
    const KIND: &'static str;

    /// None where the value is of another kind.
    fn of(value: Value<'_>) -> Option<Self>;
}

/// A column that holds JSON: text, or bytes where somebody wrote over it.
pub(super) struct Json(pub(super) Box<[u8]>);

impl Column for i64 {
    const KIND: &'static str = "a number";

    fn of(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Int(number) => Some(number),
            _ => None,
        }
    }
}

impl Column for u64 {
    const KIND: &'static str = "a number that is not negative";

    fn of(value: Value<'_>) -> Option<Self> {
        i64::of(value).and_then(|number| number.try_into().ok())
    }
}

impl Column for u32 {
    const KIND: &'static str = "a small number";

    fn of(value: Value<'_>) -> Option<Self> {
        i64::of(value).and_then(|number| number.try_into().ok())
    }
}

impl Column for bool {
    const KIND: &'static str = "yes or no";

    fn of(value: Value<'_>) -> Option<Self> {
        i64::of(value).map(|number| number != 0)
    }
}

impl Column for String {
    const KIND: &'static str = "a text";

    fn of(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Text(bytes) => String::from_utf8(bytes.into_owned()).ok(),
            _ => None,
        }
    }
}

impl Column for Arc<str> {
    const KIND: &'static str = String::KIND;

    fn of(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Text(bytes) => std::str::from_utf8(&bytes).ok().map(Arc::from),
            _ => None,
        }
    }
}

impl Column for Vec<u8> {
    const KIND: &'static str = "bytes";

    fn of(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => Some(bytes.into_owned()),
            _ => None,
        }
    }
}

impl<const N: usize> Column for [u8; N] {
    const KIND: &'static str = "a hash";

    fn of(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => (&*bytes).try_into().ok(),
            _ => None,
        }
    }
}

impl Column for Json {
    const KIND: &'static str = "JSON";

    fn of(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Text(bytes) | Value::Bytes(bytes) => Some(Json(bytes.into_owned().into())),
            _ => None,
        }
    }
}

impl<T: Column> Column for Option<T> {
    const KIND: &'static str = T::KIND;

    fn of(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::of(value).map(Some),
        }
    }
}

/// The columns of a row that was found.
pub(crate) enum Columns<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r tokio_postgres::Row),
}

impl Columns<'_> {
    /// The column of that index.
    ///
    /// # Errors
    /// Where it holds something else: somebody wrote over it.
    pub(crate) fn get<T: Column>(&self, index: usize) -> Result<T, StoreError> {
        let value = self.value(index)?;
        let kind = value.kind();
        T::of(value).ok_or_else(|| StoreError::Corrupt(format!("column {index} of a row holds {kind} that is not {}", T::KIND)))
    }

    /// The column of that index by one of the names that are known for it.
    ///
    /// # Errors
    /// Where it holds something else.
    pub(super) fn named<T>(&self, index: usize, known: impl FnOnce(&str) -> Option<T>) -> Result<T, StoreError> {
        let name: Arc<str> = self.get(index)?;
        known(&name)
            .ok_or_else(|| StoreError::Corrupt(format!("column {index} of a row holds {name:?}, which is no name that is known there")))
    }

    pub(super) fn value(&self, index: usize) -> Result<Value<'_>, StoreError> {
        match self {
            Columns::Sqlite(row) => super::sqlite::value(row, index),
            Columns::Postgres(row) => super::postgres::value(row, index),
        }
    }
}
