use std::path::Path;
use std::sync::Arc;

use purefold_wit::{Record, Type};

use crate::trial::{found, open, option, record, trial};

fn charge() -> Arc<Record> {
    record("charge", &[("order-id", Type::String), ("cents", Type::U32), ("note", option(Type::String)), ("at", Type::Instant)])
}

#[test]
fn what_a_route_needs_is_found() {
    let effect = open("capability = 'http'\nhosts = ['pay.example']", Path::new(".")).unwrap();
    let url = "url = 'https://pay.example/c/{order-id}'\n";
    for (settings, expected) in [
        (String::new(), &[("setting-missing", "url")][..]),
        (url.to_owned(), &[]),
        (format!("{url}method = 'GET'"), &[]),
        (format!("{url}method = 'get'"), &[("setting-range", "method")]),
        (format!("{url}method = 'CONNECT'"), &[("setting-range", "method")]),
        (format!("{url}body = 'cents'"), &[]),
        (format!("{url}body = 'none'"), &[]),
        (format!("{url}body = 'cent'"), &[("field-missing", "body")]),
        (format!("{url}method = 'GET'\nbody = 'record'"), &[("setting-range", "body")]),
        (format!("{url}timeout = '1s'"), &[("setting-unknown", "timeout")]),
        ("url = 'https://evil.example/{order-id}'".to_owned(), &[("host-not-allowed", "url")]),
        ("url = 'https://pay.example/{order}/{at}/{note}'".to_owned(), &[("template-field", "url"); 3]),
        ("url = 'https://pay.example/{order}?x={nope}'".to_owned(), &[("template-field", "url"); 2]),
        (format!("{url}headers = {{ authorization = 'Bearer s3cret', x-order = 'o-{{order-id}}' }}"), &[]),
        (format!("{url}headers = {{ x-order = '{{order}}' }}"), &[("template-field", "headers.x-order")]),
        (format!("{url}headers = {{ Host = 'evil.example' }}"), &[("header-invalid", "headers.Host")]),
        (format!("{url}headers = {{ Idempotency-Key = 'mine' }}"), &[("header-invalid", "headers.Idempotency-Key")]),
        (format!("{url}headers = {{ 'a b' = 'x' }}"), &[("header-invalid", "headers.a b")]),
        (format!("{url}headers = {{ x-a = 'one', X-A = 'two' }}"), &[("header-invalid", "headers.X-A")]),
        (format!("{url}headers = {{ x-a = \"s3cret\\r\\nx-b: y\" }}"), &[("header-invalid", "headers.x-a")]),
        (format!("{url}headers = {{ x-a = 5 }}"), &[("setting-type", "headers.x-a")]),
        (format!("{url}headers = {{ x-a = 's3cret}}' }}"), &[("template-field", "headers.x-a")]),
    ] {
        let expected: Vec<_> = expected.iter().map(|(code, name)| (*code, format!("intents.c.{name}"))).collect();
        assert_eq!(found(&*effect, &[trial("c", &charge(), &settings)]), expected, "{settings}");
        if let Err(findings) = crate::trial::bind(&*effect, &[trial("c", &charge(), &settings)]) {
            assert!(findings.iter().all(|finding| !finding.to_string().contains("s3cret")), "{findings:?}");
        }
    }
}
