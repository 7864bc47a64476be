//! `table` on PostgreSQL.
//!
//! [`catalog`] says what tables there are when a workflow is loaded, [`check`] holds routes against them, [`column`] knows
//! how a value gets into a column, [`statement`] writes the SQL once at bind. Nothing is created here: the statements for
//! that are printed, for somebody who may.

mod catalog;
mod check;
mod column;
mod statement;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use purefold_wit::{Finding, Value};

use self::catalog::Catalog;
use self::column::Encoder;
use super::Plan;
use super::bound::{self, BoundColumn};
use super::definition::Dialect;
use crate::postgres::{Change, MARKS_DEFINITION, Server, Writer};
use crate::{Call, Effect, EffectError, Operation, Reply, Route, route};

const DIALECT: Dialect = Dialect {
    describe: column::describe,
    table_name: statement::table_name,
    // Names are quoted, so that capitals count.
    is_same_table: |one, other| one == other,
    ending: "",
};

struct PostgresTable {
    name: Arc<str>,
    server: Server,
    writer: Arc<Writer>,
}

pub(super) fn open(name: &str, server: Server) -> Arc<dyn Effect> {
    let writer = Arc::new(Writer::new(name.into(), server.clone()));
    Arc::new(PostgresTable { name: name.into(), server, writer })
}

impl Effect for PostgresTable {
    fn bind(&self, routes: &[Route<'_>]) -> Result<Vec<Arc<dyn Operation>>, Vec<Finding>> {
        let plans = route::all(routes, super::plan)?;
        let tables: Vec<String> = DIALECT.by_table(&plans).iter().map(|group| group[0].table.clone()).collect();
        let catalog =
            self.server.visit(async |client| Catalog::read(client, &tables).await).map_err(|reason| vec![self.unreachable(&reason)])?;
        let mut findings = check::marks(&catalog, &format!("effects.{}.postgres", self.name));
        let mut bound = Vec::with_capacity(plans.len());
        for group in DIALECT.by_table(&plans) {
            findings.extend(check::group(&group, &catalog));
        }
        for plan in &plans {
            bound.extend(catalog.table(&plan.table).and_then(|table| self.operation(plan, table)));
        }
        if findings.is_empty() { Ok(bound) } else { Err(findings) }
    }

    fn schema(&self, routes: &[Route<'_>]) -> Result<Vec<String>, Vec<Finding>> {
        let mut statements = DIALECT.schema(routes)?;
        statements.push(MARKS_DEFINITION.to_owned());
        Ok(statements)
    }

    fn start(&self) -> BoxFuture<'_, Result<(), EffectError>> {
        Box::pin(async { self.writer.start() })
    }

    fn stop(&self) {
        self.writer.stop();
    }
}

impl PostgresTable {
    fn unreachable(&self, reason: &str) -> Finding {
        Finding::new(
            "database-unreachable",
            format!("effects.{}.postgres", self.name),
            format!("the tables cannot be looked at: {reason}"),
            "start the server, or mend host, port, user, password, database or TLS in the connection string",
        )
    }

    /// `None` where a column does not fit, which has been found.
    fn operation(&self, plan: &Plan, table: &catalog::Table) -> Option<Arc<dyn Operation>> {
        let mut columns = Vec::with_capacity(plan.columns.len());
        let mut types = Vec::with_capacity(plan.columns.len());
        for planned in &plan.columns {
            let column = table.column(&planned.column)?;
            let encoder = Encoder::new(&planned.ty, column).ok()?;
            types.push(column.cast.clone());
            columns.push(BoundColumn { index: planned.index, field: planned.field.clone(), encoder });
        }
        let [one, many] = statement::write(plan, &types).map(Arc::from);
        Some(Arc::new(BoundTable { writer: Arc::clone(&self.writer), one, many, columns }))
    }
}

/// A route, ready to perform.
struct BoundTable {
    writer: Arc<Writer>,
    one: Arc<str>,
    many: Arc<str>,
    columns: Vec<BoundColumn<Encoder>>,
}

impl BoundTable {
    fn change(&self, payload: &Value) -> Result<Change, EffectError> {
        let values = bound::values(&self.columns, payload, Encoder::encode)?;
        Ok(Change { one: Arc::clone(&self.one), many: Arc::clone(&self.many), values })
    }
}

impl Operation for BoundTable {
    fn perform(&self, call: Call) -> BoxFuture<'static, Result<Reply, EffectError>> {
        let change = self.change(&call.payload);
        let writer = Arc::clone(&self.writer);
        Box::pin(async move { writer.change(&call, change?).await })
    }

    fn bears_repeats(&self) -> bool {
        true
    }
}
