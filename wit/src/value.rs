//! Typed values. A value is only meaningful together with its [`Type`](crate::Type): names live there, indices here.

/// A value of an admitted type.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `bool`
    Bool(bool),
    /// `u8`
    U8(u8),
    /// `u16`
    U16(u16),
    /// `u32`
    U32(u32),
    /// `u64`
    U64(u64),
    /// `s8`
    S8(i8),
    /// `s16`
    S16(i16),
    /// `s32`
    S32(i32),
    /// `s64`
    S64(i64),
    /// `f32`
    F32(f32),
    /// `f64`
    F64(f64),
    /// `char`
    Char(char),
    /// `string`
    String(Box<str>),
    /// Microseconds since the Unix epoch.
    Instant(u64),
    /// High and low half.
    Uuid(u64, u64),
    /// One value for each field, in declared order.
    Record(Box<[Value]>),
    /// The case's index and its payload.
    Variant(u32, Option<Box<Value>>),
    /// The case's index.
    Enum(u32),
    /// The indices of the flags that are set, ascending.
    Flags(Box<[u32]>),
    /// An option.
    Option(Option<Box<Value>>),
    /// A result.
    Result(Result<Option<Box<Value>>, Option<Box<Value>>>),
    /// A list.
    List(Vec<Value>),
    /// One value for each place.
    Tuple(Box<[Value]>),
    /// Keys and values in their own order; no key twice.
    Map(Vec<(Box<str>, Value)>),
}
