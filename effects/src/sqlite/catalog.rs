//! What a database file holds before anything is written: read without creating or changing anything.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Result};

/// A database file, open for reading only.
pub(crate) struct Catalog(Option<Connection>);

/// A table that exists.
#[derive(Debug)]
pub(crate) struct ExistingTable {
    /// As it was written when it was created.
    pub(crate) name: String,
    pub(crate) kind: TableKind,
    pub(crate) strict: bool,
    pub(crate) columns: Vec<ExistingColumn>,
    /// Column sets that no two rows share: the primary key and whole unique indexes.
    pub(crate) unique: Vec<Vec<String>>,
    /// The text of its definition.
    pub(crate) definition: String,
}

/// What can stand under a table's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableKind {
    Table,
    Other,
}

/// A column that exists.
#[derive(Debug)]
pub(crate) struct ExistingColumn {
    pub(crate) name: String,
    /// As declared; empty where no type was.
    pub(crate) declared: String,
    pub(crate) not_null: bool,
    pub(crate) has_default: bool,
    /// Computed from others: it takes no value.
    pub(crate) generated: bool,
    /// `INTEGER PRIMARY KEY`: filled by SQLite where no value is given.
    pub(crate) rowid: bool,
}

impl Catalog {
    /// The file at `path`; an absent file is an empty catalogue.
    pub(crate) fn read(path: &Path) -> Result<Catalog> {
        if !path.exists() {
            return Ok(Catalog(None));
        }
        // A database that nobody has open has no log. Reading it as immutable leaves no side files behind.
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let idle = std::fs::metadata(&log).map_or(true, |log| log.len() == 0);
        let options = if idle { "mode=ro&immutable=1" } else { "mode=ro" };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(format!("file:{}?{options}", escape(path)), flags)?;
        // The first read finds out whether this is a database at all.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(Catalog(Some(connection)))
    }

    /// The table called `name`, in whatever case.
    pub(crate) fn table(&self, name: &str) -> Result<Option<ExistingTable>> {
        let Some(connection) = &self.0 else { return Ok(None) };
        let found = connection
            .query_row(
                "SELECT l.name, l.type, l.strict, coalesce(s.sql, '') FROM pragma_table_list l LEFT JOIN sqlite_schema s ON s.name = l.name
                 WHERE l.schema = 'main' AND l.name = ?1 COLLATE NOCASE",
                [name],
                |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?, row.get::<_, String>(3)?)),
            )
            .optional()?;
        let Some((name, kind, strict, definition)) = found else { return Ok(None) };
        let kind = if kind == "table" { TableKind::Table } else { TableKind::Other };
        let (columns, primary) = columns(connection, &name)?;
        let mut unique = unique_indexes(connection, &name)?;
        if !primary.is_empty() {
            unique.push(primary);
        }
        Ok(Some(ExistingTable { name, kind, strict, columns, unique, definition }))
    }
}

impl ExistingTable {
    /// The column called `name`, in whatever case.
    pub(crate) fn column(&self, name: &str) -> Option<&ExistingColumn> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }
}

/// The columns, and the names of those that make the primary key.
fn columns(connection: &Connection, table: &str) -> Result<(Vec<ExistingColumn>, Vec<String>)> {
    let mut statement =
        connection.prepare("SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk, hidden FROM pragma_table_xinfo(?1)")?;
    let mut rows = statement.query([table])?;
    let mut columns = Vec::new();
    let mut primary = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let declared: String = row.get(1)?;
        if row.get::<_, i64>(4)? > 0 {
            primary.push(name.clone());
        }
        columns.push(ExistingColumn {
            name,
            declared,
            not_null: row.get(2)?,
            has_default: row.get(3)?,
            generated: row.get::<_, i64>(5)? >= 2,
            rowid: false,
        });
    }
    if let [only] = primary.as_slice()
        && let Some(column) = columns.iter_mut().find(|column| column.name == *only)
    {
        column.rowid = column.declared.eq_ignore_ascii_case("INTEGER");
    }
    Ok((columns, primary))
}

fn unique_indexes(connection: &Connection, table: &str) -> Result<Vec<Vec<String>>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_index_list(?1) WHERE \"unique\" AND NOT partial AND origin <> 'pk'")?;
    let indexes: Vec<String> = statement.query_map([table], |row| row.get(0))?.collect::<Result<_>>()?;
    let mut unique = Vec::new();
    for index in indexes {
        let mut statement = connection.prepare("SELECT name FROM pragma_index_info(?1)")?;
        let names: Vec<Option<String>> = statement.query_map([&index], |row| row.get(0))?.collect::<Result<_>>()?;
        // An index over an expression has parts without a column's name.
        if let Some(names) = names.into_iter().collect::<Option<Vec<_>>>() {
            unique.push(names);
        }
    }
    Ok(unique)
}

/// A path as the path of a `file:` URI.
fn escape(path: &Path) -> String {
    let mut uri = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => uri.push(char::from(*byte)),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}
