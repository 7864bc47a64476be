//! `service-registry`: services that others find by name.
//!
//! This module reads a route's settings and fields; a backend does what they ask.

mod consul;
mod health;
mod sqlite;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use purefold_wit::{Finding, Type, Value};

use self::health::Health;
use crate::backend;
use crate::consul::Agent;
use crate::route::{self, Bound};
use crate::settings::Settings;
use crate::{Effect, Route};

const BACKENDS: [&str; 2] = ["sqlite", "consul"];

/// Bounds of `ttl`: what Consul takes.
const TTL_MIN: Duration = Duration::from_secs(1);
const TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn open(name: &str, mut settings: Settings<'_>, base: &Path) -> Result<Arc<dyn Effect>, Vec<Finding>> {
    let chosen = backend::choose(&mut settings, "service-registry", &BACKENDS);
    let ttl = settings.duration("ttl", TTL_MIN..=TTL_MAX);
    match chosen {
        Some("consul") => {
            let (agent, health) = (Agent::read(&mut settings, base), Health::read(&mut settings));
            if ttl.is_some() && settings.has("health") {
                let help = "keep `ttl` where services say that they live, `health` where Consul asks them";
                settings.report("setting-range", "health", "both `ttl` and `health` are set", help);
            }
            backend::opened(settings, agent, |agent| consul::open(name, agent, ttl, health))
        }
        chosen => {
            let path = chosen.and_then(|chosen| settings.path(chosen, base));
            backend::opened(settings, path, |path| sqlite::open(name, &path, ttl))
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Register,
    Deregister,
    Pass,
}

/// A bound route: what to do, and which fields of the record say to what.
pub(crate) enum Plan {
    Register(Registration),
    Deregister { service_id: usize },
    Pass { service_id: usize, ttl: Duration },
}

/// The indices of the fields of a registration.
pub(crate) struct Registration {
    pub(crate) service_id: usize,
    pub(crate) service_name: usize,
    pub(crate) tags: Option<usize>,
    pub(crate) address: Option<usize>,
    pub(crate) port: Option<usize>,
    pub(crate) meta: Option<usize>,
}

/// Reads the settings of one route. `ttl` is the effect's.
fn plan(route: &Route<'_>, ttl: Option<Duration>) -> Bound<Plan> {
    let mut settings = route::settings(route);
    route::no_reply(&mut settings, route);
    let verbs = [("register", Verb::Register), ("deregister", Verb::Deregister), ("pass", Verb::Pass)];
    let verb = settings.required("operation", |settings, name| settings.choice(name, &verbs));
    let mut findings = settings.finish();
    let mut fields = Fields { route, findings: Vec::new() };
    let text = Type::String;
    let plan = verb.and_then(|verb| {
        let service_id = fields.required("service-id", &text);
        match verb {
            Verb::Deregister => Some(Plan::Deregister { service_id: service_id? }),
            Verb::Pass => match ttl {
                Some(ttl) => Some(Plan::Pass { service_id: service_id?, ttl }),
                None => {
                    let cause = "`pass` tells that a service lives, and the effect sets no time that it would live for";
                    let place = format!("intents.{}.operation", route.case);
                    fields.findings.push(Finding::new("setting-missing", place, cause, "add `ttl = \"90s\"`, or what fits, to the effect"));
                    None
                }
            },
            Verb::Register => {
                let service_name = fields.required("service-name", &text);
                let tags = fields.optional("tags", &Type::List(Arc::new(Type::String)));
                let address = fields.optional("address", &text);
                let port = fields.optional("port", &Type::U16);
                let meta = fields.optional("meta", &Type::Map(Arc::new(Type::String)));
                Some(Plan::Register(Registration { service_id: service_id?, service_name: service_name?, tags, address, port, meta }))
            }
        }
    });
    findings.extend(fields.findings);
    match plan {
        Some(plan) if findings.is_empty() => Ok(plan),
        _ => Err(findings),
    }
}

struct Fields<'a, 'b> {
    route: &'a Route<'b>,
    findings: Vec<Finding>,
}

impl Fields<'_, '_> {
    /// The field `name`, which must be there and of type `ty`.
    fn required(&mut self, name: &str, ty: &Type) -> Option<usize> {
        match self.route.intent.field(name) {
            Some((index, found)) if found == ty => Some(index),
            Some((_, found)) => self.wrong(name, &ty.to_string(), found),
            None => {
                let record = self.route.intent;
                let cause = format!("`{}` has no field `{name}`", record.name.kebab());
                self.report("field-missing", name, cause, format!("add `{name}: {ty}`; its fields are {}", route::field_names(record)));
                None
            }
        }
    }

    /// The field `name`, which may be absent, of type `ty` or an option of it.
    fn optional(&mut self, name: &str, ty: &Type) -> Option<usize> {
        let (index, found) = self.route.intent.field(name)?;
        let bare = if let Type::Option(inner) = found { inner } else { found };
        if bare == ty { Some(index) } else { self.wrong(name, &format!("{ty} or option<{ty}>"), found) }
    }

    fn wrong(&mut self, name: &str, expected: &str, found: &Type) -> Option<usize> {
        let cause = format!("the field `{name}` is {found}");
        self.report("field-type", name, cause, format!("make it {expected}"));
        None
    }

    fn report(&mut self, code: &'static str, name: &str, cause: String, help: String) {
        self.findings.push(Finding::new(code, format!("intents.{}.{name}", self.route.case), cause, help));
    }
}

/// The value of a field, with or without an option around it.
fn present(value: Option<&Value>) -> Option<&Value> {
    match value {
        Some(Value::Option(inner)) => inner.as_deref(),
        other => other,
    }
}
