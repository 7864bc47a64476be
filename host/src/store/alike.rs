//! The same commits on a store of each kind leave the same rows, and the same questions get the same answers.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::trial::{Prompt, Trial};
use super::value::{Columns, Value};
use super::{
    AcceptedRow, Batch, DeadLetterRow, DeliveryRow, EntityRow, EntryRow, ErasedRow, ErasingRow, ForwardedRow, InboxRow, IntentKey,
    NewRelease, OutboxChange, OutboxRow, OutboxStatus, PauseRow, Question, Reader, Release, Scope, SourceRow, Store, StoreError, TimerRow,
    Truncation, Writer,
};
use crate::journal::{Entry, Kind, Verdict, Warrant, sha256};

/// Every table, by its key: what is in it, and in what order it is told.
const TABLES: &[(&str, &str, usize)] = &[
    ("meta", "name", 2),
    ("workflows", "id", 4),
    ("components", "digest", 2),
    ("manifests", "digest", 2),
    ("profiles", "id", 2),
    ("releases", "workflow, generation", 6),
    ("in_force", "workflow, epoch", 3),
    ("entities", "id", 11),
    ("journal", "row", 17),
    ("events", "row", 2),
    ("erased", "row", 4),
    ("erasing", "entity", 4),
    ("checkpoints", "entity", 4),
    ("tallies", "workflow, epoch", 8),
    ("sources", "id", 10),
    ("accepted", "row", 6),
    ("forwarded", "id", 8),
    ("dead_letters", "id", 11),
    ("outbox", "entity, sequence, position", 8),
    ("timers", "entity, name", 8),
    ("deliveries", "id", 12),
    ("inbox", "id", 10),
    ("commands", "id", 7),
    ("pauses", "workflow, scope, name", 6),
];

/// A column as text.
fn told(row: &Columns<'_>, index: usize) -> Result<String, StoreError> {
    Ok(match row.value(index)? {
        Value::Null => "-".into(),
        Value::Int(number) => number.to_string(),
        Value::Text(bytes) => format!("{:?}", String::from_utf8_lossy(&bytes)),
        Value::Bytes(bytes) => format!("{bytes:?}"),
        Value::Fingerprint(_) | Value::List(_) => "no column".into(),
    })
}

/// Everything in a store.
fn everything(prompt: &Prompt) -> Vec<String> {
    let mut all = Vec::new();
    for (table, key, columns) in TABLES {
        let rows = prompt.rows(&format!("SELECT * FROM {table} ORDER BY {key}"), &[], |row| {
            (0..*columns).map(|index| told(row, index)).collect::<Result<Vec<_>, _>>()
        });
        all.extend(rows.into_iter().map(|row| format!("{table}: {}", row.join(" | "))));
    }
    all
}

/// What the engine and the commands ask, of everything that there is.
fn answers(reader: &Reader, workflow: i64) -> Vec<String> {
    let mut all = Vec::new();
    let mut tell = |what: &str, answer: &dyn std::fmt::Debug| all.push(format!("{what}: {answer:?}"));
    tell("journal", &reader.journal().unwrap());
    tell("workflow", &reader.workflow("w").unwrap());
    let entities = reader.entities_after(workflow, "", 100).unwrap();
    let keys: Vec<&str> = entities.iter().map(|entity| &*entity.key).collect();
    let loaded = reader.load(workflow, &keys).unwrap();
    tell("rows", &reader.load_rows(&entities).unwrap());
    for entity in &entities {
        let loaded = &loaded[&entity.key];
        // What is loaded for many is what is read of each.
        assert_eq!(loaded.timers, reader.timers(entity.id).unwrap());
        assert_eq!(loaded.outstanding, reader.outstanding(entity.id).unwrap());
        assert_eq!(loaded.inbox, reader.inbox(entity.id).unwrap());
        tell("loaded", loaded);
        tell("chain", &reader.chain(entity.head_row).map(|link| link.map_err(|error| error.to_string())).collect::<Vec<_>>());
        tell("protection", &reader.protections(&[entity.id]).unwrap());
        tell("back", &reader.back_from(entity.head_row, 3).unwrap());
        tell("checkpoint", &reader.checkpoint(entity.id).unwrap());
        tell("from", &reader.outstanding_from(entity.id, 1, 1000, 2).unwrap());
        tell("deliveries to", &reader.deliveries_to("w", &entity.key).unwrap());
        let mut standings: Vec<_> = reader.standings(entity.id).unwrap().into_iter().collect();
        standings.sort_by_key(|(place, _)| *place);
        tell("standings", &standings);
        tell("waiting", &reader.waiting_after(entity.id, 0, 5).unwrap());
    }
    tell("parked", &reader.parked(workflow).unwrap());
    tell("parked keys", &reader.parked_keys_after(workflow, "", 5).unwrap());
    tell("counts", &(reader.count_parked(workflow).unwrap(), reader.count_dead_letters(workflow).unwrap(), reader.count_timers().unwrap()));
    tell("resuming", &reader.resuming(workflow).unwrap());
    tell("states", &reader.states_after(workflow, 0, 100).unwrap());
    tell("states before", &reader.count_states_before(workflow, 2).unwrap());
    tell("with outstanding", &reader.entities_with_outstanding(0, 3).unwrap());
    tell("count outstanding", &reader.count_with_outstanding(workflow).unwrap());
    tell("entries", &reader.entries_from(workflow, 0, 1000).unwrap());
    tell("aged", &reader.aged_after(0, 1000).unwrap());
    tell("rows after", &reader.rows_after(0, 1000).unwrap());
    tell("deliveries", &reader.deliveries_after(0, 100).unwrap());
    tell("forwarded", &(reader.forwarded(100).unwrap(), reader.forwarded_lines(1, 0).unwrap(), reader.count_forwarded(3).unwrap()));
    tell("of others", &reader.deliveries_of_others(100).unwrap());
    tell("accepted", &reader.accepted(5).unwrap());
    tell("lines", &(reader.lines_accepted_before(5, 1, 0).unwrap(), reader.dead_lines(1, 0).unwrap()));
    tell("letters", &reader.dead_letters(workflow).unwrap());
    tell("old letters", &reader.dead_letters_before(workflow, 1 << 40, 100).unwrap());
    tell("outbox", &reader.outbox_after(workflow, IntentKey { entity: 0, sequence: 0, index: 0 }, 100).unwrap());
    tell("due", &(reader.due_timers(1 << 40, 3, &[workflow]).unwrap(), reader.next_due(&[workflow]).unwrap()));
    tell("first due", &reader.first_due_timer(1 << 40, &[workflow]).unwrap());
    tell("erasing", &reader.erasing().unwrap());
    tell("commands", &reader.commands(&["w"]).unwrap());
    tell("pauses", &reader.pauses(workflow).unwrap());
    tell("standings", &reader.workflow_standings(workflow, "w").unwrap());
    tell("tally", &reader.tally(workflow).unwrap());
    tell("conclusion", &reader.conclusion(workflow, "e\u{1}1").unwrap());
    tell("releases", &reader.releases(workflow).unwrap());
    all
}

/// A text that a database may find hard.
fn text(rng: &mut StdRng) -> String {
    const PIECES: [&str; 8] = ["a", "\0", "\u{1}", "0", "é", "\u{10ffff}", "'\"\\", " "];
    (0..rng.random_range(0..4)).map(|_| PIECES[rng.random_range(0..PIECES.len())]).collect()
}

/// Batches of whatever comes to mind, each on what those before left.
struct Author {
    rng: StdRng,
    workflow: i64,
    source: i64,
    entities: Vec<EntityRow>,
    row: i64,
    next: i64,
    forwarded: Vec<i64>,
    /// How far the source was read.
    read: u64,
}

impl Author {
    fn number(&mut self, below: u64) -> u64 {
        self.rng.random_range(0..below)
    }

    fn id(&mut self) -> i64 {
        self.next += 1;
        self.next
    }

    fn some_row(&mut self) -> i64 {
        self.rng.random_range(1..=self.row.max(1))
    }

    fn batch(&mut self, number: u64, commands: &[i64]) -> Batch {
        let mut batch = Batch { number, ..Batch::default() };
        for _ in 0..self.number(4) {
            self.decide(&mut batch);
        }
        let (line, row) = (self.number(50), self.id());
        let fingerprint = u128::from(self.rng.random::<u64>()) << 50;
        let shard = self.rng.random_ratio(1, 2).then(|| self.rng.random_range(0..960));
        batch.accepted.push(AcceptedRow { row, source: self.source, line, fingerprint, shard, now: self.number(1 << 30) });
        if self.rng.random_ratio(1, 3) {
            let (id, key) = (self.id(), text(&mut self.rng).into());
            let bytes = Arc::from(&[0, 1, 255][..]);
            let (workflow, source, now) = (self.workflow, self.source, self.number(1 << 30));
            batch.forwarded_added.push(ForwardedRow { id, workflow, key, source, line, bytes, now });
            self.forwarded.push(id);
        } else if self.rng.random_ratio(1, 2) {
            batch.forwarded_removed.extend(self.forwarded.pop());
        }
        batch.forget_accepted = self.rng.random_ratio(1, 4).then_some(row - 3);
        if self.rng.random_ratio(1, 3) {
            batch.dead_letters.push(DeadLetterRow {
                workflow: self.workflow,
                source: self.source,
                line,
                event_id: self.rng.random_ratio(1, 2).then(|| text(&mut self.rng)),
                code: "not-json",
                path: text(&mut self.rng),
                reason: text(&mut self.rng),
                bytes: Arc::from(&[0, 1, 255][..]),
                key: self.entities.first().map(|entity| entity.key.clone()),
                now: self.number(1 << 30),
            });
        }
        if self.rng.random_ratio(1, 5) {
            batch.dead_letters_removed.push(1);
        }
        let tail = sha256(&line.to_be_bytes());
        batch.sources.push(SourceRow {
            id: self.source,
            next_offset: line * 9,
            next_line: line,
            read_line: line,
            tail,
            duplicates: number,
            log: text(&mut self.rng).into(),
            generation: 0,
            expected_line: std::mem::replace(&mut self.read, line),
        });
        batch.clocks.push((self.workflow, number * 7));
        batch.answers.extend(commands.get(usize::try_from(number).unwrap()).map(|id| (*id, text(&mut self.rng))));
        let warrant = Warrant { by: text(&mut self.rng), reason: None };
        let scope = if number.is_multiple_of(2) { Scope::Workflow } else { Scope::Effect(text(&mut self.rng).into()) };
        if self.rng.random_ratio(1, 2) {
            batch.pauses_removed.push((self.workflow, scope.clone()));
        }
        batch.pauses_added.push(PauseRow { workflow: self.workflow, scope, since: number, warrant });
        batch
    }

    /// Another decision of an entity, new or known, with what may follow from one.
    fn decide(&mut self, batch: &mut Batch) {
        let key: Arc<str> = format!("{}{}", text(&mut self.rng), self.number(6)).into();
        if batch.entities.iter().any(|entity| entity.key == key) {
            return;
        }
        let place = self.entities.iter().position(|entity| entity.key == key);
        let before = place.map(|place| self.entities[place].clone());
        let id = before.as_ref().map_or_else(|| self.id(), |before| before.id);
        self.row += 1;
        let (row, sequence) = (self.row, before.as_ref().map_or(0, |before| before.sequence) + 1);
        let json = format!("{{\"n\":{row}}}").into_bytes().into_boxed_slice();
        let hash = sha256(&row.to_be_bytes());
        let entry = Entry {
            sequence,
            ordinal: 0,
            kind: if self.rng.random_ratio(1, 4) { Kind::Concluded } else { Kind::Decided },
            release: 1,
            now: self.number(1 << 40),
            event_id: format!("e{}{}", text(&mut self.rng), self.number(3)).into(),
            correlation_id: text(&mut self.rng).into(),
            input: json.clone(),
            verdict: Some(Verdict::Accepted),
            state: Some(json.clone()),
            output: b"[]".to_vec().into(),
            event_hash: self.rng.random_ratio(1, 2).then_some(hash),
        };
        let after = EntityRow {
            id,
            workflow: self.workflow,
            key: key.clone(),
            sequence,
            ordinal: 0,
            now: entry.now,
            head: hash,
            head_row: row,
            state_row: Some(row),
            parked: self.rng.random_ratio(1, 4),
            expected_head_row: before.as_ref().map_or(0, |before| before.head_row),
            expected_head: before.as_ref().map_or([0; 32], |before| before.head),
        };
        let previous_row = after.expected_head_row;
        batch.entities.push(after.clone());
        batch.entries.push(EntryRow { row, entity: id, previous_row, profile: 1, hash, entry, event: Some(Arc::from(&b"\0event"[..])) });
        match place {
            Some(place) => self.entities[place] = after,
            None => self.entities.push(after),
        }
        let intent = |sequence, index| IntentKey { entity: id, sequence, index };
        for index in 0..2 {
            batch.outbox_added.push(OutboxRow { key: intent(sequence, index), row, effect: "mail".into() });
        }
        let status = [OutboxStatus::Pending, OutboxStatus::Held, OutboxStatus::Settled][usize::try_from(self.number(3)).unwrap()];
        for attempts in 1..3 {
            let reason = text(&mut self.rng);
            batch.outbox_changed.push(OutboxChange { key: intent(sequence, 0), status, attempts, reason });
        }
        batch.outbox_removed.push(intent(sequence.saturating_sub(1), 1));
        let name: Arc<str> = text(&mut self.rng).into();
        for due in [5, self.number(1 << 30)] {
            batch.timers_set.push(TimerRow {
                entity: id,
                name: name.clone(),
                due,
                sequence,
                index: 1,
                correlation_id: "c".into(),
                waits: self.rng.random_ratio(1, 3),
                workflow: self.workflow,
            });
        }
        batch.timers_removed.push((id, text(&mut self.rng).into()));
        let delivery = self.id();
        batch.deliveries_added.push(DeliveryRow {
            id: delivery,
            workflow: "w".into(),
            key: key.clone(),
            input: "noted".into(),
            payload: json.clone(),
            now: 3,
            sender: text(&mut self.rng),
            sequence,
            index: 0,
            event_id: "d".into(),
            correlation_id: "c".into(),
        });
        batch.deliveries_removed.push(delivery - 5);
        let waiting = self.id();
        batch.inbox_added.push(InboxRow {
            id: waiting,
            entity: id,
            origin: "event",
            sequence: 0,
            index: 0,
            now: 8,
            event_id: "i".into(),
            correlation_id: "c".into(),
            input: json,
            bytes: self.rng.random_ratio(1, 2).then(|| Arc::from(&b"bytes"[..])),
        });
        batch.inbox_removed.push(waiting - 7);
        if previous_row > 0 && self.rng.random_ratio(1, 3) {
            batch.erased.push(ErasedRow { row: previous_row, input: Some(hash), state: Some(hash), output: None });
            let next_row = if self.rng.random_ratio(1, 2) { previous_row } else { 0 };
            batch.erasing.push(ErasingRow { entity: id, next_row, keep_row: Some(row), command: 1 });
        }
        if previous_row > 0 && self.rng.random_ratio(1, 3) {
            batch.truncations.push(Truncation {
                entity: id,
                first_row: row,
                hash,
                sequence: sequence - 1,
                rows: vec![previous_row, previous_row],
            });
        }
        if self.rng.random_ratio(1, 3) {
            batch.events_forgotten.push(self.some_row());
        }
    }
}

#[test]
fn the_same_commits_leave_the_same_on_every_kind_of_store() {
    let trials = [Trial::sqlite(), Trial::postgres()];
    let stores = [0, 1].map(|index: usize| Store::open(&trials[index].location, Some((3, 4)), (1, 2)).unwrap());
    let mut writers = [0, 1].map(|index: usize| stores[index].writer().unwrap());
    let prompts = [0, 1].map(|index: usize| Prompt::at(&trials[index].location));
    let readers = [0, 1].map(|index: usize| stores[index].reader().unwrap());
    let warrant = Warrant { by: "ann\0".into(), reason: Some("\u{1}".into()) };
    let subjects: Vec<String> = (0..40).map(|number| format!("subject {number}")).collect();
    let question = Question { command: "c", subjects: &subjects, warrant: &warrant };
    let both = |ask: &dyn Fn(usize) -> Vec<i64>| {
        let (one, other) = (ask(0), ask(1));
        assert_eq!(one, other);
        one
    };
    let commands = both(&|index| Writer::ask_beside(stores[index].location(), "w", &question).unwrap());
    let ids = both(&|index| {
        let writer = &writers[index];
        assert_eq!(writer.clock("event").unwrap(), "event");
        vec![writer.workflow("w").unwrap(), writer.source(1, "s").unwrap().id, writer.profile("p").unwrap(), writer.workflow("w").unwrap()]
    });
    let mut author = Author {
        rng: StdRng::seed_from_u64(7),
        workflow: ids[0],
        source: ids[1],
        entities: Vec::new(),
        row: 0,
        next: 0,
        forwarded: Vec::new(),
        read: 0,
    };
    for number in 1..40 {
        let mut batch = author.batch(number, &commands);
        if number == 1 {
            let release = Release {
                generation: 1,
                component: "digest".into(),
                manifest: "digest".into(),
                contract: "contract".into(),
                state_type: "type".into(),
            };
            let (component, manifest) = (Arc::from(&b"\0asm"[..]), "name = 'w'\n".into());
            batch.releases.push(NewRelease { workflow: ids[0], release, component, manifest });
        }
        for writer in &mut writers {
            writer.commit(&batch).unwrap();
        }
        assert_eq!(everything(&prompts[0]), everything(&prompts[1]), "after commit {number}");
        assert_eq!(answers(&readers[0], ids[0]), answers(&readers[1], ids[0]), "after commit {number}");
    }
    assert!(everything(&prompts[0]).len() > 200, "it was about something");
}

#[test]
fn what_somebody_else_wrote_is_not_written_over() {
    super::trial::on_each(|trial| {
        let store = Store::open(&trial.location, None, (1, 2)).unwrap();
        let mut writer = store.writer().unwrap();
        let workflow = writer.workflow("w").unwrap();
        writer.source(workflow, "s").unwrap();
        let mut author = Author {
            rng: StdRng::seed_from_u64(1),
            workflow,
            source: 1,
            entities: Vec::new(),
            row: 0,
            next: 0,
            forwarded: Vec::new(),
            read: 0,
        };
        let mut first = Batch::default();
        author.decide(&mut first);
        writer.commit(&first).unwrap();
        let prompt = Prompt::at(&trial.location);
        let mut next = author.entities[0].clone();
        (next.expected_head_row, next.head_row) = (next.head_row, 9);
        next.expected_head = [7; 32];
        let before = everything(&prompt);
        let clocks = vec![(workflow, 99)];
        let error = writer.commit(&Batch { entities: vec![next.clone()], clocks: clocks.clone(), ..Batch::default() }).unwrap_err();
        assert!(matches!(error, StoreError::Overtaken { .. }) && !error.is_passing(), "{error}");
        assert!(error.to_string().contains(&format!("{:?}", next.key)), "{error}");
        assert_eq!(everything(&prompt), before, "nothing of it was committed");
        // The store takes what is right all the same.
        next.expected_head = author.entities[0].head;
        writer.commit(&Batch { entities: vec![next], clocks, ..Batch::default() }).unwrap();
    });
}
