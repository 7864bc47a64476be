//! Operators, who ask for whatever comes to their minds.

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::json;

use super::knowledge::Name;
use crate::journal::Warrant;
use crate::store::trial::Prompt;
use crate::store::{Location, Question, Writer};

/// What an operator sees of a store.
pub(super) struct Look {
    parked: Vec<String>,
    entities: Vec<String>,
    /// Intents without a conclusion, and whether they are held.
    intents: Vec<(Name, bool)>,
    letters: Vec<i64>,
    paused: Vec<(String, String)>,
}

impl Look {
    pub(super) fn at(store: &Location) -> Self {
        let prompt = Prompt::at(store);
        let keys = |condition: &str| -> Vec<String> {
            prompt.rows(&format!("SELECT key FROM entities WHERE key <> '' {condition} ORDER BY key"), &[], |row| row.get(0))
        };
        let (parked, entities) = (keys("AND parked"), keys(""));
        let sql = "SELECT key, o.sequence, o.position, status = 'held' FROM outbox o JOIN entities e ON e.id = o.entity ORDER BY 1, 2, 3";
        let intents = prompt.rows(sql, &[], |row| Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?)));
        let letters = prompt.rows("SELECT id FROM dead_letters ORDER BY id", &[], |row| row.get(0));
        let paused = prompt.rows("SELECT scope, name FROM pauses ORDER BY scope, name", &[], |row| Ok((row.get(0)?, row.get(1)?)));
        Look { parked, entities, intents, letters, paused }
    }

    /// Has everything go on that stands still.
    pub(super) fn mend(&self, store: &Location) {
        for scope in &self.paused {
            ask(store, "resume", scope_json(scope));
        }
        for key in &self.parked {
            ask(store, "parked redrive", key.clone());
        }
        for (name, _) in self.intents.iter().filter(|(_, held)| *held) {
            ask(store, "intents redrive", intent_json(name));
        }
    }

    /// Does one thing. Gives the intent that is to be given up, where it is that.
    pub(super) fn act(&self, store: &Location, rng: &mut StdRng) -> Option<Name> {
        if !self.paused.is_empty() && rng.random_ratio(1, 2) {
            let scope = one_of(&self.paused, rng)?;
            ask(store, "resume", scope_json(scope));
            if rng.random_ratio(1, 8) {
                // For another reason.
                ask(store, "pause", scope_json(scope));
            }
            return None;
        }
        match rng.random_range(0..20) {
            0..2 => ask(store, "parked redrive", one_of(&self.parked, rng)?.clone()),
            2 => ask(store, "parked drop", one_of(&self.parked, rng)?.clone()),
            3..5 => ask(store, "dead-letters redrive", one_of(&self.letters, rng)?.to_string()),
            5 => ask(store, "dead-letters drop", one_of(&self.letters, rng)?.to_string()),
            6..8 => ask(store, "intents redrive", intent_json(&one_of(&self.intents, rng)?.0)),
            8..11 => {
                let (name, _) = one_of(&self.intents, rng)?;
                ask(store, "intents give-up", intent_json(name));
                return Some(name.clone());
            }
            11 => ask(store, "pause", scope_json(&("workflow".into(), String::new()))),
            12..14 => {
                let effect = if rng.random_ratio(1, 2) { "first" } else { "second" };
                ask(store, "pause", scope_json(&("effect".into(), effect.into())));
            }
            14..16 => ask(store, "pause", scope_json(&("entity".into(), one_of(&self.entities, rng)?.clone()))),
            16..19 => {
                let entity = one_of(&self.entities, rng)?;
                ask(store, "erase", json!({ "entity": entity, "keep_state": rng.random_ratio(2, 3) }).to_string());
            }
            _ => ask(store, "truncate", String::new()),
        }
        None
    }
}

/// Asks for a whole sweep: what is old goes.
pub(super) fn truncate(store: &Location) {
    ask(store, "truncate", String::new());
}

fn one_of<'a, T>(some: &'a [T], rng: &mut StdRng) -> Option<&'a T> {
    (!some.is_empty()).then(|| &some[rng.random_range(0..some.len())])
}

fn scope_json((scope, name): &(String, String)) -> String {
    match scope.as_str() {
        "workflow" => "{}".into(),
        _ => json!({ scope: name }).to_string(),
    }
}

fn intent_json((entity, sequence, index): &Name) -> String {
    json!({ "entity": entity, "sequence": sequence, "index": index }).to_string()
}

pub(super) fn ask(store: &Location, command: &str, subject: String) {
    let warrant = Warrant { by: "somebody".into(), reason: Some("it seemed right".into()) };
    let question = Question { command, subjects: &[subject], warrant: &warrant };
    Writer::ask_beside(store, "simulated", &question).expect("the command can be asked");
}
