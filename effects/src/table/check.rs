//! What holding a route against a table finds, whatever the database.

use purefold_wit::Finding;

use super::{Plan, PlannedColumn};
use crate::sql::quote;

/// A field has no column to go to.
pub(super) fn without_column(planned: &PlannedColumn, table: &str, place: String, help: String) -> Finding {
    let cause = format!("the table `{table}` has no column `{}` for the field `{}`", planned.column, planned.field);
    Finding::new("field-without-column", place, cause, help)
}

/// A new row needs every column that may not stay empty: `needed` are those without a default.
pub(super) fn unfilled<'a>(plan: &Plan, table: &str, needed: impl Iterator<Item = &'a str>) -> Vec<Finding> {
    if !plan.defines() {
        return Vec::new();
    }
    let filled = |name: &str| plan.columns.iter().any(|planned| planned.column.eq_ignore_ascii_case(name));
    needed
        .filter(|name| !filled(name))
        .map(|name| {
            let cause = format!("the column `{name}` of `{table}` is NOT NULL without a default, and no field goes there");
            let help = "add a field, send one there under `columns`, or give the column a default";
            Finding::new("column-without-field", format!("{}.columns", plan.place), cause, help)
        })
        .collect()
}

/// An upsert could find several rows by its key. `table` is the name as SQL takes it.
pub(super) fn key_not_unique(plan: &Plan, table: &str) -> Finding {
    let key: Vec<&str> = plan.key().into_iter().map(|column| column.column.as_str()).collect();
    let cause = format!("the columns ({}) of `{}` are neither its primary key nor a unique index", key.join(", "), plan.table);
    let names: Vec<String> = key.iter().map(|name| quote(name)).collect();
    let help = format!("name the primary key's fields, or create the index: CREATE UNIQUE INDEX … ON {table} ({})", names.join(", "));
    Finding::new("key-not-unique", format!("{}.key", plan.place), cause, help)
}

/// Where a field's column is told.
pub(super) fn place(plan: &Plan, planned: &PlannedColumn) -> String {
    format!("{}.columns.{}", plan.place, planned.field)
}
