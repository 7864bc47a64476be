//! Everything that is left is held against the model.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::history::{End, Follower, History, Sent};
use super::load;
use super::model::{Possible, Published, is_row, is_service};
use super::remains::{self, Entry};
use super::routes::{Routes, Target};
use super::stage::{Stage, WORKFLOWS};
use super::topics::{self, Record};
use crate::vectors::Decider;

/// As many entities are told in full where something is wrong.
const ENTITIES_TOLD: usize = 5;

/// Of so many intents one may be given up, as not done or as unknown, or wait for an operator. While an effect does not work, attempts
/// are on no intent's account; it takes a few seconds to know that, in which one that has the shortest of all delays may come to its
/// end.
const INTENTS_FOR_EACH_GIVEN_UP: usize = 500;

/// What was found.
#[derive(Default)]
pub(super) struct Verdict {
    /// What is wrong, with all that is known of the entity.
    pub(super) wrong: Vec<String>,
    events: usize,
    duplicates: usize,
    entities: usize,
    decisions: u64,
    intents: usize,
    given_up: usize,
    /// Of these, those that have not happened.
    not_done: usize,
    published: usize,
    repeats: usize,
    uncertain: usize,
    dead_letters: usize,
    /// Nodes whose events stand in several partitions of a topic.
    astray: usize,
}

impl Verdict {
    /// Looks at everything.
    ///
    /// `redriven` are the intents that an operator had to have tried again.
    pub(super) fn reach(stage: &Stage, sent: &load::Sent, redriven: u64) -> Verdict {
        let mut verdict = Verdict::default();
        let records = topics::records(&stage.brokers);
        let events = verdict.events(stage, &records, sent);
        for workflow in WORKFLOWS {
            verdict.workflow(stage, workflow, &records, &events);
            let verified = stage.ask(workflow, "verify", &["--json"]);
            if verified.code != Some(0) {
                verdict.wrong.push(format!("verify {workflow}: {}{}", verified.out, verified.err));
            }
        }
        let Verdict { intents, given_up, astray, .. } = verdict;
        let given_up = given_up + usize::try_from(redriven).expect("a count");
        if given_up * INTENTS_FOR_EACH_GIVEN_UP > intents.max(INTENTS_FOR_EACH_GIVEN_UP) {
            let what = "were given up or waited for an operator: an outage is on their account";
            verdict.wrong.push(format!("{given_up} of {intents} intents {what}"));
        }
        if astray == 0 {
            verdict.wrong.push("no node's events stood in several partitions of one topic: nothing was passed on between hosts".to_owned());
        }
        verdict
    }

    /// The events that stand in the topics, by their ids; what stands there and is none must be a dead letter.
    fn events(&mut self, stage: &Stage, records: &[Record], sent: &load::Sent) -> BTreeMap<String, Sent> {
        let read = Routes::of("registration").inputs;
        let mut events = BTreeMap::new();
        let mut garbage = BTreeSet::new();
        for record in records.iter().filter(|record| read.values().any(|topic| *topic == record.topic)) {
            match record.event() {
                Some(event) if events.contains_key(&event.id) => self.duplicates += 1,
                Some(event) => {
                    events.insert(event.id.clone(), Sent { event, partition: record.source(), offset: record.offset });
                }
                None => drop(garbage.insert((record.source(), record.offset))),
            }
        }
        let lost: Vec<&String> = sent.ids.iter().filter(|id| !events.contains_key(*id)).collect();
        if !lost.is_empty() {
            self.wrong.push(format!("the brokers lost what they acknowledged: {lost:?}"));
        }
        let letters = remains::dead_letters(stage);
        if letters != garbage {
            let (more, fewer): (Vec<_>, Vec<_>) = (letters.difference(&garbage).collect(), garbage.difference(&letters).collect());
            self.wrong.push(format!("dead letters that nothing led to: {more:?}; that are missing: {fewer:?}"));
        }
        (self.events, self.dead_letters) = (events.len(), letters.len());
        self.astray = sent.wrongly_keyed.iter().filter(|node| is_astray(events.values().filter(|sent| sent.event.node == **node))).count();
        events
    }

    fn workflow(&mut self, stage: &Stage, workflow: &str, records: &[Record], events: &BTreeMap<String, Sent>) {
        let follower = Follower {
            workflow,
            journal: remains::journal_id(stage),
            routes: Routes::of(workflow),
            decider: Decider::of(workflow),
            sent: events,
        };
        let mut of_entity: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for sent in events.values() {
            of_entity.entry(&sent.event.node).or_default().push(&sent.event.id);
        }
        let mut published = Published::of(workflow, records);
        let (mut rows, mut services) = match workflow {
            "registration" => (remains::rows(stage), remains::services(stage)),
            _ => Default::default(),
        };
        let mut told = 0;
        for (entity, entries) in remains::journal(stage, workflow) {
            let mut history = follower.follow(&entries);
            self.count(&history);
            self.published(&entity, &mut history, &follower.routes, &mut published);
            let row = Possible::row(&history, &follower.routes);
            let found = rows.remove(&entity);
            if !row.holds(found.as_ref(), is_row) {
                history.wrong.push(format!("the row: expected {}\n    found {found:?}", row.told()));
            }
            let service = Possible::service(&history, &follower.routes);
            let id = history.asked.iter().find_map(|asked| Some(asked.payload.get("service_id")?.as_str()?.to_owned()));
            let found = id.and_then(|id| services.remove(&id));
            if !service.holds(found.as_ref(), is_service) {
                history.wrong.push(format!("the service: expected {}\n    found {found:?}", service.told()));
            }
            self.uncertain += usize::from(!row.is_certain() || !service.is_certain());
            let sent = of_entity.remove(&*entity).unwrap_or_default();
            let missing = sent.into_iter().filter(|id| !history.decided.contains(*id)).map(|id| format!("{id} is not decided"));
            history.wrong.extend(missing.collect::<Vec<_>>());
            if !history.wrong.is_empty() {
                told += 1;
                self.wrong.push(if told <= ENTITIES_TOLD { told_in_full(&entity, &history, &entries, events) } else { entity });
            }
        }
        if workflow == "registration" {
            self.wrong.extend(of_entity.into_keys().map(|node| format!("{node} sent events, and nothing of it was decided")));
        }
        self.wrong.extend(rows.into_keys().map(|entity| format!("the row of {entity} is of nobody")));
        self.wrong.extend(services.into_keys().map(|id| format!("the service {id} is of nobody")));
        self.wrong.extend(published.rest().into_iter().map(|record| format!("published, and nobody asked for it: {record}")));
    }

    fn count(&mut self, history: &History) {
        self.entities += 1;
        self.decisions += history.decisions;
        self.intents += history.asked.len();
        self.given_up += history.asked.iter().filter(|asked| asked.end != Some(End::Done)).count();
        self.not_done += history.asked.iter().filter(|asked| asked.end == Some(End::NotDone)).count();
    }

    fn published(&mut self, entity: &str, history: &mut History, routes: &Routes, published: &mut Published<'_>) {
        let mut wrong = Vec::new();
        for asked in &history.asked {
            if let Target::Topic(topic) = &routes.intents[&asked.case].target {
                self.published += 1;
                match published.take(entity, asked, topic) {
                    Ok(repeats) => self.repeats += repeats,
                    Err(why) => wrong.push(why),
                }
            }
        }
        history.wrong.extend(wrong);
    }

    /// In one line.
    pub(super) fn line(&self) -> String {
        let Verdict {
            events,
            duplicates,
            entities,
            decisions,
            intents,
            given_up,
            not_done,
            published,
            repeats,
            uncertain,
            dead_letters,
            astray,
            ..
        } = self;
        format!(
            "{events} events of {entities} entities ({astray} of them in several partitions) and {duplicates} duplicates of them, \
             {dead_letters} dead letters; {decisions} decisions, \
             each made again; {intents} intents, {given_up} of them given up ({not_done} as not done), {uncertain} entities of which nobody can know all; \
             {published} published events, {repeats} of them repeated under their ids"
        )
    }

    /// Asserts that nothing is wrong.
    #[track_caller]
    pub(super) fn holds(&self, seed: u64, stage: &Stage) {
        let wrong: Vec<String> = stage.chronicle.faults().into_iter().chain(self.wrong.iter().cloned()).collect();
        let (count, chronicle) = (wrong.len(), stage.chronicle.text());
        assert!(wrong.is_empty(), "seed {seed}: {count} things are wrong\n\n{chronicle}\n\n{}", wrong.join("\n\n"));
    }
}

/// Whether events of one node stand in several partitions of a topic.
fn is_astray<'a>(sent: impl Iterator<Item = &'a Sent>) -> bool {
    let mut partitions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for sent in sent {
        let (topic, partition) = sent.partition.rsplit_once('/').unwrap_or((&sent.partition, ""));
        partitions.entry(topic).or_default().insert(partition);
    }
    partitions.values().any(|partitions| partitions.len() > 1)
}

/// What is wrong with an entity, what was sent to it, and its journal.
fn told_in_full(entity: &str, history: &History, entries: &[Entry], events: &BTreeMap<String, Sent>) -> String {
    let mut told = format!("{entity}:\n  {}\n  sent:\n", history.wrong.join("\n  "));
    for sent in events.values().filter(|sent| sent.event.node == entity) {
        let _ = writeln!(told, "    {} in {} at {}", sent.event.id, sent.partition, sent.offset);
    }
    told.push_str("  journal:\n");
    for entry in entries {
        let time = purefold_wit::instant::format(entry.now).unwrap_or_default();
        let verdict = entry.verdict.as_deref().unwrap_or_default();
        let _ = writeln!(
            told,
            "    {}.{} {} {time} {} {} {verdict} {}",
            entry.sequence, entry.ordinal, entry.kind, entry.event_id, entry.input, entry.output
        );
    }
    told
}
