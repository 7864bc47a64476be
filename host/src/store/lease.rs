//! Hosts that share a store: who is alive, under which epoch its engine commits, and which shards it owns.
//!
//! Nothing here is trusted without being checked: a commit holds on to its epoch's row, and fails where that is gone. Who
//! takes the shards of a host whose time is over removes the row first. So everything that the other one committed is there
//! when its shards change hands, and nothing follows.

use super::change::{Change, int, text};
use super::connection::{Connection, Transaction};
use super::value::{Columns, Value, values};
use super::{Reader, SHARDS, ShardSet, StoreError, Writer};
use crate::time::HostClock;

/// A host that shares the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRow {
    /// Its name: no two processes have the same.
    pub name: String,
    /// The epoch of its engine; none between two of them.
    pub epoch: Option<u64>,
    /// Until when the others believe it alive, in microseconds.
    pub until: u64,
    /// Since when it is there.
    pub since: u64,
}

/// Who is there, and who owns what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// The hosts, by name.
    pub hosts: Vec<HostRow>,
    /// For each shard the epoch that owns it; 0: none.
    pub shards: Vec<u64>,
}

impl Ownership {
    /// The shards of an epoch.
    #[must_use]
    pub fn of(&self, epoch: u64) -> ShardSet {
        ShardSet::of((0..SHARDS).zip(&self.shards).filter(|(_, owner)| **owner == epoch).map(|(shard, _)| shard))
    }

    /// Whether no host that is there owns the shard.
    #[must_use]
    pub fn is_free(&self, shard: u16) -> bool {
        let owner = self.shards.get(usize::from(shard)).copied().unwrap_or(0);
        owner == 0 || self.hosts.iter().all(|host| host.epoch != Some(owner))
    }
}

/// Changes nothing but where the row is gone.
static HELD: Change = Change::update("hosts", &[int("epoch")], &[int("epoch")]);
static RENEWED: Change = Change::update("hosts", &[int("until")], &[text("name")]);
static CLAIMED: Change = Change::update("shards", &[int("epoch")], &[int("shard"), int("epoch")]);
static ENDED: Change = Change::update("hosts", &[int("epoch")], &[text("name"), int("epoch")]);
static LEFT: Change = Change::delete("hosts", &[text("name")]);

const DATABASE_CLOCK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
const DEAD: &str = "DELETE FROM hosts WHERE until < ? AND name <> ?";
pub(super) const NEXT_EPOCH: &str = "UPDATE epochs SET last = last + 1";
pub(super) const EPOCH: &str = "SELECT last FROM epochs";
const JOIN: &str = "INSERT INTO hosts (name, workflows, epoch, until, since, commits) VALUES (?, ?, ?, ?, ?, 0) \
                    ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, until = excluded.until, commits = 0";
const OTHER_WORKFLOWS: &str = "SELECT name, workflows FROM hosts WHERE name <> ? AND workflows <> ? ORDER BY name LIMIT 1";
const FREED: &str = "UPDATE shards SET epoch = 0 WHERE epoch = ?";

/// Fails where that epoch is not in force any more; else it stays so until the commit.
pub(super) fn hold(transaction: &mut Transaction<'_, '_>, epoch: u64) -> Result<(), StoreError> {
    match transaction.change_all(&HELD, [values![epoch, epoch]])? {
        Some(_) => Err(StoreError::Overtaken { what: format!("epoch {epoch} is over") }),
        None => Ok(()),
    }
}

impl Writer {
    /// Now, in microseconds, by a clock that all hosts see: the database's. A file has none but the host's own.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn now(&self, clock: &dyn HostClock) -> Result<u64, StoreError> {
        match self.connection() {
            Connection::Sqlite(_) => Ok(clock.wall()),
            Connection::Postgres(session) => {
                let now = session.row(DATABASE_CLOCK, &[], |row| row.get(0))?;
                now.ok_or_else(|| StoreError::Corrupt("the database does not tell its time".into()))
            }
        }
    }

    /// Says that the host `name` is alive until then, and removes those whose time was over before `now`: what their engines
    /// have not committed by then, they never will. Gives whether the host was still there.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn renew(&mut self, name: &str, now: u64, until: u64) -> Result<bool, StoreError> {
        self.connection_mut().transact(|transaction| {
            let gone = transaction.change_telling(&RENEWED, "until", [values![until, name]])?;
            transaction.execute(DEAD, values![now, name])?;
            Ok(!gone.is_empty())
        })
    }

    /// Begins a new epoch for the host `name`, greater than all before, and ends the one that it had. What dead epochs
    /// counted is counted under the new one.
    ///
    /// # Errors
    /// Where a host is there that runs other `workflows`: a shard of either would be decided on for some of them only. Where
    /// the store fails.
    pub fn begin_epoch(&mut self, (name, workflows): (&str, &str), now: u64, until: u64) -> Result<u64, StoreError> {
        let epoch = self.connection_mut().transact(|transaction| {
            transaction.execute(DEAD, values![now, name])?;
            // Hosts that begin at the same moment wait for each other here.
            transaction.execute(NEXT_EPOCH, [])?;
            let other = transaction.row(OTHER_WORKFLOWS, &values![name, workflows], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if let Some((host, theirs)) = other {
                return Err(StoreError::OtherWorkflows { host, theirs, ours: workflows.to_owned() });
            }
            let epoch: Option<u64> = transaction.row(EPOCH, &[], |row| row.get(0))?;
            let epoch = epoch.ok_or_else(|| StoreError::Corrupt("the table epochs is empty".into()))?;
            transaction.execute(JOIN, values![name, workflows, epoch, until, now])?;
            Ok(epoch)
        })?;
        self.fold_tallies(epoch)?;
        Ok(epoch)
    }

    /// Takes those of the `wanted` shards that no host owns which is there. Gives all that the epoch owns then.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn claim(&mut self, epoch: u64, wanted: &ShardSet) -> Result<ShardSet, StoreError> {
        let ownership = self.ownership()?;
        // Whoever else takes one of them meanwhile is the one who has it.
        let free = wanted.iter().filter(|shard| ownership.is_free(*shard));
        let claims = free.map(|shard| values![epoch, shard, ownership.shards[usize::from(shard)]]);
        self.connection_mut().transact(|transaction| transaction.change(&CLAIMED, claims))?;
        Ok(self.ownership()?.of(epoch))
    }

    /// Ends the epoch of the host `name`, which stays: its shards are free. With `leaves` the host goes too.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn end_epoch(&mut self, name: &str, epoch: u64, leaves: bool) -> Result<(), StoreError> {
        self.connection_mut().transact(|transaction| {
            transaction.change(&ENDED, [[Value::Null, name.into(), epoch.into()]])?;
            transaction.execute(FREED, values![epoch])?;
            transaction.change(&LEFT, leaves.then(|| values![name]))
        })
    }

    /// As [`Reader::ownership`], as of the last commit.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn ownership(&self) -> Result<Ownership, StoreError> {
        // First the shards: an owner that comes in between would seem to be none of the hosts, and its shards free.
        let shards = self.connection().rows(OWNERS, &[], |row| row.get(0))?;
        Ok(Ownership { shards, hosts: self.connection().rows(HOSTS, &[], host)? })
    }
}

const HOSTS: &str = "SELECT name, epoch, until, since FROM hosts ORDER BY name";
const OWNERS: &str = "SELECT epoch FROM shards ORDER BY shard";

fn host(row: &Columns<'_>) -> Result<HostRow, StoreError> {
    Ok(HostRow { name: row.get(0)?, epoch: row.get(1)?, until: row.get(2)?, since: row.get(3)? })
}

impl Reader {
    /// Who shares the store, and who owns what.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn ownership(&self) -> Result<Ownership, StoreError> {
        // In the same order as a writer does.
        let shards = self.rows(OWNERS, &[], |row| row.get(0))?;
        Ok(Ownership { shards, hosts: self.rows(HOSTS, &[], host)? })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::{Batch, EntityRow, Store};

    /// What follows on `expected`, the entity's last row.
    fn entity(id: i64, head: u8, expected: i64) -> Batch {
        let row = EntityRow {
            id,
            workflow: 1,
            key: id.to_string().into(),
            sequence: 1,
            ordinal: 0,
            now: 0,
            head: [head; 32],
            head_row: id + i64::from(head),
            state_row: None,
            parked: false,
            expected_head_row: expected,
            expected_head: [u8::try_from(expected - id).unwrap_or_default(); 32],
        };
        Batch { entities: vec![row], ..Batch::default() }
    }

    fn reader_count(store: &Store, query: &str) -> u64 {
        store.reader().unwrap().count(query, &[]).unwrap()
    }

    #[test]
    fn an_epoch_commits_only_while_it_is_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("test.db").into(), None, (1, 2)).unwrap();
        let mut leases = store.writer().unwrap();
        leases.workflow("w").unwrap();
        let first = leases.begin_epoch(("one", "w"), 0, 10).unwrap();
        assert_eq!(leases.claim(first, &ShardSet::of(0..960)).unwrap().len(), 960);
        let mut paused = store.writer().unwrap().of_epoch(first).unwrap();
        paused.commit(&entity(1, 1, 0)).unwrap();

        // Not over by the clock of the store: nothing is taken.
        let second = leases.begin_epoch(("two", "w"), 10, 20).unwrap();
        assert!(second > first);
        assert!(leases.claim(second, &ShardSet::of(0..960)).unwrap().is_empty());
        paused.commit(&entity(2, 1, 0)).unwrap();

        assert!(leases.renew("two", 11, 30).unwrap());
        assert_eq!(leases.claim(second, &ShardSet::of(0..480)).unwrap().len(), 480);
        let error = paused.commit(&entity(3, 1, 0)).unwrap_err();
        assert!(error.is_overtaken(), "{error}");
        assert!(!leases.renew("one", 12, 40).unwrap(), "whoever was given up begins anew");
        let reader = store.reader().unwrap();
        assert!(reader.entity(1, "3").unwrap().is_none());
        // Whoever runs something else would leave half of it undone.
        let error = leases.begin_epoch(("three", "v, w"), 12, 40).unwrap_err();
        assert!(error.to_string().contains("two runs w there, and this one is to run v, w"), "{error}");

        let ownership = reader.ownership().unwrap();
        assert_eq!(ownership.of(second).len(), 480);
        assert!(ownership.is_free(480) && !ownership.is_free(479));
    }

    #[test]
    fn what_an_epoch_releases_is_free_at_once_and_its_counts_stay() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("test.db").into(), None, (1, 2)).unwrap();
        let mut leases = store.writer().unwrap();
        let workflow = leases.workflow("w").unwrap();
        for round in 1..4u8 {
            let epoch = leases.begin_epoch(("one", "w"), 0, 10).unwrap();
            let other = leases.begin_epoch(("two", "w"), 0, 10).unwrap();
            assert_eq!(leases.claim(epoch, &ShardSet::of(0..500)).unwrap().len(), 500);
            assert_eq!(leases.claim(other, &ShardSet::of(400..960)).unwrap().len(), 460);
            for (epoch, id) in [(epoch, 1), (other, 2)] {
                let expected = if round == 1 { 0 } else { id + i64::from(round) - 1 };
                store.writer().unwrap().of_epoch(epoch).unwrap().commit(&entity(id, round, expected)).unwrap();
            }
            let tally = store.reader().unwrap().tally(workflow).unwrap().unwrap();
            assert_eq!(tally.entities, 2);
            leases.end_epoch("one", epoch, round == 3).unwrap();
            leases.end_epoch("two", other, false).unwrap();
        }
        let ownership = store.reader().unwrap().ownership().unwrap();
        assert_eq!(ownership.hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>(), ["two"]);
        assert!(ownership.shards.iter().all(|epoch| *epoch == 0));
        let slots = reader_count(&store, "SELECT count(*) FROM tallies");
        assert!(slots <= 3, "what dead epochs counted is folded together: {slots}");
    }
}
