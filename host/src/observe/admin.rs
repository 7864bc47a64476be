//! The admin port: `/metrics`, `/healthz`, `/readyz`. It changes nothing and shows no payload.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Mutex;

use super::Observed;
use super::store::Counting;
use crate::store::Location;

/// How long the store's figures are waited for: well below the time that those who ask have.
const MOST_COUNTING: Duration = Duration::from_secs(2);

/// Why there is no admin port.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is taken or not this machine's.
    #[error("cannot listen on the admin address {address}: {cause}; choose another by --admin")]
    Listen {
        /// As asked.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The system gives no thread.
    #[error("cannot start the admin port: {0}")]
    Start(std::io::Error),
}

/// An address that is had, before anything answers there.
#[derive(Debug)]
pub struct AdminAddress {
    listener: TcpListener,
    address: SocketAddr,
}

/// A listening admin port; it ends with the process.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
}

#[derive(Clone)]
struct Shared {
    observed: Arc<Observed>,
    counting: Arc<Mutex<Counting>>,
}

impl AdminAddress {
    /// Takes `address`, so that nothing is begun where it cannot be had.
    ///
    /// # Errors
    /// Where it cannot be had.
    pub fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        let listener = TcpListener::bind(address)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(|cause| AdminError::Listen { address, cause })?;
        let address = listener.local_addr().map_err(AdminError::Start)?;
        Ok(AdminAddress { listener, address })
    }
}

impl Admin {
    /// Answers on the address from what is observed; counts of the store at `store` are of `workflows`.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(at: AdminAddress, observed: Arc<Observed>, store: Location, workflows: Vec<String>) -> Result<Self, AdminError> {
        let AdminAddress { listener, address } = at;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(AdminError::Start)?;
        let shared = Shared { observed, counting: Arc::new(Mutex::new(Counting::new(store, workflows))) };
        let router =
            Router::new().route("/metrics", get(metrics)).route("/healthz", get(healthz)).route("/readyz", get(readyz)).with_state(shared);
        std::thread::Builder::new()
            .name("admin".into())
            .spawn(move || {
                let served = runtime.block_on(async move {
                    let listener = tokio::net::TcpListener::from_std(listener)?;
                    axum::serve(listener, router).await
                });
                if let Err(error) = served {
                    tracing::error!(%error, "the admin port has ended");
                }
            })
            .map_err(AdminError::Start)?;
        Ok(Admin { address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn metrics(State(shared): State<Shared>) -> Response {
    // On another thread, one at a time, and not waited for: a store that does not answer must not keep anybody from hearing so.
    let counted = async {
        let mut counting = shared.counting.clone().lock_owned().await;
        tokio::task::spawn_blocking(move || counting.figures()).await.unwrap_or_default()
    };
    let figures = tokio::time::timeout(MOST_COUNTING, counted).await.unwrap_or_default();
    let text = super::metrics::text(&shared.observed, figures);
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}

async fn healthz(State(shared): State<Shared>) -> Response {
    let health = shared.observed.health();
    let status = if health.alive { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, if health.alive { "alive\n" } else { "the loop stands still\n" }).into_response()
}

async fn readyz(State(shared): State<Shared>) -> Response {
    let health = shared.observed.health();
    let status = if health.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let json = serde_json::to_string(&health).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "application/json")], json + "\n").into_response()
}
