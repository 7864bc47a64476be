//! The values of rows, as an audit bundle tells them. Reading them takes no more memory than they are long, whoever wrote them.

use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::StoreError;
use super::value::Value;

/// Values of a row that are taken in: more than any table has columns.
const CELLS_MOST: usize = 32;

/// A value in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A number; 0 and 1 are no and yes.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes {
        /// In Base64.
        base64: String,
    },
}

impl Cell {
    pub(super) fn of(value: Value<'_>) -> Result<Self, StoreError> {
        use base64::Engine as _;
        Ok(match value {
            Value::Null => Cell::Null,
            Value::Int(number) => Cell::Int(number),
            Value::Text(text) => Cell::Text(
                String::from_utf8(text.into_owned()).map_err(|_| StoreError::Corrupt("a text of the store is not UTF-8".into()))?,
            ),
            Value::Bytes(bytes) => Cell::Bytes { base64: base64::engine::general_purpose::STANDARD.encode(bytes) },
            Value::Fingerprint(_) | Value::List(_) => return Err(StoreError::Corrupt("a row holds what no column can".into())),
        })
    }

    pub(super) fn value(&self) -> Result<Value<'_>, String> {
        use base64::Engine as _;
        Ok(match self {
            Cell::Null => Value::Null,
            Cell::Int(number) => Value::Int(*number),
            Cell::Text(text) => Value::from(text),
            Cell::Bytes { base64 } => Value::Bytes(
                base64::engine::general_purpose::STANDARD.decode(base64).map_err(|error| format!("no Base64: {error}"))?.into(),
            ),
        })
    }
}

/// What it is told by is as small as it: nothing is kept of what is none.
impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CellVisitor;
        impl<'de> Visitor<'de> for CellVisitor {
            type Value = Cell;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("null, a whole number, a text, or {\"base64\": …}")
            }

            fn visit_unit<E>(self) -> Result<Cell, E> {
                Ok(Cell::Null)
            }

            fn visit_i64<E>(self, number: i64) -> Result<Cell, E> {
                Ok(Cell::Int(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Cell, E> {
                i64::try_from(number).map(Cell::Int).map_err(|_| E::custom("a number is out of range"))
            }

            fn visit_str<E>(self, text: &str) -> Result<Cell, E> {
                Ok(Cell::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Cell, E> {
                Ok(Cell::Text(text))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cell, A::Error> {
                let base64 = match map.next_key::<String>()?.as_deref() {
                    Some("base64") => map.next_value()?,
                    _ => return Err(A::Error::missing_field("base64")),
                };
                match map.next_key::<IgnoredAny>()? {
                    None => Ok(Cell::Bytes { base64 }),
                    Some(_) => Err(A::Error::custom("there is more than `base64`")),
                }
            }
        }
        deserializer.deserialize_any(CellVisitor)
    }
}

/// A row as a bundle's line tells it: the table's name and the values, no more of them than a table may have.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CarriedRow(
    /// The table's name.
    pub String,
    /// The values.
    #[serde(deserialize_with = "cells")]
    pub Vec<Cell>,
);

fn cells<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Cell>, D::Error> {
    struct CellsVisitor;
    impl<'de> Visitor<'de> for CellsVisitor {
        type Value = Vec<Cell>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the values of a row")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Vec<Cell>, A::Error> {
            let mut cells = Vec::new();
            while let Some(cell) = values.next_element()? {
                if cells.len() == CELLS_MOST {
                    return Err(A::Error::custom(format!("it has more than {CELLS_MOST} values")));
                }
                cells.push(cell);
            }
            Ok(cells)
        }
    }
    deserializer.deserialize_seq(CellsVisitor)
}
