//! Contracts that are well: what is read of them, and what their fingerprints tell apart.

use std::sync::Arc;

use purefold_wit::{Contract, Type, standard};
use wit_parser::Resolve;

use crate::components::{Reducer, component};

fn read(component: &[u8]) -> Contract {
    Contract::read(component).unwrap_or_else(|findings| panic!("{findings:#?}"))
}

#[test]
fn the_smallest_reducer_has_a_contract() {
    let contract = read(&Reducer::default().component());
    assert_eq!(contract.world, "test:domain/domain@1.0.0");
    assert_eq!(contract.context, standard::context());
    assert_eq!(contract.state.field("count"), Some((0, &Type::U64)));
    let (index, case) = contract.intent.case("timer").unwrap();
    assert_eq!(index, 1);
    assert!(case.payload.as_ref().unwrap().is_timer());
    let Some(Type::Record(ping)) = &contract.input.case("ping").unwrap().1.payload else { panic!("{:?}", contract.input) };
    assert_eq!(ping.field("id"), Some((0, &Type::Uuid)));
    assert_eq!(contract.rejection.to_string(), "enum rejection");
    assert_eq!(contract.migrate, None);
}

#[test]
fn types_may_stand_in_the_world_and_be_renamed_on_the_way() {
    let contract = read(&component(
        "package test:domain;
        interface clocks {
            use purefold:reducer/types@1.0.0.{instant as moment, uuid};
            type deadline = moment;
            type deadlines = list<deadline>;
            type pair = tuple<u64, u64>;
            type number = u64;
            record times { one: deadline, many: deadlines, id: uuid, pair: pair, number: number, table: list<tuple<string, deadline>> }
        }
        world reducer {
            use purefold:reducer/types@1.0.0.{context as surroundings};
            use clocks.{times};
            record state { times: times }
            variant input { tick(times) }
            variant intent { tick(times) }
            record rejection { why: string }
            record transition { state: option<state>, intents: list<intent> }
            export reduce: func(c: surroundings, s: option<state>, i: input) -> result<transition, rejection>;
        }",
    ));
    let Some((0, Type::Record(times))) = contract.state.field("times") else { panic!("{:?}", contract.state) };
    let field = |name| times.field(name).unwrap().1.clone();
    assert_eq!(field("one"), Type::Instant);
    assert_eq!(field("many"), Type::List(Arc::new(Type::Instant)));
    assert_eq!(field("id"), Type::Uuid);
    // The same numbers under another's name are numbers.
    assert_eq!(field("pair"), Type::Tuple([Type::U64, Type::U64].into()));
    assert_eq!(field("number"), Type::U64);
    assert_eq!(field("table"), Type::Map(Arc::new(Type::Instant)));
    assert_eq!(contract.world, "root");
}

#[test]
fn every_admitted_type_is_read() {
    let types = "
        flags access { read, write-all }
        enum colour { red, dark-blue }
        variant choice { none, some(u8), both(tuple<u8, string>) }
        record ping {
            a: bool, b: u8, c: u16, d: u32, e: u64, f: s8, g: s16, h: s32, i: s64, j: f32, k: f64, l: char, m: string,
            n: access, o: colour, p: choice, q: option<colour>, r: result, s: result<u8>, t: result<_, string>,
            u: result<u8, failure>, v: list<list<string>>, w: tuple<u8>, x: list<tuple<string, u64>>, y: list<tuple<u64, string>>,
            z: list<tuple<string, string, string>>,
        }";
    let contract = read(&Reducer { types, ..Reducer::default() }.component());
    let Some(Type::Record(ping)) = &contract.input.case("ping").unwrap().1.payload else { panic!("{:?}", contract.input) };
    let told: Vec<String> = ping.fields.iter().map(|field| field.ty.to_string()).collect();
    let expected = [
        "bool",
        "u8",
        "u16",
        "u32",
        "u64",
        "s8",
        "s16",
        "s32",
        "s64",
        "f32",
        "f64",
        "char",
        "string",
        "flags access",
        "enum colour",
        "variant choice",
        "option<colour>",
        "result",
        "result<u8>",
        "result<_, string>",
        "result<u8, failure>",
        "list<list<string>>",
        "tuple<u8>",
        "list<tuple<string, u64>>",
        "list<tuple<u64, string>>",
        "list<tuple<string, string, string>>",
    ];
    assert_eq!(told, expected);
    let Some((_, Type::Result(result))) = ping.field("u") else { panic!() };
    assert!(result.err.as_ref().unwrap().is_failure());
    assert!(matches!(ping.field("x"), Some((_, Type::Map(_)))));
    assert!(matches!(ping.field("z"), Some((_, Type::List(_)))));
}

#[test]
fn migrate_names_the_previous_state() {
    let world = "record previous-state { count: u32 } export migrate: func(previous: previous-state) -> result<state, string>;";
    let contract = read(&Reducer { world, ..Reducer::default() }.component());
    assert_eq!(contract.migrate.unwrap().to_string(), "record previous-state");
    // The previous state may be the present one.
    let world = "export migrate: func(previous: state) -> result<state, string>;";
    let contract = read(&Reducer { world, ..Reducer::default() }.component());
    assert_eq!(contract.migrate, Some(Type::Record(contract.state)));
}

#[test]
fn function_imports_are_anothers_to_find() {
    let world = "import now: func() -> u64; import other: interface { draw: func() -> string; }";
    let imports = Reducer { world, ..Reducer::default() }.component();
    assert_eq!(read(&imports), read(&Reducer::default().component()));
}

#[test]
fn inputs_may_carry_string_maps_and_intents_typed_ones() {
    let types = "record ping { endpoints: option<list<tuple<string, string>>>, raw: list<u8> } record pong { ports: list<tuple<string, u16>>, tags: list<string> }";
    let intent = "variant intent { pong(pong) }";
    read(&Reducer { types, intent, ..Reducer::default() }.component());
}

#[test]
fn fingerprints_tell_states_apart_that_are_not_each_others() {
    let of = |types: &str, state: &str| {
        read(&Reducer { types: &format!("record ping {{ id: uuid }} {types}"), state, ..Reducer::default() }.component())
    };
    let base = of("enum phase { on, off }", "record state { phase: phase, at: instant }");
    assert_eq!(base.state_fingerprint().len(), 64);
    let same = [
        of("enum phase { off, on }", "record state { phase: phase, at: instant }"),
        of("enum standing { on, off }", "record state { phase: standing, at: instant }"),
        of("enum phase { on, off } type moment = instant;", "record state { phase: phase, at: moment }"),
    ];
    for same in same {
        assert_eq!(same.state_fingerprint(), base.state_fingerprint());
        assert_eq!(same.fingerprint(), base.fingerprint());
    }
    let different = [
        of("enum phase { on, off, gone }", "record state { phase: phase, at: instant }"),
        of("enum phase { on, off }", "record state { phase: phase, at: u64 }"),
        of("enum phase { on, off }", "record state { phase: phase, at: option<instant> }"),
        of("enum phase { on, off }", "record state { at: instant, phase: phase }"),
        of("enum phase { on, off }", "record state { phase: phase, since: instant }"),
        of("enum phase { on, off }", "record state { phase: phase, at: instant, more: bool }"),
        of("flags phase { on, off }", "record state { phase: phase, at: instant }"),
        of("variant phase { on, off }", "record state { phase: phase, at: instant }"),
    ];
    let mut seen = std::collections::HashSet::from([base.state_fingerprint()]);
    for different in &different {
        assert!(seen.insert(different.state_fingerprint()), "{:?}", different.state);
        assert_ne!(different.fingerprint(), base.fingerprint());
    }
    // What is no part of the state changes the contract alone.
    let input = Reducer {
        types: "record ping { id: uuid } enum phase { on, off } record pong { id: uuid }",
        state: "record state { phase: phase, at: instant }",
        input: "variant input { ping(pong), pong(pong) }",
        ..Reducer::default()
    };
    let input = read(&input.component());
    assert_eq!(input.state_fingerprint(), base.state_fingerprint());
    assert_ne!(input.fingerprint(), base.fingerprint());
}

#[test]
fn the_standard_shapes_are_those_of_the_published_package() {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("reducer.wit", standard::WIT).unwrap();
    assert_eq!(resolve.packages[package].interfaces.len(), 1);
    let interface = &resolve.interfaces[resolve.packages[package].interfaces["types"]];
    assert_eq!(interface.types.keys().collect::<Vec<_>>(), ["instant", "uuid", "context", "timer", "timer-cancel", "failure"]);
    // A world that uses them all has no finding, which is to say that each equals its standard shape.
    let world = "use purefold:reducer/types@1.0.0.{instant, uuid, timer, timer-cancel, failure};
        record all { a: instant, b: uuid, c: timer, d: timer-cancel, e: failure } import use-all: func(all: all);";
    let contract = read(&Reducer { world, ..Reducer::default() }.component());
    let Type::Record(context) = contract.context else { panic!() };
    let fields: Vec<String> = context.fields.iter().map(|field| format!("{}: {}", field.name.kebab(), field.ty)).collect();
    insta::assert_snapshot!(fields.join(", "), @"now: instant, entity: string, sequence: u64, event-id: string, correlation-id: string, seed: tuple<u64, u64>");
}
