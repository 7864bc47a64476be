//! The HTTP client, of one making for everything in the host that sends requests.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Client};

/// How long an attempt waits for a connection; of a short timeout, half, so that it is known that nothing was sent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Idle connections kept for each host.
const IDLE_PER_HOST_MAX: usize = 32;

/// A client whose requests take at most `timeout`, from the name's look-up to the reply's last byte.
///
/// Over TLS it trusts who is vouched for by `trusted`, or else by the system's certificates. A machine without any serves
/// plain HTTP all the same; over TLS it then trusts nobody.
///
/// # Errors
/// What the machine lacks.
pub fn client(timeout: Duration, trusted: Option<Vec<Certificate>>) -> Result<Client, String> {
    // The process has one provider; who installed it first does not matter.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        Client::builder()
            .timeout(timeout)
            .connect_timeout(CONNECT_TIMEOUT.min(timeout / 2))
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            // A redirect would leave the hands of whoever said where requests go.
            .redirect(reqwest::redirect::Policy::none())
            // The manifest says where requests go, not the environment.
            .no_proxy()
            .referer(false)
    };
    if let Some(trusted) = trusted {
        return builder().tls_certs_only(trusted).build().map_err(|error| error.to_string());
    }
    builder().build().or_else(|error| {
        tracing::warn!(%error, "the system's trusted certificates cannot be read: no HTTPS server will be trusted");
        builder().tls_certs_only([]).build().map_err(|error| error.to_string())
    })
}

/// The certificates in the PEM file `path`.
///
/// # Errors
/// A file that cannot be read, or that has none in it.
pub(crate) fn certificates(path: &Path) -> Result<Vec<Certificate>, String> {
    let unreadable = |why: &dyn std::fmt::Display| format!("cannot read the certificates in {}: {why}", path.display());
    let pem = std::fs::read(path).map_err(|error| unreadable(&error))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| unreadable(&causes(error)))?;
    if certificates.is_empty() { Err(unreadable(&"there is none in it")) } else { Ok(certificates) }
}

/// A failed request with all its causes. The URL is left out: it may hold what is nobody's business.
#[must_use]
pub fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
