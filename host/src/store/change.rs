//! What commits do to tables, each said once: a database has its own way of doing it to many rows.

use std::fmt::Write as _;
use std::sync::OnceLock;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Int,
    Bool,
    Text,
    Bytes,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) ty: Type,
}

pub(super) const fn int(name: &'static str) -> Field {
    Field { name, ty: Type::Int }
}

pub(super) const fn boolean(name: &'static str) -> Field {
    Field { name, ty: Type::Bool }
}

pub(super) const fn text(name: &'static str) -> Field {
    Field { name, ty: Type::Text }
}

pub(super) const fn bytes(name: &'static str) -> Field {
    Field { name, ty: Type::Bytes }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Insert,
    /// Inserts, or writes over the row of the same key.
    Replace,
    /// Inserts, or fills in what the row of the same key has not.
    Complete,
    /// Does nothing where the row is not there.
    Update,
    Delete,
}

/// One kind of change. Its values come in the order of the columns, then of the key.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) verb: Verb,
    pub(super) table: &'static str,
    pub(super) columns: &'static [Field],
    pub(super) key: &'static [Field],
    by_row: OnceLock<String>,
}

impl Change {
    const fn new(verb: Verb, table: &'static str, columns: &'static [Field], key: &'static [Field]) -> Self {
        Change { verb, table, columns, key, by_row: OnceLock::new() }
    }

    pub(super) const fn insert(table: &'static str, columns: &'static [Field]) -> Self {
        Change::new(Verb::Insert, table, columns, &[])
    }

    pub(super) const fn replace(table: &'static str, columns: &'static [Field], key: &'static [Field]) -> Self {
        Change::new(Verb::Replace, table, columns, key)
    }

    pub(super) const fn complete(table: &'static str, columns: &'static [Field], key: &'static [Field]) -> Self {
        Change::new(Verb::Complete, table, columns, key)
    }

    pub(super) const fn update(table: &'static str, columns: &'static [Field], key: &'static [Field]) -> Self {
        Change::new(Verb::Update, table, columns, key)
    }

    pub(super) const fn delete(table: &'static str, key: &'static [Field]) -> Self {
        Change::new(Verb::Delete, table, &[], key)
    }

    /// All columns that values are given for, in their order.
    pub(super) fn fields(&self) -> impl Iterator<Item = &'static Field> + use<> {
        self.columns.iter().chain(self.key)
    }

    /// The statement that does it to one row, with `?` for each value.
    pub(super) fn by_row(&self) -> &str {
        self.by_row.get_or_init(|| {
            let Change { table, .. } = self;
            let is = |field: &Field| format!("{} = ?", field.name);
            match self.verb {
                Verb::Insert | Verb::Replace | Verb::Complete => {
                    let marks = vec!["?"; self.fields().count()].join(", ");
                    format!("INSERT INTO {table} ({}) VALUES ({marks}){}", self.names(), self.conflict())
                }
                Verb::Update => {
                    let (set, key) = (listed(self.columns, ", ", is), listed(self.key, " AND ", is));
                    format!("UPDATE {table} SET {set} WHERE {key}")
                }
                Verb::Delete => format!("DELETE FROM {table} WHERE {}", listed(self.key, " AND ", is)),
            }
        })
    }

    /// The columns' names.
    pub(super) fn names(&self) -> String {
        listed(self.fields(), ", ", |field| field.name.to_owned())
    }

    /// What an insert does where the row is there.
    pub(super) fn conflict(&self) -> String {
        let Change { table, .. } = self;
        let set = match self.verb {
            Verb::Replace => listed(self.columns, ", ", |Field { name, .. }| format!("{name} = excluded.{name}")),
            Verb::Complete => {
                listed(self.columns, ", ", |Field { name, .. }| format!("{name} = coalesce({table}.{name}, excluded.{name})"))
            }
            Verb::Insert | Verb::Update | Verb::Delete => return String::new(),
        };
        format!(" ON CONFLICT ({}) DO UPDATE SET {set}", listed(self.key, ", ", |field| field.name.to_owned()))
    }
}

/// Fields, each told by `tell`.
pub(super) fn listed<'f>(fields: impl IntoIterator<Item = &'f Field>, between: &str, tell: impl Fn(&Field) -> String) -> String {
    let mut text = String::new();
    for (index, field) in fields.into_iter().enumerate() {
        let _ = write!(text, "{}{}", if index == 0 { "" } else { between }, tell(field));
    }
    text
}
