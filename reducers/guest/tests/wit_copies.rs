//! A reducer carries its own copy of `purefold:reducer`, as WIT tools expect; the copies in this repository must not drift.

const ORIGINAL: &str = include_str!("../../../wit/purefold/reducer.wit");

#[test]
fn every_copy_of_the_standard_types_is_the_original() {
    for (reducer, copy) in [
        ("registration", include_str!("../../registration/wit/deps/purefold/reducer.wit")),
        ("registry", include_str!("../../registry/wit/deps/purefold/reducer.wit")),
        ("orders", include_str!("../../orders/wit/deps/purefold/reducer.wit")),
        ("languages/javascript/impure", include_str!("../../languages/javascript/impure/wit/deps/purefold/reducer.wit")),
        ("fixtures/contract", include_str!("../../fixtures/contract/wit/deps/purefold/reducer.wit")),
        ("fixtures/contract/migrations", include_str!("../../fixtures/contract/migrations/deps/purefold/reducer.wit")),
    ] {
        assert_eq!(copy, ORIGINAL, "the copy of {reducer} differs: copy wit/purefold/reducer.wit over it");
    }
}
