//! The PostgreSQL to measure with, and a schema in it that goes with the measurement.

use anyhow::Context;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

/// Names the database: a superuser's or another role's that may make schemas.
pub(super) const VARIABLE: &str = "DATABASE_URL";

/// A connection.
pub(super) struct Database {
    pub(super) runtime: Runtime,
    pub(super) client: Client,
}

impl Database {
    /// Connects to what the variable names.
    pub(super) fn connect() -> anyhow::Result<Self> {
        let url = std::env::var(VARIABLE).with_context(|| format!("set {VARIABLE} to the database to measure with"))?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().context("cannot start a runtime")?;
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
            tokio::spawn(connection);
            anyhow::Ok(client)
        });
        Ok(Database { runtime, client: client.with_context(|| format!("cannot connect to what {VARIABLE} names"))? })
    }

    pub(super) fn execute(&self, sql: &str) -> anyhow::Result<()> {
        Ok(self.runtime.block_on(self.client.batch_execute(sql))?)
    }
}

/// A schema for a store, which goes when this does.
pub(super) struct Schema {
    pub(super) name: String,
    database: Database,
}

impl Schema {
    /// One that nobody has; the store makes it.
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Schema { name: format!("purefold_bench_{}", std::process::id()), database: Database::connect()? })
    }

    /// `[store]` of a manifest.
    pub(super) fn store(&self) -> toml::Table {
        toml::Table::from_iter([
            ("postgres".to_owned(), format!("${{{VARIABLE}}}").into()),
            ("schema".to_owned(), self.name.as_str().into()),
        ])
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        if let Err(error) = self.database.execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", self.name)) {
            eprintln!("warning: the schema {} is left: {error}", self.name);
        }
    }
}
