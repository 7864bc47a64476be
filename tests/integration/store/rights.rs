//! A role that may neither make nor change tables, and tables of another version.

use super::{Database, database, demo};
use crate::place::Place;
use crate::tables;

/// The demo, run by a role of that name that has no rights of its own.
fn by_worker(database: Database, worker: &str) -> Place {
    database.execute(&format!("CREATE ROLE {worker} LOGIN PASSWORD 'worker'"));
    let mut place = demo();
    let url = database.url_of(worker, "worker");
    place.keep_journal_in(database);
    place.variable("STORE_URL", &url);
    place
}

#[test]
fn a_role_without_the_right_to_make_tables_is_told_what_to_do_and_runs_once_it_is_done() {
    let place = by_worker(database(), "first_worker");
    let refused = place.running_to_the_end().output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{told}");
    assert!(told.contains("first_worker may not make them") && told.contains("purefold schema WORKFLOW --store"), "{told}");

    let script = place.ask("schema", &["--store"]).well().out;
    place.journal().execute(&script);
    // Tables alone are no journal, and nothing is damaged.
    let early = place.ask("status", &[]).exits(2);
    assert!(early.err.contains("has the workflow run yet"), "{}", early.err);
    place.run().well();
    place.verifies();
    assert!(tables::number(&place.path("records.db"), "SELECT count(*) FROM registration_projections") > 0);
    assert!(place.journal().number("SELECT count(*) FROM journal") > 0);
    // What the script gives is enough for everything, and no more.
    let rights = "SELECT count(*) FROM information_schema.table_privileges WHERE grantee = 'first_worker' AND privilege_type IN ('TRUNCATE', 'TRIGGER')";
    assert_eq!(place.journal().number(rights), 0);
    place.ask("pause", &["--by", "ann", "--reason", "to try it"]).well();
    place.ask("status", &[]).well();
}

#[test]
fn tables_of_a_later_version_are_left_alone() {
    let mut place = demo();
    place.keep_journal_in(database());
    place.run().well();
    place.journal().execute("INSERT INTO versions (version) VALUES (1000)");
    let before = place.journal().rows("SELECT count(*) FROM journal");
    for (command, rest) in [("run", &["--until-idle", "--clock", "event"][..]), ("state", &[])] {
        let done = place.ask(command, rest).exits(2);
        assert!(done.err.contains("has tables of version 1000"), "{}", done.err);
    }
    assert_eq!(place.journal().rows("SELECT count(*) FROM journal"), before);
}

#[test]
fn a_store_that_never_ran_is_missing() {
    let mut place = demo();
    place.keep_journal_in(database());
    let done = place.ask("state", &[]).exits(2);
    assert!(done.err.contains("there is no store") && done.err.contains("has the workflow run yet"), "{}", done.err);
}
