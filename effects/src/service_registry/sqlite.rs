//! `service-registry` on SQLite: the table `services`, for people and programs to read.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use purefold_wit::{Codec, Finding, Type, Value, instant};
use rusqlite::types::Value as SqlValue;

use super::{Plan, Registration, present};
use crate::sqlite::{Change, Database, OnNoRow};
use crate::{Call, Effect, EffectError, Operation, Reply, Route, route};

const DEFINITION: &str = "CREATE TABLE IF NOT EXISTS services (
    service_id TEXT NOT NULL PRIMARY KEY,
    service_name TEXT NOT NULL,
    tags TEXT NOT NULL,
    address TEXT,
    port INTEGER,
    meta TEXT NOT NULL,
    passing_until TEXT,
    registered_at TEXT NOT NULL,
    workflow TEXT NOT NULL,
    entity TEXT NOT NULL
) STRICT";

const REGISTER: &str = "INSERT INTO services
    (service_id, service_name, tags, address, port, meta, passing_until, registered_at, workflow, entity)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
    ON CONFLICT (service_id) DO UPDATE SET
    service_name = ?2, tags = ?3, address = ?4, port = ?5, meta = ?6, passing_until = ?7, registered_at = ?8, workflow = ?9, entity = ?10";

const DEREGISTER: &str = "DELETE FROM services WHERE service_id = ?1";

const PASS: &str = "UPDATE services SET passing_until = ?2 WHERE service_id = ?1";

struct SqliteRegistry {
    name: Arc<str>,
    database: Arc<Database>,
    ttl: Option<Duration>,
}

pub(super) fn open(name: &str, path: &Path, ttl: Option<Duration>) -> Arc<dyn Effect> {
    Arc::new(SqliteRegistry { name: name.into(), database: Database::at(path), ttl })
}

impl Effect for SqliteRegistry {
    fn bind(&self, routes: &[Route<'_>]) -> Result<Vec<Arc<dyn Operation>>, Vec<Finding>> {
        let plans = route::all(routes, |route| super::plan(route, self.ttl))?;
        let codecs = Arc::new(Codecs {
            tags: Codec::new(&Type::List(Arc::new(Type::String))),
            meta: Codec::new(&Type::Map(Arc::new(Type::String))),
        });
        let operations = plans.into_iter().map(|plan| {
            let (effect, database) = (Arc::clone(&self.name), Arc::clone(&self.database));
            Arc::new(BoundRegistry { effect, database, plan, ttl: self.ttl, codecs: Arc::clone(&codecs) }) as Arc<dyn Operation>
        });
        Ok(operations.collect())
    }

    fn start(&self) -> BoxFuture<'_, Result<(), EffectError>> {
        let statements = [REGISTER, DEREGISTER, PASS].map(Arc::from).to_vec();
        Box::pin(self.database.start(vec![DEFINITION.to_owned()], statements))
    }

    fn stop(&self) {
        self.database.stop();
    }
}

struct Codecs {
    tags: Codec,
    meta: Codec,
}

struct BoundRegistry {
    effect: Arc<str>,
    database: Arc<Database>,
    plan: Plan,
    ttl: Option<Duration>,
    codecs: Arc<Codecs>,
}

impl Operation for BoundRegistry {
    fn perform(&self, call: Call) -> BoxFuture<'static, Result<Reply, EffectError>> {
        let change = self.change(&call);
        let (database, effect) = (Arc::clone(&self.database), Arc::clone(&self.effect));
        Box::pin(async move { database.change(effect, &call, change.map_err(EffectError::Refused)?).await })
    }

    fn bears_repeats(&self) -> bool {
        true
    }
}

impl BoundRegistry {
    fn change(&self, call: &Call) -> Result<Change, String> {
        let Value::Record(fields) = &*call.payload else { return Err("the intent is not a record".to_owned()) };
        match &self.plan {
            Plan::Register(registration) => self.register(call, fields, registration),
            Plan::Deregister { service_id } => {
                Ok(Change { sql: DEREGISTER.into(), values: vec![text(fields, Some(*service_id))?], on_no_row: OnNoRow::Success })
            }
            Plan::Pass { service_id, ttl } => Ok(Change {
                sql: PASS.into(),
                values: vec![text(fields, Some(*service_id))?, SqlValue::Text(time(call.now, *ttl)?)],
                on_no_row: OnNoRow::Refuse("the service is not registered".into()),
            }),
        }
    }

    fn register(&self, call: &Call, fields: &[Value], registration: &Registration) -> Result<Change, String> {
        let passing_until = self.ttl.map(|ttl| time(call.now, ttl)).transpose()?;
        let port = match registration.port.and_then(|index| present(fields.get(index))) {
            Some(Value::U16(port)) => SqlValue::Integer(i64::from(*port)),
            _ => SqlValue::Null,
        };
        let values = vec![
            text(fields, Some(registration.service_id))?,
            text(fields, Some(registration.service_name))?,
            json(&self.codecs.tags, fields, registration.tags, "[]")?,
            text(fields, registration.address)?,
            port,
            json(&self.codecs.meta, fields, registration.meta, "{}")?,
            passing_until.map_or(SqlValue::Null, SqlValue::Text),
            SqlValue::Text(time(call.now, Duration::ZERO)?),
            SqlValue::Text(call.workflow.to_string()),
            SqlValue::Text(call.entity.to_string()),
        ];
        Ok(Change { sql: REGISTER.into(), values, on_no_row: OnNoRow::Success })
    }
}

fn text(fields: &[Value], index: Option<usize>) -> Result<SqlValue, String> {
    match index.and_then(|index| present(fields.get(index))) {
        None => Ok(SqlValue::Null),
        Some(Value::String(text)) => Ok(SqlValue::Text(text.to_string())),
        Some(_) => Err("a field is not of its type".to_owned()),
    }
}

fn json(codec: &Codec, fields: &[Value], index: Option<usize>, absent: &str) -> Result<SqlValue, String> {
    let Some(value) = index.and_then(|index| present(fields.get(index))) else { return Ok(SqlValue::Text(absent.to_owned())) };
    let mut json = Vec::new();
    codec.encode(value, &mut json).map_err(|error| error.to_string())?;
    String::from_utf8(json).map(SqlValue::Text).map_err(|_| "the JSON is not UTF-8".to_owned())
}

/// The decision's time and `later`, not past the last instant there is.
fn time(now: u64, later: Duration) -> Result<String, String> {
    let later = u64::try_from(later.as_micros()).unwrap_or(u64::MAX);
    instant::format(now.saturating_add(later).min(instant::LAST.max(now)))
        .ok_or_else(|| "the decision's time is past the year 9999".to_owned())
}
