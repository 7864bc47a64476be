//! The design's "JSON form of a value", rule by rule.

use purefold_wit::{Codec, Type, UnknownFields, standard};

use crate::types::{enumeration, flags, list, map, option, record, result, tuple, variant};

/// What an event's bytes are read as, shown as its canonical encoding.
pub(crate) enum Read {
    As(&'static str),
    Refused(&'static str),
}
use Read::{As, Refused};

/// Decodes each text, forgiving unknown fields as events do, and compares its canonical encoding or the whole error.
pub(crate) fn check(ty: &Type, cases: &[(&str, Read)]) {
    let codec = Codec::new(ty);
    for (json, expected) in cases {
        let read = codec.decode("data", json.as_bytes(), UnknownFields::Ignore);
        match (read, expected) {
            (Ok(value), As(canonical)) => {
                let mut bytes = Vec::new();
                codec.encode(&value, &mut bytes).unwrap();
                assert_eq!(String::from_utf8(bytes).unwrap(), *canonical, "{ty}: {json}");
            }
            (Err(error), Refused(message)) => assert_eq!(error.to_string(), *message, "{ty}: {json}"),
            (Ok(value), Refused(_)) => panic!("{ty}: {json} was read as {value:?}"),
            (Err(error), As(_)) => panic!("{ty}: {json}: {error}"),
        }
    }
}

#[test]
fn bools_and_strings_are_themselves() {
    check(
        &Type::Bool,
        &[
            ("true", As("true")),
            (" false\n", As("false")),
            ("1", Refused("data: expected bool, found 1")),
            ("\"true\"", Refused("data: expected bool, found \"true\"")),
            ("null", Refused("data: expected bool, found null")),
            ("[]", Refused("data: expected bool, found an array")),
            ("{}", Refused("data: expected bool, found an object")),
        ],
    );
    check(
        &Type::String,
        &[
            ("\"\"", As("\"\"")),
            (r#""a\u00e9\ud83d\ude00\/\n\u0001\"\\""#, As("\"aé😀/\\n\\u0001\\\"\\\\\"")),
            ("5", Refused("data: expected string, found 5")),
            ("-5", Refused("data: expected string, found -5")),
            ("5.50", Refused("data: expected string, found 5.5")),
            ("true", Refused("data: expected string, found true")),
        ],
    );
}

#[test]
fn integers_have_their_full_range_and_no_fraction() {
    let limits = [
        (Type::U8, "0", "255", "256"),
        (Type::U16, "0", "65535", "65536"),
        (Type::U32, "0", "4294967295", "4294967296"),
        (Type::S8, "-128", "127", "128"),
        (Type::S16, "-32768", "32767", "32768"),
        (Type::S32, "-2147483648", "2147483647", "2147483648"),
        (Type::S64, "-9223372036854775808", "9223372036854775807", "9223372036854775808"),
    ];
    for (ty, least, most, beyond) in limits {
        check(&ty, &[(least, As(least)), (most, As(most))]);
        let codec = Codec::new(&ty);
        let error = codec.decode("data", beyond.as_bytes(), UnknownFields::Ignore).unwrap_err();
        assert_eq!(error.to_string(), format!("data: expected {ty}, found {beyond}"));
    }
    check(
        &Type::U64,
        &[
            ("9007199254740993", As("9007199254740993")),
            ("18446744073709551615", As("18446744073709551615")),
            ("18446744073709551616", Refused("data: expected u64, found 1.8446744073709552e19")),
            ("-1", Refused("data: expected u64, found -1")),
            ("1.0", Refused("data: expected u64, found 1.0")),
            ("1e2", Refused("data: expected u64, found 100.0")),
            ("-0", Refused("data: expected u64, found -0.0")),
            ("01", Refused("data: not readable as JSON: invalid number at line 1 column 2")),
            ("\"1\"", Refused("data: expected u64, found \"1\"")),
        ],
    );
    check(
        &Type::S8,
        &[
            ("-129", Refused("data: expected s8, found -129")),
            ("-9223372036854775809", Refused("data: expected s8, found -9.223372036854776e18")),
        ],
    );
}

#[test]
fn floats_round_trip_and_name_what_json_has_no_number_for() {
    check(
        &Type::F64,
        &[
            ("1", As("1.0")),
            ("-1", As("-1.0")),
            ("-0.0", As("-0.0")),
            ("-0", As("-0.0")),
            ("0.1", As("0.1")),
            ("1E400", Refused("data: not readable as JSON: number out of range at line 1 column 5")),
            ("1e-400", As("0.0")),
            ("5e-324", As("5e-324")),
            ("1.7976931348623157e308", As("1.7976931348623157e308")),
            ("9007199254740993", As("9007199254740992.0")),
            ("2.4703282292062327208e-324", As("0.0")),
            ("\"NaN\"", As("\"NaN\"")),
            ("\"Infinity\"", As("\"Infinity\"")),
            ("\"-Infinity\"", As("\"-Infinity\"")),
            ("\"nan\"", Refused("data: expected f64, found \"nan\"")),
            ("\"1.5\"", Refused("data: expected f64, found \"1.5\"")),
            ("NaN", Refused("data: not readable as JSON: expected value at line 1 column 1")),
            ("null", Refused("data: expected f64, found null")),
        ],
    );
    check(
        &Type::F32,
        &[
            ("1", As("1.0")),
            ("-0.0", As("-0.0")),
            ("0.1", As("0.1")),
            ("3.4028235e38", As("3.4028235e38")),
            ("3.4028236e38", Refused("data: expected f32, found 3.4028236e38")),
            ("-1e39", Refused("data: expected f32, found -1e39")),
            // Halfway between two f32 as an f64, but above it as it stands: rounding once goes up, rounding twice does not.
            ("1.000000059604644775390626", As("1.0000001")),
            (" [1]", Refused("data: expected f32, found an array")),
            ("{\"a\":1}", Refused("data: expected f32, found an object")),
            ("null", Refused("data: expected f32, found null")),
            ("true", Refused("data: expected f32, found true")),
            ("\"NaN\"", As("\"NaN\"")),
            ("\"\\u004eaN\"", As("\"NaN\"")),
            ("\"-Infinity\"", As("\"-Infinity\"")),
            ("\"x\"", Refused("data: expected f32, found \"x\"")),
        ],
    );
}

#[test]
fn chars_are_strings_of_one_character() {
    check(
        &Type::Char,
        &[
            ("\"a\"", As("\"a\"")),
            ("\"\\ud83d\\ude00\"", As("\"😀\"")),
            ("\"\\u0000\"", As("\"\\u0000\"")),
            ("\"\"", Refused("data: expected char, found \"\"")),
            ("\"ab\"", Refused("data: expected char, found \"ab\"")),
            ("97", Refused("data: expected char, found 97")),
        ],
    );
}

#[test]
fn instants_and_uuids_are_checked_text() {
    check(
        &Type::Instant,
        &[
            ("\"2026-02-13T13:00:00.5+01:00\"", As("\"2026-02-13T12:00:00.500000Z\"")),
            (
                "\"2026-02-13T12:00:00\"",
                Refused("data: expected instant, found \"2026-02-13T12:00:00\" (no offset from UTC at its end: Z or ±HH:MM)"),
            ),
            ("1770984000", Refused("data: expected instant, found 1770984000")),
        ],
    );
    check(
        &Type::Uuid,
        &[
            ("\"123E4567-e89b-12d3-a456-426614174000\"", As("\"123e4567-e89b-12d3-a456-426614174000\"")),
            ("\"123e4567\"", Refused("data: expected uuid, found \"123e4567\"")),
            ("[1,2]", Refused("data: expected uuid, found an array")),
        ],
    );
}

#[test]
fn records_are_objects_with_snake_case_names() {
    let version = record("version", &[("major", Type::U32), ("pre-release", option(Type::String)), ("r2-d2", list(Type::U8))]);
    check(
        &version,
        &[
            (r#"{"major":1,"pre_release":"a","r2_d2":[1]}"#, As(r#"{"major":1,"pre_release":"a","r2_d2":[1]}"#)),
            (r#"{ "r2_d2" : [] , "major" : 1 }"#, As(r#"{"major":1,"pre_release":null,"r2_d2":[]}"#)),
            (r#"{"major":1,"r2_d2":[],"pre_release":null,"more":{"x":[1,2,{}]}}"#, As(r#"{"major":1,"pre_release":null,"r2_d2":[]}"#)),
            (r#"{"\u006dajor":1,"r2_d2":[]}"#, As(r#"{"major":1,"pre_release":null,"r2_d2":[]}"#)),
            ("{}", Refused("data.major: missing, expected u32")),
            (r#"{"major":1,"r2-d2":[]}"#, Refused("data.r2_d2: missing, expected list<u8>")),
            (r#"{"major":null}"#, Refused("data.major: expected u32, found null")),
            (r#"{"major":1,"major":1}"#, Refused("data.major: duplicate key")),
            (r#"{"major":1,"r2_d2":[],"pre_release":null,"pre_release":null}"#, Refused("data.pre_release: duplicate key")),
            ("[]", Refused("data: expected record version, found an array")),
            ("\"x\"", Refused("data: expected record version, found \"x\"")),
            (r#"{"major":1"#, Refused("data: not readable as JSON: EOF while parsing an object at line 1 column 10")),
            ("{\"major\":\n tru}", Refused("data.major: not readable as JSON: expected ident at line 2 column 5")),
            (r#"{"major":1,"r2_d2":[]}}"#, Refused("data: not readable as JSON: trailing characters at line 1 column 23")),
            (r#"{"major":1,"r2_d2":[]} {}"#, Refused("data: not readable as JSON: trailing characters at line 1 column 24")),
            (r#"{"major":1,"r2_d2":[],}"#, Refused("data: not readable as JSON: trailing comma at line 1 column 23")),
            ("", Refused("data: not readable as JSON: EOF while parsing a value at line 1 column 0")),
        ],
    );
}

#[test]
fn unknown_fields_are_refused_where_nobody_may_add_any() {
    let codec = Codec::new(&record("state", &[("node-id", Type::Uuid), ("port", option(Type::U16))]));
    let refused = [
        (r#"{"prot":1}"#, r#"state.prot: unknown field of record state; did you mean "port"?"#),
        (r#"{"":1}"#, r#"state[""]: unknown field of record state; known are "node_id", "port""#),
        (r#"{"a.b \"":1}"#, r#"state["a.b \""]: unknown field of record state; known are "node_id", "port""#),
    ];
    for (json, message) in refused {
        assert_eq!(codec.decode("state", json.as_bytes(), UnknownFields::Refuse).unwrap_err().to_string(), message);
    }
}

#[test]
fn variants_name_their_case() {
    let ty = variant("choice", &[("nothing", None), ("a-number", Some(Type::U8)), ("maybe", Some(option(Type::U8)))]);
    check(
        &ty,
        &[
            (r#""nothing""#, As(r#""nothing""#)),
            (r#"{"a_number":5}"#, As(r#"{"a_number":5}"#)),
            (r#"{"maybe":null}"#, As(r#"{"maybe":null}"#)),
            (r#"{"nothing":null}"#, Refused(r#"data: case "nothing" of variant choice carries nothing: write "nothing""#)),
            (r#""a_number""#, Refused(r#"data: case "a_number" of variant choice carries u8: write {"a_number": …}"#)),
            (r#"{"a_number":256}"#, Refused("data.a_number: expected u8, found 256")),
            (r#"{"a_number":5,"nothing":null}"#, Refused(r#"data: expected variant choice, found a second key "nothing""#)),
            (r#"{"a_number":5,"a_number":5}"#, Refused(r#"data: expected variant choice, found a second key "a_number""#)),
            ("{}", Refused("data: expected variant choice, found an object without a key")),
            (r#""a-number""#, Refused(r#"data: expected variant choice, found "a-number"; did you mean "a_number"?"#)),
            (r#"{"elephant":1}"#, Refused(r#"data: expected variant choice, found "elephant"; known are "nothing", "a_number", "maybe""#)),
            ("null", Refused("data: expected variant choice, found null")),
        ],
    );
}

#[test]
fn enums_are_names_and_flags_lists_of_them() {
    check(
        &enumeration("node-type", &["effect", "two-way"]),
        &[
            (r#""two_way""#, As(r#""two_way""#)),
            (r#""effct""#, Refused(r#"data: expected enum node-type, found "effct"; did you mean "effect"?"#)),
            (r#"{"effect":null}"#, Refused("data: expected enum node-type, found an object")),
            ("0", Refused("data: expected enum node-type, found 0")),
        ],
    );
    check(
        &flags("access", &["read", "write-all", "run"]),
        &[
            ("[]", As("[]")),
            (r#"["run","read"]"#, As(r#"["read","run"]"#)),
            (r#"["read","write_all","run"]"#, As(r#"["read","write_all","run"]"#)),
            (r#"["read","read"]"#, Refused("data[1]: the same flag twice")),
            (r#"["read","rum"]"#, Refused(r#"data[1]: expected a flag of access, found "rum"; did you mean "run"?"#)),
            ("[1]", Refused("data[0]: expected a flag of access, found 1")),
            (r#""read""#, Refused(r#"data: expected flags access, found "read""#)),
            (r#"{"read":true}"#, Refused("data: expected flags access, found an object")),
        ],
    );
    let many: Vec<String> = (0..20).map(|number| format!("name-{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let error = Codec::new(&enumeration("many", &many)).decode("data", br#""something else entirely""#, UnknownFields::Ignore).unwrap_err();
    assert!(error.reason.ends_with(r#""name_10", "name_11", …"#), "{error}");
}

#[test]
fn options_are_the_value_or_null() {
    check(&option(Type::U8), &[("null", As("null")), ("5", As("5")), ("\"x\"", Refused("data: expected u8, found \"x\""))]);
    check(&option(Type::F32), &[("null", As("null")), ("5", As("5.0"))]);
    check(&list(option(Type::Bool)), &[("[null,true]", As("[null,true]"))]);
}

#[test]
fn results_are_ok_or_err() {
    let neither = r#"data: expected result<u8>, found the key "okay", neither "ok" nor "err""#;
    check(
        &result(Some(Type::U8), None),
        &[
            (r#"{"ok":5}"#, As(r#"{"ok":5}"#)),
            (r#"{"err":null}"#, As(r#"{"err":null}"#)),
            (r#"{"err":5}"#, Refused("data.err: expected null, found 5")),
            (r#"{"err":{}}"#, Refused("data.err: expected null, found an object")),
            (r#"{"ok":null}"#, Refused("data.ok: expected u8, found null")),
            (r#"{"ok":"x"}"#, Refused("data.ok: expected u8, found \"x\"")),
            (r#"{"ok":5,"err":null}"#, Refused("data: expected result<u8>, found a second key \"err\"")),
            (r#"{"okay":5}"#, Refused(neither)),
            ("{}", Refused("data: expected result<u8>, found an object without a key")),
            ("\"ok\"", Refused("data: expected result<u8>, found \"ok\"")),
            ("null", Refused("data: expected result<u8>, found null")),
        ],
    );
    check(&result(None, Some(standard::failure())), &[(r#"{"err":{"unreadable_reply":"x"}}"#, As(r#"{"err":{"unreadable_reply":"x"}}"#))]);
    check(&result(Some(option(Type::U8)), None), &[(r#"{"ok":null}"#, As(r#"{"ok":null}"#))]);
    check(&result(None, None), &[(r#"{"ok":null}"#, As(r#"{"ok":null}"#)), (r#"{"err":null}"#, As(r#"{"err":null}"#))]);
}

#[test]
fn lists_and_tuples_are_arrays() {
    check(
        &list(Type::U16),
        &[
            ("[]", As("[]")),
            ("[1, 2]", As("[1,2]")),
            ("[1,\"x\"]", Refused("data[1]: expected u16, found \"x\"")),
            ("{}", Refused("data: expected list<u16>, found an object")),
            ("[1", Refused("data[1]: not readable as JSON: EOF while parsing a list at line 1 column 2")),
        ],
    );
    check(
        &tuple(&[Type::U64, Type::String]),
        &[
            ("[1,\"a\"]", As("[1,\"a\"]")),
            ("[1]", Refused("data: expected tuple<u64, string>, found an array of 1")),
            ("[]", Refused("data: expected tuple<u64, string>, found an array of 0")),
            ("[1,\"a\",2]", Refused("data: expected tuple<u64, string>, found an array of more than 2")),
            ("[1,2]", Refused("data[1]: expected string, found 2")),
        ],
    );
}

#[test]
fn maps_are_objects_in_their_own_order() {
    check(
        &map(Type::U8),
        &[
            ("{}", As("{}")),
            (r#"{"b":1,"a":2,"":3,"A b.\"":4}"#, As(r#"{"b":1,"a":2,"":3,"A b.\"":4}"#)),
            (r#"{"a":1,"b":2,"a":3}"#, Refused(r#"data["a"]: duplicate key"#)),
            (r#"{"a":1,"\u0061":3}"#, Refused(r#"data["a"]: duplicate key"#)),
            (r#"{"a":"x"}"#, Refused(r#"data["a"]: expected u8, found "x""#)),
            (r#"[["a",1]]"#, Refused("data: expected list<tuple<string, u8>>, found an array")),
        ],
    );
    let many: Vec<String> = (0..100).map(|number| format!("\"key {number}\":1")).collect();
    let error = Codec::new(&map(Type::U8)).decode("data", format!("{{{},\"key 57\":2}}", many.join(",")).as_bytes(), UnknownFields::Ignore);
    assert_eq!(error.unwrap_err().to_string(), r#"data["key 57"]: duplicate key"#);
}
