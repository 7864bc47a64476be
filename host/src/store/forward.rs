//! What hosts on one store leave for each other: events that one read and another owns, and deliveries.

use super::change::{Change, bytes, int, text};
use super::connection::Transaction;
use super::shard::shard_of;
use super::value::{Columns, values};
use super::{Batch, DeliveryRow, ForwardedRow, Numbers, Reader, StoreError};

static FORWARDED: Change = Change::insert(
    "forwarded",
    &[int("id"), int("workflow"), text("key"), int("shard"), int("source"), int("line"), bytes("bytes"), int("now")],
);
static TAKEN: Change = Change::delete("forwarded", &[int("id")]);

pub(super) fn write<'v>(transaction: &mut Transaction<'_, 'v>, batch: &'v Batch) -> Result<(), StoreError> {
    let forwarded =
        batch.forwarded_added.iter().map(|f| values![f.id, f.workflow, &f.key, shard_of(&f.key), f.source, f.line, &*f.bytes, f.now]);
    transaction.change(&FORWARDED, forwarded)?;
    let gone = transaction.change_all(&TAKEN, batch.forwarded_removed.iter().map(|id| values![*id]))?;
    match gone.and_then(|index| batch.forwarded_removed.get(index)) {
        Some(id) => Err(StoreError::Overtaken { what: format!("the forwarded event {id} is decided") }),
        None => Ok(()),
    }
}

fn forwarded(row: &Columns<'_>) -> Result<ForwardedRow, StoreError> {
    let bytes: Vec<u8> = row.get(5)?;
    Ok(ForwardedRow {
        id: row.get(0)?,
        workflow: row.get(1)?,
        key: row.get(2)?,
        source: row.get(3)?,
        line: row.get(4)?,
        bytes: bytes.into(),
        now: row.get(6)?,
    })
}

impl Reader {
    /// Up to `limit` events that other hosts read and this one owns, oldest epoch first.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn forwarded(&self, limit: u32) -> Result<Vec<ForwardedRow>, StoreError> {
        let owned = self.owned("shard");
        let query = format!("SELECT id, workflow, key, source, line, bytes, now FROM forwarded WHERE id > 0{owned} ORDER BY id LIMIT ?");
        self.rows(&query, &values![limit], forwarded)
    }

    /// The name of the source of that id.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn source_name(&self, source: i64) -> Result<Option<String>, StoreError> {
        self.row("SELECT name FROM sources WHERE id = ?", &values![source], |row| row.get(0))
    }

    /// Lines of a source after `line` whose events wait for another host.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn forwarded_lines(&self, source: i64, line: u64) -> Result<Vec<u64>, StoreError> {
        self.rows("SELECT line FROM forwarded WHERE source = ? AND line > ?", &values![source, line], |row| row.get(0))
    }

    /// How many events wait for another host than the one that read them, up to `most`.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn count_forwarded(&self, most: u32) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM (SELECT 1 FROM forwarded LIMIT ?) AS waiting", &values![most])
    }

    /// Up to `limit` deliveries to entities that this host owns and that another one committed, oldest epoch first.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn deliveries_of_others(&self, limit: u32) -> Result<Vec<DeliveryRow>, StoreError> {
        let own = Numbers::of(self.epoch());
        let query = format!("{} WHERE id NOT BETWEEN ? AND ?{} ORDER BY id LIMIT ?", super::read::DELIVERY, self.owned("shard"));
        self.rows(&query, &values![own.before_first(), own.last(), limit], super::read::delivery)
    }
}
