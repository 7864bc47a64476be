//! Workflows, sources, profiles and releases: rows that are made when a host starts.

use std::sync::Arc;

use super::connection::Transaction;
use super::status::{SOURCE, source_row};
use super::value::{Columns, Value, values};
use super::{Reader, SourceRow, StoreError, Writer};
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

/// Under a release that is not in force nothing is committed: with it, every other host's epoch ends.
const OTHERS_END: &str = "UPDATE hosts SET epoch = NULL WHERE epoch <> ?";

pub(super) fn write<'v>(transaction: &mut Transaction<'_, 'v>, new: &'v NewRelease, epoch: u64) -> Result<(), StoreError> {
    if epoch > 0 {
        transaction.execute(OTHERS_END, values![epoch])?;
    }
    let Release { generation, component, manifest, contract, state_type } = &new.release;
    let components = "INSERT INTO components (digest, bytes) VALUES (?, ?) ON CONFLICT DO NOTHING";
    transaction.execute(components, values![component, &*new.component])?;
    let manifests = "INSERT INTO manifests (digest, text) VALUES (?, ?) ON CONFLICT DO NOTHING";
    transaction.execute(manifests, values![manifest, &new.manifest])?;
    let releases = "INSERT INTO releases (workflow, generation, component, manifest, contract, state_type) VALUES (?, ?, ?, ?, ?, ?)";
    transaction.execute(releases, values![new.workflow, *generation, component, manifest, contract, state_type])
}

impl Writer {
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

    /// The bytes of the component of that digest.
    ///
    /// # Errors
    /// Where the store fails or has no such component.
    pub fn component(&self, digest: &str) -> Result<Vec<u8>, StoreError> {
        self.row("SELECT bytes FROM components WHERE digest = ?", &values![digest], |row| row.get(0))?
            .ok_or_else(|| StoreError::Corrupt(format!("component {digest} is missing")))
    }
}
