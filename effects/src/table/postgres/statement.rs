//! The statements of a route: one for a row, one for many. Parameters begin with those of the lane's mark; then the route's columns, in the
//! record's order.

use crate::postgres::{MARK_PARAMETERS, MARKS_TABLE, is_moved};
use crate::sql::quote;
use crate::table::{Plan, Verb};

/// A table's name as SQL takes it; what stands before a dot is its schema.
pub(super) fn table_name(name: &str) -> String {
    match name.split_once('.') {
        Some((schema, table)) => format!("{}.{}", quote(schema), quote(table)),
        None => quote(name),
    }
}

/// For one row, and for many of independent lanes: what follows the move of their marks. `types` are what the parameters are cast to, column by column.
pub(super) fn write(plan: &Plan, types: &[String]) -> [String; 2] {
    let numbers = MARK_PARAMETERS + 1..;
    let values: Vec<String> = numbers.clone().zip(types).map(|(number, ty)| format!("${number}::{ty}")).collect();
    let ahead = format!("EXISTS (SELECT 1 FROM {MARKS_TABLE} AS lane WHERE {})", is_moved(["$1", "$2", "$3", "$4", "$5", "$6"]));
    let one = change(plan, &values, &Given { tables: "", condition: Some(&ahead) });
    // Lists of texts, which the types read as they read a single value's text.
    let values: Vec<String> = numbers.zip(types).map(|(number, ty)| format!("purefold_ahead.v{number}::{ty}")).collect();
    let many = change(plan, &values, &Given { tables: "purefold_ahead", condition: None });
    let count = MARK_PARAMETERS + types.len();
    let lists = (1..=count).map(|number| format!("${number}::text[]")).collect::<Vec<_>>().join(", ");
    let names = (1..=count).map(|number| format!("v{number}")).collect::<Vec<_>>().join(", ");
    let moved = is_moved(["given.v1", "given.v2", "given.v3", "given.v4", "given.v5", "given.v6"]);
    let given = format!("given AS (SELECT * FROM unnest({lists}) AS given ({names}))");
    let ahead = format!("purefold_ahead AS (SELECT given.* FROM given JOIN {MARKS_TABLE} AS lane ON {moved})");
    [one, format!("WITH {given}, {ahead} {many}")]
}

/// Where the values of a change come from, and on what it depends.
struct Given<'a> {
    tables: &'static str,
    condition: Option<&'a str>,
}

impl Given<'_> {
    fn clause(&self, word: &str) -> String {
        if self.tables.is_empty() { String::new() } else { format!(" {word} {}", self.tables) }
    }
}

fn change(plan: &Plan, values: &[String], from: &Given<'_>) -> String {
    let table = table_name(&plan.table);
    let names: Vec<String> = plan.columns.iter().map(|column| quote(&column.column)).collect();
    let columns = || names.iter().zip(values).zip(&plan.columns);
    let set = || {
        let changed = columns().filter(|(_, column)| column.key_place.is_none());
        changed.map(|((name, value), _)| format!("{name} = {value}")).collect::<Vec<_>>().join(", ")
    };
    let is_key = || {
        let key = columns().filter(|(_, column)| column.key_place.is_some());
        let equal = key.map(|((name, value), _)| format!("{table}.{name} = {value}"));
        equal.chain(from.condition.map(str::to_owned)).collect::<Vec<_>>().join(" AND ")
    };
    let insert = || {
        let condition = from.condition.map_or_else(String::new, |condition| format!(" WHERE {condition}"));
        format!("INSERT INTO {table} ({}) SELECT {}{}{condition}", names.join(", "), values.join(", "), from.clause("FROM"))
    };
    match plan.verb {
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
        Verb::Update => format!("UPDATE {table} SET {}{} WHERE {}", set(), from.clause("FROM"), is_key()),
        Verb::Delete => format!("DELETE FROM {table}{} WHERE {}", from.clause("USING"), is_key()),
    }
}
