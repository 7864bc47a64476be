//! The history of one entity, followed entry by entry: every decision is made anew by the reducer, on what was sent, and everything
//! that was asked for has exactly one end.

use std::collections::{BTreeMap, BTreeSet};

use purefold::journal::{intent_id, seed};
use purefold_wit::instant;
use serde_json::{Value, json};

use super::remains::Entry;
use super::routes::{Routes, Target};
use super::topics::Event;
use crate::vectors::Decider;

/// An event that was sent, and where it stands: its first copy.
pub(super) struct Sent {
    pub(super) event: Event,
    pub(super) partition: String,
    pub(super) offset: i64,
}

/// What a workflow's histories are followed with.
pub(super) struct Follower<'a> {
    pub(super) workflow: &'a str,
    pub(super) journal: (u64, u64),
    pub(super) routes: Routes,
    pub(super) decider: Decider,
    /// All events that were sent to it, by their ids.
    pub(super) sent: &'a BTreeMap<String, Sent>,
}

/// An intent for an effect, and how it ended.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) id: String,
    pub(super) sequence: u64,
    pub(super) case: String,
    pub(super) payload: Value,
    pub(super) now: u64,
    pub(super) correlation_id: String,
    pub(super) end: Option<End>,
}

/// How an intent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Done,
    /// It may have happened.
    Unknown,
    /// It has not.
    NotDone,
}

/// A history that was followed.
#[derive(Default)]
pub(super) struct History {
    /// Everything that was asked of effects, in order.
    pub(super) asked: Vec<Asked>,
    /// The ids of the events that were decided.
    pub(super) decided: BTreeSet<String>,
    /// Decisions.
    pub(super) decisions: u64,
    /// What is not as it must be.
    pub(super) wrong: Vec<String>,
    state: Value,
    now: u64,
    /// Timers in force: the id of the intent that set each, and its due time.
    timers: BTreeMap<String, (String, u64)>,
    /// The offset of the last event of each partition.
    last: BTreeMap<String, i64>,
}

impl Follower<'_> {
    /// Follows the entries of one entity, which stand in their order.
    pub(super) fn follow(&self, entries: &[Entry]) -> History {
        let mut history = History::default();
        for entry in entries {
            let place = format!("{}.{} {}", entry.sequence, entry.ordinal, entry.kind);
            let followed = match entry.kind.as_str() {
                "decided" => self.decided(&mut history, entry),
                "concluded" => self.concluded(&mut history, entry),
                // An operator had it tried again: nothing has come to an end by that.
                "redriven" => Ok(()),
                _ => Err("nothing should have led to this".to_owned()),
            };
            if let Err(wrong) = followed {
                history.wrong.push(format!("{place}: {wrong}"));
            }
        }
        for asked in history.asked.iter().filter(|asked| asked.end.is_none()) {
            history.wrong.push(format!("{} of decision {} was asked for and has no end", asked.case, asked.sequence));
        }
        history
    }

    fn decided(&self, history: &mut History, entry: &Entry) -> Result<(), String> {
        history.decisions += 1;
        same("the sequence", &json!(history.decisions), &json!(entry.sequence))?;
        if entry.now < history.now {
            return Err(format!("its time goes back: {} after {}", entry.now, history.now));
        }
        history.now = entry.now;
        let (case, payload) = variant(&entry.input)?;
        let input = if let Some(topic) = self.routes.inputs.get(case) {
            self.event(history, entry, case, topic)?
        } else if case == "timer" {
            self.timer(history, entry, payload)?;
            entry.input.clone()
        } else {
            self.outcome(history, entry, case, payload)?;
            entry.input.clone()
        };
        let (high, low) = seed(self.journal, self.workflow, &entry.entity, entry.sequence);
        let context = json!({
            "now": instant::format(entry.now), "entity": entry.entity, "sequence": entry.sequence, "event_id": entry.event_id,
            "correlation_id": entry.correlation_id, "seed": [high, low],
        });
        let answer = self.decider.answer(&json!({"context": context, "state": history.state, "input": input}));
        let (verdict, answered) = variant(&answer)?;
        same("the verdict", &json!(verdict), &json!(entry.verdict))?;
        if verdict != "accepted" {
            return same("the rejection", answered, &entry.output);
        }
        same("the state", &answered["state"], &entry.state)?;
        same("the intents", &answered["intents"], &entry.output)?;
        history.state = answered["state"].clone();
        let intents = answered["intents"].as_array().ok_or("no intents")?;
        (0..).zip(intents).try_for_each(|(index, intent)| self.ask(history, entry, index, intent))
    }

    /// The input that an event that was sent must be read as.
    fn event(&self, history: &mut History, entry: &Entry, case: &str, topic: &str) -> Result<Value, String> {
        // What the host tells of its own start is in no topic.
        if topic.starts_with("purefold.") {
            return Ok(entry.input.clone());
        }
        let sent = self.sent.get(&entry.event_id).ok_or_else(|| format!("the event {} was never sent", entry.event_id))?;
        if !history.decided.insert(entry.event_id.clone()) {
            return Err(format!("the event {} is decided again", entry.event_id));
        }
        same("the entity", &json!(sent.event.node), &json!(entry.entity))?;
        if !sent.partition.starts_with(&format!("kafka:{topic}/")) {
            return Err(format!("it stands in {}, and {case} comes from {topic}", sent.partition));
        }
        let correlation = sent.event.correlation.as_ref().unwrap_or(&sent.event.id);
        same("the correlation id", &json!(correlation), &json!(entry.correlation_id))?;
        let last = history.last.insert(sent.partition.clone(), sent.offset);
        if last.is_some_and(|last| last > sent.offset) {
            return Err(format!("the event {} is decided after one that stands behind it in {}", entry.event_id, sent.partition));
        }
        Ok(json!({case: sent.event.data}))
    }

    fn timer(&self, history: &mut History, entry: &Entry, payload: &Value) -> Result<(), String> {
        let name = payload["name"].as_str().ok_or("a timer has a name")?;
        let (id, due) = history.timers.remove(name).ok_or_else(|| format!("the timer {name} fires and is not set"))?;
        same("the intent that set it", &json!(id), &json!(entry.event_id))?;
        same("its due time", &json!(instant::format(due)), &payload["due"])?;
        if entry.now < due { Err(format!("the timer {name} fires before it is due")) } else { Ok(()) }
    }

    fn outcome(&self, history: &mut History, entry: &Entry, case: &str, payload: &Value) -> Result<(), String> {
        let asked = open(history, &entry.event_id)?;
        let route = &self.routes.intents[&asked.case];
        same("the outcome", &json!(route.outcome), &json!(case))?;
        same("the intent", &payload["intent_id"], &json!(asked.id))?;
        same("the attempt", &payload["attempt_id"], &asked.payload["attempt_id"])?;
        asked.end = Some(End::of(&payload["result"])?);
        Ok(())
    }

    fn concluded(&self, history: &mut History, entry: &Entry) -> Result<(), String> {
        let asked = open(history, &entry.event_id)?;
        same("the outcome", &json!(self.routes.intents[&asked.case].outcome), &Value::Null)?;
        asked.end = Some(End::of(&entry.output)?);
        Ok(())
    }

    fn ask(&self, history: &mut History, entry: &Entry, index: u32, intent: &Value) -> Result<(), String> {
        let (case, payload) = variant(intent)?;
        let id = intent_id(self.journal, self.workflow, &entry.entity, entry.sequence, index).to_string();
        let route = self.routes.intents.get(case).ok_or_else(|| format!("the intent {case} has no route"))?;
        let name = || payload["name"].as_str().map(str::to_owned).ok_or("a timer has a name");
        match route.target {
            Target::Timer { sets: true } => {
                let due = payload["due"].as_str().and_then(|due| instant::parse(due).ok()).ok_or("a timer has a due time")?;
                history.timers.insert(name()?, (id, due));
            }
            Target::Timer { sets: false } => drop(history.timers.remove(&name()?)),
            _ => history.asked.push(Asked {
                id,
                sequence: entry.sequence,
                case: case.to_owned(),
                payload: payload.clone(),
                now: entry.now,
                correlation_id: entry.correlation_id.clone(),
                end: None,
            }),
        }
        Ok(())
    }
}

impl End {
    fn of(result: &Value) -> Result<End, String> {
        Ok(match variant(result)? {
            ("ok", _) => End::Done,
            (_, failure) if failure.get("unknown").is_some() => End::Unknown,
            _ => End::NotDone,
        })
    }
}

/// The intent of that id, which has no end yet.
fn open<'h>(history: &'h mut History, id: &str) -> Result<&'h mut Asked, String> {
    let asked = history.asked.iter_mut().find(|asked| asked.id == id).ok_or_else(|| format!("{id} was never asked for"))?;
    if asked.end.is_some() { Err(format!("{} of decision {} ends again", asked.case, asked.sequence)) } else { Ok(asked) }
}

fn variant(value: &Value) -> Result<(&str, &Value), String> {
    let first = value.as_object().and_then(|variant| variant.iter().next());
    first.map(|(case, payload)| (case.as_str(), payload)).ok_or_else(|| format!("{value} is no case with a payload"))
}

fn same(what: &str, expected: &Value, found: &Value) -> Result<(), String> {
    if expected == found { Ok(()) } else { Err(format!("{what}: expected {expected}, found {found}")) }
}
