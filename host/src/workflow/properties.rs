//! `[properties]`: what must hold whatever happens, as scenarios and exploration hold a workflow to it.

use purefold_wit::{Contract, Finding, finding};

use super::manifest::{Manifest, PropertySettings};
use crate::replay::Condition;

/// What must hold of every entity.
#[derive(Clone, Debug)]
pub struct Property {
    /// Its name in the manifest.
    pub name: String,
    /// What it demands.
    pub demand: Demand,
}

/// What a property demands.
#[derive(Clone, Debug)]
pub enum Demand {
    /// Every state is so.
    Always(Condition),
    /// No state is so.
    Never(Condition),
    /// Intents of this case are asked for once at most, in one life of an entity.
    Once(u32),
    /// Where intents of this case are asked for, the decision leaves a state that is so.
    Asks(u32, Condition),
}

/// The properties of a manifest; what is wrong with them goes to `findings`.
pub(super) fn plan(manifest: &Manifest, contract: &Contract, findings: &mut Vec<Finding>) -> Vec<Property> {
    manifest.properties.iter().filter_map(|settings| property(settings, contract, findings)).collect()
}

/// The properties of a manifest that was checked.
#[must_use]
pub fn properties(manifest: &Manifest, contract: &Contract) -> Vec<Property> {
    plan(manifest, contract, &mut Vec::new())
}

fn property(settings: &PropertySettings, contract: &Contract, findings: &mut Vec<Finding>) -> Option<Property> {
    let place = format!("properties.{}", settings.name);
    let mut wrong = |setting: &str, cause: String, help: &str| {
        findings.push(Finding::new("property-wrong", format!("{place}.{setting}"), cause, help));
    };
    let mut condition = |setting: &'static str, text: &Option<String>| {
        let text = text.as_ref()?;
        match Condition::parse(text, contract) {
            Ok(condition) => Some(condition),
            Err(error) => {
                wrong(setting, error.to_string(), "compare fields of the state with values, as `phase != \"active\" or deadline != null`");
                None
            }
        }
    };
    let (always, never, when) =
        (condition("always", &settings.always), condition("never", &settings.never), condition("when", &settings.when));
    let mut case = |setting: &str, name: &Option<String>| {
        let name = name.as_ref()?;
        let found = contract.intent.case(name).map(|(case, _)| case);
        if found.is_none() {
            let near = finding::nearest(name, contract.intent.cases.iter().map(|case| case.name.kebab()));
            let help = near.map_or_else(|| "name a case of the intents".to_owned(), |near| format!("did you mean `{near}`?"));
            wrong(setting, format!("there is no intent case `{name}`"), &help);
        }
        found
    };
    let (once, asks) = (case("once", &settings.once), case("asks", &settings.asks));
    let demand = match (always, never, once, asks, when) {
        (Some(condition), None, None, None, None) => Demand::Always(condition),
        (None, Some(condition), None, None, None) => Demand::Never(condition),
        (None, None, Some(case), None, None) => Demand::Once(case),
        (None, None, None, Some(case), Some(condition)) => Demand::Asks(case, condition),
        _ => return None,
    };
    Some(Property { name: settings.name.clone(), demand })
}
