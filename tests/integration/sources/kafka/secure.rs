//! Brokers that are read from over TLS, by who shows a certificate or a password.

use purefold_services::{Login, SecureKafka};

use super::{Host, Stream, assert_decided_once, run};
use crate::backends::secure::{kafka, mutual_tls, own_kafka, sasl, tls};
use crate::client::Client;
use crate::place::Place;

const NODES: u32 = 20;

/// A topic that was written without TLS, and the workflow that reads it at `brokers` with more settings.
fn place(plain: &str, brokers: &str, more: &str) -> Place {
    let stream = Stream::at(plain, 2);
    stream.announce(0..NODES);
    let mut place = stream.place(&format!(", {more}"));
    place.variable("BROKERS", brokers);
    place
}

#[test]
fn by_a_certificate_or_any_login_the_topic_is_read() {
    let (plain, secure) = kafka();
    let trusted = tls(&secure.certificates.authority);
    let logins = SecureKafka::LOGINS.iter().map(|login| (&secure.sasl, format!("{trusted}, {}", sasl(login))));
    let bare = SecureKafka::LOGINS.iter().map(|login| (&secure.bare_sasl, sasl(login)));
    for (brokers, more) in [(&secure.tls, mutual_tls(&secure))].into_iter().chain(logins).chain(bare) {
        let place = place(&plain, brokers, &more);
        let done = run(&place).well();
        assert_eq!(done.err, "", "{more}");
        assert_decided_once(&place, 0..NODES);
    }
}

/// Whoever does not fit is told so when the workflow is loaded: once, with the way out and without the password.
#[test]
fn who_is_not_let_in_is_told_once_and_plainly() {
    let (plain, secure) = kafka();
    let [trusted, strange] = [&secure.certificates.authority, &secure.certificates.stranger].map(|authority| tls(authority));
    let wrong = |login: &Login| sasl(&Login { password: "not-the-secret-word", ..*login });
    let [plain_login, _, scram] = &SecureKafka::LOGINS;
    for (brokers, more, cause) in [
        (&secure.tls, mutual_tls(&secure).replace("authority.pem", "stranger.pem"), "certificate verify failed"),
        (&secure.sasl, format!("{strange}, {}", sasl(scram)), "certificate verify failed"),
        (&secure.sasl, format!("{trusted}, {}", wrong(plain_login)), "Invalid username or password"),
        (&secure.sasl, format!("{trusted}, {}", wrong(scram)), "invalid credentials"),
    ] {
        let place = place(&plain, brokers, &more);
        let done = run(&place).exits(2);
        assert_eq!(done.err.matches("kafka-login-refused").count(), 1, "{}", done.err);
        assert!(done.err.contains(cause) && done.err.contains("mend `tls` or `sasl`"), "{more}: {}", done.err);
        assert!(!done.err.contains("not-the-secret-word"), "{}", done.err);
    }
}

#[test]
fn a_client_that_shows_no_certificate_is_not_let_in() {
    let (plain, secure) = kafka();
    let place = place(&plain, &secure.tls, &tls(&secure.certificates.authority));
    let done = run(&place).exits(2);
    assert!(done.err.contains("kafka-login-refused"), "{}", done.err);
}

/// Brokers that were away when the workflow was loaded, and are found not to let it in when they come.
#[test]
fn who_is_not_let_in_later_is_told_once_too() {
    let (mut kafka, secure) = own_kafka();
    let wrong = sasl(&Login { password: "not-the-secret-word", ..SecureKafka::LOGINS[2] });
    let place = place(kafka.address(), &secure.sasl, &format!("{}, {wrong}", tls(&secure.certificates.authority)));
    kafka.stop().unwrap();
    let mut host = Host::start(&place);
    until(&mut host, "the Kafka brokers do not answer");
    kafka.start_again().unwrap();
    until(&mut host, "mend `tls` or `sasl`");
    let told = host.stop();
    for part in ["the Kafka brokers do not answer", "the Kafka brokers do not let this client in", "mend `tls` or `sasl`"] {
        assert_eq!(told.matches(part).count(), 1, "{part:?}: {told}");
    }
    assert!(!told.contains("not-the-secret-word"), "{told}");
}

/// Waits until `/readyz` says this.
fn until(host: &mut Host, expected: &str) {
    let admin = host.admin;
    host.running.until(expected, || {
        let mut client = Client::connect(admin).unwrap();
        client.send("GET", "/readyz", &[], "").unwrap();
        let response = client.receive().unwrap();
        response.status == 503 && response.body.contains(expected)
    });
}
