//! What has no JSON form, and the one form of what JSON has no number for.

use purefold_wit::{Codec, Type, UnknownFields, Value, instant};

use crate::types::{flags, list, map, option, record, result, variant};

#[test]
fn what_has_no_json_form_is_told_with_its_code() {
    let ty = record(
        "timer",
        &[("name", Type::String), ("due", list(Type::Instant)), ("more", map(Type::U8)), ("set", flags("set", &["a", "b"]))],
    );
    let value = |due: u64, keys: &[&str], set: &[u32]| {
        let more = keys.iter().map(|key| ((*key).into(), Value::U8(0))).collect();
        Value::Record([Value::String("".into()), Value::List(vec![Value::Instant(due)]), Value::Map(more), Value::Flags(set.into())].into())
    };
    let cases = [
        (
            value(instant::LAST + 1, &[], &[]),
            "instant-out-of-range",
            "value.due[0]: 253402300800000000 microseconds are past the last instant, 9999-12-31T23:59:59.999999Z",
        ),
        (value(0, &["a", "b", "a"], &[]), "duplicate-key", "value.more[\"a\"]: the same key twice"),
        (value(0, &[], &[2]), "value-mismatch", "value.set[0]: expected a flag of set, the value is case 2 of an enum"),
        (value(0, &[], &[1, 0]), "value-mismatch", "value.set: expected flags set, the value is the flags [1, 0]"),
        (value(0, &[], &[1, 1]), "value-mismatch", "value.set: expected flags set, the value is the flags [1, 1]"),
        (Value::Record([].into()), "value-mismatch", "value: expected record timer, the value is a record of 0 fields"),
        (Value::U8(1), "value-mismatch", "value: expected record timer, the value is a u8"),
    ];
    let codec = Codec::new(&ty);
    for (value, code, message) in cases {
        let mut out = b"[".to_vec();
        let error = codec.encode(&value, &mut out).unwrap_err();
        assert_eq!((error.code, error.to_string().as_str()), (code, message));
        assert_eq!(out, b"[");
    }
    let choice = variant("choice", &[("a", None), ("b", Some(Type::U8))]);
    let none = || None::<Box<Value>>;
    let misfits = [Value::Variant(2, none()), Value::Variant(0, Some(Box::new(Value::U8(1)))), Value::Variant(1, none()), Value::Enum(0)];
    for value in misfits {
        assert_eq!(Codec::new(&choice).encode(&value, &mut Vec::new()).unwrap_err().code, "value-mismatch");
    }
}

/// In JSON both would be null.
#[test]
fn no_payload_is_not_a_payload_without_a_value() {
    let nothing = || Some(Box::new(Value::Option(None)));
    let some_option = Codec::new(&result(Some(option(Type::U8)), None));
    let cases = [
        (Value::Result(Ok(nothing())), Ok("{\"ok\":null}")),
        (Value::Result(Err(None)), Ok("{\"err\":null}")),
        (Value::Result(Ok(None)), Err("value: expected result<option<u8>>, the value is a result without a payload")),
        (Value::Result(Err(nothing())), Err("value: expected result<option<u8>>, the value is a result with a payload")),
    ];
    for (value, expected) in cases {
        let mut out = Vec::new();
        let encoded = some_option.encode(&value, &mut out).map(|()| String::from_utf8(out).unwrap()).map_err(|error| error.to_string());
        assert_eq!(encoded, expected.map(str::to_owned).map_err(str::to_owned));
    }
}

#[test]
fn there_is_one_nan() {
    for bits in [0x7ff8_0000_0000_0001, 0xfff8_0000_0000_0000, 0x7ff0_0000_0000_0001, u64::MAX] {
        let codec = Codec::new(&Type::F64);
        let mut out = Vec::new();
        codec.encode(&Value::F64(f64::from_bits(bits)), &mut out).unwrap();
        assert_eq!(out, b"\"NaN\"");
        let Ok(Value::F64(read)) = codec.decode("data", &out, UnknownFields::Refuse) else { panic!() };
        assert_eq!(read.to_bits(), 0x7ff8_0000_0000_0000);
    }
}
