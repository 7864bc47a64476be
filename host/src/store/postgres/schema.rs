//! The tables: made at the first start, brought forward by later versions, and by nobody else.

use std::fmt::Write as _;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use super::Place;
use super::dialect::quoted;
use super::failure::failed;
use crate::store::StoreError;

/// What brings the tables to version 1, 2, and so on. What a release had is never changed again.
pub(super) const STEPS: Steps = Steps(&[include_str!("0001.sql"), include_str!("0002.sql")]);

/// What brings tables from one version to the next.
#[derive(Clone, Copy)]
pub(super) struct Steps(&'static [&'static str]);

/// Keeps hosts apart that make the tables at the same time.
const MAKING: &str = "SELECT pg_advisory_xact_lock(hashtext('purefold'), hashtext($1))";

/// The version of the tables; none where there are none.
async fn found(client: &Client, place: &Place) -> Result<Option<i64>, StoreError> {
    let failed = |error: Error| failed(&place.told, &error);
    let table = format!("{}.versions", place.quoted_schema());
    let is_there: bool = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await.map_err(failed)?.get(0);
    if !is_there {
        return Ok(None);
    }
    Ok(client.query_one(&format!("SELECT max(version) FROM {table}"), &[]).await.map_err(failed)?.get(0))
}

async fn check_encoding(client: &Client, place: &Place) -> Result<(), StoreError> {
    let found = client.query_one("SELECT current_setting('server_encoding')", &[]).await;
    let encoding: String = found.map_err(|error| failed(&place.told, &error))?.get(0);
    if encoding == "UTF8" {
        return Ok(());
    }
    let reason = format!("the database's encoding is {encoding}, which does not hold every text; make one with ENCODING 'UTF8'");
    Err(StoreError::Unprepared { store: place.told.clone(), reason })
}

impl Steps {
    fn version(self) -> i64 {
        i64::try_from(self.0.len()).unwrap_or(i64::MAX)
    }

    /// Checks that the tables are of the version that is known here.
    pub(super) async fn check(self, client: &Client, place: &Place) -> Result<(), StoreError> {
        check_encoding(client, place).await?;
        let known = self.version();
        match found(client, place).await? {
            None => Err(StoreError::Missing { store: place.told.clone() }),
            Some(found) if found > known => Err(StoreError::OtherVersion { store: place.told.clone(), found, known }),
            Some(found) if found < known => Err(StoreError::Unprepared {
                store: place.told.clone(),
                reason: format!(
                    "its tables are of version {found} and this purefold needs {known}; start a host of this version with a role that may \
                     change them, or have their owner execute what `purefold schema WORKFLOW --store` prints after version {found}"
                ),
            }),
            Some(_) => Ok(()),
        }
    }

    /// Makes the tables where they are missing, and brings them forward where they are old.
    pub(super) async fn bring_forward(self, client: &Client, place: &Place) -> Result<(), StoreError> {
        if let Some(found) = found(client, place).await?
            && found >= self.version()
        {
            return self.check(client, place).await;
        }
        let done = self.apply(client, place).await;
        if done.is_err() {
            // Nothing of it stays, and the connection is good for more.
            let _ = client.batch_execute("ROLLBACK").await;
        }
        done?;
        self.check(client, place).await
    }

    async fn apply(self, client: &Client, place: &Place) -> Result<(), StoreError> {
        let refused = |error: Error| {
            if error.code() != Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
                return failed(&place.told, &error);
            }
            let role = place.server.user().unwrap_or("that connects");
            let reason = format!(
                "its tables are missing or old, and the role {role} may not make them ({}); have somebody who may execute what `purefold schema \
                 WORKFLOW --store` prints",
                purefold_effects::postgres::told(&error)
            );
            StoreError::Unprepared { store: place.told.clone(), reason }
        };
        check_encoding(client, place).await?;
        client.batch_execute("BEGIN").await.map_err(refused)?;
        client.query(MAKING, &[&place.schema]).await.map_err(refused)?;
        let schema = place.quoted_schema();
        let is_there: bool = client.query_one("SELECT to_regnamespace($1) IS NOT NULL", &[&schema]).await.map_err(refused)?.get(0);
        if !is_there {
            client.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {schema}")).await.map_err(refused)?;
        }
        // Another host may have done it meanwhile.
        let found = found(client, place).await?.unwrap_or(0);
        for (version, step) in (1_i64..).zip(self.0).filter(|(version, _)| *version > found) {
            client.batch_execute(step).await.map_err(refused)?;
            client.execute("INSERT INTO versions (version) VALUES ($1)", &[&version]).await.map_err(refused)?;
            tracing::info!(store = %place.told, version, "the store's tables are made");
        }
        client.batch_execute("COMMIT").await.map_err(refused)
    }
}

/// What an administrator executes so that a role that may neither make nor change tables can run hosts.
pub(super) fn script(place: &Place) -> String {
    let (schema, role) = (place.quoted_schema(), quoted(place.server.user().unwrap_or("purefold")));
    let mut text = format!("BEGIN;\nCREATE SCHEMA IF NOT EXISTS {schema};\nSET LOCAL search_path TO {schema};\n");
    for (version, step) in (1..).zip(STEPS.0) {
        let _ = writeln!(text, "\n-- Version {version}; leave it out where the table `versions` names it already.\n{}", step.trim_end());
        let _ = writeln!(text, "INSERT INTO versions (version) VALUES ({version});");
    }
    let _ = writeln!(text, "\n-- The role that hosts and commands connect as.");
    let _ = writeln!(text, "GRANT USAGE ON SCHEMA {schema} TO {role};");
    let _ = writeln!(text, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role};");
    let _ = writeln!(text, "GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role};\nCOMMIT;");
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::postgres::session::{Open, wait_for};
    use crate::store::trial::Trial;
    use crate::store::{Location, Store};

    /// As a later version of this program has it.
    const LATER: Steps =
        Steps(&[include_str!("0001.sql"), include_str!("0002.sql"), "ALTER TABLE entities ADD COLUMN mood text NOT NULL DEFAULT 'good'"]);

    fn brought(steps: Steps, place: &Place) -> Result<(), StoreError> {
        wait_for(async {
            let open = Open::connect(place).await?;
            steps.bring_forward(&open.client, place).await
        })
        .unwrap()
    }

    #[test]
    fn tables_are_brought_forward_once_and_never_back() {
        let trial = Trial::postgres();
        let Location::Postgres(place) = &trial.location else { unreachable!("it is on PostgreSQL") };
        drop(Store::open(&trial.location, None, (1, 2)).unwrap());
        brought(STEPS, place).unwrap();
        brought(LATER, place).unwrap();
        brought(LATER, place).unwrap();
        let versions = |place| {
            wait_for(async {
                let open = Open::connect(place).await?;
                let rows = open.client.query("SELECT version FROM versions ORDER BY version", &[]).await.unwrap();
                Ok::<_, StoreError>(rows.iter().map(|row| row.get(0)).collect::<Vec<i64>>())
            })
            .unwrap()
            .unwrap()
        };
        assert_eq!(versions(place), [1, 2, 3]);
        let refused = Store::open(&trial.location, None, (1, 2)).err().unwrap();
        assert!(matches!(refused, StoreError::OtherVersion { found: 3, known: 2, .. }), "{refused}");
        assert_eq!(versions(place), [1, 2, 3]);
    }

    #[test]
    fn a_step_that_fails_leaves_nothing_behind() {
        const BROKEN: Steps =
            Steps(&[include_str!("0001.sql"), include_str!("0002.sql"), "CREATE TABLE half (id bigint); SELECT nothing FROM nowhere"]);
        let trial = Trial::postgres();
        let Location::Postgres(place) = &trial.location else { unreachable!("it is on PostgreSQL") };
        assert!(brought(BROKEN, place).is_err());
        drop(Store::open(&trial.location, None, (1, 2)).unwrap());
        assert!(brought(BROKEN, place).is_err());
        // It is as it was.
        drop(Store::open(&trial.location, None, (1, 2)).unwrap());
    }
}
