//! Everything that a run leaves and that must not depend on how it ran: what two identical runs have in common.

use std::collections::BTreeMap;

use crate::place::Place;
use crate::tables;

/// All columns but row ids, and which row came before: those count commits, not decisions.
const JOURNAL: &str = "
    SELECT workflows.name, entities.key, journal.sequence, journal.ordinal, kind, journal.release, profiles.text, journal.now, event_id, correlation_id,
        input, verdict, state, output, hex(event_hash), hex(hash), hex(bytes)
    FROM journal JOIN entities ON entities.id = journal.entity JOIN workflows ON workflows.id = entities.workflow
        JOIN profiles ON profiles.id = journal.profile LEFT JOIN events ON events.row = journal.row
    ORDER BY workflows.name, entities.key, journal.sequence, journal.ordinal";

const ENTITIES: &str = "
    SELECT workflows.name, entities.key, entities.sequence, entities.ordinal, entities.now, hex(head), parked, state
    FROM entities JOIN workflows ON workflows.id = entities.workflow LEFT JOIN journal ON journal.row = state_row
    ORDER BY workflows.name, entities.key";

const WAITING: &[&str] = &[
    "SELECT 'timer', key, name, due, timers.sequence, position, correlation_id FROM timers JOIN entities ON entities.id = timers.entity ORDER BY key, name",
    "SELECT 'intent', key, outbox.sequence, position, status FROM outbox JOIN entities ON entities.id = outbox.entity ORDER BY key, outbox.sequence, position",
    "SELECT 'inbox', key, origin, inbox.sequence, position, inbox.now, event_id, correlation_id, input, hex(bytes)
        FROM inbox JOIN entities ON entities.id = inbox.entity ORDER BY key, inbox.id",
    "SELECT 'delivery', workflow, key, input, payload, now, sender, sequence, position FROM deliveries ORDER BY key, sender, sequence, position",
    "SELECT 'clock', name, clock FROM workflows ORDER BY name",
    "SELECT 'position', next_offset, next_line, read_line, hex(tail), duplicates FROM sources ORDER BY name",
];

const DEAD_LETTERS: &str = "SELECT line, event_id, code, path, reason, hex(bytes) FROM dead_letters ORDER BY line, code";

/// What a run left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Traces {
    parts: BTreeMap<String, Vec<String>>,
}

impl Traces {
    /// Of a workflow whose journal is `store`, whose effects write the databases `effects`, and which publishes to `published`.
    pub(crate) fn of(place: &Place, store: &str, effects: &[&str], published: &str) -> Traces {
        let mut parts = BTreeMap::new();
        parts.insert("journal".to_owned(), place.rows(store, JOURNAL));
        parts.insert("entities".to_owned(), place.rows(store, ENTITIES));
        parts.insert("dead letters".to_owned(), place.rows(store, DEAD_LETTERS));
        parts.insert("waiting".to_owned(), WAITING.iter().flat_map(|sql| place.rows(store, sql)).collect());
        for database in effects {
            parts.insert((*database).to_owned(), tables::everything(&place.path(database)));
        }
        parts.insert(published.to_owned(), set_by_id(place, published));
        Traces { parts }
    }

    /// Of the reference workflow.
    pub(crate) fn of_registration(place: &Place) -> Traces {
        Traces::of(place, "registration.db", &["records.db", "services.db"], "events.jsonl")
    }

    /// What must be the same also under another manifest: the workflow's own entries name the manifest.
    pub(crate) fn without_the_workflows_own(mut self) -> Traces {
        for part in ["journal", "entities"] {
            self.parts.entry(part.to_owned()).or_default().retain(|line| line.split(" | ").nth(1) != Some(""));
        }
        self
    }

    /// Asserts that the other run left the same, and tells the first difference of each part.
    #[track_caller]
    pub(crate) fn assert_same(&self, other: &Traces, what: &str) {
        let mut differences = Vec::new();
        for (part, mine) in &self.parts {
            let theirs = other.parts.get(part).map(Vec::as_slice).unwrap_or_default();
            if mine == theirs {
                continue;
            }
            let index = mine.iter().zip(theirs).position(|(mine, theirs)| mine != theirs).unwrap_or(mine.len().min(theirs.len()));
            let line = |lines: &[String]| lines.get(index).cloned().unwrap_or_else(|| "nothing".to_owned());
            differences.push(format!(
                "{part}: {} and {} lines; line {index} differs\n  {}\n  {}",
                mine.len(),
                theirs.len(),
                line(mine),
                line(theirs)
            ));
        }
        assert!(differences.is_empty(), "{what}:\n{}", differences.join("\n"));
    }

    /// How many lines a part has.
    pub(crate) fn count(&self, part: &str) -> usize {
        self.parts[part].len()
    }
}

/// Publishing is at least once: a repeated line must be the same line, and counts once.
fn set_by_id(place: &Place, file: &str) -> Vec<String> {
    let mut events = BTreeMap::new();
    for event in place.published(file) {
        let (id, text) = (event["id"].as_str().expect("an event has an id").to_owned(), event.to_string());
        let known = events.entry(id.clone()).or_insert_with(|| text.clone());
        assert_eq!(*known, text, "two events of the id {id} differ");
    }
    events.into_values().collect()
}
