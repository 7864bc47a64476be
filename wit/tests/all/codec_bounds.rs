//! Errors name the whole path, and neither they nor what is read can be made to grow.

use purefold_wit::{Codec, Type, UnknownFields};

use crate::codec_rules::{Read::Refused, check};
use crate::types::{list, map, option, record, variant};

#[test]
fn errors_name_the_whole_path_and_are_bounded() {
    let endpoint = record("endpoint", &[("host", Type::String), ("port", Type::U16)]);
    let event = variant(
        "input",
        &[("introspected", Some(record("introspected", &[("endpoints", option(list(endpoint))), ("more", map(Type::U8))])))],
    );
    check(
        &event,
        &[
            (
                r#"{"introspected":{"endpoints":[{"host":"","port":1},{"host":"","port":2},{"host":"","port":"x"}]}}"#,
                Refused("data.introspected.endpoints[2].port: expected u16, found \"x\""),
            ),
            (r#"{"introspected":{"more":{"a key":-1}}}"#, Refused("data.introspected.more[\"a key\"]: expected u8, found -1")),
        ],
    );
    let long = "é".repeat(5000);
    for json in [
        format!("{{\"introspected\":{{\"endpoints\":\"{long}\"}}}}"),
        format!("{{\"{long}\":1}}"),
        format!("{{\"introspected\":{{\"more\":{{\"{long}\":-1}}}}}}"),
    ] {
        let error = Codec::new(&event).decode("data", json.as_bytes(), UnknownFields::Refuse).unwrap_err().to_string();
        assert!(error.len() < 400 && error.contains("é…\""), "{error}");
    }
    let deep = "[".repeat(100_000);
    let error =
        Codec::new(&event).decode("data", format!("{{\"introspected\":{{\"zzz\":{deep}").as_bytes(), UnknownFields::Ignore).unwrap_err();
    assert!(error.to_string().starts_with("data.introspected: not readable as JSON: "), "{error}");
}

#[test]
fn absent_fields_do_not_let_a_value_outgrow_its_text() {
    let sparse = record("sparse", &[("a", option(Type::Bool)), ("b", option(Type::Bool))]);
    let codec = Codec::new(&list(sparse));
    let objects = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
    assert!(codec.decode("data", objects(32_768).as_bytes(), UnknownFields::Ignore).is_ok());
    let error = codec.decode("data", objects(32_769).as_bytes(), UnknownFields::Ignore).unwrap_err();
    assert_eq!(error.to_string(), "data[32768]: more than 65536 fields are absent");
}
