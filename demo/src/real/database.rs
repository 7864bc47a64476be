//! A database of the demo's own.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

/// A connection to a fresh database.
pub(super) struct Database {
    /// How others connect to it.
    pub(super) url: String,
    client: Client,
    runtime: Runtime,
}

impl Database {
    /// Makes one on the server at `server`, whose address ends with a database's name.
    pub(super) fn make(server: &str) -> Result<Database> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("purefold_demo_{}", since.as_millis());
        let (place, _) = server.rsplit_once('/').context("the server's address ends with a database's name")?;
        let url = format!("{place}/{name}");
        let client = runtime.block_on(async {
            connect(server).await?.batch_execute(&format!("CREATE DATABASE {name}")).await.context("cannot make a database")?;
            connect(&url).await
        })?;
        Ok(Database { url, client, runtime })
    }

    /// Executes statements.
    pub(super) fn execute(&self, sql: &str) -> Result<()> {
        self.runtime.block_on(self.client.batch_execute(sql)).context("cannot make the tables")
    }

    /// The rows of a query whose columns are all texts; null is `-`.
    pub(super) fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>> {
        let rows = self.runtime.block_on(self.client.query(sql, &[])).context("cannot read the rows")?;
        let cells = |row: &tokio_postgres::Row| {
            (0..row.len()).map(|column| row.get::<_, Option<String>>(column).unwrap_or_else(|| "-".to_owned())).collect()
        };
        Ok(rows.iter().map(cells).collect())
    }
}

async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("cannot connect to PostgreSQL")?;
    tokio::spawn(connection);
    Ok(client)
}
