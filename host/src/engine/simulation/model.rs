//! What must be true after a run, worked out from the tables, the source and the backends by code that shares nothing
//! with the engine but the way in which ids are made.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::host::workflow;
use super::knowledge::Entry;
use super::scenario::{BEGIN, Line, MUCH, Scenario};
use super::senders::{Known, Senders};
use super::world::{Shared, World};
use crate::engine::Plan;
use crate::journal::intent_id;
use crate::replay;
use crate::sandbox::Sandbox;
use crate::store::Location;
use crate::store::trial::Prompt;

/// How long a due timer waits for the source, as the simulated manifest says, in microseconds.
const TIMER_WAIT: u64 = 2_000_000;

/// How long the source must have had nothing to read before a due timer trusts it, in microseconds.
const QUIET: u64 = 50_000;

/// Events that are taken and not decided yet, at most.
const MOST_UNDER_WAY: usize = 32;

/// How often an event is sent, at most and by far.
const MOST_SENDERS: usize = 1000;

/// An account as the model folds it.
#[derive(Default)]
struct Account {
    state: Option<Value>,
    /// Of its last decision.
    release: u64,
    sequence: u64,
    now: u64,
    /// Asking decision, index and due time of the alarm that is set.
    alarm: Option<(u64, u32, u64)>,
}

struct Model<'a> {
    scenario: &'a Scenario,
    journal: (u64, u64),
    /// Releases that bear poison.
    bear: HashSet<u64>,
    /// Releases that set no alarms.
    mute: HashSet<u64>,
    accounts: BTreeMap<String, Account>,
    /// Intents for effects, and deliveries, by id: what to call them.
    asked: HashMap<String, String>,
    by_place: HashMap<(String, u64, u32), String>,
    /// How often each was concluded.
    concluded: HashMap<String, u32>,
    /// Intents that were given up.
    abandoned: HashSet<String>,
    /// Intents that were concluded as failed, with the failure's kind and text.
    failed: Vec<(String, String, String)>,
    /// Those that were concluded as a success.
    succeeded: HashSet<String>,
    /// Events by id: how often they were decided for good, and dropped from an inbox.
    decided: HashMap<String, u32>,
    dropped: HashMap<String, u32>,
    /// Events of each account in the order in which they were decided for good, with the sequence.
    order: BTreeMap<String, Vec<(String, u64)>>,
    /// Alarms that rang: account, sequence, now, due.
    rang: Vec<(String, u64, u64, u64)>,
    wrong: Vec<String>,
}

/// Everything that is wrong with what a run left, and its journal as text.
pub(super) fn check(scenario: &Scenario, store: &Location, world: &World, senders: &Senders) -> (Vec<String>, String) {
    let prompt = Prompt::at(store);
    let releases = || world.knowledge.entries.iter().map(|entry| entry.release);
    let mut model = Model {
        scenario,
        journal: world.knowledge.journal,
        bear: releases().filter(|release| world.knowledge.bears_poison(*release)).collect(),
        mute: releases().filter(|release| !world.knowledge.sets_alarms(*release)).collect(),
        accounts: BTreeMap::new(),
        asked: HashMap::new(),
        by_place: HashMap::new(),
        concluded: HashMap::new(),
        abandoned: HashSet::new(),
        failed: Vec::new(),
        succeeded: HashSet::new(),
        decided: HashMap::new(),
        dropped: HashMap::new(),
        order: BTreeMap::new(),
        rang: Vec::new(),
        wrong: Vec::new(),
    };
    let mut entries: Vec<&Entry> = world.knowledge.entries.iter().collect();
    entries.sort_by(|a, b| (&a.key, a.sequence, a.ordinal).cmp(&(&b.key, b.sequence, b.ordinal)));
    let mut text = String::new();
    for entry in entries {
        let Entry { key, sequence, ordinal, kind, release, now, event_id, input, verdict, state, output, .. } = entry;
        let _ = writeln!(text, "{key} {sequence}.{ordinal} {kind} {release} {now} {event_id} {input} {verdict:?} {state:?} {output}");
        model.take(entry);
    }
    model.finish(&prompt, world, senders);
    (model.wrong, text)
}

/// What `verify` finds wrong with the chain and the decisions.
pub(super) fn verify(
    scenario: &Scenario,
    folder: &Path,
    release: &str,
    world: &Shared,
    sandbox: &Sandbox,
    store: &Location,
) -> Option<String> {
    let workflow = workflow(folder, release, scenario, world);
    let journal = workflow.manifest.store.id.expect("the manifest names the journal");
    let plan = Plan::new(workflow, sandbox, 1, journal).expect("the component can be loaded");
    let report = replay::verify(&plan, sandbox, store, 1, |_| ()).expect("the store can be read");
    let told: Vec<String> =
        report.told.iter().map(|m| format!("{} {}.{} {} {:?}", m.entity, m.sequence, m.ordinal, m.what, m.differences)).collect();
    (report.mismatches > 0).then(|| format!("verify finds {} mismatches: {}", report.mismatches, told.join("; ")))
}

/// A state as far as all releases have it.
fn common(state: &str) -> Value {
    let mut state: Value = serde_json::from_str(state).expect("JSON");
    if let Some(fields) = state.as_object_mut() {
        fields.remove("turns");
    }
    state
}

impl Model<'_> {
    fn id(&self, key: &str, sequence: u64, index: u32) -> String {
        intent_id(self.journal, "simulated", key, sequence, index).to_string()
    }

    fn take(&mut self, entry: &Entry) {
        match entry.kind.as_str() {
            "decided" => self.decision(entry),
            "concluded" => {
                let input: Value = serde_json::from_str(&entry.input).expect("JSON");
                let place =
                    (entry.key.clone(), input["sequence"].as_u64().expect("a sequence"), input["index"].as_u64().expect("an index"));
                let place = (place.0, place.1, u32::try_from(place.2).expect("an index"));
                match self.by_place.get(&place).cloned() {
                    Some(id) => {
                        let output: Value = serde_json::from_str(&entry.output).expect("JSON");
                        self.note_end(&id, &output);
                        *self.concluded.entry(id).or_default() += 1;
                    }
                    None => self.wrong.push(format!("{} {}: concludes an intent that nobody asked for", entry.key, entry.sequence)),
                }
            }
            "abandoned" if !self.abandoned.insert(entry.event_id.clone()) => {
                self.wrong.push(format!("{} {}: gives {} up once more", entry.key, entry.sequence, entry.event_id));
            }
            "dropped" if !entry.key.is_empty() => *self.dropped.entry(entry.event_id.clone()).or_default() += 1,
            _ => {}
        }
    }

    fn note_end(&mut self, id: &str, result: &Value) {
        if result.get("ok").is_some() {
            self.succeeded.insert(id.to_owned());
        }
        if let Some((kind, text)) = result["err"].as_object().and_then(|failure| failure.iter().next()) {
            self.failed.push((id.to_owned(), kind.clone(), text.as_str().unwrap_or_default().to_owned()));
        }
    }

    fn decision(&mut self, entry: &Entry) {
        let input: Value = serde_json::from_str(&entry.input).expect("JSON");
        let (case, record) = input.as_object().and_then(|object| object.iter().next()).expect("a case");
        let place = format!("{} {}", entry.key, entry.sequence);
        let account = self.accounts.entry(entry.key.clone()).or_default();
        if entry.sequence != account.sequence + 1 {
            self.wrong.push(format!("{place}: follows {}", account.sequence));
        }
        if entry.now < account.now {
            self.wrong.push(format!("{place}: time went back"));
        }
        if entry.release < account.release {
            self.wrong.push(format!("{place}: decided by release {} after release {}", entry.release, account.release));
        }
        account.release = entry.release;
        let (before, alarm) = (account.now, account.alarm);
        account.sequence = entry.sequence;
        account.now = entry.now;
        if self.scenario.event_clock && entry.of_event {
            self.event_time(entry, before, alarm);
        }
        match entry.verdict.as_deref() {
            Some("faulted") => {
                if record["behaviour"] != "poison" || self.bear.contains(&entry.release) {
                    self.wrong.push(format!("{place}: faulted for no reason: {}", entry.output));
                }
                return;
            }
            Some("rejected") if record["behaviour"] != "reject" => self.wrong.push(format!("{place}: rejected for no reason")),
            Some("rejected") => return self.event_decided(entry),
            _ => {}
        }
        let intents = self.fold(entry, case, record);
        let expected = Value::Array(intents).to_string();
        let output: Value = serde_json::from_str(&entry.output).expect("JSON");
        if output != serde_json::from_str::<Value>(&expected).expect("JSON") {
            self.wrong.push(format!("{place}: asks for {output}, not {expected}"));
        }
        let folded = self.accounts[&entry.key].state.clone();
        let state = entry.state.as_deref().map(common);
        if state != folded {
            self.wrong.push(format!("{place}: the state is {state:?}, not {folded:?}"));
        }
    }

    /// An event is decided for good: a fault leaves it at the head of the inbox.
    fn event_decided(&mut self, entry: &Entry) {
        *self.decided.entry(entry.event_id.clone()).or_default() += 1;
        self.order.entry(entry.key.clone()).or_default().push((entry.event_id.clone(), entry.sequence));
    }

    /// What the reducer does, said once more.
    fn fold(&mut self, entry: &Entry, case: &str, record: &Value) -> Vec<Value> {
        let empty = || json!({ "moves": [], "succeeded": 0, "failed": 0, "alarms": 0, "passed": [] });
        let count = |state: &mut Value, field: &str| state[field] = json!(state[field].as_u64().expect("a number") + 1);
        let mut account = std::mem::take(self.accounts.get_mut(&entry.key).expect("an account"));
        let mut intents = Vec::new();
        match case {
            "moved" => {
                self.event_decided(entry);
                let lived = account.state.is_some();
                let mut state = account.state.take().unwrap_or_else(empty);
                state["moves"].as_array_mut().expect("a list").push(record["number"].clone());
                intents = self.ask(entry, record, &mut account);
                if record["behaviour"] != "end" {
                    account.state = Some(state);
                } else if lived {
                    account.alarm = None;
                }
            }
            "called" => {
                self.note_end(&entry.event_id, &record["result"]);
                *self.concluded.entry(entry.event_id.clone()).or_default() += 1;
                if let Some(state) = &mut account.state {
                    count(state, if record["result"].get("ok").is_some() { "succeeded" } else { "failed" });
                }
            }
            "alarm" => {
                let due = purefold_wit::instant::parse(record["due"].as_str().expect("an instant")).expect("an instant");
                self.rang.push((entry.key.clone(), entry.sequence, entry.now, due));
                match account.alarm.take() {
                    Some((sequence, index, set)) if self.id(&entry.key, sequence, index) == entry.event_id && set == due => {}
                    other => self.wrong.push(format!("{} {}: an alarm that is not set rings; set is {other:?}", entry.key, entry.sequence)),
                }
                if entry.now < due {
                    self.wrong.push(format!("{} {}: the alarm rings before it is due", entry.key, entry.sequence));
                }
                if let Some(state) = &mut account.state {
                    count(state, "alarms");
                }
            }
            _ => {
                *self.concluded.entry(entry.event_id.clone()).or_default() += 1;
                let mut state = account.state.take().unwrap_or_else(empty);
                state["passed"].as_array_mut().expect("a list").push(record["number"].clone());
                account.state = Some(state);
            }
        }
        self.accounts.insert(entry.key.clone(), account);
        intents
    }

    fn ask(&mut self, entry: &Entry, record: &Value, account: &mut Account) -> Vec<Value> {
        let number = |field: &str| record[field].as_u64().expect("a number");
        let mut intents = Vec::new();
        for (case, field) in [("call", "calls"), ("follow", "follows")] {
            for place in 0..number(field) {
                intents.push(json!({ case: { "account": entry.key, "number": number("number"), "place": place } }));
            }
        }
        let sets_alarms = !self.mute.contains(&entry.release);
        if sets_alarms && record["cancel"] == true {
            intents.push(json!({ "cancel_alarm": { "name": "alarm" } }));
            account.alarm = None;
        }
        if let Some(milliseconds) = record["alarm"].as_u64().filter(|_| sets_alarms) {
            let due = entry.now + milliseconds * 1000;
            account.alarm = Some((entry.sequence, u32::try_from(intents.len()).expect("an index"), due));
            intents.push(json!({ "set_alarm": { "name": "alarm", "due": purefold_wit::instant::format(due) } }));
        }
        if let Some(other) = record["pass_to"].as_str() {
            intents.push(json!({ "pass": { "account": other, "number": number("number") } }));
        }
        for (index, intent) in (0..).zip(&intents) {
            let case = intent.as_object().and_then(|object| object.keys().next()).expect("a case");
            if matches!(case.as_str(), "call" | "follow" | "pass") {
                let id = self.id(&entry.key, entry.sequence, index);
                let name = format!("{case} {}/{}/{index}", entry.key, entry.sequence);
                self.asked.insert(id.clone(), name);
                self.by_place.insert((entry.key.clone(), entry.sequence, index), id);
            }
        }
        intents
    }

    fn finish(&mut self, prompt: &Prompt, world: &World, senders: &Senders) {
        for (id, name) in &self.asked {
            let times = self.concluded.get(id).copied().unwrap_or_default();
            if times != 1 {
                self.wrong.push(format!("{name} ({id}) was concluded {times} times"));
            }
        }
        for id in self.concluded.keys().filter(|id| !self.asked.contains_key(*id)) {
            self.wrong.push(format!("{id} was concluded and nobody asked for it"));
        }
        for (key, account) in &self.accounts {
            if let Some(alarm) = account.alarm {
                self.wrong.push(format!("{key}: the alarm {alarm:?} never rang"));
            }
        }
        for (id, applied) in &world.applied {
            if !self.asked.contains_key(id) {
                self.wrong.push(format!("{id} took effect and nobody asked for it"));
            }
            if applied.asked > 1 + applied.unknown {
                self.wrong.push(format!("{} attempts had {id} done, and the end of {} was not known", applied.asked, applied.unknown));
            }
            if applied.times > 2 * applied.asked {
                self.wrong.push(format!("{id} took effect {} times by {} attempts", applied.times, applied.asked));
            }
        }
        for id in self.succeeded.iter().filter(|id| !world.applied.contains_key(*id)) {
            self.wrong.push(format!("{id} was concluded as a success and never took effect"));
        }
        self.failures(world);
        let buried = &world.knowledge.buried;
        if self.scenario.requests {
            self.sent(senders, world);
        } else {
            self.events(prompt, world);
            let dead: HashSet<&str> = buried.iter().filter_map(|(letter, _)| letter.event_id.as_deref()).collect();
            self.event_order(&dead);
            // Events that another host than their owner reads come by way of the store.
            if !self.scenario.event_clock && self.scenario.hosts == 1 {
                self.alarms(world, &dead);
            }
        }
        let states = prompt.rows("SELECT entity, state FROM states", &[], |row| Ok((row.get(0)?, row.get(1)?)));
        let states: BTreeMap<String, Option<String>> = states.into_iter().collect();
        for (key, account) in &self.accounts {
            let state = states.get(key).map(|state| state.as_deref().map_or(Value::Null, common));
            if state != account.state {
                self.wrong.push(format!("{key}: what is stored as its state is {state:?}, not {:?}", account.state));
            }
        }
        self.wrong.sort();
    }

    /// What was given up is concluded as that, and nobody is told that nothing happened where it did.
    fn failures(&mut self, world: &World) {
        for (id, kind, text) in &self.failed {
            let given_up = text.starts_with("given up by somebody: ");
            if given_up != self.abandoned.contains(id) {
                self.wrong.push(format!("{id} was concluded as {kind}: {text}; given up: {}", !given_up));
            }
            if kind == "exhausted" && world.applied.contains_key(id) {
                self.wrong.push(format!("{id} took effect and was concluded as {kind}: {text}"));
            }
        }
        for id in &self.abandoned {
            if !self.failed.iter().any(|(failed, ..)| failed == id) {
                self.wrong.push(format!("{id} was given up and not concluded as failed"));
            }
        }
    }

    /// How often an event left the host's hands: decided for good, or dropped.
    fn settled(&self, id: &str) -> u32 {
        self.decided.get(id).copied().unwrap_or_default() + self.dropped.get(id).copied().unwrap_or_default()
    }

    /// How often each of `events`, in the order in which they came, may be taken: once more only where it has left the
    /// window of those that are remembered.
    fn most_taken<'a>(&self, events: impl Iterator<Item = &'a str>, world: &World) -> HashMap<&'a str, u32> {
        let acts =
            world.knowledge.entries.iter().filter(|entry| entry.key.is_empty() && matches!(entry.kind.as_str(), "dropped" | "redriven"));
        // A start knows the order in which they were decided, which is another one by as much as is under way.
        let crashed = if world.starts.len() > 1 { MOST_UNDER_WAY } else { 0 };
        // Of several hosts each remembers by itself, and nobody here knows what.
        let elsewhere = if self.scenario.hosts > 1 { self.scenario.lines.len() * MOST_SENDERS } else { 0 };
        let besides = acts.count() + crashed + elsewhere;
        let mut taken: HashMap<&str, (usize, u32)> = HashMap::new();
        for (place, id) in events.enumerate() {
            let (first, times) = taken.entry(id).or_insert((place, 1));
            if place > *first && place - *first - 1 + besides >= self.scenario.dedupe {
                (*first, *times) = (place, *times + 1);
            }
        }
        taken.into_iter().map(|(id, (_, times))| (id, times)).collect()
    }

    /// An event that was answered as taken is decided, and none more often than it may be taken.
    fn sent(&mut self, senders: &Senders, world: &World) {
        let known = senders.known(self.scenario);
        let most = self.most_taken(senders.taken(), world);
        for (id, known) in &known {
            let settled = self.settled(id);
            let most = most.get(id.as_str()).copied().unwrap_or(0);
            // Another host may have buried what was sent to this one.
            let is_buried = world.knowledge.buried.iter().any(|(letter, _)| letter.event_id.as_ref() == Some(id));
            let right = match known {
                Known::Taken => settled <= most && (settled > 0 || is_buried),
                Known::Refused => settled == 0 || (settled <= most && (self.scenario.hosts > 1 || self.scenario.dedupe < MUCH)),
                Known::Nothing => settled <= most,
            };
            if !right {
                self.wrong.push(format!("{id} was settled {settled} times; its sender knows: {known:?}"));
            }
        }
        self.unheard_of(|id| known.contains_key(id));
    }

    fn unheard_of(&mut self, is_known: impl Fn(&str) -> bool) {
        let unheard_of: Vec<_> = self.decided.keys().chain(self.dropped.keys()).filter(|id| !is_known(id)).collect();
        self.wrong.extend(unheard_of.iter().map(|id| format!("{id} was decided and the source never had it")));
    }

    /// Every event is decided once, or accounted for.
    fn events(&mut self, prompt: &Prompt, world: &World) {
        let buried = &world.knowledge.buried;
        let is_letter = |number: u64| buried.iter().any(|(letter, _)| letter.line == number);
        let taken = (1..).zip(&self.scenario.lines).filter(|(number, _)| !is_letter(*number));
        let most = self.most_taken(taken.filter_map(|(_, line)| Some(line.event.as_ref()?.id.as_str())), world);
        let mut known = HashSet::new();
        for (number, line) in (1..).zip(&self.scenario.lines) {
            let letters: Vec<&str> =
                buried.iter().filter(|(letter, _)| letter.line == number).map(|(letter, _)| letter.code.as_str()).collect();
            let Some(event) = &line.event else {
                if letters.len() != 1 {
                    self.wrong.push(format!("line {number} cannot be read and is {} dead letters", letters.len()));
                }
                continue;
            };
            // What is redriven to another host may be buried there again.
            let is_twice = letters.len() > 1 && self.scenario.hosts == 1;
            if letters.iter().any(|code| *code != "inbox-full") || is_twice {
                self.wrong.push(format!("line {number} is a dead letter for no reason: {letters:?}"));
            }
            if !known.insert(event.id.as_str()) {
                continue;
            }
            let settled = self.settled(&event.id);
            let full =
                buried.iter().filter(|(letter, _)| letter.event_id.as_ref() == Some(&event.id) && letter.code == "inbox-full").count();
            // An operator may have had each of the letters decided.
            let redriven = if self.scenario.dedupe < MUCH { full } else { full.min(1) };
            let most = most.get(event.id.as_str()).copied().unwrap_or(0) as usize;
            let most = if self.scenario.dedupe < MUCH { most + redriven } else { most.max(redriven) };
            if settled as usize > most || (settled == 0 && full == 0) {
                self.wrong.push(format!("{} of line {number} was decided {settled} times", event.id));
            }
        }
        self.unheard_of(|id| known.contains(id));
        let read: u64 = prompt.row("SELECT max(next_line) FROM sources", |row| row.get(0));
        if read != self.scenario.lines.len() as u64 {
            self.wrong.push(format!("the position is {read} of {} lines", self.scenario.lines.len()));
        }
    }

    /// The line of an event; none where it came more than once and may have been taken from either.
    fn line(&self, id: &str) -> Option<usize> {
        let is_it = |line: &Line| line.event.as_ref().is_some_and(|event| event.id == id);
        let first = self.scenario.lines.iter().position(is_it)?;
        let is_clear = self.scenario.hosts == 1 && self.scenario.dedupe == MUCH;
        (is_clear || !self.scenario.lines[first + 1..].iter().any(is_it)).then_some(first)
    }

    /// The events of one account are decided in the order in which the source has them; of several hosts, each reads a source
    /// of its own.
    fn event_order(&mut self, dead: &HashSet<&str>) {
        for (key, order) in &self.order {
            let lines: Vec<usize> =
                order.iter().filter(|(id, ..)| !dead.contains(id.as_str())).filter_map(|(id, ..)| self.line(id)).collect();
            let hosts = self.scenario.hosts;
            let is_right = |part: usize| lines.iter().filter(|line| *line % hosts == part).is_sorted();
            if !(0..hosts).all(is_right) {
                self.wrong.push(format!("{key}: the order of events is not the source's: {order:?}"));
            }
        }
    }

    /// On the events' own clock an event is decided at its time, a late one at the latest time of its account, and no alarm
    /// that was due then is still to ring.
    fn event_time(&mut self, entry: &Entry, before: u64, alarm: Option<(u64, u32, u64)>) {
        let of = |line: &Line| line.event.as_ref().filter(|event| event.id == entry.event_id).map(|event| event.time);
        let Some(time) = self.scenario.lines.iter().find_map(of) else { return };
        if entry.now != time.max(before) {
            self.wrong.push(format!("{} {}: is decided at {}, not at {}", entry.key, entry.sequence, entry.now, time.max(before)));
        }
        if let Some((.., due)) = alarm.filter(|(.., due)| *due <= time) {
            self.wrong.push(format!("{} {}: passes an alarm that was due at {due}", entry.key, entry.sequence));
        }
    }

    /// No alarm rings while an event that came before it was due is still to be read, unless it waited long enough for a
    /// host that could read and was not paused.
    fn alarms(&mut self, world: &World, dead: &HashSet<&str>) {
        if self.scenario.jumps > 0 {
            return;
        }
        let is_resumed = |entry: &&Entry| entry.kind == "resumed" && entry.key.is_empty() && entry.input.contains("\"workflow\"");
        let mut begins: Vec<u64> = world.knowledge.entries.iter().filter(is_resumed).map(|entry| entry.now).collect();
        begins.extend(&world.starts);
        begins.sort_unstable();
        for (key, sequence, now, due) in &self.rang {
            let began = begins.iter().rev().find(|began| *began < now).unwrap_or(due);
            let waits_until = due.max(began) + TIMER_WAIT;
            let entity = format!("\"entity\":{}", json!(key));
            let went_on = |entry: &&Entry| {
                matches!(entry.kind.as_str(), "resumed" | "dropped")
                    && (entry.key == *key || (entry.key.is_empty() && entry.input.contains(&entity)))
            };
            // It had fallen due before, and waited in the inbox of an entity that stood still.
            if world.knowledge.entries.iter().filter(went_on).any(|entry| (due..=now).contains(&&entry.now)) {
                continue;
            }
            for (id, decided) in self.order.get(key).into_iter().flatten().filter(|(id, _)| !dead.contains(id.as_str())) {
                let Some(line) = self.line(id).map(|line| &self.scenario.lines[line]) else { continue };
                let available = BEGIN + u64::try_from(line.available.as_micros()).expect("a time");
                if decided > sequence && available + QUIET < *due && *now < waits_until {
                    self.wrong.push(format!("{key} {sequence}: the alarm of {due} rings before {id}, which was there at {available}"));
                }
            }
        }
    }
}
