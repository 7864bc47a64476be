//! Holding a route against the columns of its table, whether the table exists or is about to be created.

use purefold_wit::{Finding, Name, finding};

use super::column::{ColumnType, Form};
use crate::sql::quote;
use crate::sqlite::{ExistingTable, TableKind};
use crate::table::check::{key_not_unique, place, unfilled, without_column};
use crate::table::definition::{Definition, admitted, same_names};
use crate::table::{Plan, PlannedColumn, Verb};

/// The table that a route meets.
pub(super) enum Shape<'a> {
    Existing(&'a ExistingTable),
    Defined(&'a Definition),
}

/// Everything about the route that does not fit the table.
pub(super) fn against(plan: &Plan, shape: &Shape<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = match shape {
        Shape::Existing(table) if table.kind != TableKind::Table => {
            let cause = format!("`{}` is not a table", table.name);
            return vec![Finding::new(
                "table-unknown",
                format!("{}.table", plan.place),
                cause,
                "name a table; views and virtual tables are not written to",
            )];
        }
        Shape::Existing(table) => plan.columns.iter().flat_map(|planned| existing_column(plan, planned, table)).collect(),
        Shape::Defined(definition) => plan.columns.iter().filter_map(|planned| defined_column(plan, planned, definition)).collect(),
    };
    if let Shape::Existing(table) = shape {
        findings.extend(columns_without_field(plan, table));
    }
    findings.extend(key(plan, shape));
    findings
}

/// The route changes rows of a table that does not exist and that no route fills.
pub(super) fn unknown_table(plan: &Plan) -> Finding {
    Finding::new(
        "table-unknown",
        format!("{}.table", plan.place),
        format!("the table `{}` does not exist, and no insert or upsert route of this effect defines it", plan.table),
        "mend the name, create the table, or add the route that fills it",
    )
}

fn existing_column(plan: &Plan, planned: &PlannedColumn, table: &ExistingTable) -> Vec<Finding> {
    let ty = ColumnType::of(&planned.ty);
    let place = place(plan, planned);
    let Some(column) = table.column(&planned.column) else {
        let known = table.columns.iter().map(|column| column.name.as_str());
        let near = finding::nearest(&planned.column, known).map(|near| format!("did you mean `{near}`? Else ")).unwrap_or_default();
        let add = format!("ALTER TABLE {} ADD COLUMN {} {}", quote(&table.name), quote(&planned.column), ty.form.storage().sql());
        let help = format!("{near}name its column under `columns`, or add it: {add}");
        return vec![without_column(planned, &table.name, place, help)];
    };
    let mut findings = Vec::new();
    if column.generated {
        let cause = format!("the column `{}` is computed from others", column.name);
        findings.push(Finding::new("column-type", place, cause, "send the field to another column under `columns`"));
        return findings;
    }
    if !ty.form.fits(&column.declared, table.strict) {
        let cause =
            format!("`{}` is {}, which the column `{}` of type {} does not keep", planned.field, planned.ty, column.name, column.declared);
        let help = format!("make the column {}, or send the field to another one under `columns`", ty.form.storage().sql());
        findings.push(Finding::new("column-type", place.clone(), cause, help));
    }
    if ty.optional && column.not_null {
        let cause = format!("`{}` may be absent, and the column `{}` is NOT NULL", planned.field, column.name);
        findings.push(Finding::new("column-type", place.clone(), cause, "let the column be NULL, or the field be no option"));
    }
    if let (Form::Enum(cases), Some(names)) = (&ty.form, admitted(&table.definition, &column.name)) {
        let missing: Vec<&str> = cases.cases.iter().map(Name::snake).filter(|case| !names.iter().any(|name| name == case)).collect();
        if !missing.is_empty() {
            let cause = format!("the check of the column `{}` does not admit {}", column.name, missing.join(", "));
            findings.push(Finding::new("column-type", place, cause, "create the table anew with a wider check, and copy its rows"));
        }
    }
    findings
}

fn defined_column(plan: &Plan, planned: &PlannedColumn, definition: &Definition) -> Option<Finding> {
    let ty = ColumnType::of(&planned.ty);
    let place = place(plan, planned);
    let Some(column) = definition.column(&planned.column) else {
        let help = "add the field to the record that fills the table, or name another column under `columns`";
        return Some(without_column(planned, &plan.table, place, help.to_owned()));
    };
    if column.ty() != ty.form.storage().sql() {
        let cause =
            format!("`{}` is {}, and another route makes the column `{}` {}", planned.field, planned.ty, planned.column, column.ty());
        return Some(Finding::new("column-type", place, cause, "give the fields of one column one type, or separate them under `columns`"));
    }
    if ty.optional && !column.nullable() {
        let cause =
            format!("`{}` may be absent, and the routes that fill the table make the column `{}` NOT NULL", planned.field, planned.column);
        return Some(Finding::new("column-type", place, cause, "let the field be no option here, or one there"));
    }
    None
}

/// A new row needs every column that may not stay empty.
fn columns_without_field(plan: &Plan, table: &ExistingTable) -> Vec<Finding> {
    let needed = table.columns.iter().filter(|column| column.not_null && !column.has_default && !column.generated && !column.rowid);
    unfilled(plan, &table.name, needed.map(|column| column.name.as_str()))
}

/// An upsert finds the row that is there by a key that the database holds to be unique.
fn key(plan: &Plan, shape: &Shape<'_>) -> Option<Finding> {
    if plan.verb != Verb::Upsert {
        return None;
    }
    let key: Vec<String> = plan.key().into_iter().map(|column| column.column.clone()).collect();
    let unique = match shape {
        Shape::Existing(table) => table.unique.iter().any(|unique| same_names(unique, &key)),
        Shape::Defined(definition) => same_names(definition.key(), &key),
    };
    (!unique).then(|| key_not_unique(plan, &quote(&plan.table)))
}
