#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bind;
mod perform;

use std::sync::Arc;

use purefold_wit::{Record, Type};

use crate::trial::{Trial, choice, list, option, record, trial};

fn phase() -> Type {
    choice("phase", &["new", "in-use", "gone"])
}

/// A record with a field of every kind.
fn item() -> Arc<Record> {
    let part = Type::Record(record("part", &[("weight-g", Type::U32), ("label", option(Type::String))]));
    record(
        "put-item",
        &[
            ("id", Type::Uuid),
            ("site", Type::String),
            ("phase", phase()),
            ("count", Type::U64),
            ("delta", option(Type::S8)),
            ("live", Type::Bool),
            ("load", Type::F64),
            ("grade", option(Type::Char)),
            ("seen-at", option(Type::Instant)),
            ("parts", list(part)),
            ("notes", Type::Map(Arc::new(Type::String))),
        ],
    )
}

/// The routes of one table: filled, changed, and emptied.
fn routes() -> Vec<Trial> {
    let change = record("set-phase", &[("id", Type::Uuid), ("site", Type::String), ("phase", phase())]);
    let remove = record("drop-item", &[("site", Type::String), ("id", Type::Uuid), ("reason", Type::String)]);
    let key = "table = 'items'\nkey = ['site', 'id']\ncolumns = { count = 'how many' }";
    let short = "table = 'Items'\nkey = ['id', 'site']";
    vec![
        trial("put-item", &item(), &format!("operation = 'upsert'\n{key}")),
        trial("add-item", &item(), &format!("operation = 'insert'\n{key}")),
        trial("set-phase", &change, &format!("operation = 'update'\n{short}")),
        trial("drop-item", &remove, &format!("operation = 'delete'\n{short}")),
    ]
}
