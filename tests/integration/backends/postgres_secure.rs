//! `table` on a PostgreSQL over TLS.

use std::path::{Path, PathBuf};

use purefold_effects::trial::{Trial, bind, call, open, record, trial};
use purefold_wit::{Type, Value};

use super::database::Database;
use super::secure::postgres;
use super::unique;

fn route() -> Trial {
    trial("row", &record("row", &[("number", Type::U64)]), "operation = 'insert'\ntable = 'log'")
}

/// A database with the table, and a role that only TLS lets in.
async fn database() -> (Database, String, PathBuf) {
    let (address, secure) = tokio::task::block_in_place(postgres);
    let database = Database::at(&address).await;
    let role = unique("writer").replace('-', "_");
    let url = database.url_of(&role);
    let schema = open(&settings(&url, "", None), Path::new(".")).unwrap().schema(&[route().route()]).unwrap().join(";\n");
    database
        .execute(&format!("CREATE ROLE {role} LOGIN PASSWORD '{role}'; {schema}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"))
        .await;
    (database, url, secure.certificates.authority)
}

fn settings(url: &str, mode: &str, authority: Option<&Path>) -> String {
    let ca = authority.map_or_else(String::new, |ca| format!("\nca = '{}'", ca.display()));
    format!("capability = 'table'\npostgres = '{url}{mode}'{ca}")
}

/// What keeps the route from being bound.
fn refused(settings: &str) -> String {
    let findings = tokio::task::block_in_place(|| bind(&*open(settings, Path::new(".")).unwrap(), &[route()])).err().unwrap();
    let [finding] = &findings[..] else { panic!("one finding: {findings:?}") };
    assert_eq!(finding.code, "database-unreachable", "{finding}");
    finding.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_rows_are_written() {
    let (database, url, authority) = database().await;
    let effect = open(&settings(&url, "?sslmode=require", Some(&authority)), Path::new(".")).unwrap();
    let operation = tokio::task::block_in_place(|| bind(&*effect, &[route()])).unwrap().remove(0);
    effect.start().await.unwrap();
    assert_eq!(operation.perform(call("a", 1, 0, &[Value::U64(7)])).await, Ok(None));
    assert_eq!(database.texts("SELECT number::text FROM log").await, ["7"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_nobody_vouches_for_and_who_shows_a_wrong_password_is_told() {
    let (_database, url, authority) = database().await;
    let told = refused(&settings(&url, "?sslmode=require", Some(&authority.with_file_name("stranger.pem"))));
    assert!(told.contains("UnknownIssuer") && told.contains("have `ca` name the certificates"), "{told}");
    let (before, place) = url.rsplit_once('@').unwrap();
    let wrong = format!("{}:not-the-secret-word@{place}", before.rsplit_once(':').unwrap().0);
    let told = refused(&settings(&wrong, "?sslmode=require", Some(&authority)));
    assert!(told.contains("password authentication failed") && !told.contains("not-the-secret-word"), "{told}");
    assert!(told.contains("password, database or TLS"), "{told}");
    let told = refused(&settings(&url, "", None));
    assert!(told.contains("no encryption") && told.contains("sslmode=require"), "{told}");
}
