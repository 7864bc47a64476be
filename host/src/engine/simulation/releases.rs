//! Releases that come into force while hosts run: earlier ones and new ones, under manifests that can be told apart.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use super::host::{component, manifest};
use super::knowledge::Knowledge;
use super::operators::ask;
use super::run::MENDED;
use super::scenario::Scenario;
use crate::journal::{hex, sha256};
use crate::store::{Location, Writer};

/// What may come into force: one that cannot bear poison, one that can, and one with another state and cases in another order.
const COMPONENTS: [&str; 3] = ["simulated-v1", "simulated-v2", "simulated-v3"];

/// Somebody who brings releases into force. The draws are apart from all others, so that a run without any is as it was.
pub(super) struct Deployer {
    rng: StdRng,
    asked: Vec<(String, String)>,
}

impl Deployer {
    pub(super) fn of(scenario: &Scenario) -> Self {
        Deployer { rng: StdRng::seed_from_u64(scenario.seed ^ 0xde91), asked: Vec::new() }
    }

    /// Now and then, asks for a release.
    pub(super) fn act(&mut self, scenario: &Scenario, store: &Location) {
        if scenario.swaps == 0 || self.rng.random_range(0..1000) >= scenario.swaps {
            return;
        }
        if self.rng.random_ratio(1, 4) {
            return ask(store, "migrate", String::new());
        }
        if !self.asked.is_empty() && self.rng.random_ratio(1, 4) {
            let (component, manifest) = &self.asked[self.rng.random_range(0..self.asked.len())];
            return ask(store, "deploy", json!({ "component": component, "manifest": manifest }).to_string());
        }
        let name = COMPONENTS[self.rng.random_range(0..COMPONENTS.len())];
        self.ask_for(name, scenario, store);
    }

    /// Where what was asked for last came late and bears less than what waits: one that bears it all.
    pub(super) fn mend(&mut self, scenario: &Scenario, store: &Location, knowledge: &Knowledge) {
        if !knowledge.last_bears_poison() {
            self.ask_for(MENDED, scenario, store);
        }
    }

    fn ask_for(&mut self, name: &str, scenario: &Scenario, store: &Location) {
        let bytes = std::fs::read(component(name)).expect("the component is built");
        let text = manifest(name, scenario, &self.asked.len().to_string());
        let digests = (hex(&sha256(&bytes)), hex(&sha256(text.as_bytes())));
        Writer::keep_beside(store, (&digests.0, &bytes), (&digests.1, &text)).expect("they can be kept");
        ask(store, "deploy", json!({ "component": digests.0, "manifest": digests.1 }).to_string());
        self.asked.push(digests);
    }
}
