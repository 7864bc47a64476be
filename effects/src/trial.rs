//! Trying an effect, for tests: records, routes and calls in a line each. What does not work panics.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;

use purefold_wit::{Enum, Field, Finding, Name, Record, Type, Value};

use crate::{Call, Effect, EffectError, IntentId, Operation, Reply, Route};

/// 2026-02-13T12:00:00Z.
pub const NOW: u64 = 1_770_984_000_000_000;

/// A route of a test, which owns what a [`Route`] borrows.
pub struct Trial {
    case: String,
    intent: Arc<Record>,
    /// What the outcome asks for.
    pub reply: Option<Type>,
    settings: toml::Table,
}

impl Trial {
    /// The route, as an effect is given it.
    #[must_use]
    pub fn route(&self) -> Route<'_> {
        Route { workflow: "w", case: &self.case, intent: &self.intent, reply: self.reply.as_ref(), settings: &self.settings }
    }
}

/// A route of the case `case` with these settings, in TOML.
pub fn trial(case: &str, intent: &Arc<Record>, settings: &str) -> Trial {
    Trial { case: case.to_owned(), intent: Arc::clone(intent), reply: None, settings: toml(settings) }
}

/// A table of TOML.
pub fn toml(text: &str) -> toml::Table {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A record type.
pub fn record(name: &str, fields: &[(&str, Type)]) -> Arc<Record> {
    let fields = fields.iter().map(|(name, ty)| Field { name: Name::new(name), ty: ty.clone() }).collect();
    Arc::new(Record { name: Name::new(name), fields })
}

/// `option<T>`
pub fn option(ty: Type) -> Type {
    Type::Option(Arc::new(ty))
}

/// `list<T>`
pub fn list(ty: Type) -> Type {
    Type::List(Arc::new(ty))
}

/// An enum.
pub fn choice(name: &str, cases: &[&str]) -> Type {
    Type::Enum(Arc::new(Enum { name: Name::new(name), cases: cases.iter().map(|case| Name::new(case)).collect() }))
}

/// A text.
pub fn text(text: &str) -> Value {
    Value::String(text.into())
}

/// An option that is there.
pub fn some(value: Value) -> Value {
    Value::Option(Some(Box::new(value)))
}

/// An option that is not.
pub const NONE: Value = Value::Option(None);

/// Opens the effect `e`.
pub fn open(settings: &str, base: &Path) -> Result<Arc<dyn Effect>, Vec<Finding>> {
    crate::open("e", &toml(settings), base)
}

/// Binds routes of the workflow `w`.
pub fn bind(effect: &dyn Effect, trials: &[Trial]) -> Result<Vec<Arc<dyn Operation>>, Vec<Finding>> {
    let routes: Vec<Route<'_>> = trials.iter().map(Trial::route).collect();
    effect.bind(&routes)
}

/// Opens, binds and starts. The effect is kept by its operations.
pub async fn started(settings: &str, base: &Path, trials: &[Trial]) -> Vec<Arc<dyn Operation>> {
    let effect = open(settings, base).expect("the effect opens");
    let operations = bind(&*effect, trials).expect("the routes bind");
    effect.start().await.expect("the effect starts");
    operations
}

/// Codes and places of what keeps the routes from being bound.
pub fn found(effect: &dyn Effect, trials: &[Trial]) -> Vec<(&'static str, String)> {
    match bind(effect, trials) {
        Ok(_) => Vec::new(),
        Err(findings) => {
            assert!(!findings.is_empty(), "refused without a finding");
            findings.into_iter().map(|finding| (finding.code, finding.place)).collect()
        }
    }
}

/// A call in the lane of `entity`, at its place there.
pub fn call(entity: &str, sequence: u64, index: u32, payload: &[Value]) -> Call {
    Call {
        id: IntentId(sequence, u64::from(index)),
        journal: "00000000-0000-0000-0000-00000000000a".into(),
        workflow: "w".into(),
        entity: entity.into(),
        sequence,
        index,
        now: NOW,
        correlation_id: "c-1".into(),
        payload: Arc::new(Value::Record(payload.into())),
        trace: None,
    }
}

/// The reason of what must be a refusal.
pub fn refused(result: Result<Reply, EffectError>) -> String {
    match result {
        Err(EffectError::Refused(reason)) => reason,
        other => panic!("expected a refusal, found {other:?}"),
    }
}
