//! The effects on the real services.

mod certificates;
mod consul_keys;
mod consul_services;
pub(crate) mod database;
mod instances;
mod kafka_secure;
mod kafka_topics;
mod postgres_outages;
mod postgres_secure;
mod postgres_tables;
pub(crate) mod secure;
mod workflow;

use purefold_effects::EffectError;
use purefold_effects::Reply;
use purefold_services::{Cache, Kind};

use crate::client::{Client, Response};
use crate::program::target_folder;

/// Where downloads are kept, the same folder as `cargo xtask` has.
pub(crate) fn cache() -> Cache {
    Cache::new(target_folder().join("services"))
}

/// The address of a service that tests share.
pub(crate) fn shared(kind: Kind) -> String {
    purefold_services::shared(kind, &cache()).unwrap_or_else(|error| panic!("{error:#}"))
}

/// Asks a Consul at `address` for something.
pub(crate) fn get(address: &str, path: &str, token: &str) -> Response {
    let host = address.trim_start_matches("http://").parse().expect("an address");
    let mut client = Client::connect(host).expect("Consul listens");
    client.send("GET", path, &[("x-consul-token", token)], "").expect("a request can be sent");
    client.receive().expect("an answer")
}

/// A name that no other test has.
pub(crate) fn unique(what: &str) -> String {
    let id = tempfile::Builder::new().prefix("").rand_bytes(10).tempfile().expect("a temporary file can be made");
    let name = id.path().file_name().expect("it has a name").to_string_lossy().to_lowercase();
    format!("{what}-{name}")
}

#[track_caller]
fn not_done(result: Result<Reply, EffectError>) -> String {
    match result {
        Err(EffectError::NotDone { reason, .. }) => reason,
        other => panic!("expected that it is not done, found {other:?}"),
    }
}

#[track_caller]
fn unknown(result: Result<Reply, EffectError>) -> String {
    match result {
        Err(EffectError::Unknown(reason)) => reason,
        other => panic!("expected that it is unknown, found {other:?}"),
    }
}
