//! The one statement of a route. Parameters begin with those of the lane's mark; then the route's columns, in the
//! record's order.

use crate::postgres::{MARK_PARAMETERS, WITH_MARK};
use crate::sql::quote;
use crate::table::{Plan, Verb};

/// Goes on only where the mark has moved.
const AHEAD: &str = "EXISTS (SELECT 1 FROM mark)";

/// A table's name as SQL takes it; what stands before a dot is its schema.
pub(super) fn table_name(name: &str) -> String {
    match name.split_once('.') {
        Some((schema, table)) => format!("{}.{}", quote(schema), quote(table)),
        None => quote(name),
    }
}

/// `types` are what the parameters are cast to, column by column.
pub(super) fn write(plan: &Plan, types: &[String]) -> String {
    let table = table_name(&plan.table);
    let names: Vec<String> = plan.columns.iter().map(|column| quote(&column.column)).collect();
    let values: Vec<String> = (MARK_PARAMETERS + 1..).zip(types).map(|(number, ty)| format!("${number}::{ty}")).collect();
    let columns = || names.iter().zip(&values).zip(&plan.columns);
    let equal = |in_key: bool, joint: &str| {
        let chosen = columns().filter(|(_, column)| column.key_place.is_some() == in_key);
        chosen.map(|((name, value), _)| format!("{name} = {value}")).collect::<Vec<_>>().join(joint)
    };
    let insert = || format!("INSERT INTO {table} ({}) SELECT {} WHERE {AHEAD}", names.join(", "), values.join(", "));
    let change = match plan.verb {
        Verb::Insert => insert(),
        Verb::Upsert => {
            let key: Vec<String> = plan.key().into_iter().map(|column| quote(&column.column)).collect();
            let rest: Vec<String> = columns()
                .filter(|(_, column)| column.key_place.is_none())
                .map(|((name, _), _)| format!("{name} = excluded.{name}"))
                .collect();
            let change = if rest.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", rest.join(", ")) };
            format!("{} ON CONFLICT ({}) DO {change}", insert(), key.join(", "))
        }
        Verb::Update => format!("UPDATE {table} SET {} WHERE {} AND {AHEAD}", equal(false, ", "), equal(true, " AND ")),
        Verb::Delete => format!("DELETE FROM {table} WHERE {} AND {AHEAD}", equal(true, " AND ")),
    };
    format!("{WITH_MARK}{change}")
}
