//! `http`: one request for each intent, to allow-listed hosts only.
//!
//! [`hosts`] is the allow-list, [`url`] and [`request`] what is sent, [`answer`] what comes back and what it means.

mod answer;
mod hosts;
mod request;
#[cfg(test)]
mod tests;
mod url;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use purefold_wit::{Codec, Finding};
use reqwest::Client;

use self::hosts::Hosts;
use self::request::Plan;
use crate::settings::Settings;
use crate::{Call, Effect, EffectError, Operation, Reply, Route, backend, route};

/// Bounds and default of `timeout`: of the whole attempt, from the name's look-up to the reply's last byte.
const TIMEOUT_MIN: Duration = Duration::from_millis(1);
const TIMEOUT_MAX: Duration = Duration::from_secs(10 * 60);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// How long an attempt waits for a connection; of a short timeout, half, so that it is known that nothing was sent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Idle connections kept for each host.
const IDLE_PER_HOST_MAX: usize = 32;

pub(crate) fn open(name: &str, mut settings: Settings<'_>, _base: &Path) -> Result<Arc<dyn Effect>, Vec<Finding>> {
    let hosts = settings.required("hosts", Hosts::read);
    let timeout = settings.duration("timeout", TIMEOUT_MIN..=TIMEOUT_MAX).unwrap_or(TIMEOUT_DEFAULT);
    let client = client(timeout);
    if let Err(error) = &client {
        let help = "the machine lacks what HTTP needs; mend what the cause names";
        settings.report("http-unavailable", "capability", format!("no HTTP client can be made: {error}"), help);
    }
    backend::opened(settings, hosts.zip(client.ok()), |(hosts, client)| Arc::new(Http { name: name.into(), hosts, client }))
}

/// A machine without trusted certificates serves plain HTTP all the same; over TLS it then trusts nobody.
fn client(timeout: Duration) -> Result<Client, String> {
    // The process has one provider; who installed it first does not matter.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        Client::builder()
            .timeout(timeout)
            .connect_timeout(CONNECT_TIMEOUT.min(timeout / 2))
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            // A redirect would leave the allow-list's hands, and an intent is one request.
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

struct Http {
    name: Arc<str>,
    hosts: Hosts,
    client: Client,
}

impl Effect for Http {
    fn bind(&self, routes: &[Route<'_>]) -> Result<Vec<Arc<dyn Operation>>, Vec<Finding>> {
        route::all(routes, |route| {
            let plan = Plan::read(route, &self.name, &self.hosts)?;
            let reply = route.reply.map(Codec::new);
            Ok(Arc::new(BoundRequest(Arc::new(Inner { client: self.client.clone(), plan, reply }))) as Arc<dyn Operation>)
        })
    }

    fn start(&self) -> BoxFuture<'_, Result<(), EffectError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

struct BoundRequest(Arc<Inner>);

struct Inner {
    client: Client,
    plan: Plan,
    reply: Option<Codec>,
}

impl Operation for BoundRequest {
    fn perform(&self, call: Call) -> BoxFuture<'static, Result<Reply, EffectError>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let request = inner.plan.request(&call).map_err(EffectError::Refused)?;
            let attempted = inner.plan.attempted();
            let response = inner.client.execute(request).await.map_err(|error| answer::not_answered(attempted, error))?;
            answer::read(attempted, response, inner.reply.as_ref()).await
        })
    }
}
