//! `publish` over TLS, by who shows a certificate or a password.

use std::path::Path;

use purefold_effects::trial::{bind, call, open};
use purefold_services::{Login, SecureKafka};

use super::kafka_topics::{make, operation, route, seen, settings, values};
use super::secure::{kafka, mutual_tls, sasl, tls};
use super::unique;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_certificate_or_any_login_events_are_published() {
    let (plain, secure) = kafka();
    let trusted = tls(&secure.certificates.authority);
    let logins = SecureKafka::LOGINS.iter().map(|login| (&secure.sasl, format!("{trusted}\n{}", sasl(login))));
    for (brokers, more) in [(&secure.tls, mutual_tls(&secure))].into_iter().chain(logins) {
        let topic = unique("secure");
        make(&plain, &topic, &[]).await;
        let operation = operation(brokers, &topic, &more).await;
        assert_eq!(operation.perform(call("n", 1, 0, &values("over TLS"))).await, Ok(None), "{more}");
        let (plain, topic) = (plain.clone(), topic.clone());
        let messages = tokio::task::spawn_blocking(move || seen(&plain, &topic)).await.unwrap();
        assert_eq!(messages.len(), 1);
        assert!(messages[0].value.contains("over TLS"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_let_in_is_a_finding_with_the_way_out() {
    let (plain, secure) = kafka();
    let topic = unique("secure");
    make(&plain, &topic, &[]).await;
    let [trusted, strange] = [&secure.certificates.authority, &secure.certificates.stranger].map(|authority| tls(authority));
    let scram = &SecureKafka::LOGINS[2];
    let wrong = sasl(&Login { password: "not-the-secret-word", ..*scram });
    for (more, cause) in
        [(format!("{strange}\n{}", sasl(scram)), "certificate verify failed"), (format!("{trusted}\n{wrong}"), "invalid credentials")]
    {
        let effect = open(&settings(&secure.sasl, &more), Path::new(".")).unwrap();
        let findings = tokio::task::block_in_place(|| bind(&*effect, &[route(&topic)])).err().unwrap();
        let [finding] = &findings[..] else { panic!("one finding: {findings:?}") };
        assert_eq!((finding.code, finding.place.as_str()), ("kafka-login-refused", "effects.e.kafka"));
        assert!(finding.cause.contains(cause), "{finding}");
        assert!(finding.help.contains("mend `tls` or `sasl`"), "{finding}");
        assert!(!finding.to_string().contains("not-the-secret-word"), "{finding}");
    }
}
