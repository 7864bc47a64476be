//! What the binding of a route has in common, whatever the capability.

use purefold_wit::{Finding, Record};

use crate::Route;
use crate::settings::Settings;

/// Something bound, or everything that keeps it from being.
pub(crate) type Bound<T> = Result<T, Vec<Finding>>;

/// A reader of the route's settings.
pub(crate) fn settings<'a>(route: &Route<'a>) -> Settings<'a> {
    Settings::new(route.settings, format!("intents.{}", route.case))
}

/// Binds every route, and if one fails, tells what is wrong with all.
pub(crate) fn all<T>(routes: &[Route<'_>], bind: impl Fn(&Route<'_>) -> Bound<T>) -> Bound<Vec<T>> {
    let mut bound = Vec::with_capacity(routes.len());
    let mut findings = Vec::new();
    for route in routes {
        match bind(route) {
            Ok(one) => bound.push(one),
            Err(found) => findings.extend(found),
        }
    }
    if findings.is_empty() { Ok(bound) } else { Err(findings) }
}

/// Reports a route whose outcome asks for a reply that this operation does not have.
pub(crate) fn no_reply(settings: &mut Settings<'_>, route: &Route<'_>) {
    if let Some(reply) = route.reply {
        let cause = format!("the outcome asks for a reply of type {reply}, and this operation has none");
        settings.report("reply-unfillable", "outcome", cause, "make the outcome's field `result: result<_, failure>`");
    }
}

/// The fields of a record, for a message.
pub(crate) fn field_names(record: &Record) -> String {
    record.fields.iter().map(|field| field.name.kebab()).collect::<Vec<_>>().join(", ")
}
