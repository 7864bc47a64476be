//! Releases that come into force while hosts run: earlier ones and new ones, under manifests that can be told apart.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use super::host::{component, manifest};
use super::knowledge::Knowledge;
use super::operators::ask;
use super::run::{MENDED, WITHOUT_ALARMS};
use super::scenario::Scenario;
use crate::journal::{hex, sha256};
use crate::store::trial::Prompt;
use crate::store::{Location, Writer};

/// What may come into force: one that cannot bear poison, one that can, one with another state and cases in another order, and
/// one that sets no alarms.
const COMPONENTS: [&str; 4] = ["simulated-v1", "simulated-v2", "simulated-v3", WITHOUT_ALARMS];

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
            return self.ask_to_deploy(&(component.clone(), manifest.clone()), store);
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
        self.ask_to_deploy(&digests, store);
        self.asked.push(digests);
    }

    /// It follows the release that is in force now, whatever is by the time that it is ready. Some are judged too early.
    fn ask_to_deploy(&self, (component, manifest): &(String, String), store: &Location) {
        let in_force: u64 = Prompt::at(store).row("SELECT coalesce(max(generation), 0) FROM releases", |row| row.get(0));
        let base = if self.asked.len() % 4 == 3 { in_force.saturating_sub(1) } else { in_force };
        ask(store, "deploy", json!({ "component": component, "manifest": manifest, "base": base }).to_string());
    }
}
