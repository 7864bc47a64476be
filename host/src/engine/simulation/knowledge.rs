//! What is durable, read from the store's tables by nothing but SQL.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::journal::intent_id;

/// An intent by its entity's key, the decision that asked and its place there.
pub(super) type Name = (String, u64, u32);

/// The durable facts that attempts are held to.
#[derive(Default)]
pub(super) struct Knowledge {
    connection: Option<Connection>,
    read_to: i64,
    /// The intents of every accepted decision: case by name.
    cases: HashMap<Name, String>,
    /// Ids of intents whose outcome was a success, decided or waiting to be.
    succeeded: HashSet<String>,
    /// The journal's id.
    journal: (u64, u64),
    /// The outbox: what is neither concluded nor forgotten, with its status.
    outbox: BTreeMap<Name, String>,
}

impl Knowledge {
    pub(super) fn of(path: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).expect("the store can be read");
        let id: String = connection.query_row("SELECT value FROM meta WHERE name = 'journal'", [], |row| row.get(0)).expect("an id");
        let journal = purefold_wit::uuid::parse(&id).expect("a UUID");
        let mut knowledge = Knowledge { connection: Some(connection), journal, ..Knowledge::default() };
        knowledge.refresh();
        knowledge
    }

    /// Reads what was committed since.
    pub(super) fn refresh(&mut self) {
        let Some(connection) = &self.connection else { return };
        let sql = "SELECT j.row, e.key, j.sequence, j.event_id, j.input, j.output, j.verdict FROM journal j JOIN entities e ON e.id = j.entity \
                   WHERE j.row > ? AND j.kind = 'decided' AND j.verdict IN ('accepted', 'faulted') ORDER BY j.row";
        let mut statement = connection.prepare_cached(sql).expect("the journal can be read");
        let mut rows = statement.query([self.read_to]).expect("the journal can be read");
        while let Some(row) = rows.next().expect("a row") {
            let (key, sequence): (String, u64) = (row.get(1).expect("a key"), row.get(2).expect("a sequence"));
            let input: Value = serde_json::from_str(&row.get::<_, String>(4).expect("an input")).expect("JSON");
            if input["called"]["result"].get("ok").is_some() {
                self.succeeded.insert(row.get(3).expect("an id"));
            }
            self.read_to = row.get(0).expect("a row number");
            if row.get::<_, String>(6).expect("a verdict") != "accepted" {
                continue;
            }
            let intents: Vec<Value> = serde_json::from_str(&row.get::<_, String>(5).expect("an output")).expect("JSON");
            for (index, intent) in (0..).zip(intents) {
                let case = intent.as_object().and_then(|object| object.keys().next()).expect("a case").clone();
                self.cases.insert((key.clone(), sequence, index), case);
            }
        }
        drop(rows);
        let mut statement =
            connection.prepare_cached("SELECT event_id, input FROM inbox WHERE origin = 'outcome'").expect("the inbox can be read");
        let mut rows = statement.query([]).expect("the inbox can be read");
        while let Some(row) = rows.next().expect("a row") {
            let input: Value = serde_json::from_str(&row.get::<_, String>(1).expect("an input")).expect("JSON");
            if input["called"]["result"].get("ok").is_some() {
                self.succeeded.insert(row.get(0).expect("an id"));
            }
        }
        drop(rows);
        let sql = "SELECT e.key, o.sequence, o.position, o.status FROM outbox o JOIN entities e ON e.id = o.entity";
        let mut statement = connection.prepare_cached(sql).expect("the outbox can be read");
        let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?)));
        self.outbox = rows.expect("the outbox can be read").collect::<Result<_, _>>().expect("rows");
    }

    pub(super) fn is_outstanding(&self, name: &Name) -> bool {
        self.outbox.contains_key(name)
    }

    /// Whether an attempt may still come: an intent that comes after a failed one is settled and never tried.
    pub(super) fn is_settled(&self, name: &Name) -> bool {
        self.outbox.get(name).is_some_and(|status| status == "settled")
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
    pub(super) fn has_succeeded(&self, (key, sequence, index): &Name) -> bool {
        self.succeeded.contains(&intent_id(self.journal, "simulated", key, *sequence, *index).to_string())
    }
}
