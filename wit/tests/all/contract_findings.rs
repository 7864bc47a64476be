//! Every finding a contract can have, each by a contract that is well but for it.

use purefold_wit::{Contract, Finding, standard};

use crate::components::{Reducer, async_component, component, module};

fn findings(component: &[u8]) -> Vec<Finding> {
    Contract::read(component).expect_err("the contract should have findings")
}

/// Compares codes, places and causes of all findings: `code: place: cause`, one on each line.
fn check(component: &[u8], expected: &[&str]) {
    let told: Vec<String> =
        findings(component).iter().map(|finding| format!("{}: {}: {}", finding.code, finding.place, finding.cause)).collect();
    assert_eq!(told, expected);
}

fn check_types(types: &str, expected: &[&str]) {
    check(&Reducer { types, ..Reducer::default() }.component(), expected);
}

/// What an intent carries, with other things around it that are well.
fn check_payload(types: &str, expected: &[&str]) {
    let types = format!("record ping {{ id: uuid }} {types}");
    let intent = "variant intent { timer(timer), order(order) }";
    check(&Reducer { types: &types, intent, ..Reducer::default() }.component(), expected);
}

#[test]
fn not_a_component() {
    check(&module(&Reducer::default().wit()), &["not-a-component: component: it is a core module, not a component"]);
    for junk in [&b""[..], b"\0asm", b"#!/bin/sh", b"\0asm\x0d\0\x02\0", &[0xa5; 4096]] {
        check(junk, &["not-a-component: component: it does not begin as a WebAssembly component does"]);
    }
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("reducer.wit", standard::WIT).unwrap();
    let package = wit_component::encode(&resolve, package).unwrap();
    check(&package, &["not-a-component: component: it is a WIT package in binary form: types without code"]);
}

#[test]
fn reduce_missing() {
    let missing = "reduce-missing: reduce: the component exports no function `reduce`";
    check(&component("package test:domain; world empty {}"), &[missing]);
    // An empty component has no export at all.
    check(b"\0asm\x0d\0\x01\0", &[missing]);
    check(
        &component("package test:domain; world w { export reducer: interface { reduce: func(); } }"),
        &["unexpected-export: reducer.reduce: nobody calls this function", missing],
    );
}

#[test]
fn reduce_shape() {
    let cases: [(&str, &[&str]); 9] = [
        (
            "func(state: option<state>, input: input) -> result<transition, rejection>",
            &["reduce-shape: reduce: it has 2 parameters, not the three of a reducer"],
        ),
        (
            "func(ctx: context, state: option<state>, input: input, more: u8) -> result<transition, rejection>",
            &["reduce-shape: reduce: it has 4 parameters, not the three of a reducer"],
        ),
        (
            "func(ctx: string, state: option<state>, input: input) -> result<transition, rejection>",
            &["reduce-shape: reduce.ctx: the first parameter is string, not the standard `context`"],
        ),
        (
            "func(ctx: context, state: state, input: input) -> result<transition, rejection>",
            &["reduce-shape: reduce.state: the second parameter is record state, not an option of the state"],
        ),
        ("func(ctx: context, state: option<state>, input: input)", &["reduce-shape: reduce: it returns nothing, not a result"]),
        (
            "func(ctx: context, state: option<state>, input: input) -> transition",
            &["reduce-shape: reduce: it returns record transition, not a result"],
        ),
        (
            "func(ctx: context, state: option<state>, input: input) -> result<_, rejection>",
            &["transition-shape: reduce.result: the result carries no transition"],
        ),
        (
            "func(ctx: context, state: option<state>, input: input) -> result<transition>",
            &["rejection-shape: reduce.result: the rejection is nothing"],
        ),
        (
            "func(ctx: context, input: input, state: option<state>) -> result<transition, string>",
            &[
                "reduce-shape: reduce.state: the second parameter is variant input, not an option of the state",
                "state-not-record: reduce.state: the state is variant input",
                "payload-not-record: input: the input is option<state>",
                "rejection-shape: reduce.result: the rejection is string",
            ],
        ),
    ];
    for (reduce, expected) in cases {
        let reduce = format!("export reduce: {reduce};");
        check(&Reducer { reduce: &reduce, ..Reducer::default() }.component(), expected);
    }
}

#[test]
fn standard_type_forged_in_a_domain() {
    // Another order, another type and the bare numbers behind `instant` are all another `context`.
    for fields in [
        "entity: string, now: instant, sequence: u64, event-id: string, correlation-id: string, seed: tuple<u64, u64>",
        "now: u64, entity: string, sequence: u64, event-id: string, correlation-id: string, seed: tuple<u64, u64>",
        "now: instant, entity: string, sequence: u64, event-id: string, correlation-id: string, seed: uuid",
        "now: instant, entity: string, sequence: u64, event-id: string, correlation-id: string",
        "now: instant",
    ] {
        let wit = Reducer::default().wit().replace(
            "use purefold:reducer/types@1.0.0.{context};",
            &format!("use purefold:reducer/types@1.0.0.{{instant, uuid}}; record context {{ {fields} }}"),
        );
        check(
            &component(&wit),
            &["standard-type-forged: reduce.ctx: its fields are not those of `context` of purefold:reducer/types@1.0.0"],
        );
    }
}

#[test]
fn standard_type_forged_in_the_package() {
    let forged = |package: &str| {
        let reducer = Reducer::default().wit().replace("package test:domain@1.0.0;", "package test:domain@1.0.0 {") + "}";
        // Nested packages: one text brings both.
        let package = package.replacen("package purefold:reducer@1.0.0;", "package purefold:reducer@1.0.0 {", 1);
        component(&format!("package outer:outer; {package} }} {reducer} world dummy {{ include test:domain/reducer@1.0.0; }}"))
    };
    let differs = |name: &str| {
        format!("standard-type-forged: purefold:reducer/types@1.0.0.{name}: it differs from `{name}` of purefold:reducer/types@1.0.0")
    };
    let cases = [
        ("event-id: string,", "event-id: string, secret: string,", vec![differs("context")]),
        ("event-id: string,", "event-id: u64,", vec![differs("context")]),
        ("record timer { name: string, due: instant }", "record timer { due: instant, name: string }", vec![differs("timer")]),
        ("type instant = u64;", "type instant = u32;", vec![differs("instant")]),
        ("type uuid = tuple<u64, u64>;", "type uuid = tuple<u64, u64, u64>;", vec![differs("uuid")]),
    ];
    assert!(Contract::read(&forged(standard::WIT)).is_ok());
    for (from, to, expected) in cases {
        let package = standard::WIT.replace(from, to);
        assert_ne!(package, standard::WIT);
        check(&forged(&package), &expected.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn standard_type_forged_by_another_version() {
    let package = standard::WIT.replacen("package purefold:reducer@1.0.0;", "package purefold:reducer@1.1.0 {", 1);
    let reducer =
        Reducer::default().wit().replace("types@1.0.0", "types@1.1.0").replace("package test:domain@1.0.0;", "package test:domain@1.0.0 {")
            + "}";
    let component = component(&format!("package outer:outer; {package} }} {reducer} world dummy {{ include test:domain/reducer@1.0.0; }}"));
    let findings = findings(&component);
    assert!(findings.iter().all(|finding| finding.code == "standard-type-forged"), "{findings:#?}");
    assert!(findings.iter().any(|finding| finding.place == "purefold:reducer/types@1.1.0.context"), "{findings:#?}");
}

#[test]
fn type_not_admitted() {
    let cases = [
        ("stream<u8>", "a stream"),
        ("future<u8>", "a future"),
        ("future", "a future"),
        ("map<string, u8>", "map<…> (write list<tuple<string, T>>)"),
        ("list<u8, 4>", "a list of fixed length (write a tuple or a list)"),
        ("error-context", "error-context"),
        ("thing", "a resource (by an owned handle)"),
    ];
    for (ty, what) in cases {
        check_types(
            &format!("resource thing; record ping {{ id: list<{ty}> }}"),
            &[&format!("type-not-admitted: ping.id: a contract has no place for: {what}")],
        );
    }
    let borrowed = Reducer {
        types: "resource thing; record ping { id: uuid }",
        world: "use domain.{thing};",
        reduce: "export reduce: func(ctx: borrow<thing>, state: option<state>, input: input) -> result<transition, rejection>;",
        ..Reducer::default()
    };
    let told = findings(&borrowed.component());
    assert_eq!((told[0].code, &*told[0].place), ("type-not-admitted", "reduce.ctx"));
    assert_eq!(told[0].cause, "a contract has no place for: a resource (by a borrowed handle)");
}

#[test]
fn type_not_admitted_async_functions() {
    let reduce = "export reduce: async func(ctx: context, state: option<state>, input: input) -> result<transition, rejection>;";
    let world = "export migrate: async func(previous: state) -> result<state, string>;";
    check(
        &async_component(&Reducer { reduce, world, ..Reducer::default() }.wit()),
        &[
            "type-not-admitted: reduce: a contract has no place for: an async function",
            "type-not-admitted: migrate: a contract has no place for: an async function",
        ],
    );
}

#[test]
fn state_not_record() {
    for (state, told) in [("variant state { on(u8) }", "variant state"), ("type state = u64;", "u64"), ("enum state { on }", "enum state")]
    {
        check(&Reducer { state, ..Reducer::default() }.component(), &[&format!("state-not-record: reduce.state: the state is {told}")]);
    }
}

#[test]
fn payload_not_record() {
    let input = "variant input { ping(ping), bare(string), none, several(tuple<u8, ping>), timer(timer) }";
    let intent = "variant intent { timer(timer), moment(instant), flag(bool) }";
    check(
        &Reducer { input, intent, ..Reducer::default() }.component(),
        &[
            "payload-not-record: input.bare: the case carries string",
            "payload-not-record: input.none: the case carries nothing",
            "payload-not-record: input.several: the case carries tuple<u8, ping>",
            "payload-not-record: intent.moment: the case carries instant",
            "payload-not-record: intent.flag: the case carries bool",
        ],
    );
    check(
        &Reducer { input: "type input = ping;", intent: "enum intent { go }", ..Reducer::default() }.component(),
        &["payload-not-record: input: the input is record ping", "payload-not-record: intent: the intent is enum intent"],
    );
}

#[test]
fn payload_bytes() {
    check_payload(
        "record order { whole: list<u8>, signed: option<list<s8>>, deep: parts, wide: list<u16>, table: list<tuple<string, list<u8>>> }
        record parts { body: result<list<u8>, string> }",
        &[
            "payload-bytes: intent.order.whole: list<u8> is bytes",
            "payload-bytes: intent.order.signed: list<s8> is bytes",
            "payload-bytes: intent.order.deep.body: list<u8> is bytes",
            "payload-bytes: intent.order.table: list<u8> is bytes",
        ],
    );
}

#[test]
fn payload_untyped_map() {
    check_payload(
        "record order { headers: list<tuple<string, string>>, many: option<list<tuple<string, list<string>>>>, ports: list<tuple<string, u16>> }",
        &[
            "payload-untyped-map: intent.order.headers: list<tuple<string, string>> is an untyped dictionary",
            "payload-untyped-map: intent.order.many: list<tuple<string, list<string>>> is an untyped dictionary",
        ],
    );
}

#[test]
fn payload_json_string() {
    check_payload(
        "record order { json: string, meta-json: option<string>, raw-payload: list<string>, blob: ticket, json-path: string, message: string, count-bytes: u64 }
        record ticket { number: string }",
        &[
            "payload-json-string: intent.order.json: string called `json`: json in a string has no type",
            "payload-json-string: intent.order.meta-json: option<string> called `meta-json`: json in a string has no type",
            "payload-json-string: intent.order.raw-payload: list<string> called `raw-payload`: payload in a string has no type",
        ],
    );
}

#[test]
fn nested_option() {
    check_types(
        "type maybe = option<u8>; record ping { id: option<maybe>, more: list<option<option<string>>> }",
        &[
            "nested-option: ping.id: option<option<u8>> has two ways to hold nothing, and JSON has one",
            "nested-option: ping.more: option<option<string>> has two ways to hold nothing, and JSON has one",
        ],
    );
}

#[test]
fn rejection_shape() {
    for (rejection, told) in [
        ("type rejection = string;", "string"),
        ("type rejection = list<string>;", "list<string>"),
        ("flags rejection { no }", "flags rejection"),
    ] {
        check(
            &Reducer { rejection, ..Reducer::default() }.component(),
            &[&format!("rejection-shape: reduce.result: the rejection is {told}")],
        );
    }
}

#[test]
fn transition_shape() {
    let fields = |what: &str| format!("transition-shape: {what} does not have exactly the fields `state` and `intents`");
    let cases = [
        ("record transition { intents: list<intent>, state: option<state> }", fields("transition: record transition")),
        ("record transition { state: option<state> }", fields("transition: record transition")),
        ("record transition { state: option<state>, intents: list<intent>, more: u8 }", fields("transition: record transition")),
        ("type transition = tuple<option<state>, list<intent>>;", fields("reduce.result: tuple<option<state>, list<intent>>")),
        (
            "record transition { state: state, intents: list<intent> }",
            "transition-shape: transition.state: its field `state` is record state, not an option of the state that `reduce` takes"
                .to_owned(),
        ),
        (
            "record transition { state: option<ping>, intents: list<intent> }",
            "transition-shape: transition.state: its field `state` is option<ping>, not an option of the state that `reduce` takes"
                .to_owned(),
        ),
        (
            "record transition { state: option<state>, intents: option<intent> }",
            "transition-shape: transition.intents: it is option<intent>, not a list of intents".to_owned(),
        ),
    ];
    for (transition, expected) in cases {
        check(&Reducer { transition, ..Reducer::default() }.component(), &[&expected]);
    }
}

#[test]
fn unexpected_export() {
    let world = "export helper: func(); export tools: interface { sum: func(a: u8) -> u8; draw: func(); }";
    check(
        &Reducer { world, ..Reducer::default() }.component(),
        &[
            "unexpected-export: helper: nobody calls this function",
            "unexpected-export: tools.sum: nobody calls this function",
            "unexpected-export: tools.draw: nobody calls this function",
        ],
    );
}

#[test]
fn migrate_shape() {
    let cases: [(&str, &[&str]); 6] = [
        ("func() -> result<state, string>", &["migrate-shape: migrate: it has 0 parameters, not one"]),
        ("func(previous: u64) -> result<state, string>", &["migrate-shape: migrate: the previous state is u64, not a record"]),
        ("func(previous: state) -> state", &["migrate-shape: migrate: it returns record state"]),
        ("func(previous: state) -> result<state>", &["migrate-shape: migrate: it returns result<state>"]),
        ("func(previous: state) -> result<transition, string>", &["migrate-shape: migrate: it returns result<transition, string>"]),
        ("func(previous: state)", &["migrate-shape: migrate: it returns nothing"]),
    ];
    for (migrate, expected) in cases {
        let world = format!("export migrate: {migrate};");
        check(&Reducer { world: &world, ..Reducer::default() }.component(), expected);
    }
}

#[test]
fn contract_too_large() {
    let nested = |depth: usize| format!("record ping {{ id: {}u16{} }}", "list<".repeat(depth), ">".repeat(depth));
    // Six more are around it: the record, `intent`, the list of them, `transition`, the result; and the scalar within.
    assert!(Contract::read(&Reducer { types: &nested(26), ..Reducer::default() }.component()).is_ok());
    for depth in [27, 28, 90] {
        let told = findings(&Reducer { types: &nested(depth), ..Reducer::default() }.component());
        assert_eq!(told.len(), 1, "{told:#?}");
        assert_eq!((told[0].code, &*told[0].cause), ("contract-too-large", "types nested more than 32 deep"));
    }
    let doubling: String = (1..14).map(|level| format!("record r{level} {{ a: r{below}, b: r{below} }}", below = level - 1)).collect();
    let told = findings(
        &Reducer { types: &format!("record r0 {{ a: u8 }} {doubling} record ping {{ id: r13 }}"), ..Reducer::default() }.component(),
    );
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!((told[0].code, &*told[0].place), ("contract-too-large", "r13"));
    let many: String = (0..1100).map(|number| format!("record r{number} {{ a: u8 }}")).collect();
    let fields: Vec<String> = (0..1100).map(|number| format!("field{number}: r{number}")).collect();
    let told = findings(&Reducer { types: &format!("{many} record ping {{ {} }}", fields.join(", ")), ..Reducer::default() }.component());
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!((told[0].code, &*told[0].cause), ("contract-too-large", "more than 1024 types"));
}

#[test]
fn everything_wrong_is_told_at_once() {
    let reducer = Reducer {
        types: "record ping { id: stream<u8>, twice: option<option<u8>> } record order { body: list<u8>, json: string }",
        state: "type state = u64;",
        input: "variant input { ping(ping), bare(string) }",
        intent: "variant intent { order(order), none }",
        rejection: "type rejection = string;",
        world: "export helper: func(); export migrate: func();",
        ..Reducer::default()
    };
    let codes: Vec<&str> = findings(&reducer.component()).iter().map(|finding| finding.code).collect();
    assert_eq!(
        codes,
        [
            "unexpected-export",
            "state-not-record",
            "type-not-admitted",
            "nested-option",
            "payload-not-record",
            "payload-not-record",
            "payload-bytes",
            "payload-json-string",
            "rejection-shape",
            "migrate-shape",
        ]
    );
}
