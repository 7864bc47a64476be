//! Statements as PostgreSQL writes them.

use std::fmt::Write as _;

use crate::store::change::{Change, Field, Type, Verb};

/// A statement that is written for both databases: `?` and `?1` are `$1` here, and the order of joins is not to be said.
pub(super) fn translated(statement: &str) -> String {
    let mut text = String::with_capacity(statement.len() + 16);
    let mut rest = statement;
    let mut last = 0;
    while let Some((before, after)) = rest.split_once('?') {
        text.push_str(before);
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let number = after[..digits].parse().unwrap_or(last + 1);
        last = last.max(number);
        let _ = write!(text, "${number}");
        rest = &after[digits..];
    }
    text.push_str(rest);
    text.replace("CROSS JOIN", "JOIN")
}

/// The statement that does `change` to many rows: each value is a list of those of all rows.
pub(super) fn by_list(change: &Change) -> String {
    let Change { table, .. } = change;
    let lists: Vec<String> = (1..).zip(change.fields()).map(|(number, field)| format!("${number}::{}[]", type_name(field.ty))).collect();
    let given = (1..=lists.len()).map(|number| format!("v{number}")).collect::<Vec<_>>().join(", ");
    let given = format!("unnest({}) AS given ({given})", lists.join(", "));
    // The key's values come behind those of the columns.
    let key = (change.columns.len() + 1..).zip(change.key).map(|(number, Field { name, .. })| format!("{table}.{name} = given.v{number}"));
    let key = key.collect::<Vec<_>>().join(" AND ");
    match change.verb {
        Verb::Insert | Verb::Replace | Verb::Complete => {
            format!("INSERT INTO {table} ({}) SELECT * FROM {given}{}", change.names(), change.conflict())
        }
        Verb::Update => {
            let set = (1..).zip(change.columns).map(|(number, Field { name, .. })| format!("{name} = given.v{number}"));
            format!("UPDATE {table} SET {} FROM {given} WHERE {key}", set.collect::<Vec<_>>().join(", "))
        }
        Verb::Delete => format!("DELETE FROM {table} USING {given} WHERE {key}"),
    }
}

/// The statement that takes many new rows as records.
pub(super) fn by_copy(change: &Change) -> String {
    format!("COPY {} ({}) FROM STDIN (FORMAT binary)", change.table, change.names())
}

/// As [`by_list`], and gives a column of the rows that it was done to.
pub(super) fn by_list_telling(change: &Change, told: &str) -> String {
    format!("{} RETURNING {}.{told}", by_list(change), change.table)
}

/// As [`by_list`], and fails where it was not done to as many rows as the value behind all others says: dividing by zero is
/// an error that nothing else here comes to.
pub(super) fn by_list_to_all(change: &Change) -> String {
    let expected = change.fields().count() + 1;
    format!("WITH done AS ({} RETURNING 1) SELECT 1 / (count(*) = ${expected}::bigint)::int FROM done", by_list(change))
}

/// A list of names, to be put between quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn type_name(ty: Type) -> &'static str {
    match ty {
        Type::Int => "bigint",
        Type::Bool => "boolean",
        Type::Text => "text",
        Type::Bytes => "bytea",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::change::{boolean, int, text};

    #[test]
    fn placeholders_are_numbered() {
        assert_eq!(translated("SELECT a FROM b WHERE c = ? AND d > ? LIMIT ?"), "SELECT a FROM b WHERE c = $1 AND d > $2 LIMIT $3");
        assert_eq!(translated("a = ?1 OR b = ?1 AND c = ?2"), "a = $1 OR b = $1 AND c = $2");
        assert_eq!(translated("FROM a CROSS JOIN b ON b.x = a.y"), "FROM a JOIN b ON b.x = a.y");
    }

    #[test]
    fn a_change_is_one_statement_however_many_rows_there_are() {
        static SET: Change = Change::update("things", &[text("name"), boolean("old")], &[int("id")]);
        assert_eq!(
            by_list(&SET),
            "UPDATE things SET name = given.v1, old = given.v2 FROM unnest($1::text[], $2::boolean[], $3::bigint[]) AS given (v1, v2, v3) \
             WHERE things.id = given.v3"
        );
        static PUT: Change = Change::replace("things", &[text("name")], &[int("id")]);
        assert_eq!(
            by_list(&PUT),
            "INSERT INTO things (name, id) SELECT * FROM unnest($1::text[], $2::bigint[]) AS given (v1, v2) \
             ON CONFLICT (id) DO UPDATE SET name = excluded.name"
        );
        static DROP: Change = Change::delete("things", &[int("id")]);
        assert_eq!(
            by_list_telling(&DROP, "owner"),
            "DELETE FROM things USING unnest($1::bigint[]) AS given (v1) WHERE things.id = given.v1 RETURNING things.owner"
        );
        assert!(by_list_to_all(&SET).ends_with("RETURNING 1) SELECT 1 / (count(*) = $4::bigint)::int FROM done"));
    }
}
