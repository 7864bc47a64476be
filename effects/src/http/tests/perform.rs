use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use purefold_wit::{Type, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::server::{Answer, Identity, Server, answer};
use crate::trial::{Trial, call, choice, open, option, record, refused, started, text, trial};
use crate::{Call, EffectError, Operation, Reply};

/// A route to `address`, whose reply is a receipt.
fn charge(address: &str, more: &str) -> Trial {
    let intent = record("charge", &[("order-id", Type::String), ("cents", Type::U32), ("kind", choice("kind", &["one-off", "monthly"]))]);
    let receipt = record("receipt", &[("number", Type::U64), ("note", option(Type::String))]);
    let mut route = trial("charge", &intent, &format!("url = 'http://{address}/charges/{{order-id}}?kind={{kind}}'\n{more}"));
    route.reply = Some(Type::Record(receipt));
    route
}

async fn operation(address: &str, timeout: &str, route: Trial) -> Arc<dyn Operation> {
    let settings = format!("capability = 'http'\nhosts = ['{address}']\ntimeout = '{timeout}'");
    started(&settings, Path::new("."), &[route]).await.remove(0)
}

fn order() -> Call {
    call("o", 3, 1, &[text("a/b c"), Value::U32(1_250), Value::Enum(0)])
}

/// What becomes of a charge that is answered so.
async fn charged(answer: Answer) -> Result<Reply, EffectError> {
    let server = Server::answering(answer).await;
    operation(&server.address, "5s", charge(&server.address, "")).await.perform(order()).await
}

#[tokio::test]
async fn the_request_is_what_the_route_says() {
    let server = Server::answering(answer("201 Created", "", r#"{"number": 18446744073709551615, "added later": [1]}"#)).await;
    let headers = "headers = { authorization = 'Bearer s3cret', x-order = 'o-{cents}' }";
    let operation = operation(&server.address, "5s", charge(&server.address, headers)).await;
    let mut call = order();
    call.correlation_id = "ünï 1%".into();
    let receipt = Value::Record([Value::U64(u64::MAX), Value::Option(None)].into());
    assert_eq!(operation.perform(call.clone()).await, Ok(Some(receipt.clone())));
    assert_eq!(operation.perform(call).await, Ok(Some(receipt)));
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0], requests[1], "a repeat is the same request");
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.lines().collect();
    lines[1..].sort_unstable();
    assert_eq!(
        lines,
        [
            "POST /charges/a%2Fb%20c?kind=one_off HTTP/1.1",
            "accept: */*",
            "authorization: Bearer s3cret",
            "content-length: 50",
            "content-type: application/json",
            &format!("host: {}", server.address),
            "idempotency-key: 00000000-0000-0003-0000-000000000001",
            "x-correlation-id: %C3%BCn%C3%AF 1%25",
            "x-order: o-1250",
        ]
    );
    assert_eq!(body, r#"{"order_id":"a/b c","cents":1250,"kind":"one_off"}"#);
}

#[tokio::test]
async fn bodies_are_the_record_a_field_or_nothing() {
    for (more, method, body) in [
        ("body = 'cents'", "POST", "1250"),
        ("body = 'none'", "POST", ""),
        ("method = 'GET'", "GET", ""),
        ("method = 'DELETE'", "DELETE", ""),
        ("method = 'DELETE'\nbody = 'order-id'", "DELETE", r#""a/b c""#),
        ("method = 'PUT'", "PUT", r#"{"order_id":"a/b c","cents":1250,"kind":"one_off"}"#),
    ] {
        let server = Server::answering(answer("200 OK", "", r#"{"number":1}"#)).await;
        let operation = operation(&server.address, "5s", charge(&server.address, more)).await;
        assert!(operation.perform(order()).await.is_ok(), "{more}");
        let request = server.requests().remove(0);
        assert!(request.starts_with(method), "{request}");
        assert_eq!(request.split_once("\r\n\r\n").unwrap().1, body, "{more}");
        assert_eq!(request.contains("content-type: application/json"), !body.is_empty(), "{more}");
    }
}

#[tokio::test]
async fn without_a_reply_type_any_success_will_do() {
    for body in ["", "not JSON"] {
        let server = Server::answering(answer("204 No Content", "", body)).await;
        let mut route = charge(&server.address, "");
        route.reply = None;
        assert_eq!(operation(&server.address, "5s", route).await.perform(order()).await, Ok(None));
    }
}

#[tokio::test]
async fn a_reply_that_cannot_be_read_says_where() {
    for (body, part) in [
        (r#"{"number":"x"}"#.to_owned(), "reply.number"),
        ("{}".to_owned(), "number"),
        (String::new(), "reply"),
        ("x".repeat(1024 * 1024 + 1), "more than 1048576 bytes"),
    ] {
        let result = charged(answer("200 OK", "", &body)).await;
        assert!(matches!(&result, Err(EffectError::UnreadableReply(reason)) if reason.contains(part)), "{result:?}");
    }
    let endless = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", " ".repeat(2 * 1024 * 1024));
    let result = charged(Answer::Raw(endless.into_bytes())).await;
    assert!(matches!(&result, Err(EffectError::UnreadableReply(_))), "{result:?}");
}

#[tokio::test]
async fn a_server_may_ask_to_wait() {
    let now = "Date: Fri, 13 Feb 2026 12:00:00 GMT\r\n";
    for (status, headers, seconds) in [
        ("429 Too Many Requests", "Retry-After: 7\r\n".to_owned(), Some(7)),
        ("503 Service Unavailable", format!("{now}Retry-After: Fri, 13 Feb 2026 12:02:00 GMT\r\n"), Some(120)),
        ("425 Too Early", String::new(), None),
        ("408 Request Timeout", String::new(), None),
    ] {
        let result = charged(answer(status, &headers, "")).await;
        let expected = seconds.map(Duration::from_secs);
        assert!(matches!(&result, Err(EffectError::NotDone { retry_after, .. }) if *retry_after == expected), "{status}: {result:?}");
    }
}

#[tokio::test]
async fn a_refusal_repeats_neither_headers_nor_bodies() {
    let server = Server::answering(answer("422 Unprocessable Content", "x-echo: Bearer s3cret\r\n", "Bearer s3cret")).await;
    let route = charge(&server.address, "headers = { authorization = 'Bearer s3cret' }");
    let reason = refused(operation(&server.address, "5s", route).await.perform(order()).await);
    assert_eq!(reason, format!("POST http://{}: the server answers 422 Unprocessable Entity", server.address));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::answering(answer("200 OK", "", r#"{"number":1}"#)).await;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = format!("Location: http://{}/?token=s3cret\r\n", elsewhere.address);
        let reason = refused(charged(answer(status, &location, "")).await);
        assert!(reason.contains("redirects are not followed") && !reason.contains("s3cret"), "{reason}");
    }
    assert_eq!(elsewhere.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn what_was_not_sent_is_not_done() {
    // A port that was free a moment ago: nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let result = operation(&address, "5s", charge(&address, "")).await.perform(order()).await;
    assert!(matches!(&result, Err(EffectError::NotDone { reason, .. }) if reason.contains("refused")), "{result:?}");
    let route = charge("name.invalid", "");
    let result = operation("name.invalid", "5s", route).await.perform(order()).await;
    assert!(matches!(&result, Err(EffectError::NotDone { .. })), "{result:?}");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = [0; 4096];
        let count = stream.read(&mut hello).await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        hello[..count].to_vec()
    });
    let intent = record("charge", &[("order-id", Type::String)]);
    let route = trial("charge", &intent, &format!("url = 'https://{address}/'\nheaders = {{ authorization = 's3cret' }}"));
    let result = operation(&address, "5s", route).await.perform(call("o", 1, 0, &[text("x")])).await;
    assert!(matches!(&result, Err(EffectError::NotDone { .. })), "{result:?}");
    assert!(!String::from_utf8_lossy(&heard.await.unwrap()).contains("s3cret"));
}

#[tokio::test]
async fn only_who_the_named_authority_vouches_for_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (known, other) = (Identity::new(), Identity::new());
    std::fs::write(folder.path().join("ca.pem"), known.pem()).unwrap();
    let answer = answer("200 OK", "", r#"{"number":1}"#);
    for (identity, is_trusted) in [(&known, true), (&other, false)] {
        let server = Server::answering_by_tls(answer.clone(), identity).await;
        let settings = format!("capability = 'http'\nhosts = ['{}']\ntimeout = '5s'\nca = 'ca.pem'", server.address);
        let intent = record("charge", &[("order-id", Type::String)]);
        let route = trial("charge", &intent, &format!("url = 'https://{}/'", server.address));
        let operation = started(&settings, folder.path(), &[route]).await.remove(0);
        let result = operation.perform(call("o", 1, 0, &[text("x")])).await;
        if is_trusted {
            assert_eq!(result, Ok(None));
        } else {
            assert!(matches!(&result, Err(EffectError::NotDone { reason, .. }) if reason.contains("certificate")), "{result:?}");
        }
        assert_eq!(server.requests().len(), usize::from(is_trusted));
    }
}

#[test]
fn an_authority_that_cannot_be_read_is_told_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.pem"), "no certificate").unwrap();
    for (file, why) in [("missing.pem", "No such file"), ("empty.pem", "none in it")] {
        let settings = format!("capability = 'http'\nhosts = ['pay.example']\nca = '{file}'");
        let findings = open(&settings, folder.path()).err().unwrap();
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.code, finding.place.as_str()), ("setting-range", "effects.e.ca"));
        assert!(finding.cause.contains(why) && finding.cause.contains(file), "{finding:?}");
    }
}

#[tokio::test]
async fn what_was_sent_and_not_answered_is_unknown() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"number\":".to_vec();
    for broken in [Answer::Close, Answer::Raw(b"HTTP/1.1 2".to_vec()), Answer::Raw(b"no HTTP at all\r\n\r\n".to_vec()), Answer::Raw(half)] {
        let result = charged(broken).await;
        assert!(matches!(&result, Err(EffectError::Unknown(_))), "{result:?}");
    }
    let server = Server::answering(Answer::Silence).await;
    let result = operation(&server.address, "100ms", charge(&server.address, "")).await.perform(order()).await;
    assert!(matches!(&result, Err(EffectError::Unknown(_))), "{result:?}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn fields_that_lead_elsewhere_are_refused_and_nothing_is_sent() {
    let server = Server::answering(answer("200 OK", "", r#"{"number":1}"#)).await;
    let operation = operation(&server.address, "5s", charge(&server.address, "headers = { x-order = '{order-id}' }")).await;
    for id in ["", "..", ".", "a\r\nx-admin: 1", "ü"] {
        let reason = refused(operation.perform(call("o", 1, 0, &[text(id), Value::U32(1), Value::Enum(0)])).await);
        assert!(reason.starts_with(&format!("POST http://{}: ", server.address)), "{reason}");
    }
    assert_eq!(server.requests(), Vec::<String>::new());
}
