//! `key-value` on SQLite: the table `entries`.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use purefold_wit::{Finding, instant};
use rusqlite::types::Value as SqlValue;

use super::{Entry, Plan};
use crate::sqlite::{Change, Database, OnNoRow};
use crate::{Call, Effect, EffectError, Operation, Reply, Route, route};

const DEFINITION: &str = "CREATE TABLE IF NOT EXISTS entries (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT";

const PUT: &str = "INSERT INTO entries (key, value, updated_at) VALUES (?1, ?2, ?3)
    ON CONFLICT (key) DO UPDATE SET value = ?2, updated_at = ?3";

const DELETE: &str = "DELETE FROM entries WHERE key = ?1";

const SWAP: &str = "UPDATE entries SET value = ?2, updated_at = ?3 WHERE key = ?1 AND value = ?4";

const CREATE: &str = "INSERT INTO entries (key, value, updated_at) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO NOTHING";

struct SqliteKeyValue {
    name: Arc<str>,
    database: Arc<Database>,
}

pub(super) fn open(name: &str, path: &Path) -> Arc<dyn Effect> {
    Arc::new(SqliteKeyValue { name: name.into(), database: Database::at(path) })
}

impl Effect for SqliteKeyValue {
    fn bind(&self, routes: &[Route<'_>]) -> Result<Vec<Arc<dyn Operation>>, Vec<Finding>> {
        let plans = route::all(routes, super::plan)?;
        let operations = plans.into_iter().map(|plan| {
            let (effect, database) = (Arc::clone(&self.name), Arc::clone(&self.database));
            Arc::new(BoundKeyValue { effect, database, plan }) as Arc<dyn Operation>
        });
        Ok(operations.collect())
    }

    fn start(&self) -> BoxFuture<'_, Result<(), EffectError>> {
        let statements = [PUT, DELETE, SWAP, CREATE].map(Arc::from).to_vec();
        Box::pin(self.database.start(vec![DEFINITION.to_owned()], statements))
    }

    fn stop(&self) {
        self.database.stop();
    }
}

struct BoundKeyValue {
    effect: Arc<str>,
    database: Arc<Database>,
    plan: Plan,
}

impl Operation for BoundKeyValue {
    fn perform(&self, call: Call) -> BoxFuture<'static, Result<Reply, EffectError>> {
        let change = change(&self.plan, &call);
        let (database, effect) = (Arc::clone(&self.database), Arc::clone(&self.effect));
        Box::pin(async move { database.change(effect, &call, change.map_err(EffectError::Refused)?).await })
    }

    fn bears_repeats(&self) -> bool {
        true
    }
}

fn change(plan: &Plan, call: &Call) -> Result<Change, String> {
    let now = || instant::format(call.now).map(SqlValue::Text).ok_or("the decision's time is past the year 9999");
    let text = SqlValue::Text;
    Ok(match plan.entry(&call.payload)? {
        Entry::Put { key, value } => Change { sql: PUT.into(), values: vec![text(key), text(value), now()?], on_no_row: OnNoRow::Success },
        Entry::Delete { key } => Change { sql: DELETE.into(), values: vec![text(key)], on_no_row: OnNoRow::Success },
        Entry::Cas { key, value, expect: Some(expect) } => Change {
            sql: SWAP.into(),
            values: vec![text(key), text(value), now()?, text(expect)],
            on_no_row: OnNoRow::Refuse("the key does not hold the expected value".into()),
        },
        Entry::Cas { key, value, expect: None } => Change {
            sql: CREATE.into(),
            values: vec![text(key), text(value), now()?],
            on_no_row: OnNoRow::Refuse("the key is there already".into()),
        },
    })
}
