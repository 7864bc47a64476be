//! Where a PostgreSQL server is, and connections to it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};

use super::failure::told;
use super::tls::{self, MakeRustls};
use crate::settings::Settings;

/// Bounds and default of `timeout`: of one statement.
const TIMEOUT_MIN: Duration = Duration::from_millis(100);
const TIMEOUT_MAX: Duration = Duration::from_secs(10 * 60);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// PostgreSQL's own port.
const PORT: u16 = 5432;

/// After how much silence a connection is asked whether the other side is still there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

/// Bounds and default of `connections`.
const CONNECTIONS_MAX: i64 = 64;
const CONNECTIONS_DEFAULT: usize = 4;

/// A server and database, and who connects to it. Printed, it holds no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// Holds the password: never printed.
    config: Config,
    /// Certificates that are trusted instead of the system's.
    authority: Option<PathBuf>,
    connections: usize,
    timeout: Duration,
}

impl Server {
    /// Reads `postgres`, `ca`, `connections` and `timeout`.
    pub(crate) fn read_pooled(settings: &mut Settings<'_>, base: &Path) -> Option<Server> {
        let connections = settings.integer("connections", 1..=CONNECTIONS_MAX).and_then(|count| usize::try_from(count).ok());
        let server = Server::read(settings, base)?;
        Some(Server { connections: connections.unwrap_or(CONNECTIONS_DEFAULT), ..server })
    }

    /// Reads `postgres`, `ca` and `timeout`, for whoever makes connections one by one.
    pub fn read(settings: &mut Settings<'_>, base: &Path) -> Option<Server> {
        let secret = settings.required("postgres", Settings::secret);
        let authority = settings.path("ca", base);
        let timeout = settings.duration("timeout", TIMEOUT_MIN..=TIMEOUT_MAX).unwrap_or(TIMEOUT_DEFAULT);
        // The parser's error may repeat a part of the text.
        let Ok(mut config) = secret?.expose().parse::<Config>() else {
            let help = "write postgres://user:password@host:5432/database, the password percent-escaped, or host=… user=… dbname=…";
            settings.report("setting-range", "postgres", "is no connection string that PostgreSQL understands", help);
            return None;
        };
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("purefold");
        }
        // `prefer`, which is also what nothing is read as, asks for no TLS: a certificate would be looked at by nobody.
        if config.get_ssl_mode() != SslMode::Require {
            config.ssl_mode(SslMode::Disable);
            if authority.is_some() {
                let help = "add sslmode=require to the connection string, or remove `ca`";
                settings.report("setting-range", "ca", "names certificates, and the connection string asks for no TLS", help);
            }
        }
        config.keepalives_idle(KEEPALIVE_IDLE);
        config.tcp_user_timeout(timeout);
        Some(Server { config, authority, connections: CONNECTIONS_DEFAULT, timeout })
    }

    /// Where it is, as `host:port/database`.
    #[must_use]
    pub fn place(&self) -> String {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(folder) => folder.display().to_string(),
        });
        let hosts: Vec<String> = if self.config.get_hosts().is_empty() {
            self.config.get_hostaddrs().iter().map(ToString::to_string).collect()
        } else {
            hosts.collect()
        };
        // One port may serve all hosts.
        let ports = self.config.get_ports();
        let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(PORT);
        let hosts: Vec<String> = hosts.into_iter().enumerate().map(|(index, host)| format!("{host}:{}", port(index))).collect();
        let database = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        format!("{}/{database}", hosts.join(","))
    }

    /// The role that connects, where the settings name it.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.config.get_user()
    }

    /// How long one statement may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How many connections there may be.
    pub(crate) fn connections(&self) -> usize {
        self.connections
    }

    /// A pool of connections; none is made yet.
    ///
    /// # Errors
    /// Certificates that cannot be read.
    pub(super) fn pool(&self) -> Result<Pool, String> {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = match self.tls()? {
            Some(tls) => Manager::from_config(self.config.clone(), tls, recycling),
            None => Manager::from_config(self.config.clone(), NoTls, recycling),
        };
        let prepare = self.prepare();
        let hook = Hook::async_fn(move |client, _| {
            let prepare = prepare.clone();
            Box::pin(async move { client.batch_execute(&prepare).await.map_err(HookError::Backend) })
        });
        let pool = Pool::builder(manager)
            .max_size(self.connections)
            .wait_timeout(Some(self.timeout))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .recycle_timeout(Some(CONNECT_TIMEOUT))
            .runtime(Runtime::Tokio1)
            .post_create(hook);
        pool.build().map_err(|error| error.to_string())
    }

    /// Does something with one connection, outside of any pool, and waits for it. Loading a manifest is not asynchronous,
    /// whoever does it.
    ///
    /// # Errors
    /// Why there is no connection, or what `work` says.
    pub(crate) fn visit<T: Send>(&self, work: impl AsyncFnOnce(&Client) -> Result<T, String> + Send) -> Result<T, String> {
        std::thread::scope(|scope| {
            let visit = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
                runtime.block_on(async {
                    let late = |_| format!("no answer within {} s", self.timeout.as_secs_f64());
                    let client = self.connect().await?;
                    tokio::time::timeout(self.timeout, work(&client)).await.map_err(late)?
                })
            });
            visit.join().unwrap_or_else(|_| Err("the visit broke off".to_owned()))
        })
    }

    /// Connects. What drives the connection runs on the present runtime until the client goes.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn connect(&self) -> Result<Client, String> {
        let late = |_| format!("no connection within {} s", CONNECT_TIMEOUT.as_secs());
        tokio::time::timeout(CONNECT_TIMEOUT, self.connect_patiently()).await.map_err(late)?
    }

    async fn connect_patiently(&self) -> Result<Client, String> {
        let client = match self.tls()? {
            Some(tls) => {
                let (client, connection) = self.config.connect(tls).await.map_err(|error| told(&error))?;
                tokio::spawn(connection);
                client
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await.map_err(|error| told(&error))?;
                tokio::spawn(connection);
                client
            }
        };
        client.batch_execute(&self.prepare()).await.map_err(|error| told(&error))?;
        Ok(client)
    }

    fn tls(&self) -> Result<Option<MakeRustls>, String> {
        if self.config.get_ssl_mode() != SslMode::Require {
            return Ok(None);
        }
        tls::client(self.authority.as_deref()).map(Some)
    }

    /// What every connection begins with: the server ends what takes too long itself, so that it is known not to be done.
    fn prepare(&self) -> String {
        format!("SET statement_timeout = {}", self.timeout.as_millis())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.place()).finish()
    }
}
