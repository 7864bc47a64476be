//! Where a workflow's manifest sends each intent.

use std::collections::BTreeMap;

use toml::Table;

use super::stage::manifest;

/// Where an intent goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// To the row: whether it makes one, and which column has a field of another name.
    Row { makes: bool, columns: BTreeMap<String, String> },
    /// Into the catalogue, or out of it.
    Service { registers: bool },
    /// To a topic.
    Topic(String),
    /// A timer is set, or taken back.
    Timer { sets: bool },
}

/// A route.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) target: Target,
    /// The input that tells how it ended.
    pub(super) outcome: Option<String>,
}

/// The routes of a workflow, by the names of intents as JSON has them; and the topics of its inputs.
pub(super) struct Routes {
    pub(super) intents: BTreeMap<String, Route>,
    /// The inputs that are events, by their names in JSON, each with its topic.
    pub(super) inputs: BTreeMap<String, String>,
}

impl Routes {
    /// As the manifest has them that is shipped.
    pub(super) fn of(workflow: &str) -> Routes {
        let text = std::fs::read_to_string(manifest(workflow)).expect("a manifest can be read");
        let manifest: Table = text.parse().expect("a manifest is TOML");
        let intents = manifest["intents"].as_table().expect("routes").iter();
        let inputs = manifest["inputs"].as_table().expect("inputs").iter();
        Routes {
            intents: intents.map(|(case, route)| (snake(case), Route::of(case, route.as_table().expect("a route")))).collect(),
            inputs: inputs.map(|(topic, case)| (snake(case.as_str().expect("a case")), topic.clone())).collect(),
        }
    }
}

impl Route {
    fn of(case: &str, route: &Table) -> Route {
        let text = |name: &str| route.get(name).and_then(toml::Value::as_str).unwrap_or_default().to_owned();
        let columns = || {
            let columns = route.get("columns").and_then(toml::Value::as_table).into_iter().flatten();
            columns.map(|(field, column)| (snake(field), column.as_str().expect("a column").to_owned())).collect()
        };
        let target = match text("effect").as_str() {
            "records" => Target::Row { makes: text("operation") == "upsert", columns: columns() },
            "services" => Target::Service { registers: text("operation") == "register" },
            "events" => Target::Topic(text("topic")),
            "timer" => Target::Timer { sets: case == "timer" },
            other => panic!("{case}: no model knows the effect {other:?}"),
        };
        Route { target, outcome: route.get("outcome").and_then(toml::Value::as_str).map(snake) }
    }
}

fn snake(name: &str) -> String {
    name.replace('-', "_")
}
