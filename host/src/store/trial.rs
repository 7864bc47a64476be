//! Stores to try things on, one of each kind.

#![allow(clippy::expect_used, clippy::panic, reason = "what a test cannot go on from should stop it")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use purefold_effects::settings::Settings;
use purefold_services::{Cache, Kind, shared};
use tempfile::TempDir;

use super::connection::Connection;
use super::value::{Columns, Value};
use super::{Location, Place, StoreError, postgres, sqlite};

/// A place for a store, fresh and gone with this.
pub(crate) struct Trial {
    pub(crate) location: Location,
    setting: String,
    folder: TempDir,
}

impl Trial {
    /// In a file.
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Trial { location: folder.path().join("test.db").into(), setting: "sqlite = 'test.db'".into(), folder }
    }

    /// In a schema of the PostgreSQL that tests share.
    pub(crate) fn postgres() -> Self {
        let setting = fresh_schema();
        Trial { location: place(&setting), setting, folder: tempfile::tempdir().expect("a folder") }
    }

    /// Host and port of its server.
    pub(crate) fn server(&self) -> String {
        let (_, place) = self.setting.split_once('@').expect("a user");
        place.split('/').next().expect("a server").to_owned()
    }

    /// The same by another port of this machine.
    pub(crate) fn through(&self, port: u16) -> Location {
        place(&self.setting.replace(&self.server(), &format!("127.0.0.1:{port}")))
    }

    /// As a manifest in its folder says it under `[store]`.
    pub(crate) fn setting(&self) -> &str {
        &self.setting
    }

    /// A folder that goes with it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if let Location::Postgres(place) = &self.location
            && !std::thread::panicking()
        {
            let session = postgres::Session::connect(place).expect("the server is there");
            session.execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", place.quoted_schema()), &[]).expect("the schema can be dropped");
        }
    }
}

/// Does `case` on a fresh store of each kind.
pub(crate) fn on_each(case: impl Fn(&Trial)) {
    for trial in [Trial::sqlite(), Trial::postgres()] {
        case(&trial);
    }
}

fn place(setting: &str) -> Location {
    let table = setting.parse().expect("TOML");
    Location::Postgres(Arc::new(Place::read(&mut Settings::new(&table, "store"), Path::new(".")).expect("a place")))
}

fn fresh_schema() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let cache = Cache::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/services"));
    let url = shared(Kind::Postgres, &cache).unwrap_or_else(|error| panic!("{error:#}"));
    format!("postgres = '{url}'\nschema = 'trial_{}_{}'", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Looks into a store by statements of a test's own, in what SQL the databases share.
pub(crate) struct Prompt(Connection);

impl Prompt {
    /// Of a store that is there.
    pub(crate) fn at(location: &Location) -> Self {
        let opened = match location {
            Location::Sqlite(path) => sqlite::connect(path).map(Connection::Sqlite),
            Location::Postgres(place) => postgres::open_beside(place).map(Connection::Postgres),
        };
        Prompt(opened.expect("the store can be opened"))
    }

    /// All rows.
    pub(crate) fn rows<T>(&self, query: &str, values: &[Value<'_>], map: impl FnMut(&Columns<'_>) -> Result<T, StoreError>) -> Vec<T> {
        self.0.rows(query, values, map).unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    /// The one row.
    pub(crate) fn row<T>(&self, query: &str, map: impl FnOnce(&Columns<'_>) -> Result<T, StoreError>) -> T {
        self.0.row(query, &[], map).unwrap_or_else(|error| panic!("{query}: {error}")).expect("a row")
    }

    /// Changes something behind the back of whoever has the store.
    pub(crate) fn execute(&self, statement: &str, values: &[Value<'_>]) {
        self.0.execute(statement, values).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    /// Makes what is looked at of one moment, until the next one.
    pub(crate) fn stay(&self) {
        self.0.stay().expect("a moment");
    }
}
