//! The one statement of a route. Parameter `?n` is the route's n-th column, in the record's order.

use crate::sql::quote;
use crate::table::{Plan, Verb};

pub(super) fn write(plan: &Plan) -> String {
    let table = quote(&plan.table);
    let names: Vec<String> = plan.columns.iter().map(|column| quote(&column.column)).collect();
    let parameters: Vec<String> = (1..=names.len()).map(|number| format!("?{number}")).collect();
    let columns = || names.iter().zip(&parameters).zip(&plan.columns);
    let equal = |in_key: bool, joint: &str| {
        let chosen = columns().filter(|(_, column)| column.key_place.is_some() == in_key);
        chosen.map(|((name, parameter), _)| format!("{name} = {parameter}")).collect::<Vec<_>>().join(joint)
    };
    let insert = || format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), parameters.join(", "));
    match plan.verb {
        Verb::Insert => insert(),
        Verb::Upsert => {
            let key: Vec<String> = plan.key().into_iter().map(|column| quote(&column.column)).collect();
            let rest = equal(false, ", ");
            let change = if rest.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {rest}") };
            format!("{} ON CONFLICT ({}) DO {change}", insert(), key.join(", "))
        }
        Verb::Update => format!("UPDATE {table} SET {} WHERE {}", equal(false, ", "), equal(true, " AND ")),
        Verb::Delete => format!("DELETE FROM {table} WHERE {}", equal(true, " AND ")),
    }
}
