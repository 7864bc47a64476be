//! Rows on their way to PostgreSQL, in its own binary forms: a list for each column, or the records of COPY. They own what they
//! hold, so that a commit can be under way while the next one is made.

use std::error::Error;

use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::store::StoreError;
use crate::store::change::{self, Change, Field};
use crate::store::value::Value;

/// Bytes of records that go together.
const CHUNK_BYTES: usize = 64 << 10;

/// What COPY begins with: its signature, no flags, no extension.
const COPY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// In the place of a record's number of fields: there is no more.
const COPY_END: i16 = -1;

/// In the place of a field's length: it is null.
const NULL: i32 = -1;

type Failure = Box<dyn Error + Sync + Send>;

/// A value of a statement.
#[derive(Debug)]
pub(super) enum Parameter {
    One(Value<'static>),
    /// A list in the form in which it is sent.
    List(BytesMut),
}

impl ToSql for Parameter {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        match self {
            Parameter::One(value) => value.to_sql(ty, out),
            Parameter::List(bytes) => {
                out.extend_from_slice(bytes);
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A list of the rows' values for each column.
pub(super) fn lists<const N: usize>(change: &Change, rows: &[[Value<'_>; N]]) -> Result<Vec<Parameter>, StoreError> {
    let list = |(column, field): (usize, &Field)| {
        list(rows.iter().map(|row| &row[column]), rows.len(), field).map(Parameter::List).map_err(|error| unfit(change, field, &*error))
    };
    change.fields().enumerate().map(list).collect()
}

fn list<'r, 'v: 'r>(values: impl Iterator<Item = &'r Value<'v>>, count: usize, field: &Field) -> Result<BytesMut, Failure> {
    let ty = type_of(field);
    let mut out = BytesMut::with_capacity(count * 16);
    // One dimension; whether there are nulls is known at the end.
    out.extend_from_slice(&1_i32.to_be_bytes());
    out.extend_from_slice(&0_i32.to_be_bytes());
    out.extend_from_slice(&ty.oid().to_be_bytes());
    out.extend_from_slice(&i32::try_from(count)?.to_be_bytes());
    out.extend_from_slice(&1_i32.to_be_bytes());
    let mut has_null = false;
    for value in values {
        has_null |= put(value, &ty, &mut out)?;
    }
    out[4..8].copy_from_slice(&i32::from(has_null).to_be_bytes());
    Ok(out)
}

/// The rows as COPY takes them, in parts.
pub(super) fn records<const N: usize>(change: &Change, rows: &[[Value<'_>; N]]) -> Result<Vec<BytesMut>, StoreError> {
    let fields: Vec<(&Field, Type)> = change.fields().map(|field| (field, type_of(field))).collect();
    let count = i16::try_from(N).unwrap_or(i16::MAX).to_be_bytes();
    let mut chunks = Vec::new();
    let mut out = BytesMut::with_capacity(CHUNK_BYTES);
    out.extend_from_slice(COPY_HEADER);
    for row in rows {
        if out.len() >= CHUNK_BYTES {
            chunks.push(std::mem::replace(&mut out, BytesMut::with_capacity(CHUNK_BYTES)));
        }
        out.extend_from_slice(&count);
        for (value, (field, ty)) in row.iter().zip(&fields) {
            put(value, ty, &mut out).map_err(|error| unfit(change, field, &*error))?;
        }
    }
    out.extend_from_slice(&COPY_END.to_be_bytes());
    chunks.push(out);
    Ok(chunks)
}

/// Puts a value with its length before it. Gives whether it is null.
fn put(value: &Value<'_>, ty: &Type, out: &mut BytesMut) -> Result<bool, Failure> {
    let at = out.len();
    out.extend_from_slice(&NULL.to_be_bytes());
    if matches!(value.to_sql(ty, out)?, IsNull::Yes) {
        return Ok(true);
    }
    let length = i32::try_from(out.len() - at - size_of::<i32>())?;
    out[at..at + size_of::<i32>()].copy_from_slice(&length.to_be_bytes());
    Ok(false)
}

fn type_of(field: &Field) -> Type {
    match field.ty {
        change::Type::Int => Type::INT8,
        change::Type::Bool => Type::BOOL,
        change::Type::Text => Type::TEXT,
        change::Type::Bytes => Type::BYTEA,
    }
}

/// A batch holds what no column does: it will not be taken however often it is tried.
fn unfit(change: &Change, field: &Field, error: &(dyn Error + Sync + Send)) -> StoreError {
    StoreError::Corrupt(format!("a row for {}.{} cannot be written: {error}", change.table, field.name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use tokio_postgres::types::FromSql;

    use super::*;
    use crate::store::change::{bytes, int, text};

    static THINGS: Change = Change::insert("things", &[int("id"), text("name"), bytes("hash")]);

    fn rows() -> [[Value<'static>; 3]; 2] {
        [[Value::Int(7), Value::from("a"), Value::Null], [Value::Int(-1), Value::from("bc"), Value::Bytes((&b"\x01\x02"[..]).into())]]
    }

    #[test]
    fn a_list_is_what_its_type_reads() {
        let lists = lists(&THINGS, &rows()).unwrap();
        let bytes = |index: usize| match &lists[index] {
            Parameter::List(bytes) => bytes.to_vec(),
            Parameter::One(value) => panic!("{value:?} is no list"),
        };
        assert_eq!(Vec::<i64>::from_sql(&Type::INT8_ARRAY, &bytes(0)).unwrap(), [7, -1]);
        assert_eq!(Vec::<&str>::from_sql(&Type::TEXT_ARRAY, &bytes(1)).unwrap(), ["a", "bc"]);
        assert_eq!(Vec::<Option<&[u8]>>::from_sql(&Type::BYTEA_ARRAY, &bytes(2)).unwrap(), [None, Some(&[1, 2][..])]);
    }

    #[test]
    fn records_are_what_copy_reads() {
        let chunks = records(&THINGS, &rows()).unwrap();
        assert_eq!(chunks.len(), 1);
        let mut expected = COPY_HEADER.to_vec();
        expected.extend_from_slice(b"\0\x03\0\0\0\x08\0\0\0\0\0\0\0\x07\0\0\0\x01a\xff\xff\xff\xff");
        expected.extend_from_slice(b"\0\x03\0\0\0\x08\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x02bc\0\0\0\x02\x01\x02\xff\xff");
        assert_eq!(chunks[0], expected);
    }

    #[test]
    fn many_records_go_in_parts() {
        let long = "x".repeat(CHUNK_BYTES / 2);
        let rows: Vec<_> = (0..5).map(|id| [Value::Int(id), Value::from(&*long), Value::Null]).collect();
        let chunks = records(&THINGS, &rows).unwrap();
        assert_eq!(chunks.len(), 3);
        assert!(chunks.iter().all(|chunk| chunk.len() <= 3 * CHUNK_BYTES / 2 + 64));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = lists(&THINGS, &[[Value::Int(1), Value::Int(2), Value::Null]]).unwrap_err();
        assert!(error.to_string().contains("things.name"), "{error}");
    }
}
