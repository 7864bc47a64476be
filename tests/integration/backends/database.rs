//! A PostgreSQL database of a test's own.

use std::time::Duration;

use purefold_services::Kind;
use tokio_postgres::{Client, Config, NoTls};

use super::{shared, unique};

/// A fresh database, and a superuser's connection to it.
pub(crate) struct Database {
    /// How a superuser connects.
    pub(crate) url: String,
    client: Client,
}

impl Database {
    /// One on the server that tests share.
    pub(crate) async fn new() -> Database {
        Database::at(&shared(Kind::Postgres)).await
    }

    /// One on the server at `address`.
    pub(crate) async fn at(address: &str) -> Database {
        let name = unique("purefold_test").replace('-', "_");
        connect(address).await.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        let (server, _) = address.rsplit_once('/').expect("the address ends with a database");
        let url = format!("{server}/{name}");
        Database { client: connect(&url).await, url }
    }

    /// The one at `url`, which is there.
    pub(crate) async fn of(url: &str) -> Database {
        Database { client: connect(url).await, url: url.to_owned() }
    }

    /// How `role`, with its own name as the password, connects.
    pub(crate) fn url_of(&self, role: &str) -> String {
        let (_, place) = self.url.rsplit_once('@').expect("the address has a user");
        format!("postgres://{role}:{role}@{place}")
    }

    /// Connects again, after the server was started again.
    pub(crate) async fn reconnect(&mut self) {
        self.client = connect(&self.url).await;
    }

    /// Executes statements.
    pub(crate) async fn execute(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{error:?}: {sql}"));
    }

    /// The first column of each row, a text.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let rows = self.client.query(sql, &[]).await.unwrap_or_else(|error| panic!("{error:?}: {sql}"));
        rows.iter().map(|row| row.get(0)).collect()
    }
}

async fn connect(url: &str) -> Client {
    let mut config: Config = url.parse().unwrap();
    config.connect_timeout(Duration::from_secs(10));
    let (client, connection) = config.connect(NoTls).await.unwrap_or_else(|error| panic!("{error:?}"));
    tokio::spawn(connection);
    client
}
