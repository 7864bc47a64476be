//! The gate against components written as text, and against the sandbox that it guards.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use purefold_wit::{Contract, Name, Record, Type, Variant};

use super::*;
use crate::sandbox::{Limits, Sandbox};

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A component of one core module.
fn of_module(module: &str) -> Vec<u8> {
    wat(&format!("(component (core module $m {module}))"))
}

fn codes(component: &[u8]) -> Vec<&'static str> {
    inspect(component).into_iter().map(|finding| finding.code).collect()
}

/// A module that uses one feature outside the profile, and the words by which the finding names it.
const FORBIDDEN_MODULES: &[(&str, &str)] = &[
    ("shared memory", "(memory 1 1 shared)"),
    ("atomics", "(memory 1 1 shared) (func (drop (i32.atomic.load (i32.const 0))))"),
    ("relaxed SIMD", "(func (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1)))"),
    ("GC", "(type (struct (field i32))) (func (drop (struct.new 0 (i32.const 1))))"),
    ("externref", "(func (param externref))"),
    ("memory64", "(memory i64 1)"),
    ("multiple memories", "(memory 1) (memory 1)"),
    ("exceptions", "(tag) (func (throw 0))"),
    ("stack switching", "(type $f (func)) (type $c (cont $f)) (func (param (ref $f)) (drop (cont.new $c (local.get 0))))"),
    ("wide arithmetic", "(func (param i64 i64) (result i64 i64) (i64.mul_wide_u (local.get 0) (local.get 1)))"),
    ("custom page sizes", "(memory 1 (pagesize 1))"),
];

/// A module that stays within the profile by the skin of its teeth.
const ADMITTED_MODULES: &[(&str, &str)] = &[
    ("nothing at all", ""),
    ("a start function", "(func $s) (start $s)"),
    ("SIMD", "(func (param v128 v128) (result v128) (f32x4.add (local.get 0) (local.get 1)))"),
    ("bulk memory", "(memory 1) (func (memory.copy (i32.const 0) (i32.const 1) (i32.const 2)))"),
    ("sign extension", "(func (param i32) (result i32) (i32.extend8_s (local.get 0)))"),
    ("saturating conversion", "(func (param f32) (result i32) (i32.trunc_sat_f32_s (local.get 0)))"),
    ("multi-value", "(func (result i32 i32) (i32.const 0) (i32.const 0))"),
    ("function references in tables", "(table 2 funcref) (func $f) (elem (i32.const 0) $f) (func (drop (table.get (i32.const 0))))"),
    ("typed function references", "(type $f (func)) (func (param (ref $f)) (call_ref $f (local.get 0)))"),
    ("tail calls", "(func $f (return_call $f))"),
    ("extended constants", "(global i32 (i32.add (i32.const 1) (i32.const 2)))"),
    ("a mutable global", "(global (export \"g\") (mut i32) (i32.const 0))"),
];

#[test]
fn a_feature_outside_the_profile_is_named_with_its_function() {
    let component =
        of_module("(func $within) (func $orders::sum (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1)))");
    let findings = inspect(&component);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].code, "feature-forbidden");
    assert!(findings[0].cause.contains("relaxed SIMD"), "{}", findings[0]);
    assert!(findings[0].place.starts_with("orders::sum (byte "), "{}", findings[0]);
}

#[test]
fn every_forbidden_feature_is_found_alone() {
    for (name, module) in FORBIDDEN_MODULES {
        let findings = inspect(&of_module(module));
        assert!(findings.iter().any(|finding| finding.code == "feature-forbidden"), "{name}: {findings:?}");
    }
}

#[test]
fn several_forbidden_features_are_found_together() {
    let modules = "(core module (memory 1 1 shared)) (core module (memory i64 1)) (core module (tag) (func (throw 0)))";
    let findings = inspect(&wat(&format!("(component {modules})")));
    let causes: String = findings.iter().map(|finding| finding.cause.as_str()).collect();
    for name in ["threads", "memory64", "exceptions"] {
        assert!(causes.contains(name), "{name}: {findings:?}");
    }
}

#[test]
fn component_async_is_a_forbidden_feature() {
    let component = wat("(component
        (core module $m (func (export \"f\") (result i32) i32.const 0) (func (export \"cb\") (param i32 i32 i32) (result i32) i32.const 0))
        (core instance $i (instantiate $m))
        (func (export \"f\") async (canon lift (core func $i \"f\") async (callback (func $i \"cb\")))))");
    let findings = inspect(&component);
    assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["feature-forbidden"], "{findings:?}");
    assert!(findings[0].cause.contains("component async"), "{findings:?}");
}

#[test]
fn what_is_within_the_profile_passes() {
    for (name, module) in ADMITTED_MODULES {
        assert_eq!(inspect(&of_module(module)), [], "{name}");
    }
}

/// The gate and the engine read the same list: what one refuses the other does not admit.
#[test]
fn the_sandbox_admits_exactly_what_the_gate_admits() {
    let sandbox = Sandbox::new().unwrap();
    let nothing = |name: &str| Arc::new(Record { name: Name::new(name), fields: Vec::new() });
    let no_case = |name: &str| Arc::new(Variant { name: Name::new(name), cases: Vec::new() });
    let contract = Arc::new(Contract {
        world: "none".to_owned(),
        context: purefold_wit::standard::context(),
        state: nothing("state"),
        input: no_case("input"),
        intent: no_case("intent"),
        rejection: Type::Record(nothing("rejection")),
        migrate: None,
        downgrade: None,
    });
    let compiles = |module: &str| match sandbox.load(&of_module(module), Arc::clone(&contract), Limits::default()) {
        Ok(_) => true,
        // None of the modules is a reducer; one that compiles fails for that.
        Err(error) => error.to_string().contains("exports no function `reduce`"),
    };
    let refused: Vec<&str> = ADMITTED_MODULES.iter().filter(|(_, module)| !compiles(module)).map(|(name, _)| *name).collect();
    assert_eq!(refused, [""; 0], "the gate admits what the sandbox refuses");
    let admitted: Vec<&str> = FORBIDDEN_MODULES.iter().filter(|(_, module)| compiles(module)).map(|(name, _)| *name).collect();
    assert_eq!(admitted, [""; 0], "the sandbox admits what the gate refuses");
}

#[test]
fn an_import_of_types_only_is_none() {
    let component = wat(r#"(component
        (import "purefold:reducer/types@1.0.0" (instance (type u64) (export "instant" (type (eq 0)))))
        (import "pure-type" (type (eq 0)))
        (type u8))"#);
    assert_eq!(inspect(&component), []);
}

#[test]
fn every_function_import_is_named_with_a_way_out() {
    let component = wat(r#"(component
        (import "wasi:clocks/wall-clock@0.2.0" (instance
            (type (record (field "seconds" u64) (field "nanoseconds" u32)))
            (export "datetime" (type (eq 0)))
            (type (func (result 1)))
            (export "now" (func (type 2)))
            (export "resolution" (func (type 2)))))
        (import "log" (func (param "line" string))))"#);
    let findings = inspect(&component);
    let places: Vec<(&str, &str)> = findings.iter().map(|finding| (finding.code, finding.place.as_str())).collect();
    assert_eq!(
        places,
        [
            ("function-import", "wasi:clocks/wall-clock@0.2.0#now"),
            ("function-import", "wasi:clocks/wall-clock@0.2.0#resolution"),
            ("function-import", "log"),
        ]
    );
    assert!(findings[0].help.contains("context.now"), "{}", findings[0]);
}

#[test]
fn a_resource_a_module_and_a_component_are_no_imports_either() {
    let component = wat(r#"(component
        (import "a:b/c" (instance (export "r" (type (sub resource)))))
        (import "m" (core module))
        (import "k" (component)))"#);
    assert_eq!(codes(&component), ["import-forbidden"; 3], "{:?}", inspect(&component));
}

/// An import, called by a runtime function, called by a library, called by the author's crate.
const CALLED: &str = r#"
    (import "wasi:random/random@0.2.0" "get-random-u64" (func $wasi::random::get (result i64)))
    (func $std::sys::random (result i64) call $wasi::random::get)
    (func $_ZN9getrandom5inner17h0123456789abcdefE (result i64) call $std::sys::random)
    (func $orders::decide (export "reduce") (result i64) call $_ZN9getrandom5inner17h0123456789abcdefE)
    (func $bystander::idle)"#;

#[test]
fn the_finding_names_who_calls() {
    let component = wat(&format!(
        r#"(component
            (import "wasi:random/random@0.2.3" (instance (type (func (result u64))) (export "get-random-u64" (func (type 0)))))
            (core module $m {CALLED}))"#
    ));
    let findings = inspect(&component);
    assert_eq!(findings.len(), 1, "{findings:?}");
    let cause = &findings[0].cause;
    assert!(cause.ends_with("it is called by `getrandom::inner` of the crate `getrandom`, which is used by `orders`"), "{cause}");
}

#[test]
fn the_caller_is_found_behind_an_adapter() {
    let component = wat(r#"(component
        (import "wasi:clocks/monotonic-clock@0.2.0" (instance (type (func (result u64))) (export "now" (func (type 0)))))
        (core module $main
            (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (result i64)))
            (func $ledger::stamp (export "reduce") (result i64) call $clock))
        (core module $adapter
            (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $now (result i64)))
            (func (export "clock_time_get") (result i64) call $now)))"#);
    let findings = inspect(&component);
    assert!(findings[0].cause.contains("`ledger::stamp` of the crate `ledger`"), "{}", findings[0]);
}

#[test]
fn what_is_no_component_is_told_so() {
    let good = of_module("(func (export \"f\"))");
    let mut damaged = good.clone();
    let last = damaged.len() - 4;
    damaged[last] ^= 0xff;
    for (name, bytes, words) in [
        ("empty", Vec::new(), "empty"),
        ("random", (0_u32..4096).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect(), "does not begin"),
        ("text", b"(component)".to_vec(), "does not begin"),
        ("a core module", wat("(module)"), "core module"),
        ("truncated", good[..good.len() - 3].to_vec(), "cut off"),
    ] {
        let findings = inspect(&bytes);
        assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["not-a-component"], "{name}");
        assert!(findings[0].cause.contains(words), "{name}: {}", findings[0]);
    }
    // Whatever is damaged, the gate answers.
    let _ = inspect(&damaged);
}

#[test]
fn no_prefix_and_no_flipped_byte_breaks_the_gate() {
    let component = wat(&format!("(component (core module $m {CALLED} (memory 1)))"));
    for end in 0..component.len() {
        // A prefix that ends with a whole section can be a component; all others are none.
        assert!(inspect(&component[..end]).iter().all(|finding| finding.code == "not-a-component"), "{end}");
    }
    for at in 0..component.len() {
        let mut damaged = component.clone();
        damaged[at] ^= 0x55;
        let _ = inspect(&damaged);
    }
}

#[test]
fn sizes_are_limited() {
    let many_modules = "(core module $m) ".to_owned() + &"(core instance (instantiate $m)) ".repeat(CORE_INSTANCES_MOST + 1);
    let many_memories = "(core module (memory 1)) ".repeat(MEMORIES_MOST + 1);
    for (name, text, code) in [
        ("initial memory", "(core module (memory 300))".to_owned(), "memory-too-large"),
        ("maximal memory", "(core module (memory 1 300))".to_owned(), "memory-too-large"),
        ("initial table", "(core module (table 10001 funcref))".to_owned(), "table-too-large"),
        ("maximal table", "(core module (table 1 10001 funcref))".to_owned(), "table-too-large"),
        ("instances", many_modules, "component-too-complex"),
        ("memories", many_memories, "component-too-complex"),
    ] {
        assert_eq!(codes(&wat(&format!("(component {text})"))), [code], "{name}");
    }
    assert_eq!(inspect_within(&of_module("(memory 300)"), 20 << 20), []);
    assert_eq!(codes(&vec![0; COMPONENT_BYTES_MOST + 1]), ["component-too-large"]);
}

#[test]
fn many_imports_and_exports_of_the_same_names_take_no_long_time() {
    // As many as fit: each import meets each export by its name, and every import is told.
    let count = 20_000;
    let imports: String = (0..count).map(|n| format!("(import \"m\" \"f{n}\" (func))")).collect();
    let exports: String = (0..count).map(|n| format!("(export \"f{n}\" (func 0))")).collect();
    let outer: String = (0..count / 20).map(|n| format!("(import \"f{n}\" (func))")).collect();
    let component = wat(&format!("(component {outer} (core module {imports}) (core module (func) {exports}))"));
    assert_eq!(inspect(&component).len(), count / 20);
}
