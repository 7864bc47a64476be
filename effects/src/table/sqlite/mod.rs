//! `table` on SQLite.
//!
//! The definition and the file's catalogue say what columns there are, [`check`] holds routes against them,
//! [`statement`] writes the SQL once at bind, [`column`] turns values into SQL's.

mod check;
mod column;
mod statement;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use purefold_wit::{Finding, Value};

use self::check::Shape;
use self::column::ColumnType;
use super::Plan;
use super::bound::{self, BoundColumn};
use super::definition::{Definition, Dialect};
use crate::sql::quote;
use crate::sqlite::{Catalog, Change, Database, ExistingTable, OnNoRow};
use crate::{Call, Effect, EffectError, Operation, Reply, Route};

const DIALECT: Dialect =
    Dialect { describe: ColumnType::describe, table_name: quote, is_same_table: str::eq_ignore_ascii_case, ending: " STRICT" };

struct SqliteTable {
    name: Arc<str>,
    path: PathBuf,
    database: Arc<Database>,
    prepared: Mutex<Prepared>,
}

/// What the binds ask [`Effect::start`] to create and to compile.
#[derive(Default)]
struct Prepared {
    definitions: Vec<String>,
    statements: Vec<Arc<str>>,
}

pub(super) fn open(name: &str, path: &Path) -> Arc<dyn Effect> {
    Arc::new(SqliteTable { name: name.into(), path: path.to_owned(), database: Database::at(path), prepared: Mutex::default() })
}

impl Effect for SqliteTable {
    fn bind(&self, routes: &[Route<'_>]) -> Result<Vec<Arc<dyn Operation>>, Vec<Finding>> {
        let mut findings = Vec::new();
        let mut plans = Vec::new();
        let mut broken = Vec::new();
        for route in routes {
            match super::plan(route) {
                Ok(plan) => plans.push(plan),
                Err(found) => {
                    findings.extend(found);
                    broken.push(route.settings.get("table").and_then(toml::Value::as_str));
                }
            }
        }
        let (found, definitions) = self.check(&plans, &broken);
        findings.extend(found);
        if !findings.is_empty() {
            return Err(findings);
        }
        let bound: Vec<BoundTable> = plans.iter().map(|plan| self.operation(plan)).collect();
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.definitions.extend(definitions);
        prepared.statements.extend(bound.iter().map(|operation| Arc::clone(&operation.sql)));
        Ok(bound.into_iter().map(|operation| Arc::new(operation) as Arc<dyn Operation>).collect())
    }

    fn schema(&self, routes: &[Route<'_>]) -> Result<Vec<String>, Vec<Finding>> {
        DIALECT.schema(routes)
    }

    fn start(&self) -> BoxFuture<'_, Result<(), EffectError>> {
        let Prepared { definitions, statements } = std::mem::take(&mut *self.prepared.lock().unwrap_or_else(PoisonError::into_inner));
        Box::pin(self.database.start(definitions, statements))
    }

    fn stop(&self) {
        self.database.stop();
    }
}

/// Checks the routes of one table; what is to be created goes to `definitions`.
fn check_group(plans: &[&Plan], existing: Option<&ExistingTable>, definitions: &mut Vec<String>) -> Vec<Finding> {
    if let Some(table) = existing {
        return plans.iter().flat_map(|plan| check::against(plan, &Shape::Existing(table))).collect();
    }
    match Definition::derive(plans, &DIALECT) {
        None => plans.iter().map(|plan| check::unknown_table(plan)).collect(),
        Some(Err(findings)) => findings,
        Some(Ok(definition)) => {
            definitions.push(definition.sql());
            plans.iter().flat_map(|plan| check::against(plan, &Shape::Defined(&definition))).collect()
        }
    }
}

impl SqliteTable {
    /// Holds the plans against their tables: what is found, and what is to be created. `broken` are the tables of routes
    /// that could not be read; what such a route would have defined is not known.
    fn check(&self, plans: &[Plan], broken: &[Option<&str>]) -> (Vec<Finding>, Vec<String>) {
        let (mut findings, mut definitions) = (Vec::new(), Vec::new());
        let catalog = match Catalog::read(&self.path) {
            Ok(catalog) => catalog,
            Err(error) => return (vec![self.unreadable(&error)], definitions),
        };
        for group in DIALECT.by_table(plans) {
            let name = &group[0].table;
            let existing = match catalog.table(name) {
                Ok(existing) => existing,
                Err(error) => return (vec![self.unreadable(&error)], definitions),
            };
            if existing.is_some() || !broken.iter().any(|table| table.is_none_or(|table| table.eq_ignore_ascii_case(name))) {
                findings.extend(check_group(&group, existing.as_ref(), &mut definitions));
            }
        }
        (findings, definitions)
    }

    fn unreadable(&self, error: &rusqlite::Error) -> Finding {
        Finding::new(
            "database-unreadable",
            format!("effects.{}.sqlite", self.name),
            format!("cannot read {}: {error}", self.path.display()),
            "name a SQLite database that this user may read, or a file that does not exist yet",
        )
    }

    fn operation(&self, plan: &Plan) -> BoundTable {
        let columns = plan.columns.iter().map(|planned| BoundColumn {
            index: planned.index,
            field: planned.field.clone(),
            encoder: ColumnType::of(&planned.ty),
        });
        BoundTable {
            effect: Arc::clone(&self.name),
            database: Arc::clone(&self.database),
            sql: statement::write(plan).into(),
            columns: columns.collect(),
        }
    }
}

/// A route, ready to perform.
struct BoundTable {
    effect: Arc<str>,
    database: Arc<Database>,
    sql: Arc<str>,
    columns: Vec<BoundColumn<ColumnType>>,
}

impl BoundTable {
    fn change(&self, payload: &Value) -> Result<Change, EffectError> {
        let values = bound::values(&self.columns, payload, ColumnType::encode)?;
        Ok(Change { sql: Arc::clone(&self.sql), values, on_no_row: OnNoRow::Success })
    }
}

impl Operation for BoundTable {
    fn perform(&self, call: Call) -> BoxFuture<'static, Result<Reply, EffectError>> {
        let change = self.change(&call.payload);
        let (database, effect) = (Arc::clone(&self.database), Arc::clone(&self.effect));
        Box::pin(async move { database.change(effect, &call, change?).await })
    }

    fn bears_repeats(&self) -> bool {
        true
    }
}
