//! What holds for every type and value.

use proptest::prelude::*;
use purefold_wit::{Codec, UnknownFields, Value};

use crate::types::any_typed;

fn encoded(codec: &Codec, value: &Value) -> Vec<u8> {
    let mut bytes = b"before".to_vec();
    codec.encode(value, &mut bytes).unwrap_or_else(|error| panic!("{error}"));
    assert!(bytes.starts_with(b"before"));
    bytes.split_off(6)
}

/// Whether two values are the same, NaN included: every float by its bits, but one NaN.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::F32(one), Value::F32(other)) => one.to_bits() == other.to_bits() || one.is_nan() && other.is_nan(),
        (Value::F64(one), Value::F64(other)) => one.to_bits() == other.to_bits() || one.is_nan() && other.is_nan(),
        (Value::Record(one), Value::Record(other)) | (Value::Tuple(one), Value::Tuple(other)) => all_same(one, other),
        (Value::List(one), Value::List(other)) => all_same(one, other),
        (Value::Variant(one, some), Value::Variant(other, other_some)) => one == other && both_same(some.as_deref(), other_some.as_deref()),
        (Value::Option(one), Value::Option(other)) => both_same(one.as_deref(), other.as_deref()),
        (Value::Result(Ok(one)), Value::Result(Ok(other))) | (Value::Result(Err(one)), Value::Result(Err(other))) => {
            both_same(one.as_deref(), other.as_deref())
        }
        (Value::Map(one), Value::Map(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.0 == other.0 && same(&one.1, &other.1))
        }
        _ => one == other,
    }
}

fn all_same(one: &[Value], other: &[Value]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
}

fn both_same(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => same(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// Every NaN in a decoded value is the canonical one.
fn has_one_nan(value: &Value) -> bool {
    match value {
        Value::F32(number) => !number.is_nan() || number.to_bits() == 0x7fc0_0000,
        Value::F64(number) => !number.is_nan() || number.to_bits() == 0x7ff8_0000_0000_0000,
        Value::Record(parts) | Value::Tuple(parts) => parts.iter().all(has_one_nan),
        Value::List(parts) => parts.iter().all(has_one_nan),
        Value::Map(entries) => entries.iter().all(|(_, value)| has_one_nan(value)),
        Value::Variant(_, some) | Value::Option(some) | Value::Result(Ok(some) | Err(some)) => some.as_deref().is_none_or(has_one_nan),
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn values_round_trip_and_their_encoding_is_canonical((ty, value) in any_typed()) {
        let codec = Codec::new(&ty);
        let bytes = encoded(&codec, &value);
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
        let decoded = codec.decode("value", &bytes, UnknownFields::Refuse);
        let decoded = decoded.unwrap_or_else(|error| panic!("{error}"));
        prop_assert!(same(&decoded, &value), "{decoded:?}");
        prop_assert!(has_one_nan(&decoded), "{decoded:?}");
        prop_assert_eq!(encoded(&codec, &decoded), bytes);
    }

    #[test]
    fn white_space_order_and_unknown_fields_do_not_change_what_is_read((ty, value) in any_typed()) {
        let codec = Codec::new(&ty);
        let bytes = encoded(&codec, &value);
        // A tree sorts the keys; the type of a map keeps their order, so only the encoding of map-free values returns.
        let mut tree: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let sorted_maps = format!("{value:?}").contains("Map(");
        let pretty = serde_json::to_vec_pretty(&tree).unwrap();
        // f32 texts go through the tree's f64 unharmed: its digits name the nearest f32 still.
        let decoded = codec.decode("value", &pretty, UnknownFields::Refuse).unwrap_or_else(|error| panic!("{error}"));
        if !sorted_maps {
            prop_assert!(same(&decoded, &value), "{decoded:?}");
        }
        if let (Value::Record(_), Some(object)) = (&value, tree.as_object_mut()) {
            object.insert("NoField".to_owned(), serde_json::json!({"a": [1, {"b": null}]}));
            let more = serde_json::to_vec(&tree).unwrap();
            let decoded = codec.decode("value", &more, UnknownFields::Ignore).unwrap_or_else(|error| panic!("{error}"));
            if !sorted_maps {
                prop_assert!(same(&decoded, &value), "{decoded:?}");
            }
            let refused = codec.decode("value", &more, UnknownFields::Refuse).unwrap_err();
            prop_assert_eq!(refused.path, "value.NoField");
        }
    }

    #[test]
    fn damaged_json_is_an_error_with_a_path_or_still_a_value((ty, value) in any_typed(), at: prop::sample::Index, byte in any::<u8>(), cut: bool) {
        let codec = Codec::new(&ty);
        let mut bytes = encoded(&codec, &value);
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = byte;
        }
        for unknown in [UnknownFields::Ignore, UnknownFields::Refuse] {
            match codec.decode("root", &bytes, unknown) {
                Ok(value) => {
                    let again = encoded(&codec, &value);
                    let read = codec.decode("root", &again, UnknownFields::Refuse).unwrap_or_else(|error| panic!("{error}"));
                    prop_assert!(same(&read, &value));
                }
                Err(error) => {
                    prop_assert!(error.path.starts_with("root"), "{error}");
                    prop_assert!(!error.reason.is_empty());
                }
            }
        }
    }

    #[test]
    fn another_types_value_is_never_encoded_as_ones_own((ty, _) in any_typed(), (other, value) in any_typed()) {
        let mut bytes = b"before".to_vec();
        match Codec::new(&ty).encode(&value, &mut bytes) {
            Ok(()) => {
                let read = Codec::new(&ty).decode("root", &bytes[6..], UnknownFields::Refuse).unwrap_or_else(|error| panic!("{error} as {other}"));
                prop_assert!(same(&read, &value));
            }
            Err(error) => {
                prop_assert_eq!(error.code, "value-mismatch");
                prop_assert!(error.path.starts_with("value"));
                prop_assert_eq!(bytes, b"before");
            }
        }
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error((ty, _) in any_typed(), bytes in prop::collection::vec(any::<u8>(), 0..64), json in "[\\[\\]{}\":,0-9a-z.eE+\\- ]{0,32}") {
        let codec = Codec::new(&ty);
        for bytes in [&bytes[..], json.as_bytes()] {
            if let Err(error) = codec.decode("root", bytes, UnknownFields::Ignore) {
                prop_assert!(error.path.starts_with("root"));
            }
        }
    }
}
