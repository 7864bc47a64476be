//! Values as PostgreSQL takes and gives them.
//!
//! Its texts hold every character but one, U+0000, which events may well hold. It is written as U+0001 and `0`, and U+0001
//! itself as U+0001 and `1`, so that texts keep their order. Canonical JSON has neither.

use std::borrow::Cow;
use std::error::Error;

use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::store::StoreError;
use crate::store::value::Value;

const ESCAPE: u8 = 1;

type Failure = Box<dyn Error + Sync + Send>;

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        match self {
            Value::Null => return Ok(IsNull::Yes),
            Value::Int(number) => match *ty {
                Type::INT8 => out.extend_from_slice(&number.to_be_bytes()),
                Type::INT4 => out.extend_from_slice(&i32::try_from(*number)?.to_be_bytes()),
                Type::BOOL => out.extend_from_slice(&[u8::from(*number != 0)]),
                ref other => return Err(format!("a number where the statement has {other}").into()),
            },
            Value::Text(bytes) if *ty == Type::TEXT || *ty == Type::VARCHAR || *ty == Type::UNKNOWN => put_text(bytes, out),
            Value::Bytes(bytes) if *ty == Type::BYTEA => out.extend_from_slice(bytes),
            Value::Fingerprint(bytes) if *ty == Type::BYTEA => out.extend_from_slice(bytes),
            Value::List(values) => return values.to_sql(ty, out),
            Value::Text(_) | Value::Bytes(_) | Value::Fingerprint(_) => {
                return Err(format!("{} where the statement has {ty}", self.kind()).into());
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn put_text(bytes: &[u8], out: &mut BytesMut) {
    if !bytes.iter().any(|byte| *byte <= ESCAPE) {
        return out.extend_from_slice(bytes);
    }
    for byte in bytes {
        match byte {
            0 => out.extend_from_slice(&[ESCAPE, b'0']),
            &ESCAPE => out.extend_from_slice(&[ESCAPE, b'1']),
            other => out.extend_from_slice(&[*other]),
        }
    }
}

fn taken_text(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.contains(&ESCAPE) {
        return Cow::Borrowed(bytes);
    }
    let mut text = Vec::with_capacity(bytes.len());
    let mut bytes = bytes.iter();
    while let Some(byte) = bytes.next() {
        text.push(match (*byte, bytes.as_slice().first()) {
            (ESCAPE, Some(b'0' | b'1')) => bytes.next().map_or(0, |mark| mark - b'0'),
            (other, _) => other,
        });
    }
    Cow::Owned(text)
}

/// A column as it came.
struct Raw<'r>(Type, Option<&'r [u8]>);

impl<'r> FromSql<'r> for Raw<'r> {
    fn from_sql(ty: &Type, raw: &'r [u8]) -> Result<Self, Failure> {
        Ok(Raw(ty.clone(), Some(raw)))
    }

    fn from_sql_null(ty: &Type) -> Result<Self, Failure> {
        Ok(Raw(ty.clone(), None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A column's value.
pub(in crate::store) fn value(row: &tokio_postgres::Row, index: usize) -> Result<Value<'_>, StoreError> {
    let Ok(Raw(ty, bytes)) = row.try_get::<_, Raw<'_>>(index) else {
        return Err(StoreError::Corrupt(format!("a row has no column {index}")));
    };
    let Some(bytes) = bytes else { return Ok(Value::Null) };
    let unreadable = || StoreError::Corrupt(format!("column {index} of a row is a {ty}, which holds no {ty} here"));
    Ok(match ty {
        Type::INT8 => Value::Int(i64::from_be_bytes(bytes.try_into().map_err(|_| unreadable())?)),
        Type::INT4 => Value::Int(i32::from_be_bytes(bytes.try_into().map_err(|_| unreadable())?).into()),
        Type::BOOL => Value::Int(bytes.iter().any(|byte| *byte != 0).into()),
        Type::TEXT | Type::VARCHAR | Type::NAME => Value::Text(taken_text(bytes)),
        Type::BYTEA => Value::Bytes(Cow::Borrowed(bytes)),
        other => return Err(StoreError::Corrupt(format!("column {index} of a row is a {other}, which no table here has"))),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> Vec<u8> {
        let mut out = BytesMut::new();
        put_text(text.as_bytes(), &mut out);
        out.to_vec()
    }

    #[test]
    fn what_postgresql_does_not_hold_is_written_differently() {
        assert_eq!(written("a\0b\u{1}c"), b"a\x010b\x011c");
        assert_eq!(written("plain"), b"plain");
        assert_eq!(&*taken_text(b"a\x010b\x011c"), b"a\0b\x01c");
    }

    proptest! {
        #[test]
        fn texts_come_back_and_keep_their_order(one in "[\0-\u{3}a0-1]{0,6}", other in "[\0-\u{3}a0-1]{0,6}") {
            let (first, second) = (written(&one), written(&other));
            prop_assert!(!first.contains(&0));
            prop_assert_eq!(&*taken_text(&first), one.as_bytes());
            prop_assert_eq!(first.cmp(&second), one.as_bytes().cmp(other.as_bytes()));
        }
    }
}
