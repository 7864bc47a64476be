//! What is durable, read from the store's tables by nothing but SQL, commit by commit: so it is known also of what was erased
//! or truncated since.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::host::INBOX;
use super::run::WITHOUT_ALARMS;
use crate::journal::intent_id;
use crate::store::trial::Prompt;
use crate::store::value::values;
use crate::store::{Location, Numbers};

/// An intent by its entity's key, the decision that asked and its place there.
pub(super) type Name = (String, u64, u32);

/// Rounds of the loop and the lanes after which the lanes have heard of a pause that is durable.
const PAUSE_HEARD: u64 = 2;

/// An entry of the journal as it was when it became durable.
pub(super) struct Entry {
    pub(super) row: i64,
    pub(super) key: String,
    pub(super) sequence: u64,
    pub(super) ordinal: u32,
    pub(super) kind: String,
    pub(super) release: u64,
    pub(super) now: u64,
    pub(super) event_id: String,
    pub(super) input: String,
    pub(super) verdict: Option<String>,
    pub(super) state: Option<String>,
    pub(super) output: String,
    /// Whether it stands for an event.
    pub(super) of_event: bool,
}

/// A dead letter that was durable once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Letter {
    pub(super) id: i64,
    pub(super) line: u64,
    pub(super) event_id: Option<String>,
    pub(super) code: String,
    pub(super) key: Option<String>,
    pub(super) now: u64,
}

/// The durable facts that attempts and answers are held to.
#[derive(Default)]
pub(super) struct Knowledge {
    prompt: Option<Prompt>,
    /// The last row of each epoch that was read.
    read_to: BTreeMap<u64, i64>,
    inbox_to: BTreeMap<u64, i64>,
    /// Every entry that was ever durable, in the order of commits.
    pub(super) entries: Vec<Entry>,
    /// Where an event's or an outcome's entries stand among them.
    by_event: HashMap<String, Vec<usize>>,
    /// The component and the tag of each release, by its manifest.
    releases: BTreeMap<u64, (String, String)>,
    /// The release of each decision that asked for something.
    asked_under: HashMap<(String, u64), u64>,
    /// The intents of every accepted decision: case by name.
    cases: HashMap<Name, String>,
    /// Ids of intents whose outcome was a success, decided or waiting to be.
    succeeded: HashSet<String>,
    /// Ids of events and intents that stood in an inbox.
    pub(super) waited: HashSet<String>,
    /// Ids of events that one host left to another.
    pub(super) forwarded: HashSet<String>,
    /// The journal's id.
    pub(super) journal: (u64, u64),
    /// The outbox: what is neither concluded nor forgotten, with its status.
    outbox: BTreeMap<Name, String>,
    /// What is paused, and the round from which on nobody can say that he has not heard of it.
    paused: HashMap<(String, String), u64>,
    letters: Vec<Letter>,
    /// What operators were answered, by command.
    answers: BTreeMap<i64, String>,
    /// Every dead letter there was, and when it was gone by the wall's clock.
    pub(super) buried: Vec<(Letter, Option<u64>)>,
}

/// What a look at the store gave.
pub(super) struct News {
    /// Entries before this one were known.
    pub(super) from: usize,
    /// What is wrong with it.
    pub(super) wrong: Vec<String>,
}

fn case_of(intent: &Value) -> String {
    intent.as_object().and_then(|object| object.keys().next()).expect("a case").clone()
}

/// Whether a release came into force that was judged against another one than the one before it.
fn is_passed_by(answer: &str, subject: &str) -> bool {
    let Some(generation) = answer.strip_prefix("released: generation ") else { return false };
    let subject: Value = serde_json::from_str(subject).expect("JSON");
    subject["base"].as_u64().map(|base| base + 1) != generation.parse().ok()
}

fn is_success(input: &str) -> bool {
    input.starts_with("{\"called\"") && {
        let input: Value = serde_json::from_str(input).expect("JSON");
        input["called"]["result"].get("ok").is_some()
    }
}

/// An inbox that holds more events than it may.
fn crowded(prompt: &Prompt) -> Option<String> {
    let sql =
        "SELECT coalesce(max(events), 0) FROM (SELECT count(*) AS events FROM inbox WHERE origin = 'event' GROUP BY entity) AS of_entities";
    let events: u64 = prompt.row(sql, |row| row.get(0));
    (events > INBOX).then(|| format!("{events} events wait in an inbox; the bound is {INBOX}"))
}

impl Knowledge {
    /// Reads the store of a host that has just started, by the wall's clock at `wall`: what was durable must be there.
    pub(super) fn open(&mut self, store: &Location, round: u64, wall: u64) -> News {
        let prompt = Prompt::at(store);
        let id: String = prompt.row("SELECT value FROM meta WHERE name = 'journal'", |row| row.get(0));
        self.journal = purefold_wit::uuid::parse(&id).expect("a UUID");
        // The last entry of an entity is never forgotten.
        let last: i64 = prompt.row("SELECT coalesce(max(row), 0) FROM journal", |row| row.get(0));
        let known = self.read_to.values().copied().max().unwrap_or(0);
        let lost = (last < known).then(|| format!("the journal ends with row {last}; row {known} was durable"));
        self.prompt = Some(prompt);
        self.inbox_to.clear();
        let mut news = self.refresh(round, wall);
        // A start knows what is paused before it performs anything.
        self.paused.values_mut().for_each(|heard| *heard = round);
        news.wrong.extend(lost);
        news
    }

    /// Reads what was committed since.
    pub(super) fn refresh(&mut self, round: u64, wall: u64) -> News {
        let from = self.entries.len();
        let Some(prompt) = self.prompt.take() else { return News { from, wrong: Vec::new() } };
        prompt.stay();
        let last = |query: &str| Numbers::with(prompt.row(query, |row| row.get(0))).epoch();
        let last = last("SELECT coalesce(max(row), 0) FROM journal").max(last("SELECT coalesce(max(id), 0) FROM inbox"));
        // Rows of one epoch come in their order; those of several hosts side by side.
        for epoch in 0..=last {
            self.read_journal(&prompt, Numbers::of(epoch));
            self.read_inbox(&prompt, Numbers::of(epoch));
        }
        let sql = "SELECT e.key, o.sequence, o.position, o.status FROM outbox o JOIN entities e ON e.id = o.entity";
        let outbox = prompt.rows(sql, &[], |row| Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?)));
        self.outbox = outbox.into_iter().collect();
        self.read_releases(&prompt);
        self.read_pauses(&prompt, round);
        self.read_letters(&prompt, wall);
        self.read_forwarded(&prompt);
        let mut wrong = self.read_answers(&prompt);
        wrong.extend(crowded(&prompt));
        self.prompt = Some(prompt);
        News { from, wrong }
    }

    fn read_journal(&mut self, prompt: &Prompt, numbers: Numbers) {
        let sql = "SELECT j.row, e.key, j.sequence, j.ordinal, j.kind, j.release, j.now, j.event_id, j.input, j.verdict, j.state, j.output, \
                   j.event_hash IS NOT NULL FROM journal j JOIN entities e ON e.id = j.entity WHERE j.row > ? AND j.row <= ? ORDER BY j.row";
        let from = self.read_to.get(&numbers.epoch()).copied().unwrap_or(numbers.before_first());
        let entries = prompt.rows(sql, &values![from, numbers.last()], |row| {
            Ok(Entry {
                row: row.get(0)?,
                key: row.get(1)?,
                sequence: row.get(2)?,
                ordinal: row.get(3)?,
                kind: row.get(4)?,
                release: row.get(5)?,
                now: row.get(6)?,
                event_id: row.get(7)?,
                input: row.get(8)?,
                verdict: row.get(9)?,
                state: row.get(10)?,
                output: row.get(11)?,
                of_event: row.get(12)?,
            })
        });
        for entry in entries {
            self.read_to.insert(numbers.epoch(), entry.row);
            if entry.kind == "decided" {
                if is_success(&entry.input) {
                    self.succeeded.insert(entry.event_id.clone());
                }
                if entry.verdict.as_deref() == Some("accepted") && entry.output != "[]" {
                    let intents: Vec<Value> = serde_json::from_str(&entry.output).expect("JSON");
                    let named = (0..).zip(intents).map(|(index, intent)| ((entry.key.clone(), entry.sequence, index), case_of(&intent)));
                    self.cases.extend(named);
                    self.asked_under.insert((entry.key.clone(), entry.sequence), entry.release);
                }
            }
            self.by_event.entry(entry.event_id.clone()).or_default().push(self.entries.len());
            self.entries.push(entry);
        }
    }

    fn read_releases(&mut self, prompt: &Prompt) {
        let known = self.releases.last_key_value().map_or(0, |(generation, _)| *generation);
        let sql = "SELECT generation, text FROM releases JOIN manifests ON digest = manifest WHERE generation > ? ORDER BY generation";
        for (generation, text) in prompt.rows(sql, &values![known], |row| Ok((row.get(0)?, row.get(1)?))) {
            let manifest: toml::Table = toml::from_str::<toml::Table>(&String::clone(&text)).expect("a manifest");
            let text = |section: &str, name: &str| match section.split('.').try_fold(&manifest, |table, part| table.get(part)?.as_table()) {
                Some(table) => table.get(name).and_then(toml::Value::as_str).unwrap_or_default().to_owned(),
                None => String::new(),
            };
            self.releases.insert(generation, (text("reducer", "component"), text("effects.first", "tag")));
        }
    }

    /// The tag of the release that asked for an intent.
    pub(super) fn tag_of(&self, (key, sequence, _): &Name) -> Option<&str> {
        let release = self.asked_under.get(&(key.clone(), *sequence))?;
        self.releases.get(release).map(|(_, tag)| tag.as_str())
    }

    /// Whether a release is one that bears poison.
    pub(super) fn bears_poison(&self, release: u64) -> bool {
        self.releases.get(&release).is_some_and(|(component, _)| !component.ends_with("simulated-v1.wasm"))
    }

    /// Whether the youngest release does.
    pub(super) fn last_bears_poison(&self) -> bool {
        self.releases.last_key_value().is_none_or(|(generation, _)| self.bears_poison(*generation))
    }

    /// Whether a release is one that sets alarms.
    pub(super) fn sets_alarms(&self, release: u64) -> bool {
        self.releases.get(&release).is_none_or(|(component, _)| !component.ends_with(&format!("{WITHOUT_ALARMS}.wasm")))
    }

    fn read_inbox(&mut self, prompt: &Prompt, numbers: Numbers) {
        let sql = "SELECT id, event_id, origin, input FROM inbox WHERE id > ? AND id <= ? ORDER BY id";
        let from = self.inbox_to.get(&numbers.epoch()).copied().unwrap_or(numbers.before_first());
        let rows = prompt.rows(sql, &values![from, numbers.last()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
        for (inbox_to, id, origin, input) in rows {
            let (id, origin, input): (String, String, String) = (id, origin, input);
            self.inbox_to.insert(numbers.epoch(), inbox_to);
            if origin == "outcome" && is_success(&input) {
                self.succeeded.insert(id.clone());
            }
            self.waited.insert(id);
        }
    }

    fn read_forwarded(&mut self, prompt: &Prompt) {
        for bytes in prompt.rows("SELECT bytes FROM forwarded", &[], |row| row.get::<Vec<u8>>(0)) {
            let event: Value = serde_json::from_slice(&bytes).expect("JSON");
            self.forwarded.extend(event["id"].as_str().map(str::to_owned));
        }
    }

    fn read_pauses(&mut self, prompt: &Prompt, round: u64) {
        let rows = prompt.rows("SELECT scope, name FROM pauses", &[], |row| Ok((row.get(0)?, row.get(1)?)));
        let paused: HashSet<(String, String)> = rows.into_iter().collect();
        self.paused.retain(|scope, _| paused.contains(scope));
        for scope in paused {
            self.paused.entry(scope).or_insert(round + PAUSE_HEARD);
        }
    }

    fn read_letters(&mut self, prompt: &Prompt, wall: u64) {
        let sql = "SELECT id, line, event_id, code, key, now FROM dead_letters ORDER BY id";
        let letters: Vec<Letter> = prompt.rows(sql, &[], |row| {
            Ok(Letter { id: row.get(0)?, line: row.get(1)?, event_id: row.get(2)?, code: row.get(3)?, key: row.get(4)?, now: row.get(5)? })
        });
        if letters == self.letters {
            return;
        }
        for (letter, gone) in self.buried.iter_mut().filter(|(_, gone)| gone.is_none()) {
            *gone = letters.binary_search(letter).is_err().then_some(wall);
        }
        let new = letters.iter().filter(|letter| self.letters.binary_search(letter).is_err());
        self.buried.extend(new.map(|letter| (letter.clone(), None)));
        self.letters = letters;
    }

    /// Whether nothing is left to be done.
    pub(super) fn is_at_rest(&self) -> bool {
        let sql = "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM deliveries) + (SELECT count(*) FROM inbox) \
                   + (SELECT count(*) FROM timers) + (SELECT count(*) FROM entities WHERE parked) + (SELECT count(*) FROM pauses) \
                   + (SELECT count(*) FROM erasing) + (SELECT count(*) FROM forwarded) + (SELECT count(*) FROM commands WHERE answer IS NULL)";
        let Some(prompt) = self.prompt.as_ref().filter(|_| self.outbox.is_empty()) else { return false };
        prompt.stay();
        prompt.row(sql, |row| row.get::<i64>(0)) == 0
    }

    /// An answer stands.
    fn read_answers(&mut self, prompt: &Prompt) -> Vec<String> {
        let sql = "SELECT id, answer, subject FROM commands WHERE answer IS NOT NULL";
        let answers = prompt.rows(sql, &[], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let mut wrong = Vec::new();
        for answer in answers {
            let (command, answer, subject): (i64, String, String) = answer;
            match self.answers.get(&command) {
                Some(before) if *before != answer => wrong.push(format!("command {command} is answered {before:?}, then {answer:?}")),
                Some(_) => continue,
                None => {}
            }
            wrong.extend(is_passed_by(&answer, &subject).then(|| format!("command {command}, {subject}, is answered {answer:?}")));
            self.answers.insert(command, answer);
        }
        wrong
    }

    /// Whether an event is decided, was, waits in an inbox or was left to another host.
    pub(super) fn has_event(&self, id: &str) -> bool {
        self.by_event.contains_key(id) || self.waited.contains(id) || self.forwarded.contains(id)
    }

    /// The decision of that number.
    pub(super) fn decision(&self, key: &str, sequence: u64, event_id: &str) -> Option<&Entry> {
        let mut entries = self.by_event.get(event_id)?.iter().map(|index| &self.entries[*index]);
        entries.find(|entry| entry.kind == "decided" && entry.key == key && entry.sequence == sequence)
    }

    pub(super) fn is_outstanding(&self, name: &Name) -> bool {
        self.outbox.contains_key(name)
    }

    /// Whether no attempt comes any more: one that it comes after failed, or it was given up.
    pub(super) fn is_settled(&self, name: &Name) -> bool {
        self.outbox.get(name).is_some_and(|status| status == "settled")
    }

    /// Whether attempts of an effect may not begin any more in this round.
    pub(super) fn is_paused(&self, effect: &str, round: u64) -> bool {
        !self.paused.is_empty() && self.paused.get(&("effect".into(), effect.into())).is_some_and(|heard| round >= *heard)
    }

    /// The outstanding intents of `case` of the same entity that were asked before.
    pub(super) fn earlier<'a>(&'a self, case: &'a str, name: &'a Name) -> impl Iterator<Item = &'a Name> {
        let from = (name.0.clone(), 0, 0);
        self.outbox.range(from..name.clone()).map(|(other, _)| other).filter(move |other| self.cases.get(*other).is_some_and(|c| c == case))
    }

    /// The intents of `case` of the same decision with a smaller index.
    pub(super) fn same_decision<'a>(&'a self, case: &'a str, name: &'a Name) -> impl Iterator<Item = Name> + 'a {
        (0..name.2).map(|index| (name.0.clone(), name.1, index)).filter(move |other| self.cases.get(other).is_some_and(|c| c == case))
    }

    /// Whether a concluded intent succeeded.
    pub(super) fn has_succeeded(&self, name: &Name) -> bool {
        self.succeeded.contains(&self.id(name))
    }

    /// The id of an intent.
    pub(super) fn id(&self, (key, sequence, index): &Name) -> String {
        intent_id(self.journal, "simulated", key, *sequence, *index).to_string()
    }
}
