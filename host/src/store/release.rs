//! Workflows, sources, profiles and releases: rows that are made when a host starts.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Transaction, params};

use super::write::int;
use super::{Reader, SourceRow, StoreError, Writer};

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

pub(super) fn write(transaction: &Transaction<'_>, new: &NewRelease) -> rusqlite::Result<()> {
    let release = &new.release;
    transaction.execute("INSERT OR IGNORE INTO components VALUES (?, ?)", params![release.component, new.component])?;
    transaction.execute("INSERT OR IGNORE INTO manifests VALUES (?, ?)", params![release.manifest, new.manifest])?;
    transaction.execute(
        "INSERT INTO releases VALUES (?, ?, ?, ?, ?, ?)",
        params![new.workflow, int(release.generation), release.component, release.manifest, release.contract, release.state_type],
    )?;
    Ok(())
}

impl Writer {
    /// The id of the workflow `name`, made where it is new.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn workflow(&self, name: &str) -> Result<i64, StoreError> {
        self.connection().execute("INSERT OR IGNORE INTO workflows (name) VALUES (?)", [name])?;
        Ok(self.connection().query_row("SELECT id FROM workflows WHERE name = ?", [name], |row| row.get(0))?)
    }

    /// How far the workflow has read the source `name`, from the beginning where it is new.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn source(&self, workflow: i64, name: &str) -> Result<SourceRow, StoreError> {
        self.connection().execute(
            "INSERT OR IGNORE INTO sources (workflow, name, next_offset, next_line, read_line, tail, duplicates) VALUES (?, ?, 0, 0, 0, zeroblob(32), 0)",
            params![workflow, name],
        )?;
        let query = "SELECT id, next_offset, next_line, read_line, tail, duplicates FROM sources WHERE workflow = ? AND name = ?";
        Ok(self.connection().query_row(query, params![workflow, name], |row| {
            Ok(SourceRow {
                id: row.get(0)?,
                next_offset: row.get(1)?,
                next_line: row.get(2)?,
                read_line: row.get(3)?,
                tail: row.get(4)?,
                duplicates: row.get(5)?,
            })
        })?)
    }

    /// The id of a semantic profile and engine build, made where it is new.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn profile(&self, text: &str) -> Result<i64, StoreError> {
        self.connection().execute("INSERT OR IGNORE INTO profiles (text) VALUES (?)", [text])?;
        Ok(self.connection().query_row("SELECT id FROM profiles WHERE text = ?", [text], |row| row.get(0))?)
    }

    /// Fixes which clock this journal runs on.
    ///
    /// # Errors
    /// Where the store fails. Gives the clock in force, which is another one where an earlier run chose it.
    pub fn clock(&self, name: &str) -> Result<String, StoreError> {
        self.connection().execute("INSERT OR IGNORE INTO meta VALUES ('clock', ?)", [name])?;
        Ok(self.connection().query_row("SELECT value FROM meta WHERE name = 'clock'", [], |row| row.get(0))?)
    }
}

impl Reader {
    /// The workflow's releases, oldest first.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn releases(&self, workflow: i64) -> Result<Vec<Release>, StoreError> {
        let query = "SELECT generation, component, manifest, contract, state_type FROM releases WHERE workflow = ? ORDER BY generation";
        let mut statement = self.connection().prepare_cached(query)?;
        let rows = statement.query_map([workflow], |row| {
            Ok(Release {
                generation: row.get(0)?,
                component: row.get(1)?,
                manifest: row.get(2)?,
                contract: row.get(3)?,
                state_type: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The bytes of the component of that digest.
    ///
    /// # Errors
    /// Where the store fails or has no such component.
    pub fn component(&self, digest: &str) -> Result<Vec<u8>, StoreError> {
        self.connection()
            .query_row("SELECT bytes FROM components WHERE digest = ?", [digest], |row| row.get(0))
            .optional()?
            .ok_or_else(|| StoreError::Corrupt(format!("component {digest} is missing")))
    }
}
