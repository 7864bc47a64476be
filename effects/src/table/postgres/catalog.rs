//! What a database has of the tables that routes name, and what the role may do there.

use tokio_postgres::{Client, Error, Row};

use super::statement::table_name;
use crate::postgres::{MARKS_TABLE, told};

/// The table itself. Names are looked up as statements look them up: by the search path of the role.
const TABLE: &str = "SELECT c.oid, c.relkind::text, has_table_privilege(c.oid, 'SELECT'), has_table_privilege(c.oid, 'INSERT'),
    has_table_privilege(c.oid, 'UPDATE'), has_table_privilege(c.oid, 'DELETE'), current_user::text
    FROM pg_class c WHERE c.oid = to_regclass($1)";

/// Its columns. Domains count as what they are made of; types are named without their lengths, since a cast to
/// `varchar(3)` would cut a longer text off instead of refusing it.
const COLUMNS: &str = "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), format_type(b.oid, -1), b.typname::text,
    e.typname::text, a.attnotnull, a.atthasdef OR a.attidentity <> '', a.attgenerated <> '' OR a.attidentity = 'a',
    ARRAY(SELECT l.enumlabel::text FROM pg_enum l WHERE l.enumtypid = coalesce(e.oid, b.oid) ORDER BY l.enumsortorder),
    (SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum]
        AND pg_get_constraintdef(k.oid) LIKE '%= ANY (%ARRAY[%' LIMIT 1),
    (SELECT k.conname::text FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum]
        AND pg_get_constraintdef(k.oid) LIKE '%= ANY (%ARRAY[%' LIMIT 1)
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
    LEFT JOIN pg_type e ON e.oid = b.typelem AND b.typcategory = 'A'
    WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

/// Sets of columns that no two rows share: whole unique indexes whose check is not put off.
const UNIQUE: &str = "SELECT ARRAY(SELECT a.attname::text FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) n JOIN pg_attribute a
    ON a.attrelid = i.indrelid AND a.attnum = n)
    FROM pg_index i WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL";

/// Tables by the names that routes have for them.
pub(super) struct Catalog {
    tables: Vec<(String, Option<Table>)>,
}

/// A table that exists.
pub(super) struct Table {
    /// Whether it is one that rows are written to as they are: an ordinary or partitioned table.
    pub(super) is_table: bool,
    pub(super) columns: Vec<Column>,
    pub(super) unique: Vec<Vec<String>>,
    pub(super) rights: Rights,
}

/// What the role may do with a table.
pub(super) struct Rights {
    pub(super) role: String,
    pub(super) select: bool,
    pub(super) insert: bool,
    pub(super) update: bool,
    pub(super) delete: bool,
}

/// A column that exists.
pub(super) struct Column {
    pub(super) name: String,
    /// Its type as it was declared.
    pub(super) declared: String,
    /// What parameters are cast to.
    pub(super) cast: String,
    /// The type's bare name: `int4`, `varchar`, `_text`.
    pub(super) ty: String,
    /// Of an array, the bare name of its elements' type.
    pub(super) element: Option<String>,
    pub(super) not_null: bool,
    pub(super) has_default: bool,
    /// Computed, or always numbered by the database: it takes no value.
    pub(super) generated: bool,
    /// Of an enum type or an array of one, its labels.
    pub(super) labels: Vec<String>,
    /// A check that admits listed values only: its name and the values.
    pub(super) admitted: Option<(String, Vec<String>)>,
}

impl Catalog {
    /// Reads the tables called `names`, and that of the marks.
    pub(super) async fn read(client: &Client, names: &[String]) -> Result<Catalog, String> {
        let mut tables = Vec::with_capacity(names.len() + 1);
        for name in names.iter().map(String::as_str).chain([MARKS_TABLE]) {
            tables.push((name.to_owned(), read(client, name).await.map_err(|error| told(&error))?));
        }
        Ok(Catalog { tables })
    }

    /// The table that a route calls `name`.
    pub(super) fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|(there, _)| there == name).and_then(|(_, table)| table.as_ref())
    }

    /// The table of the marks.
    pub(super) fn marks(&self) -> Option<&Table> {
        self.table(MARKS_TABLE)
    }
}

impl Table {
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

async fn read(client: &Client, name: &str) -> Result<Option<Table>, Error> {
    let Some(found) = client.query_opt(TABLE, &[&table_name(name)]).await? else { return Ok(None) };
    let oid: u32 = found.get(0);
    let kind: String = found.get(1);
    let rights = Rights { role: found.get(6), select: found.get(2), insert: found.get(3), update: found.get(4), delete: found.get(5) };
    let columns = client.query(COLUMNS, &[&oid]).await?.iter().map(column).collect();
    let unique = client.query(UNIQUE, &[&oid]).await?.iter().map(|row| row.get(0)).collect();
    Ok(Some(Table { is_table: matches!(kind.as_str(), "r" | "p"), columns, unique, rights }))
}

fn column(row: &Row) -> Column {
    let check: Option<String> = row.get(9);
    let name: Option<String> = row.get(10);
    Column {
        name: row.get(0),
        declared: row.get(1),
        cast: row.get(2),
        ty: row.get(3),
        element: row.get(4),
        not_null: row.get(5),
        has_default: row.get(6),
        generated: row.get(7),
        labels: row.get(8),
        admitted: name.zip(check.map(|check| literals(&check))),
    }
}

/// The texts between single quotes: `'new'::text, 'it''s'::text`.
fn literals(sql: &str) -> Vec<String> {
    let mut literals = Vec::new();
    let mut rest = sql;
    while let Some((_, after)) = rest.split_once('\'') {
        let mut literal = String::new();
        rest = after;
        while let Some((part, after)) = rest.split_once('\'') {
            literal.push_str(part);
            rest = after;
            match rest.strip_prefix('\'') {
                Some(after) => {
                    literal.push('\'');
                    rest = after;
                }
                None => break,
            }
        }
        literals.push(literal);
    }
    literals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_a_check_are_found() {
        let check = "CHECK ((phase = ANY (ARRAY['new'::text, 'it''s'::text, ''::text])))";
        assert_eq!(literals(check), ["new", "it's", ""]);
    }
}
