//! Holding routes against the tables that there are.

use purefold_wit::{Finding, Type};

use super::DIALECT;
use super::catalog::{Catalog, Column, Table};
use super::column::{self, Encoder};
use super::statement::table_name;
use crate::postgres::{MARKS_DEFINITION, MARKS_TABLE};
use crate::sql::quote;
use crate::table::check::{key_not_unique, place, unfilled, without_column};
use crate::table::definition::{Definition, case_names, same_names};
use crate::table::{Plan, PlannedColumn, Verb};

/// What is wrong with the table of the marks.
pub(super) fn marks(catalog: &Catalog, place: &str) -> Vec<Finding> {
    match catalog.marks() {
        None => {
            let cause = format!("there is no table `{MARKS_TABLE}`, in which lanes remember how far they have come");
            vec![missing(place.to_owned(), cause, MARKS_DEFINITION)]
        }
        Some(table) => rights(place, MARKS_TABLE, table, &["SELECT", "INSERT", "UPDATE"]),
    }
}

/// What is wrong with the routes of one table.
pub(super) fn group(plans: &[&Plan], catalog: &Catalog) -> Vec<Finding> {
    let name = &plans[0].table;
    match catalog.table(name) {
        Some(table) => plans.iter().flat_map(|plan| route(plan, table)).collect(),
        None => {
            let place = format!("{}.table", plans[0].place);
            let cause = format!("the database has no table `{name}` where the role looks for it");
            match Definition::derive(plans, &DIALECT) {
                None => {
                    vec![Finding::new("table-unknown", place, cause, "mend the name, create the table, or add the route that fills it")]
                }
                Some(Err(findings)) => findings,
                Some(Ok(definition)) => vec![missing(place, cause, &definition.sql())],
            }
        }
    }
}

fn missing(place: String, cause: String, sql: &str) -> Finding {
    let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    Finding::new("table-missing", place, cause, format!("create it, `purefold schema` prints all that is needed: {sql}"))
}

fn route(plan: &Plan, table: &Table) -> Vec<Finding> {
    if !table.is_table {
        let cause = format!("`{}` is not a table", plan.table);
        return vec![Finding::new("table-unknown", format!("{}.table", plan.place), cause, "name a table; views are not written to")];
    }
    let mut findings: Vec<Finding> = plan.columns.iter().flat_map(|planned| planned_column(plan, planned, table)).collect();
    let needed = table.columns.iter().filter(|column| column.not_null && !column.has_default && !column.generated);
    findings.extend(unfilled(plan, &plan.table, needed.map(|column| column.name.as_str())));
    if plan.verb == Verb::Upsert {
        let key: Vec<String> = plan.key().into_iter().map(|column| column.column.clone()).collect();
        if !table.unique.iter().any(|unique| same_names(unique, &key)) {
            findings.push(key_not_unique(plan, &table_name(&plan.table)));
        }
    }
    let needed: &[&str] = match plan.verb {
        Verb::Insert => &["INSERT"],
        Verb::Upsert => &["SELECT", "INSERT", "UPDATE"],
        Verb::Update => &["SELECT", "UPDATE"],
        Verb::Delete => &["SELECT", "DELETE"],
    };
    findings.extend(rights(&format!("{}.table", plan.place), &plan.table, table, needed));
    findings
}

/// What the role may not do with the table, and must.
fn rights(place: &str, name: &str, table: &Table, needed: &[&str]) -> Vec<Finding> {
    let rights = &table.rights;
    let has = |right: &str| match right {
        "SELECT" => rights.select,
        "INSERT" => rights.insert,
        "UPDATE" => rights.update,
        _ => rights.delete,
    };
    let lacking: Vec<&str> = needed.iter().copied().filter(|right| !has(right)).collect();
    if lacking.is_empty() {
        return Vec::new();
    }
    let lacking = lacking.join(", ");
    let cause = format!("the role `{}` lacks the right to {lacking} on `{name}`", rights.role);
    vec![Finding::new(
        "right-missing",
        place,
        cause,
        format!("grant it: GRANT {lacking} ON {} TO {}", table_name(name), quote(&rights.role)),
    )]
}

fn planned_column(plan: &Plan, planned: &PlannedColumn, table: &Table) -> Vec<Finding> {
    let place = place(plan, planned);
    let name = table_name(&plan.table);
    let described = column::describe(&planned.ty);
    let Some(column) = table.column(&planned.column) else {
        let known = table.columns.iter().map(|column| column.name.as_str());
        let near =
            purefold_wit::finding::nearest(&planned.column, known).map(|near| format!("did you mean `{near}`? Else ")).unwrap_or_default();
        let add = format!("ALTER TABLE {name} ADD COLUMN {} {}", quote(&planned.column), described.sql);
        return vec![without_column(planned, &plan.table, place, format!("{near}name its column under `columns`, or add it: {add}"))];
    };
    let quoted = quote(&column.name);
    let misfit = |cause: String, help: String| Finding::new("column-type", place.clone(), cause, help);
    if column.generated {
        let cause = format!("the column `{}` takes no value: the database makes it", column.name);
        return vec![misfit(cause, "send the field to another column under `columns`".to_owned())];
    }
    let mut findings = Vec::new();
    if let Err(made) = Encoder::new(&planned.ty, column) {
        let cause =
            format!("`{}` is {}, which the column `{}` of type {} does not keep", planned.field, planned.ty, column.name, column.declared);
        let change = labels(&planned.ty, column)
            .unwrap_or_else(|| format!("ALTER TABLE {name} ALTER COLUMN {quoted} TYPE {made} USING {quoted}::text::{made}"));
        findings.push(misfit(cause, format!("send the field to another column under `columns`, or change this one: {change}")));
    }
    if described.optional && column.not_null {
        let cause = format!("`{}` may be absent, and the column `{}` is NOT NULL", planned.field, column.name);
        findings.push(misfit(cause, format!("let the field be no option, or: ALTER TABLE {name} ALTER COLUMN {quoted} DROP NOT NULL")));
    }
    if let (Some(names), Some((check, admitted))) = (&described.names, &column.admitted) {
        let missing: Vec<&str> = names.iter().filter(|name| !admitted.contains(name)).map(String::as_str).collect();
        if !missing.is_empty() {
            let cause = format!("the check of the column `{}` does not admit {}", column.name, missing.join(", "));
            let all: Vec<String> = admitted.iter().map(String::as_str).chain(missing).map(literal).collect();
            let check = quote(check);
            let all = all.join(", ");
            let sql = format!("ALTER TABLE {name} DROP CONSTRAINT {check}, ADD CONSTRAINT {check} CHECK ({quoted} IN ({all}))");
            findings.push(misfit(cause, format!("widen it: {sql}")));
        }
    }
    findings
}

/// What adds the cases that an enum type lacks.
fn labels(ty: &Type, column: &Column) -> Option<String> {
    let ty = if let Type::Option(inner) | Type::List(inner) = ty { inner } else { ty };
    let Type::Enum(cases) = ty else { return None };
    if column.labels.is_empty() {
        return None;
    }
    let name = column.cast.trim_end_matches("[]");
    let missing = case_names(cases).into_iter().filter(|case| !column.labels.contains(case));
    Some(missing.map(|case| format!("ALTER TYPE {name} ADD VALUE {}", literal(&case))).collect::<Vec<_>>().join("; "))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
