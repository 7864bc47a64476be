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

pub(crate) use self::answer::{body, not_answered, retry_after};
use self::hosts::Hosts;
use self::request::Plan;
use crate::client::certificates;
use crate::settings::Settings;
use crate::{Call, Effect, EffectError, Operation, Reply, Route, backend, route};

/// Bounds and default of `timeout`: of the whole attempt, from the name's look-up to the reply's last byte.
const TIMEOUT_MIN: Duration = Duration::from_millis(1);
const TIMEOUT_MAX: Duration = Duration::from_secs(10 * 60);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

pub(crate) fn open(name: &str, mut settings: Settings<'_>, base: &Path) -> Result<Arc<dyn Effect>, Vec<Finding>> {
    let hosts = settings.required("hosts", Hosts::read);
    let timeout = settings.duration("timeout", TIMEOUT_MIN..=TIMEOUT_MAX).unwrap_or(TIMEOUT_DEFAULT);
    let client = client(&mut settings, timeout, base);
    backend::opened(settings, hosts.zip(client), |(hosts, client)| Arc::new(Http { name: name.into(), hosts, client }))
}

/// A client for requests that take at most `timeout`, which trusts the certificates of `ca` where that is set. Where none
/// can be made, that is reported.
pub(crate) fn client(settings: &mut Settings<'_>, timeout: Duration, base: &Path) -> Option<Client> {
    let trusted = match settings.path("ca", base).map(|path| certificates(&path)).transpose() {
        Ok(trusted) => trusted,
        Err(reason) => {
            settings.report("setting-range", "ca", reason, "name a file with the authority's certificates, in PEM");
            return None;
        }
    };
    match crate::client(timeout, trusted) {
        Ok(client) => Some(client),
        Err(error) => {
            let help = "the machine lacks what HTTP needs; mend what the cause names";
            settings.report("http-unavailable", "capability", format!("no HTTP client can be made: {error}"), help);
            None
        }
    }
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
