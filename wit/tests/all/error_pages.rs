//! The codes and their pages.

/// Every code that this crate gives has its page.
#[test]
fn every_code_has_a_page() {
    let codes = [
        "not-a-component",
        "reduce-missing",
        "reduce-shape",
        "standard-type-forged",
        "type-not-admitted",
        "state-not-record",
        "payload-not-record",
        "payload-bytes",
        "payload-untyped-map",
        "payload-json-string",
        "nested-option",
        "rejection-shape",
        "transition-shape",
        "unexpected-export",
        "migrate-shape",
        "contract-too-large",
        "instant-out-of-range",
        "duplicate-key",
        "value-mismatch",
    ];
    let pages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors");
    for code in codes {
        let page = std::fs::read_to_string(pages.join(format!("{code}.md"))).unwrap_or_else(|error| panic!("{code}: {error}"));
        assert!(page.starts_with(&format!("# {code}\n")), "{code}");
    }
}
