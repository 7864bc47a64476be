//! The standard types: the package `purefold:reducer@1.0.0` as shapes.

use std::sync::Arc;

use crate::shape::{Case, Field, Name, Record, Type, Variant};

/// The package's text, for projects that write a reducer.
pub const WIT: &str = include_str!("../purefold/reducer.wit");

/// The interface that owns the standard types.
pub const INTERFACE: &str = "purefold:reducer/types@1.0.0";

/// `context`: everything a decision may depend on besides the state and the input.
#[must_use]
pub fn context() -> Type {
    record(
        "context",
        [
            ("now", Type::Instant),
            ("entity", Type::String),
            ("sequence", Type::U64),
            ("event-id", Type::String),
            ("correlation-id", Type::String),
            ("seed", Type::Tuple([Type::U64, Type::U64].into())),
        ],
    )
}

/// `timer`: hand me this back as an input when it is due.
#[must_use]
pub fn timer() -> Type {
    record("timer", [("name", Type::String), ("due", Type::Instant)])
}

/// `timer-cancel`: takes a pending timer back.
#[must_use]
pub fn timer_cancel() -> Type {
    record("timer-cancel", [("name", Type::String)])
}

/// `failure`: why an intent has no success.
#[must_use]
pub fn failure() -> Type {
    let cases = ["refused", "exhausted", "unknown", "unreadable-reply"];
    let case = |name| Case { name: Name::new(name), payload: Some(Type::String) };
    Type::Variant(Arc::new(Variant { name: Name::new("failure"), cases: cases.map(case).into() }))
}

/// The standard type called `name`, as what it stands for in a contract.
pub(crate) fn named(name: &str) -> Option<Type> {
    match name {
        "instant" => Some(Type::Instant),
        "uuid" => Some(Type::Uuid),
        "context" => Some(context()),
        "timer" => Some(timer()),
        "timer-cancel" => Some(timer_cancel()),
        "failure" => Some(failure()),
        _ => None,
    }
}

fn record<const N: usize>(name: &str, fields: [(&str, Type); N]) -> Type {
    let fields = fields.map(|(name, ty)| Field { name: Name::new(name), ty });
    Type::Record(Arc::new(Record { name: Name::new(name), fields: fields.into() }))
}
