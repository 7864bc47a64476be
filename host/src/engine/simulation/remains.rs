//! What the store still holds after a run, against everything that was ever durable: what was erased stays erased, what was
//! truncated begins at a checkpoint, nothing else is gone, and what stood still did.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::knowledge::{Entry, Knowledge};
use super::scenario::{Entries, Scenario};
use crate::store::Location;
use crate::store::trial::Prompt;

struct Remains<'a> {
    scenario: &'a Scenario,
    /// Of each entity, in the order of its chain.
    chains: BTreeMap<&'a str, Vec<&'a Entry>>,
    /// By the wall's clock.
    end: u64,
    wrong: Vec<String>,
}

/// What of an entry is in the store.
#[derive(Debug, PartialEq)]
struct Held {
    input: String,
    state: Option<String>,
    output: String,
    has_event: bool,
}

/// Everything that is wrong with what is left, at the time `end` by the wall's clock.
pub(super) fn check(scenario: &Scenario, store: &Location, knowledge: &Knowledge, end: u64) -> Vec<String> {
    let prompt = Prompt::at(store);
    let mut chains: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in &knowledge.entries {
        chains.entry(&entry.key).or_default().push(entry);
    }
    let mut remains = Remains { scenario, chains, end, wrong: Vec::new() };
    let held = held(&prompt);
    let checkpoints = checkpoints(&prompt);
    for key in remains.chains.keys().copied().collect::<Vec<_>>() {
        let kept = remains.truncated(key, &held, checkpoints.get(key).copied());
        remains.erased(key, kept, &held);
    }
    if held.len() > knowledge.entries.len() {
        remains.wrong.push("the journal holds entries that were never durable before".into());
    }
    remains.pauses(knowledge);
    remains.letters(knowledge);
    remains.wrong
}

fn held(prompt: &Prompt) -> HashMap<i64, Held> {
    let sql = "SELECT row, input, state, output, EXISTS (SELECT 1 FROM events WHERE events.row = journal.row) FROM journal";
    let held = prompt.rows(sql, &[], |row| {
        Ok((row.get(0)?, Held { input: row.get(1)?, state: row.get(2)?, output: row.get(3)?, has_event: row.get(4)? }))
    });
    held.into_iter().collect()
}

fn checkpoints(prompt: &Prompt) -> HashMap<String, i64> {
    let sql = "SELECT key, row FROM checkpoints JOIN entities ON id = entity";
    prompt.rows(sql, &[], |row| Ok((row.get(0)?, row.get(1)?))).into_iter().collect()
}

/// Whether it is the decision on an event or a timer: what a paused workflow does not begin.
fn begins(entry: &Entry) -> bool {
    entry.of_event || entry.input.starts_with("{\"alarm\"")
}

impl Remains<'_> {
    /// Only a chain's first entries may be gone, and only where they are old. Gives how many are.
    fn truncated(&mut self, key: &str, held: &HashMap<i64, Held>, checkpoint: Option<i64>) -> usize {
        let chain = &self.chains[key];
        let gone = chain.iter().take_while(|entry| !held.contains_key(&entry.row)).count();
        if let Some(missing) = chain[gone..].iter().find(|entry| !held.contains_key(&entry.row)) {
            self.wrong.push(format!("{key} {}.{} is gone from the middle of its chain", missing.sequence, missing.ordinal));
        }
        let first = chain.get(gone).map(|entry| entry.row);
        if gone > 0 && (checkpoint != first || key.is_empty()) {
            self.wrong.push(format!("{key}: the first {gone} entries are gone, and the checkpoint is {checkpoint:?}, not {first:?}"));
        }
        let retention = &self.scenario.retention;
        let last = chain.last().map_or(0, |entry| entry.sequence);
        // An ended life may go sooner than the rest, and where the clock jumps nobody knows what was old when.
        if retention.ended.is_none() && self.scenario.jumps == 0 && !self.scenario.event_clock {
            let young = chain[..gone].iter().find(|entry| match retention.journal {
                None => true,
                Some(Entries::For(time)) => entry.now + time > self.end,
                Some(Entries::Decisions(count)) => entry.sequence + count > last,
            });
            if let Some(young) = young {
                self.wrong.push(format!("{key} {}.{} is gone and was not old", young.sequence, young.ordinal));
            }
        }
        gone
    }

    /// What an entity's entries held before it was erased is gone, but for the state that it was in; nothing else is.
    fn erased(&mut self, key: &str, gone: usize, held: &HashMap<i64, Held>) {
        let chain = self.chains[key].clone();
        // The entry that held the state, at each erasure.
        let (mut holder, mut holders) = (None, Vec::new());
        for (index, entry) in chain.iter().enumerate() {
            match (entry.kind.as_str(), entry.verdict.as_deref()) {
                ("decided", Some("accepted")) | ("migrated", _) => holder = entry.state.is_some().then_some(index),
                ("erased", _) => holders.push((index, holder)),
                _ => {}
            }
        }
        for (index, entry) in chain.iter().enumerate().skip(gone) {
            let Some(stored) = held.get(&entry.row) else { continue };
            let erased = holders.iter().any(|(at, _)| index < *at);
            let state_gone = holders.iter().any(|(at, holder)| index < *at && *holder != Some(index));
            let input_gone =
                erased && matches!(entry.kind.as_str(), "decided" | "concluded" | "parked" | "migrated" | "resumed" | "dropped");
            let output_gone = erased && matches!(entry.kind.as_str(), "decided" | "concluded" | "parked" | "migrated");
            let kept = |gone: bool, text: &str| if gone { String::new() } else { text.to_owned() };
            let expected = Held {
                input: kept(input_gone, &entry.input),
                state: entry.state.clone().filter(|_| !state_gone),
                output: kept(output_gone, &entry.output),
                has_event: stored.has_event && !erased,
            };
            if *stored != expected {
                self.wrong.push(format!("{key} {}.{} holds {stored:?}, not {expected:?}", entry.sequence, entry.ordinal));
            }
            if entry.of_event && !stored.has_event && !erased && self.scenario.retention.events.is_none() && entry.kind == "decided" {
                self.wrong.push(format!("{key} {}.{}: the bytes of its event are gone", entry.sequence, entry.ordinal));
            }
        }
    }

    /// While an entity is paused nothing is decided for it; while the workflow is, no event is taken and no timer fires.
    fn pauses(&mut self, knowledge: &Knowledge) {
        let (mut entities, mut workflow): (HashSet<String>, bool) = (HashSet::new(), false);
        for entry in &knowledge.entries {
            match entry.kind.as_str() {
                kind @ ("paused" | "resumed") if entry.key.is_empty() => {
                    let about: Value = serde_json::from_str(&entry.input).expect("JSON");
                    let paused = kind == "paused";
                    if about["workflow"] == true && std::mem::replace(&mut workflow, paused) == paused {
                        self.wrong.push(format!("the workflow is {kind} once more"));
                    }
                    if let Some(entity) = about["entity"].as_str() {
                        let is_news = if paused { entities.insert(entity.into()) } else { entities.remove(entity) };
                        if !is_news {
                            self.wrong.push(format!("{entity} is {kind} once more"));
                        }
                    }
                }
                // Of several hosts, only the one that writes a pause down knows of it at once.
                "decided" if self.scenario.hosts > 1 => {}
                "decided" if entities.contains(&entry.key) => {
                    self.wrong.push(format!("{} {} is decided while the entity is paused", entry.key, entry.sequence));
                }
                "decided" if workflow && !knowledge.waited.contains(&entry.event_id) && begins(entry) => {
                    self.wrong.push(format!("{} {} is decided while the workflow is paused", entry.key, entry.sequence));
                }
                _ => {}
            }
        }
    }

    /// A dead letter that is gone was dropped, decided after all, erased with its entity, or old.
    fn letters(&mut self, knowledge: &Knowledge) {
        let acts = |kind: &str| -> Vec<(i64, u64)> {
            let acts = knowledge.entries.iter().filter(|entry| entry.key.is_empty() && entry.kind == kind);
            let about = acts.filter_map(|entry| serde_json::from_str::<Value>(&entry.input).ok());
            about.filter_map(|about| Some((about["dead_letter"].as_i64()?, about["position"].as_u64()?))).collect()
        };
        let (dropped, redriven) = (acts("dropped"), acts("redriven"));
        let erased: HashSet<&str> =
            knowledge.entries.iter().filter(|entry| entry.kind == "erased").map(|entry| entry.key.as_str()).collect();
        for (letter, gone) in &knowledge.buried {
            let Some(gone) = *gone else { continue };
            let act = (letter.id, letter.line);
            let is_left_to_another = redriven.contains(&act) && self.scenario.hosts > 1;
            let is_decided = redriven.contains(&act) && letter.event_id.as_ref().is_some_and(|id| knowledge.has_event(id));
            let is_erased = letter.key.as_deref().is_some_and(|key| erased.contains(key));
            let is_unclear = self.scenario.jumps > 0 || self.scenario.event_clock;
            let is_old = self.scenario.retention.dead_letters.is_some_and(|time| is_unclear || letter.now + time <= gone);
            if !(dropped.contains(&act) || is_decided || is_left_to_another || is_erased || is_old) {
                self.wrong.push(format!("the dead letter {} of line {} is gone for no reason", letter.id, letter.line));
            }
        }
    }
}
