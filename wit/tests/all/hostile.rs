//! Files that nobody meant to be components: they have findings, and the reader survives them.

use proptest::prelude::*;
use purefold_wit::Contract;

use crate::components::Reducer;

/// The codes of what is found, which is something.
fn codes(bytes: &[u8]) -> Vec<&'static str> {
    match Contract::read(bytes) {
        Ok(_) => vec![],
        Err(findings) => {
            assert!(!findings.is_empty());
            findings.iter().map(|finding| finding.code).collect()
        }
    }
}

#[test]
fn a_component_cut_short_is_none() {
    let component = Reducer::default().component();
    let whole = Contract::read(&component).unwrap();
    for length in 0..component.len() {
        match Contract::read(&component[..length]) {
            // Cut between two sections, what is left is a component: without `reduce`, or without the custom sections at its end.
            Ok(contract) => assert_eq!(contract, whole),
            Err(findings) => assert!(matches!(findings[0].code, "not-a-component" | "reduce-missing"), "{length}: {findings:?}"),
        }
    }
}

#[test]
fn types_nested_without_end_do_not_exhaust_the_stack() {
    for levels in [1_000, 100_000] {
        let mut text = String::from("(component (type $t0 (list u8))");
        for level in 1..levels {
            text.push_str(&format!("(type $t{level} (list $t{}))", level - 1));
        }
        text.push_str(&format!("(import \"f\" (func (param \"x\" $t{}))))", levels - 1));
        let component = wat::parse_str(&text).unwrap();
        assert_eq!(codes(&component), ["not-a-component"]);
    }
}

/// Components that validate and that WIT has no words for: they are findings, not panics of the tools behind.
#[test]
fn components_beyond_wit_are_told() {
    let cases = [
        "(component (core module $m) (export \"m\" (core module $m)))",
        "(component (component $c) (export \"c\" (component $c)))",
        "(component (import \"m\" (core module)))",
        "(component (import \"c\" (component)))",
        "(component (type $t u8) (export \"t\" (type $t)))",
        "(component (type $t (record (field \"a\" u8))) (export \"t\" (type $t)) (export \"u\" (type $t)))",
        "(component (type $f (func)) (export \"f\" (type $f)))",
        "(component (type $f (instance)) (export \"f\" (type $f)))",
        "(component (type $f (component)) (import \"f\" (type (eq $f))))",
        "(component (type $f (func)) (import \"f\" (type (eq $f))))",
        "(component (import \"r\" (type $r (sub resource))) (import \"[constructor]r\" (func (result (own $r)))))",
        "(component (import \"a:b/c\" (instance (export \"r\" (type (sub resource))))))",
        "(component (import \"a:b/c\" (instance $i (export \"r\" (type (sub resource))))) (export \"i\" (instance $i)))",
        "(component (import \"i\" (instance $i (export \"f\" (func)))) (export \"f\" (func $i \"f\")) (export \"g\" (func $i \"f\")))",
        "(component (import \"a:b/c@1.0.0\" (func)))",
        "(component (import \"a:b/c\" (func $f)) (export \"a:b/d\" (func $f)))",
        "(component (import \"url=<https://a.example/b>\" (func)))",
        "(component (import \"url=<https://a.example/b>\" (instance)))",
        "(component (import \"integrity=<sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=>\" (func)))",
        "(component (import \"locked-dep=<a:b>\" (instance)))",
        "(component (import \"unlocked-dep=<a:b/c>\" (func)))",
        "(component (import \"i\" (instance (export \"j\" (instance (export \"f\" (func)))))))",
        "(component (import \"i\" (instance (type $t (record (field \"a\" u8))) (export \"t\" (type (eq $t))) (export \"u\" (type (eq $t))))))",
        "(component (import \"i\" (instance (type $t u8) (export \"t\" (type (eq $t))))))",
    ];
    for text in cases {
        let component = wat::parse_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(!codes(&component).is_empty(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn damaged_components_do_not_panic(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut component = Reducer::default().component();
        for (at, byte) in damage {
            let at = at.index(component.len());
            component[at] = byte;
        }
        codes(&component);
    }

    #[test]
    fn random_bytes_are_no_component(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        prop_assert_eq!(codes(&bytes), ["not-a-component"]);
        let headed = [b"\0asm\x0d\0\x01\0", &bytes[..]].concat();
        codes(&headed);
    }
}
