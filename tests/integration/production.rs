//! What is shipped for production agrees with what is embedded, and with itself: manifests, examples, guide.

use std::collections::BTreeSet;
use std::fs;

use purefold_nodes::Topics;
use saphyr::{LoadableYamlNode, Yaml};
use toml::Table;

use crate::repository::root;

/// The workflows that have a manifest for production.
const WORKFLOWS: [&str; 2] = ["registration", "registry"];

/// The sections in which the two manifests of a workflow may differ.
const MAY_DIFFER: [&str; 3] = ["source", "store", "effects"];

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("cannot read {path}: {error}"))
}

fn embedded(name: &str) -> String {
    read(&format!("reducers/{name}/{name}.toml"))
}

fn production(name: &str) -> String {
    read(&format!("reducers/{name}/{name}.production.toml"))
}

fn manifest(text: &str) -> Table {
    text.parse().expect("a manifest is TOML")
}

/// The names of the variables that a text takes from the environment.
fn variables(text: &str) -> BTreeSet<String> {
    let after = text.split("${").skip(1);
    after.filter_map(|rest| rest.split_once('}')).map(|(name, _)| name.to_owned()).collect()
}

/// All that the production manifests take from the environment.
fn all_variables() -> BTreeSet<String> {
    WORKFLOWS.iter().flat_map(|name| variables(&production(name))).collect()
}

/// The topics that the production manifests read and write.
fn all_topics() -> BTreeSet<String> {
    let mut topics = BTreeSet::new();
    for name in WORKFLOWS {
        let manifest = manifest(&production(name));
        let read = manifest.get("source").map(|source| source["kafka"]["topics"].as_array().expect("topics").clone());
        topics.extend(read.into_iter().flatten().map(|topic| topic.as_str().expect("a topic").to_owned()));
        let routes = manifest["intents"].as_table().expect("routes").values();
        topics.extend(routes.filter_map(|route| Some(route.get("topic")?.as_str()?.to_owned())));
    }
    topics
}

#[test]
fn manifests_for_production_differ_in_source_store_and_effects_alone() {
    for name in WORKFLOWS {
        let [embedded, production] = [embedded(name), production(name)].map(|text| {
            let mut table = manifest(&text);
            for section in MAY_DIFFER {
                table.remove(section);
            }
            table
        });
        // The component is among what is the same: the same file, and so the same digest.
        assert_eq!(embedded, production, "{name}");
        assert!(production["reducer"]["component"].is_str(), "{name}");
    }
}

#[test]
fn effects_keep_their_names_and_capabilities() {
    for name in WORKFLOWS {
        let capabilities = |text: &str| -> BTreeSet<(String, String)> {
            let manifest = manifest(text);
            let effects = manifest["effects"].as_table().expect("effects").iter();
            effects.map(|(name, effect)| (name.clone(), effect["capability"].to_string())).collect()
        };
        assert_eq!(capabilities(&embedded(name)), capabilities(&production(name)), "{name}");
    }
}

#[test]
fn addresses_and_secrets_come_from_the_environment() {
    for name in WORKFLOWS {
        let manifest = manifest(&production(name));
        let effects = manifest["effects"].as_table().expect("effects").values();
        let places = effects.flat_map(|effect| effect.as_table().expect("an effect").iter()).filter(|(name, _)| *name != "capability");
        let store = manifest["store"].as_table().expect("a store").iter();
        for (setting, value) in places.chain(store) {
            let text = value.as_str().unwrap_or_default();
            assert!(text.starts_with("${") && text.ends_with('}'), "{name}: {setting} = {text:?}");
        }
    }
    assert_eq!(all_variables().into_iter().collect::<Vec<_>>(), ["CONSUL_TOKEN", "CONSUL_URL", "DATABASE_URL", "KAFKA_BROKERS"]);
}

#[test]
fn what_the_workflow_takes_is_what_the_source_reads() {
    let manifest = manifest(&production("registration"));
    let read: BTreeSet<&str> =
        manifest["source"]["kafka"]["topics"].as_array().expect("topics").iter().filter_map(toml::Value::as_str).collect();
    let taken: BTreeSet<&str> = manifest["inputs"].as_table().expect("inputs").keys().map(String::as_str).collect();
    assert_eq!(read, taken);
}

#[test]
fn simulated_nodes_know_the_same_topics() {
    assert_eq!(Topics::default().all().collect::<BTreeSet<_>>(), all_topics());
}

#[test]
fn the_compose_file_has_every_variable_and_every_topic() {
    let text = read("examples/compose.yaml");
    let documents = Yaml::load_from_str(&text).expect("it is YAML");
    let compose = documents.first().expect("a document");
    let environment = compose["x-purefold"]["environment"].as_mapping().expect("an environment");
    let set: BTreeSet<String> = environment.keys().filter_map(|key| Some(key.as_str()?.to_owned())).collect();
    assert!(set.is_superset(&all_variables()), "{set:?}");
    let made: BTreeSet<String> = text
        .split_whitespace()
        .map(|word| word.trim_end_matches(';'))
        .filter(|word| word.starts_with("onex."))
        .map(str::to_owned)
        .collect();
    assert_eq!(made, all_topics());
    let services = compose["services"].as_mapping().expect("services");
    let names: BTreeSet<&str> = services.keys().filter_map(|name| name.as_str()).collect();
    for (name, service) in services {
        // What a service writes to a volume must be its user's: a fresh one is root's, and the image runs as somebody else.
        let writes = service
            .as_mapping_get("volumes")
            .and_then(|volumes| volumes.as_sequence())
            .is_some_and(|volumes| volumes.iter().filter_map(|volume| volume.as_str()).any(|volume| !volume.ends_with(":ro")));
        let is_ours = service.as_mapping_get("<<").is_some() || service.as_mapping_get("build").is_some();
        let user = service.as_mapping_get("user").and_then(|user| user.as_str());
        assert!(!(writes && is_ours) || user == Some("root"), "{name:?} cannot write to its volume");
        let Some(others) = service.as_mapping_get("depends_on").and_then(|others| others.as_mapping()) else { continue };
        for other in others.keys().filter_map(|other| other.as_str()) {
            assert!(names.contains(other), "{name:?} depends on {other}, which is not there");
        }
    }
}

#[test]
fn the_unit_and_its_environment_have_what_the_manifests_want() {
    let unit = read("examples/purefold.service");
    for wanted in ["EnvironmentFile=/etc/purefold/environment", "/etc/purefold/registration.toml /etc/purefold/registry.toml"] {
        assert!(unit.contains(wanted), "{wanted}");
    }
    for line in unit.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        assert!(line.starts_with('[') || line.contains('='), "{line:?} is no line of a unit");
    }
    let environment = read("examples/environment");
    let set: BTreeSet<String> =
        environment.lines().filter(|line| !line.starts_with('#')).filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect();
    assert!(set.is_superset(&all_variables()), "{set:?}");
    let image = read("examples/Dockerfile");
    for name in WORKFLOWS {
        assert!(image.contains(&format!("reducers/{name}/{name}.production.toml /etc/purefold/{name}.toml")), "{name}");
        assert!(image.contains(&format!("target/reducers/{name}.wasm")), "{name}");
    }
}

#[test]
fn the_guide_names_every_topic_and_every_variable() {
    let guide = read("docs/guide/production.md");
    for name in all_variables().into_iter().chain(all_topics()) {
        assert!(guide.contains(&format!("`{name}`")), "{name} is not in docs/guide/production.md");
    }
}
