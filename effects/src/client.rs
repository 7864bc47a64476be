//! The HTTP client, of one making for everything in the host that sends requests.

use std::error::Error;
use std::time::Duration;

use reqwest::Client;

/// How long an attempt waits for a connection; of a short timeout, half, so that it is known that nothing was sent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Idle connections kept for each host.
const IDLE_PER_HOST_MAX: usize = 32;

/// A client whose requests take at most `timeout`, from the name's look-up to the reply's last byte.
///
/// A machine without trusted certificates serves plain HTTP all the same; over TLS it then trusts nobody.
///
/// # Errors
/// What the machine lacks.
pub fn client(timeout: Duration) -> Result<Client, String> {
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
    builder().build().or_else(|error| {
        tracing::warn!(%error, "the system's trusted certificates cannot be read: no HTTPS server will be trusted");
        builder().tls_certs_only([]).build().map_err(|error| error.to_string())
    })
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
