//! The reducer contract of purefold: shapes of admitted types, typed values, the JSON codec and the contract checks.
//!
//! This crate knows no engine and performs no I/O: bytes and values in, bytes, values and [`Finding`]s out.

pub mod codec;
pub mod component;
pub mod contract;
pub mod finding;
pub mod instant;
pub mod shape;
pub mod standard;
pub mod uuid;
pub mod value;

pub use codec::{Codec, DecodeError, EncodeError, UnknownFields};
pub use contract::Contract;
pub use finding::Finding;
pub use shape::{Case, Enum, Field, Flags, Name, Record, ResultType, Type, Variant};
pub use value::Value;
