//! A PostgreSQL database of a test's own, asked by tests that wait.

use std::time::Duration;

use tempfile::Builder;
use tokio::runtime::Runtime;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls, Row};

/// A fresh database, and how a superuser connects to it.
pub(crate) struct Database {
    /// With user and password.
    pub(crate) url: String,
    runtime: Runtime,
}

impl Database {
    /// One on the server at `address`.
    pub(crate) fn at(address: &str) -> Database {
        let id = Builder::new().prefix("").rand_bytes(10).tempfile().expect("a temporary file can be made");
        let name = format!("store_{}", id.path().file_name().expect("it has a name").to_string_lossy().to_lowercase());
        let (server, _) = address.rsplit_once('/').expect("the address ends with a database");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Database {
            url: address.to_owned(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
        }
        .execute(&format!("CREATE DATABASE {name}"));
        let database = Database { url: format!("{server}/{name}"), runtime };
        // The same queries are asked of SQLite.
        database.execute("CREATE FUNCTION hex(bytea) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT upper(encode($1, 'hex')) $$");
        let path = "$1::jsonb #>> string_to_array(substr($2, 3), '.')";
        database.execute(&format!("CREATE FUNCTION json_extract(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT {path} $$"));
        database
    }

    /// How `role`, with this password, connects.
    pub(crate) fn url_of(&self, role: &str, password: &str) -> String {
        let (_, place) = self.url.rsplit_once('@').expect("the address has a user");
        format!("postgres://{role}:{password}@{place}")
    }

    /// Executes statements.
    pub(crate) fn execute(&self, sql: &str) {
        self.asked(async |client| client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{error:?}: {sql}")));
    }

    /// Rows of a query as text: columns stand apart by ` | `, NULL is empty, bytes are in hex.
    pub(crate) fn rows(&self, sql: &str) -> Vec<String> {
        self.try_rows(sql).unwrap_or_else(|error| panic!("{error}: {sql}"))
    }

    /// The rows, if there are such tables yet.
    pub(crate) fn try_rows(&self, sql: &str) -> Result<Vec<String>, String> {
        let rows = self.asked(async |client| client.query(sql, &[]).await);
        let rows = rows.map_err(|error| format!("{error:?}"))?;
        Ok(rows.iter().map(|row| (0..row.len()).map(|column| text(row, column)).collect::<Vec<_>>().join(" | ")).collect())
    }

    /// A number, if it can be had yet; 0 where it cannot.
    pub(crate) fn number(&self, sql: &str) -> u64 {
        self.try_rows(sql).unwrap_or_default().first().and_then(|row| row.parse().ok()).unwrap_or(0)
    }

    fn asked<T>(&self, question: impl AsyncFnOnce(&Client) -> T) -> T {
        self.runtime.block_on(async {
            let mut config: Config = self.url.parse().expect("a connection string");
            config.connect_timeout(Duration::from_secs(10)).options("-c search_path=purefold,public");
            let (client, connection) = config.connect(NoTls).await.unwrap_or_else(|error| panic!("{error:?}"));
            let driven = tokio::spawn(connection);
            let answer = question(&client).await;
            drop(client);
            let _ = driven.await;
            answer
        })
    }
}

fn text(row: &Row, column: usize) -> String {
    let ty = row.columns()[column].type_();
    match *ty {
        Type::INT8 => row.get::<_, Option<i64>>(column).map(|number| number.to_string()),
        Type::INT4 => row.get::<_, Option<i32>>(column).map(|number| number.to_string()),
        Type::BOOL => row.get::<_, Option<bool>>(column).map(|is| u8::from(is).to_string()),
        Type::BYTEA => row.get::<_, Option<Vec<u8>>>(column).map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        _ => row.get::<_, Option<String>>(column),
    }
    .unwrap_or_default()
}
