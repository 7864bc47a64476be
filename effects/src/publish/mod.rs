//! `publish`: one CloudEvent 1.0 for each intent.
//!
//! This module reads a route's settings and writes the event; a backend carries it.

mod event;
mod jsonl;
mod kafka;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use purefold_wit::Finding;

use self::kafka::Brokers;
use crate::backend;
use crate::body::Body;
use crate::kafka::{is_topic, topic_help};
use crate::route::{self, Bound};
use crate::settings::Settings;
use crate::{Effect, Route};

const BACKENDS: [&str; 2] = ["jsonl", "kafka"];

pub(crate) fn open(name: &str, mut settings: Settings<'_>, base: &Path) -> Result<Arc<dyn Effect>, Vec<Finding>> {
    match backend::choose(&mut settings, "publish", &BACKENDS) {
        Some("kafka") => {
            let brokers = Brokers::read(&mut settings, base);
            backend::opened(settings, brokers, |brokers| kafka::open(name, brokers))
        }
        chosen => {
            let path = chosen.and_then(|chosen| settings.path(chosen, base));
            backend::opened(settings, path, |path| jsonl::open(name, &path))
        }
    }
}

/// A bound route.
pub(crate) struct Plan {
    topic: Arc<str>,
    data: Body,
}

/// Reads the settings of one route.
fn plan(route: &Route<'_>) -> Bound<Plan> {
    let mut settings = route::settings(route);
    route::no_reply(&mut settings, route);
    let topic = settings.required("topic", Settings::string);
    // Whatever the backend, so that a workflow can move to Kafka.
    if let Some(topic) = topic.filter(|topic| !is_topic(topic)) {
        settings.report("setting-range", "topic", format!("`{}` is no topic", topic.escape_debug()), topic_help());
    }
    let findings = settings.finish();
    match topic {
        Some(topic) if findings.is_empty() => Ok(Plan { topic: topic.into(), data: Body::record(route.intent) }),
        _ => Err(findings),
    }
}
