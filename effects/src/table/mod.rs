//! `table`: typed records to typed columns of a relational database.
//!
//! This module reads a route's settings; a backend holds the columns against what the database has.

mod bound;
mod check;
mod definition;
mod postgres;
mod sqlite;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use purefold_wit::{Finding, Record, Type, finding};

use crate::backend;
use crate::postgres::Server;
use crate::route::{self, Bound};
use crate::settings::Settings;
use crate::{Effect, Route};

/// Longest name of a table or column: what PostgreSQL takes, so that a workflow can move there.
const NAME_BYTES_MAX: usize = 63;

/// Prefixes of tables that are not a workflow's to write.
const RESERVED: [&str; 2] = ["purefold_", "sqlite_"];

const BACKENDS: [&str; 2] = ["sqlite", "postgres"];

pub(crate) fn open(name: &str, mut settings: Settings<'_>, base: &Path) -> Result<Arc<dyn Effect>, Vec<Finding>> {
    match backend::choose(&mut settings, "table", &BACKENDS) {
        Some("postgres") => {
            let server = Server::read_pooled(&mut settings, base);
            backend::opened(settings, server, |server| postgres::open(name, server))
        }
        chosen => {
            let path = chosen.and_then(|chosen| settings.path(chosen, base));
            backend::opened(settings, path, |path| sqlite::open(name, &path))
        }
    }
}

/// What a route does to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Insert,
    Upsert,
    Update,
    Delete,
}

/// A route, read but not yet held against a database.
pub(crate) struct Plan {
    pub(crate) place: String,
    pub(crate) verb: Verb,
    pub(crate) table: String,
    /// The columns that the statement names, in the order of the record's fields.
    pub(crate) columns: Vec<PlannedColumn>,
}

/// A field and the column it goes to.
pub(crate) struct PlannedColumn {
    /// The field's index in the record.
    pub(crate) index: usize,
    pub(crate) field: String,
    pub(crate) ty: Type,
    pub(crate) column: String,
    /// The field's place in the key, where it is part of it.
    pub(crate) key_place: Option<usize>,
}

impl Plan {
    /// The key's columns, in the key's order.
    pub(crate) fn key(&self) -> Vec<&PlannedColumn> {
        let mut key: Vec<&PlannedColumn> = self.columns.iter().filter(|column| column.key_place.is_some()).collect();
        key.sort_by_key(|column| column.key_place);
        key
    }

    pub(crate) fn defines(&self) -> bool {
        matches!(self.verb, Verb::Insert | Verb::Upsert)
    }
}

/// Reads the settings of one route.
fn plan(route: &Route<'_>) -> Bound<Plan> {
    let mut settings = route::settings(route);
    route::no_reply(&mut settings, route);
    let verbs = [("insert", Verb::Insert), ("upsert", Verb::Upsert), ("update", Verb::Update), ("delete", Verb::Delete)];
    let verb = settings.required("operation", |settings, name| settings.choice(name, &verbs));
    let table = settings.required("table", Settings::string).map(str::to_owned);
    if let Some(table) = &table {
        check_name(&mut settings, "table", table);
    }
    let key = match verb {
        Some(Verb::Insert) if !settings.has("key") => Some(Vec::new()),
        _ => settings.required("key", Settings::strings),
    };
    let names = column_names(&mut settings, route.intent);
    let key = key.map(|key| key_fields(&mut settings, route.intent, &key, verb));
    let place = settings.place().to_owned();
    let findings = settings.finish();
    let (Some(verb), Some(table), Some(key), true) = (verb, table, key, findings.is_empty()) else { return Err(findings) };
    let fields = route.intent.fields.iter().zip(names).enumerate();
    let columns: Vec<PlannedColumn> = fields
        .map(|(index, (field, column))| PlannedColumn {
            index,
            field: field.name.kebab().to_owned(),
            ty: field.ty.clone(),
            column,
            key_place: key.iter().position(|field| *field == index),
        })
        // A delete needs to know which row, and nothing else of the record.
        .filter(|column| verb != Verb::Delete || column.key_place.is_some())
        .collect();
    if verb == Verb::Update && columns.iter().all(|column| column.key_place.is_some()) {
        let cause = format!("every field of `{}` is part of the key", route.intent.name.kebab());
        return Err(vec![Finding::new("nothing-to-set", place, cause, "give the record a field to set, or shorten `key`")]);
    }
    Ok(Plan { place, verb, table, columns })
}

/// The column of each field: as `columns` says, else the field's name in snake case.
fn column_names(settings: &mut Settings<'_>, record: &Record) -> Vec<String> {
    let renamed = settings.nested("columns");
    let mut names: Vec<String> = record.fields.iter().map(|field| field.name.snake().to_owned()).collect();
    if let Some(mut renamed) = renamed {
        for field in renamed.names() {
            let column = renamed.string(field).map(str::to_owned);
            match record.field(field) {
                Some((index, _)) => {
                    if let Some(column) = column {
                        check_name(&mut renamed, field, &column);
                        names[index] = column;
                    }
                }
                None => unknown_field(&mut renamed, field, record, "field-unknown"),
            }
        }
        settings.absorb(renamed.finish());
    }
    for (index, name) in names.iter().enumerate() {
        if let Some(twin) = names[..index].iter().position(|other| other.eq_ignore_ascii_case(name)) {
            let cause = format!(
                "the fields `{}` and `{}` both go to the column `{name}`",
                record.fields[twin].name.kebab(),
                record.fields[index].name.kebab()
            );
            settings.report("column-twice", "columns", cause, "give one of them another column");
        }
    }
    names
}

/// The indices of the key's fields.
fn key_fields(settings: &mut Settings<'_>, record: &Record, key: &[&str], verb: Option<Verb>) -> Vec<usize> {
    if key.is_empty() && verb.is_some_and(|verb| verb != Verb::Insert) {
        settings.report("setting-range", "key", "names no field", "name the fields that tell one row from another");
    }
    let mut indices = Vec::with_capacity(key.len());
    for field in key {
        match record.field(field) {
            None => unknown_field(settings, field, record, "key-field-missing"),
            Some((index, _)) if indices.contains(&index) => {
                settings.report("setting-range", "key", format!("names `{field}` twice"), "name each field once");
            }
            Some((index, ty)) => {
                if !can_be_key(ty) {
                    let cause = format!("`{field}` is {ty}, which cannot tell rows apart");
                    settings.report(
                        "key-field-type",
                        "key",
                        cause,
                        "use fields of a string, uuid, integer, enum, instant, char or bool type",
                    );
                }
                indices.push(index);
            }
        }
    }
    indices
}

fn can_be_key(ty: &Type) -> bool {
    use Type::{Bool, Char, Enum, Instant, S8, S16, S32, S64, String, U8, U16, U32, U64, Uuid};
    matches!(ty, Bool | U8 | U16 | U32 | U64 | S8 | S16 | S32 | S64 | Char | String | Instant | Uuid | Enum(_))
}

fn unknown_field(settings: &mut Settings<'_>, field: &str, record: &Record, code: &'static str) {
    let name = if code == "key-field-missing" { "key" } else { field };
    let cause = format!("`{}` has no field `{field}`", record.name.kebab());
    let help = match finding::nearest(field, record.fields.iter().map(|field| field.name.kebab())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("its fields are {}", route::field_names(record)),
    };
    settings.report(code, name, cause, help);
}

fn check_name(settings: &mut Settings<'_>, setting: &str, name: &str) {
    if name.len() > NAME_BYTES_MAX || name.contains('\0') {
        let help = format!("give a name of at most {NAME_BYTES_MAX} bytes");
        settings.report("setting-range", setting, format!("`{}` is no name for a table or column", name.escape_debug()), help);
    } else if let Some(prefix) = RESERVED.iter().find(|prefix| name.to_ascii_lowercase().starts_with(*prefix)) {
        settings.report("setting-range", setting, format!("names that begin with `{prefix}` are reserved"), "choose another name");
    }
}
