//! All rows of one workflow, to be put into another store: what an audit bundle carries.

use super::cell::Cell;
use super::connection::Connection;
use super::inspect::CHAIN;
use super::value::{Columns, Value, values};
use super::{EntityId, EntityRow, Location, Reader, Store, StoreError, Tally, sqlite};
use crate::journal::hex;

/// Entries that are read together.
const ENTRIES_TOGETHER: u32 = 128;

/// Entities that are read together.
const ENTITIES_TOGETHER: u32 = 256;

/// Rows of a table that are taken in, where each of them costs more than its bytes: a component is compiled, a release loaded, and a
/// reducer made ready for each profile.
const ROWS_MOST: [(&str, u64); 5] = [("workflows", 1), ("profiles", 1024), ("components", 1024), ("manifests", 4096), ("releases", 4096)];

/// Rows that are written in one transaction.
const ROWS_TOGETHER: u64 = 10_000;

/// A table whose rows are carried, by its name in every store, and its columns in the order in which they are carried.
struct Table {
    name: &'static str,
    columns: &'static [&'static str],
}

const META: Table = Table { name: "meta", columns: &["name", "value"] };
const WORKFLOWS: Table = Table { name: "workflows", columns: &["id", "name", "clock", "release"] };
const PROFILES: Table = Table { name: "profiles", columns: &["id", "text"] };
const COMPONENTS: Table = Table { name: "components", columns: &["digest", "bytes"] };
const MANIFESTS: Table = Table { name: "manifests", columns: &["digest", "text"] };
const RELEASES: Table = Table { name: "releases", columns: &["workflow", "generation", "component", "manifest", "contract", "state_type"] };
const PAUSES: Table = Table { name: "pauses", columns: &["workflow", "scope", "name", "since", "by", "reason"] };
const TALLIES: Table =
    Table { name: "tallies", columns: &["workflow", "epoch", "entities", "entries", "heads", "journal", "clock_name", "clock"] };
const ENTITIES: Table = Table {
    name: "entities",
    columns: &["id", "workflow", "key", "sequence", "ordinal", "now", "head", "head_row", "state_row", "parked", "shard"],
};
const JOURNAL: Table = Table {
    name: "journal",
    columns: &[
        "row",
        "entity",
        "sequence",
        "ordinal",
        "kind",
        "release",
        "profile",
        "now",
        "event_id",
        "correlation_id",
        "input",
        "verdict",
        "state",
        "output",
        "event_hash",
        "previous_row",
        "hash",
    ],
};
const EVENTS: Table = Table { name: "events", columns: &["row", "bytes"] };
const ERASED: Table = Table { name: "erased", columns: &["row", "input", "state", "output"] };
const CHECKPOINTS: Table = Table { name: "checkpoints", columns: &["entity", "row", "hash", "sequence"] };
const OUTBOX: Table =
    Table { name: "outbox", columns: &["entity", "sequence", "position", "row", "effect", "status", "attempts", "reason"] };
const TIMERS: Table =
    Table { name: "timers", columns: &["entity", "name", "due", "sequence", "position", "correlation_id", "waits", "workflow"] };
const INBOX: Table = Table {
    name: "inbox",
    columns: &["id", "entity", "origin", "sequence", "position", "now", "event_id", "correlation_id", "input", "bytes"],
};

const TABLES: [&Table; 16] = [
    &META,
    &WORKFLOWS,
    &PROFILES,
    &COMPONENTS,
    &MANIFESTS,
    &RELEASES,
    &PAUSES,
    &TALLIES,
    &ENTITIES,
    &JOURNAL,
    &EVENTS,
    &ERASED,
    &CHECKPOINTS,
    &OUTBOX,
    &TIMERS,
    &INBOX,
];

impl Table {
    /// Its columns in a question.
    fn columns(&self) -> String {
        self.columns.iter().map(|column| format!("{}.{column}", self.name)).collect::<Vec<_>>().join(", ")
    }

    fn cells(&self, row: &Columns<'_>) -> Result<Vec<Cell>, StoreError> {
        (0..self.columns.len()).map(|index| Cell::of(row.value(index)?)).collect()
    }
}

/// What became of a look through all rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Entities, the workflow's own not counted.
    pub entities: u64,
    /// Entries of their chains and the workflow's own.
    pub entries: u64,
}

impl Reader {
    /// Hands each row that belongs to the workflow to `put`, with the table's name: all of them, or only those of the entities
    /// `keys` and of the workflow itself. Each row comes after those that it names. All are of one moment.
    ///
    /// # Errors
    /// Those of `put`, and where the store fails, a key is unknown or a chain is damaged.
    pub fn each_row<E: From<StoreError>>(
        &self,
        workflow: i64,
        keys: Option<&[String]>,
        put: &mut dyn FnMut(&'static str, Vec<Cell>) -> Result<(), E>,
    ) -> Result<Carried, E> {
        self.stay()?;
        self.of_table(&META, "meta.name IN ('journal', 'clock')", &[], put)?;
        self.of_table(&WORKFLOWS, "workflows.id = ?", &values![workflow], put)?;
        self.of_table(&PROFILES, "true", &[], put)?;
        let releases = self.releases(workflow)?;
        let digests = |of: fn(&super::Release) -> &String| releases.iter().map(of).collect::<std::collections::BTreeSet<_>>();
        for digest in digests(|release| &release.component) {
            self.of_table(&COMPONENTS, "components.digest = ?", &values![digest], put)?;
        }
        for digest in digests(|release| &release.manifest) {
            self.of_table(&MANIFESTS, "manifests.digest = ?", &values![digest], put)?;
        }
        self.of_table(&RELEASES, "releases.workflow = ?", &values![workflow], put)?;
        self.of_table(&PAUSES, "pauses.workflow = ?", &values![workflow], put)?;
        let (mut carried, mut counted) = (Carried::default(), Tally::default());
        let mut take = |entity: &EntityRow| -> Result<(), E> {
            counted.toggle(&entity.head);
            counted.entities += 1;
            carried.entities += u64::from(!entity.key.is_empty());
            carried.entries += self.of_entity(entity, put)?;
            Ok(())
        };
        if let Some(own) = self.entity(workflow, "")? {
            take(&own)?;
        }
        match keys {
            Some(keys) => {
                for key in keys.iter().collect::<std::collections::BTreeSet<_>>() {
                    let unknown = || StoreError::Corrupt(format!("there is no entity {key:?}"));
                    take(&self.entity(workflow, key)?.filter(|entity| !entity.key.is_empty()).ok_or_else(unknown)?)?;
                }
            }
            None => {
                let mut after = std::sync::Arc::from("");
                loop {
                    let page = self.entities_after(workflow, &after, ENTITIES_TOGETHER)?;
                    let Some(last) = page.last() else { break };
                    after = last.key.clone();
                    page.iter().try_for_each(&mut take)?;
                }
            }
        }
        // What the commits noted goes along where all of it does, so that what is missing is missed elsewhere too.
        let noted = self.tally(workflow)?.unwrap_or_default();
        if keys.is_none() {
            (counted.entities, counted.heads) = (noted.entities, noted.heads);
        }
        let entries = if keys.is_none() { noted.entries } else { i64::try_from(carried.entries).unwrap_or(i64::MAX) };
        let row =
            values![workflow, 0_i64, counted.entities, entries, &counted.heads, &noted.journal, noted.clock_name.as_ref(), noted.clock];
        put(TALLIES.name, row.into_iter().map(Cell::of).collect::<Result<_, _>>()?)?;
        Ok(carried)
    }

    fn of_table<E: From<StoreError>>(
        &self,
        table: &Table,
        condition: &str,
        values: &[Value<'_>],
        put: &mut dyn FnMut(&'static str, Vec<Cell>) -> Result<(), E>,
    ) -> Result<(), E> {
        let query = format!("SELECT {} FROM {} WHERE {condition}", table.columns(), table.name);
        let rows = self.rows(&query, values, |row| table.cells(row))?;
        rows.into_iter().try_for_each(|cells| put(table.name, cells))
    }

    /// Everything of one entity. Gives how many entries that were.
    fn of_entity<E: From<StoreError>>(
        &self,
        entity: &EntityRow,
        put: &mut dyn FnMut(&'static str, Vec<Cell>) -> Result<(), E>,
    ) -> Result<u64, E> {
        let id: EntityId = entity.id;
        self.of_table(&ENTITIES, "entities.id = ?", &values![id], put)?;
        for table in [&CHECKPOINTS, &OUTBOX, &TIMERS, &INBOX] {
            self.of_table(table, &format!("{}.entity = ?", table.name), &values![id], put)?;
        }
        let (mut next, mut entries) = (entity.head_row, 0);
        while next > 0 {
            let rows = self.rows_back_from(next, ENTRIES_TOGETHER)?;
            let of_chain = values![next, ENTRIES_TOGETHER];
            for table in [&JOURNAL, &EVENTS, &ERASED] {
                let query = format!("{CHAIN} SELECT {} FROM chain CROSS JOIN {1} ON {1}.row = chain.row", table.columns(), table.name);
                for cells in self.rows(&query, &of_chain, |row| table.cells(row))? {
                    put(table.name, cells)?;
                }
            }
            entries += rows.len() as u64;
            next = match rows.last() {
                Some((row, previous)) if previous < row => *previous,
                _ => {
                    let reason =
                        format!("the chain of entity {:?} is broken at row {next}; `purefold verify` tells what is wrong", entity.key);
                    return Err(StoreError::Corrupt(reason).into());
                }
            };
        }
        Ok(entries)
    }
}

/// Why a row cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// The row is not one of this version's tables.
    #[error("a row of table {table:?} cannot be taken: {reason}")]
    Unfit {
        /// The table that it names.
        table: String,
        /// Why not.
        reason: String,
    },
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A store that is being filled with rows of another one. Nothing else has it.
pub struct Filling {
    // Held until it is full.
    _store: Store,
    connection: rusqlite::Connection,
    rows: u64,
    /// Rows of the tables that may not have many.
    counted: [u64; ROWS_MOST.len()],
}

impl Filling {
    /// A new store in the file of `path`, for the journal of that id.
    ///
    /// # Errors
    /// Where there is a file already, or it cannot be made.
    pub fn new(path: &std::path::Path, journal: (u64, u64)) -> Result<Self, StoreError> {
        if path.exists() {
            let reason = "there is a file already, and nothing is written over".to_owned();
            return Err(StoreError::Open { path: path.into(), reason });
        }
        let store = Store::open(&Location::Sqlite(path.into()), Some(journal), journal)?;
        let connection = sqlite::connect(path)?;
        connection.execute_batch("BEGIN")?;
        Ok(Filling { _store: store, connection, rows: 0, counted: [0; ROWS_MOST.len()] })
    }

    /// Puts a row into the table of that name.
    ///
    /// # Errors
    /// Where it does not fit there.
    pub fn put(&mut self, table: &str, cells: &[Cell]) -> Result<(), RowError> {
        let unfit = |reason: String| RowError::Unfit { table: table.to_owned(), reason };
        let known = TABLES.iter().find(|known| known.name == table).ok_or_else(|| unfit("no such table is carried".into()))?;
        if cells.len() != known.columns.len() {
            return Err(unfit(format!("it has {} values, and the table {} columns", cells.len(), known.columns.len())));
        }
        if let Some((index, (_, most))) = ROWS_MOST.iter().enumerate().find(|(_, (name, _))| *name == known.name) {
            self.counted[index] += 1;
            if self.counted[index] > *most {
                return Err(unfit(format!("it holds more than {most} rows")));
            }
        }
        let values = cells.iter().map(Cell::value).collect::<Result<Vec<_>, _>>().map_err(unfit)?;
        let places = vec!["?"; values.len()].join(", ");
        // The journal's id stands there already.
        let verb = if known.name == META.name { "INSERT OR REPLACE" } else { "INSERT" };
        let statement = format!("{verb} INTO {} ({}) VALUES ({places})", known.name, known.columns.join(", "));
        match sqlite::execute(&self.connection, &statement, &values) {
            Ok(_) => {}
            Err(StoreError::Sql(error)) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {
                return Err(unfit(error.to_string()));
            }
            Err(error) => return Err(error.into()),
        }
        self.rows += 1;
        if self.rows.is_multiple_of(ROWS_TOGETHER) {
            self.connection.execute_batch("COMMIT; BEGIN").map_err(StoreError::from)?;
        }
        Ok(())
    }

    /// Makes it a store that others can open.
    ///
    /// # Errors
    /// Where the journal is of another id than was said, or the store fails.
    pub fn finish(self, journal: (u64, u64)) -> Result<(), StoreError> {
        self.connection.execute_batch("COMMIT")?;
        let found = super::journal_id(&Connection::Sqlite(self.connection))?;
        if found != journal {
            let name = |(high, low): (u64, u64)| hex(&[high.to_be_bytes(), low.to_be_bytes()].concat());
            return Err(StoreError::Corrupt(format!("the rows are of journal {}, and {} was said", name(found), name(journal))));
        }
        Ok(())
    }
}
