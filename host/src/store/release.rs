//! Workflows, sources, profiles and releases: rows that are made when a host starts.

use std::sync::Arc;

use super::change::{Change, int};
use super::connection::{Connection, Transaction};
use super::status::{SOURCE, source_row};
use super::value::{Columns, Value, values};
use super::{Batch, Location, Reader, SourceRow, StoreError, Writer, postgres, sqlite};
use crate::journal::EntryHash;

/// A component digest together with a manifest digest; one is in force at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Counts the workflow's releases from 1.
    pub generation: u64,
    /// SHA-256 of the component, in hex.
    pub component: String,
    /// SHA-256 of the manifest with its `${…}` unexpanded, in hex.
    pub manifest: String,
    /// Fingerprint of the contract.
    pub contract: String,
    /// Fingerprint of the state's type.
    pub state_type: String,
}

impl Release {
    /// What the journal says when it comes into force.
    #[must_use]
    pub fn about(&self) -> serde_json::Value {
        serde_json::json!({ "component": self.component, "generation": self.generation, "manifest": self.manifest })
    }
}

/// A release that a commit brings into force.
#[derive(Clone, Debug)]
pub struct NewRelease {
    /// The workflow's id.
    pub workflow: i64,
    /// The release.
    pub release: Release,
    /// The component's bytes.
    pub component: Arc<[u8]>,
    /// The manifest's text, unexpanded.
    pub manifest: Arc<str>,
}

/// A release that a host goes on under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenUp {
    /// The workflow's id.
    pub workflow: i64,
    /// The release's generation.
    pub generation: u64,
    /// Whether the host's engine begins with it: nothing is committed then where a younger one is in force.
    pub begins: bool,
}

/// Fails where another release is the youngest.
static YOUNGEST: Change = Change::update("workflows", &[int("release")], &[int("id"), int("release")]);
static TAKEN_UP: Change = Change::replace("in_force", &[int("generation")], &[int("workflow"), int("epoch")]);

/// What engines went on under that have ended.
const FORGOTTEN: &str = "DELETE FROM in_force WHERE workflow = ? AND epoch <> ? \
                         AND NOT EXISTS (SELECT 1 FROM hosts WHERE hosts.epoch = in_force.epoch)";
const COMPONENT: &str = "INSERT INTO components (digest, bytes) VALUES (?, ?) ON CONFLICT DO NOTHING";
const MANIFEST: &str = "INSERT INTO manifests (digest, text) VALUES (?, ?) ON CONFLICT DO NOTHING";

pub(super) fn write<'v>(transaction: &mut Transaction<'_, 'v>, batch: &'v Batch, epoch: u64) -> Result<(), StoreError> {
    if batch.releases.is_empty() && batch.in_force.is_empty() {
        return Ok(());
    }
    for new in &batch.releases {
        let Release { generation, component, manifest, contract, state_type } = &new.release;
        transaction.execute(COMPONENT, values![component, &*new.component])?;
        transaction.execute(MANIFEST, values![manifest, &new.manifest])?;
        let releases = "INSERT INTO releases (workflow, generation, component, manifest, contract, state_type) VALUES (?, ?, ?, ?, ?, ?)";
        transaction.execute(releases, values![new.workflow, *generation, component, manifest, contract, state_type])?;
    }
    // Whoever else brings one into force, or begins under one, at this moment waits for this row.
    let follows = batch.releases.iter().map(|new| values![new.release.generation, new.workflow, new.release.generation - 1]);
    let begins =
        batch.in_force.iter().filter(|taken| taken.begins).map(|taken| values![taken.generation, taken.workflow, taken.generation]);
    if transaction.change_all(&YOUNGEST, follows.chain(begins))?.is_some() {
        return Err(StoreError::Overtaken { what: "a younger release came into force meanwhile".into() });
    }
    for taken in batch.in_force.iter().filter(|taken| taken.begins) {
        transaction.execute(FORGOTTEN, values![taken.workflow, epoch])?;
    }
    transaction.change(&TAKEN_UP, batch.in_force.iter().map(|taken| values![taken.generation, taken.workflow, epoch]))
}

impl Writer {
    /// Puts a component and a manifest beside those of the store at `location`, by their digests. Needs no lock: what is
    /// there under a digest is never changed.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn keep_beside(location: &Location, component: (&str, &[u8]), manifest: (&str, &str)) -> Result<(), StoreError> {
        let mut connection = match location {
            Location::Sqlite(path) => Connection::Sqlite(sqlite::connect(path)?),
            Location::Postgres(place) => Connection::Postgres(postgres::open_beside(place)?),
        };
        connection.transact(|transaction| {
            transaction.execute(COMPONENT, values![component.0, component.1])?;
            transaction.execute(MANIFEST, values![manifest.0, manifest.1])
        })
    }

    /// The id of the workflow `name`, made where it is new.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn workflow(&self, name: &str) -> Result<i64, StoreError> {
        let make = "INSERT INTO workflows (name) VALUES (?) ON CONFLICT DO NOTHING";
        self.made("SELECT id FROM workflows WHERE name = ?", &values![name], |row| row.get(0), make, &values![name])
    }

    /// How far the workflow has read the source `name`, from the beginning where it is new.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn source(&self, workflow: i64, name: &str) -> Result<SourceRow, StoreError> {
        let find = format!("SELECT {SOURCE} FROM sources WHERE workflow = ?1 AND name = ?2");
        let make = "INSERT INTO sources (workflow, name, next_offset, next_line, read_line, tail, duplicates) \
                    VALUES (?1, ?2, 0, 0, 0, ?3, 0) ON CONFLICT DO NOTHING";
        let named = values![workflow, name];
        let nothing: EntryHash = [0; 32];
        self.made(&find, &named, source_row, make, &values![workflow, name, &nothing])
    }

    /// The id of a semantic profile and engine build, made where it is new.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn profile(&self, text: &str) -> Result<i64, StoreError> {
        let make = "INSERT INTO profiles (text) VALUES (?) ON CONFLICT DO NOTHING";
        self.made("SELECT id FROM profiles WHERE text = ?", &values![text], |row| row.get(0), make, &values![text])
    }

    /// Fixes which clock this journal runs on.
    ///
    /// # Errors
    /// Where the store fails. Gives the clock in force, which is another one where an earlier run chose it.
    pub fn clock(&self, name: &str) -> Result<String, StoreError> {
        let make = "INSERT INTO meta (name, value) VALUES ('clock', ?) ON CONFLICT DO NOTHING";
        self.made("SELECT value FROM meta WHERE name = 'clock'", &[], |row| row.get(0), make, &values![name])
    }

    /// The row that `find` finds, made by `make` where it is not there.
    fn made<T>(
        &self,
        find: &str,
        by: &[Value<'_>],
        read: impl Fn(&Columns<'_>) -> Result<T, StoreError>,
        make: &str,
        of: &[Value<'_>],
    ) -> Result<T, StoreError> {
        if let Some(found) = self.connection().row(find, by, &read)? {
            return Ok(found);
        }
        self.connection().execute(make, of)?;
        self.connection().row(find, by, &read)?.ok_or_else(|| StoreError::Corrupt("a row is gone that was just written".into()))
    }
}

impl Reader {
    /// The workflow's releases, oldest first.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn releases(&self, workflow: i64) -> Result<Vec<Release>, StoreError> {
        let query = "SELECT generation, component, manifest, contract, state_type FROM releases WHERE workflow = ? ORDER BY generation";
        self.rows(query, &values![workflow], |row| {
            Ok(Release {
                generation: row.get(0)?,
                component: row.get(1)?,
                manifest: row.get(2)?,
                contract: row.get(3)?,
                state_type: row.get(4)?,
            })
        })
    }

    /// The generation of the workflow's youngest release; 0 where it has none.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn youngest_release(&self, workflow: i64) -> Result<u64, StoreError> {
        Ok(self.row("SELECT release FROM workflows WHERE id = ?", &values![workflow], |row| row.get(0))?.unwrap_or(0))
    }

    /// Generations of the releases that have intents without a conclusion.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn releases_outstanding(&self, workflow: i64) -> Result<Vec<u64>, StoreError> {
        let query = "SELECT DISTINCT release FROM outbox JOIN journal ON journal.row = outbox.row \
                     JOIN entities ON entities.id = outbox.entity WHERE workflow = ? ORDER BY release";
        self.rows(query, &values![workflow], |row| row.get(0))
    }

    /// The release that each engine goes on under, by its epoch.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn in_force(&self, workflow: i64) -> Result<Vec<(u64, u64)>, StoreError> {
        let query = "SELECT epoch, generation FROM in_force WHERE workflow = ? ORDER BY epoch";
        self.rows(query, &values![workflow], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// The bytes of the component of that digest.
    ///
    /// # Errors
    /// Where the store fails or has no such component.
    pub fn component(&self, digest: &str) -> Result<Vec<u8>, StoreError> {
        self.row("SELECT bytes FROM components WHERE digest = ?", &values![digest], |row| row.get(0))?
            .ok_or_else(|| StoreError::Corrupt(format!("component {digest} is missing")))
    }
}
