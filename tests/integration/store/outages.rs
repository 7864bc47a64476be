//! A PostgreSQL that is restarted, killed, hung and away.

use std::time::Duration;

use purefold_services::Instance;

use super::{Database, demo_in};
use crate::client::Client;
use crate::place::{Place, Running};
use crate::traces::Traces;

const ENTRIES: &str = "SELECT max(row) FROM journal";

#[test]
fn restarted_and_killed_under_load_it_goes_on_by_itself() {
    let mut server = Instance::postgres().unwrap();
    let whole = demo_in(Database::at(server.address()));
    whole.run().well();
    let (traces, entries) = (Traces::of_registration(&whole), whole.journal().number(ENTRIES));
    let place = demo_in(Database::at(server.address()));
    let mut command = place.running_to_the_end();
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut running = Running::start(command);
    for (part, graceful) in [(1, false), (2, true), (3, false)] {
        running.until_or_ended("the journal's growth", || place.journal().number(ENTRIES) >= entries * part / 5);
        if graceful {
            server.stop().unwrap();
        } else {
            server.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(700));
        server.start_again().unwrap();
    }
    let done = running.end().well();
    let failures = done.err.matches("no events are taken until the store works again").count();
    assert!(failures > 0, "an outage was felt: {}", done.err);
    assert!(failures <= 3, "each outage is told once: {}", done.err);
    assert_eq!(done.err.matches("WARN purefold::observe: the store works again").count(), failures, "{}", done.err);
    place.verifies();
    Traces::of_registration(&place).assert_same(&traces, "after outages");
}

#[test]
fn while_it_is_away_a_host_is_not_ready_and_operators_are_heard_afterwards() {
    let mut server = Instance::postgres().unwrap();
    let mut place = Place::registration();
    place.keep_journal_in(Database::at(server.address()));
    place.stream::<&str>([]);
    let mut running = Running::start(place.running(&["--admin", "127.0.0.1:0", "--follow"]));
    let (admin, _told) = running.listens("metrics, health and readiness on http://");
    let ready = || {
        let mut client = Client::connect(admin).unwrap();
        client.send("GET", "/readyz", &[], "").unwrap();
        let response = client.receive().unwrap();
        (response.status, response.body)
    };
    running.until("readiness", || ready().0 == 200);
    server.kill().unwrap();
    running.until("a complaint", || ready().0 == 503);
    assert!(ready().1.contains("the store"), "{:?}", ready());
    server.start_again().unwrap();
    running.until("readiness again", || ready().0 == 200);
    place.ask("pause", &["--by", "ann", "--reason", "to see that it listens"]).well();
    running.until("the pause", || ready().1.contains("is paused"));
    running.kill();
}

#[test]
fn absent_at_the_start_it_is_told_and_no_password_with_it() {
    let place = with_url("postgres://worker:very-secret-word@127.0.0.1:1/journals");
    for (command, rest) in [("run", &["--until-idle"][..]), ("status", &[]), ("verify", &[])] {
        let done = place.ask(command, rest).exits(3);
        assert!(done.err.contains("127.0.0.1:1/journals (schema purefold)"), "{}", done.err);
        assert!(!done.err.contains("very-secret-word"), "{}", done.err);
    }
}

#[test]
fn a_wrong_password_is_not_shown() {
    let database = super::database();
    let place = with_url(&database.url_of("postgres", "very-secret-word"));
    let done = place.ask("run", &["--until-idle"]).exits(3);
    assert!(done.err.contains("password authentication failed") && !done.err.contains("very-secret-word"), "{}", done.err);
}

/// The reference workflow with its journal at `url`.
fn with_url(url: &str) -> Place {
    let mut place = Place::registration();
    place.mend("sqlite = \"registration.db\"", "postgres = \"${STORE_URL}\"");
    place.variable("STORE_URL", url);
    place
}
