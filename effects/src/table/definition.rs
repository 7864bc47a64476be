//! Tables that do not exist yet: what the insert and upsert routes of a workflow define, in a backend's own types.

use purefold_wit::{Enum, Finding, Type};

use super::{Plan, plan};
use crate::sql::quote;
use crate::{Route, route};

/// How a backend makes tables.
pub(super) struct Dialect {
    /// The column for a field's type.
    pub(super) describe: fn(&Type) -> Described,
    /// A table's name as SQL takes it.
    pub(super) table_name: fn(&str) -> String,
    /// Whether two names are of one table.
    pub(super) is_same_table: fn(&str, &str) -> bool,
    /// What stands behind the columns.
    pub(super) ending: &'static str,
}

impl Dialect {
    /// Plans of the same table, table by table.
    pub(super) fn by_table<'a>(&self, plans: &'a [Plan]) -> Vec<Vec<&'a Plan>> {
        let mut groups: Vec<Vec<&Plan>> = Vec::new();
        for plan in plans {
            match groups.iter_mut().find(|group| (self.is_same_table)(&group[0].table, &plan.table)) {
                Some(group) => group.push(plan),
                None => groups.push(vec![plan]),
            }
        }
        groups
    }

    /// The statements that make the tables of these routes, as they would be made where there are none.
    pub(super) fn schema(&self, routes: &[Route<'_>]) -> Result<Vec<String>, Vec<Finding>> {
        let plans = route::all(routes, plan)?;
        let mut statements = Vec::new();
        for group in self.by_table(&plans) {
            // A table that no route fills is somebody else's to make.
            if let Some(definition) = Definition::derive(&group, self) {
                statements.push(definition?.sql());
            }
        }
        Ok(statements)
    }
}

/// A column for a field's type.
pub(super) struct Described {
    /// The type in SQL.
    pub(super) sql: String,
    /// Whether a value may be absent.
    pub(super) optional: bool,
    /// The names that an enum admits; `None` where any value of the type is.
    pub(super) names: Option<Vec<String>>,
}

/// A table to be created.
pub(super) struct Definition {
    /// Its name as SQL takes it.
    table: String,
    ending: &'static str,
    columns: Vec<DefinedColumn>,
    key: Vec<String>,
}

pub(super) struct DefinedColumn {
    name: String,
    ty: String,
    nullable: bool,
    /// The names that an enum admits; `None` where any value of the type is.
    names: Option<Vec<String>>,
}

impl Definition {
    /// What the defining routes among `plans` say of one table. `None` where none defines it.
    pub(super) fn derive(plans: &[&Plan], dialect: &Dialect) -> Option<Result<Definition, Vec<Finding>>> {
        let defining: Vec<&Plan> = plans.iter().copied().filter(|plan| plan.defines()).collect();
        let first = defining.first()?;
        let mut definition =
            Definition { table: (dialect.table_name)(&first.table), ending: dialect.ending, columns: Vec::new(), key: key_of(first) };
        let mut findings = Vec::new();
        for plan in &defining {
            if !same_names(&key_of(plan), &definition.key) {
                let cause =
                    format!("the key of `{}` is ({}), here it is ({})", first.place, definition.key.join(", "), key_of(plan).join(", "));
                findings.push(Finding::new(
                    "table-definitions-differ",
                    format!("{}.key", plan.place),
                    cause,
                    "give both routes the same key",
                ));
            }
            for planned in &plan.columns {
                definition.merge(&planned.column, (dialect.describe)(&planned.ty));
            }
        }
        for column in &mut definition.columns {
            // A row that a route creates without this column has nothing in it.
            column.nullable |=
                defining.iter().any(|plan| !plan.columns.iter().any(|planned| planned.column.eq_ignore_ascii_case(&column.name)));
        }
        // Updates may bring names that no insert has; what an update cannot store is found when it is held against the definition.
        for planned in plans.iter().filter(|plan| !plan.defines()).flat_map(|plan| &plan.columns) {
            if definition.column(&planned.column).is_some() {
                definition.merge(&planned.column, Described { optional: false, ..(dialect.describe)(&planned.ty) });
            }
        }
        Some(if findings.is_empty() { Ok(definition) } else { Err(findings) })
    }

    /// Adds a column, or widens the one there is. The type stays as it was first defined.
    fn merge(&mut self, name: &str, column: Described) {
        let Described { sql: ty, optional, names } = column;
        match self.columns.iter_mut().find(|column| column.name.eq_ignore_ascii_case(name)) {
            None => self.columns.push(DefinedColumn { name: name.to_owned(), ty, nullable: optional, names }),
            Some(column) => {
                column.nullable |= optional;
                column.names = match (column.names.take(), names) {
                    (Some(mut there), Some(more)) => {
                        there.extend(more.into_iter().filter(|name| !there.contains(name)).collect::<Vec<_>>());
                        Some(there)
                    }
                    _ => None,
                };
            }
        }
    }

    pub(super) fn column(&self, name: &str) -> Option<&DefinedColumn> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    pub(super) fn key(&self) -> &[String] {
        &self.key
    }

    /// The statement that creates it.
    pub(super) fn sql(&self) -> String {
        let mut parts: Vec<String> = self.columns.iter().map(DefinedColumn::sql).collect();
        if !self.key.is_empty() {
            let key: Vec<String> = self.key.iter().map(|column| quote(column)).collect();
            parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
        }
        format!("CREATE TABLE IF NOT EXISTS {} (\n    {}\n){}", self.table, parts.join(",\n    "), self.ending)
    }
}

impl DefinedColumn {
    /// The type in SQL.
    pub(super) fn ty(&self) -> &str {
        &self.ty
    }

    pub(super) fn nullable(&self) -> bool {
        self.nullable
    }

    fn sql(&self) -> String {
        let mut sql = format!("{} {}", quote(&self.name), self.ty);
        if !self.nullable {
            sql.push_str(" NOT NULL");
        }
        if let Some(names) = &self.names {
            let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
            sql.push_str(&format!(" {}{}))", check_prefix(&self.name), names.join(", ")));
        }
        sql
    }
}

/// How the check of an enum's column begins. What follows are the names and two brackets.
fn check_prefix(column: &str) -> String {
    format!("CHECK ({} IN (", quote(column))
}

/// The names that a check of ours admits in a column of an existing table; `None` where it has none.
pub(super) fn admitted(definition: &str, column: &str) -> Option<Vec<String>> {
    let (_, rest) = definition.split_once(&check_prefix(column))?;
    let (names, _) = rest.split_once(')')?;
    Some(names.split(", ").map(|name| name.trim_matches('\'').to_owned()).collect())
}

fn key_of(plan: &Plan) -> Vec<String> {
    plan.key().into_iter().map(|column| column.column.clone()).collect()
}

/// Whether two lists hold the same names, in whatever order and case.
pub(super) fn same_names(left: &[String], right: &[String]) -> bool {
    left.len() == right.len() && left.iter().all(|name| right.iter().any(|other| other.eq_ignore_ascii_case(name)))
}

/// The names of an enum's cases, as they are stored.
pub(super) fn case_names(cases: &Enum) -> Vec<String> {
    cases.cases.iter().map(|case| case.snake().to_owned()).collect()
}
