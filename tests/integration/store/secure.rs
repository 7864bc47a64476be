//! The journal in a PostgreSQL over TLS.

use super::{Database, demo};
use crate::backends::secure::postgres;
use crate::place::Place;
use crate::traces::Traces;

/// The demo with its journal where only TLS leads to, by `mode` and trusting the file `authority` of the server's.
fn demo_by_tls(mode: &str, authority: &str) -> Place {
    let (address, secure) = postgres();
    let database = Database::at(&address);
    let role = crate::backends::unique("worker").replace('-', "_");
    database.execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'a-secret-word' SUPERUSER"));
    let url = format!("{}{mode}", database.url_of(&role, "a-secret-word"));
    let mut place = demo();
    place.keep_journal_in(database);
    place.variable("STORE_URL", &url);
    if !authority.is_empty() {
        let ca = secure.certificates.authority.with_file_name(authority);
        place.mend("[store]\n", &format!("[store]\nca = \"{}\"\n", ca.display()));
    }
    place
}

#[test]
fn over_tls_it_is_the_same_journal() {
    let place = demo_by_tls("?sslmode=require", "authority.pem");
    place.run().well();
    place.verifies();
    let embedded = demo();
    embedded.run().well();
    let of = |place: &Place| Traces::of_registration(place).without_the_workflows_own();
    of(&place).assert_same(&of(&embedded), "over TLS");
    place.ask("status", &[]).well();
}

#[test]
fn a_server_that_nobody_vouches_for_is_not_spoken_to() {
    for command in [&["run", "--until-idle"][..], &["status"]] {
        let done = demo_by_tls("?sslmode=require", "stranger.pem").ask(command[0], &command[1..]).exits(3);
        assert_eq!(done.err.matches("invalid peer certificate: UnknownIssuer").count(), 1, "{}", done.err);
        assert!(done.err.contains("have `ca` name the certificates that vouch for the server"), "{}", done.err);
        assert!(!done.err.contains("a-secret-word"), "{}", done.err);
    }
}

#[test]
fn a_server_that_takes_nothing_but_tls_says_so() {
    let done = demo_by_tls("", "").ask("run", &["--until-idle"]).exits(3);
    assert!(done.err.contains("no encryption") && done.err.contains("sslmode=require"), "{}", done.err);
}
