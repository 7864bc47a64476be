//! A broker and a server with TLS, one of each for all tests: what they trust, and who may log in.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use purefold_services::{Instance, Login, SecureKafka, SecurePostgres};

use super::{cache, certificates};

/// Never dropped: their guards see the process end.
static KAFKA: Mutex<Option<(Instance, SecureKafka)>> = Mutex::new(None);
static POSTGRES: Mutex<Option<(Instance, SecurePostgres)>> = Mutex::new(None);

/// The address without TLS, and the ways with.
pub(crate) fn kafka() -> (String, SecureKafka) {
    shared(&KAFKA, own_kafka)
}

/// A broker of one test's own.
pub(crate) fn own_kafka() -> (Instance, SecureKafka) {
    Instance::secure_kafka(&cache(), &certificates::make).unwrap_or_else(|error| panic!("{error:#}"))
}

/// The superuser's address, and what vouches for the server.
pub(crate) fn postgres() -> (String, SecurePostgres) {
    shared(&POSTGRES, || Instance::secure_postgres(&certificates::make).unwrap_or_else(|error| panic!("{error:#}")))
}

fn shared<S: Clone>(slot: &Mutex<Option<(Instance, S)>>, start: impl FnOnce() -> (Instance, S)) -> (String, S) {
    // One whose start failed is started by the next test.
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    let (instance, secure) = slot.get_or_insert_with(start);
    (instance.address().to_owned(), secure.clone())
}

/// The setting `tls` of a client that trusts this authority.
pub(crate) fn tls(authority: &Path) -> String {
    format!("tls = {{ ca = \"{}\" }}", authority.display())
}

/// The setting `tls` of a client that shows who it is.
pub(crate) fn mutual_tls(secure: &SecureKafka) -> String {
    let shown = &secure.certificates;
    let [ca, certificate, key] = [&shown.authority, &shown.client, &shown.client_key].map(|path| path.display());
    format!("tls = {{ ca = \"{ca}\", certificate = \"{certificate}\", key = \"{key}\" }}")
}

/// The setting `sasl` of a client that logs in so.
pub(crate) fn sasl(login: &Login) -> String {
    let Login { mechanism, user, password } = login;
    format!("sasl = {{ mechanism = \"{mechanism}\", user = \"{user}\", password = \"{password}\" }}")
}
