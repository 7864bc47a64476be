//! Which shards a host should have, worked out by each host alone from what all of them see.

use crate::store::{HostRow, Ownership, ShardSet, murmur2};

/// By what a host chooses its shards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// An even part of all.
    #[default]
    Part,
    /// Those of the partitions that it reads, of so many; an even part of all where shards do not keep to partitions.
    Partitions(Vec<u32>, u32),
    /// Every shard: it decides alone or not at all.
    All,
}

/// The shards that the host `me` should have among `hosts`.
#[must_use]
pub fn wanted(wish: &Wish, me: &str, hosts: &[HostRow]) -> ShardSet {
    match wish {
        Wish::All => ShardSet::of(0..crate::store::SHARDS),
        Wish::Part => part(me, hosts),
        Wish::Partitions(partitions, count) => ShardSet::of_partitions(partitions, *count).unwrap_or_else(|| part(me, hosts)),
    }
}

/// Each shard is for the host whose name, hashed with it, weighs most: when a host comes or goes, only shards that it gets
/// or had change hands.
fn part(me: &str, hosts: &[HostRow]) -> ShardSet {
    let weight = |name: &str, shard: u16| (murmur2(format!("{shard} {name}").as_bytes()), name.to_owned());
    let others: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).filter(|name| *name != me).collect();
    let is_mine = |shard: &u16| {
        let mine = weight(me, *shard);
        others.iter().all(|other| weight(other, *shard) < mine)
    };
    ShardSet::of((0..crate::store::SHARDS).filter(is_mine))
}

/// Whether the engine that has `owned` should make way for one with another set: a wanted shard is free, or one that it has
/// is wanted by another host.
#[must_use]
pub fn must_change(owned: &ShardSet, wanted: &ShardSet, ownership: &Ownership) -> bool {
    let gains = wanted.iter().any(|shard| !owned.has(shard) && ownership.is_free(shard));
    gains || owned.iter().any(|shard| !wanted.has(shard))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SHARDS;

    fn hosts(names: &[&str]) -> Vec<HostRow> {
        names.iter().map(|name| HostRow { name: (*name).to_owned(), epoch: None, until: 0, since: 0 }).collect()
    }

    #[test]
    fn every_shard_is_wanted_by_one_host_and_few_change_hands() {
        let names = ["a-1", "b-2", "c-3", "d-4", "e-5"];
        let mut before: Vec<ShardSet> = Vec::new();
        for count in 1..=names.len() {
            let there = hosts(&names[..count]);
            let sets: Vec<ShardSet> = names[..count].iter().map(|name| wanted(&Wish::Part, name, &there)).collect();
            assert!((0..SHARDS).all(|shard| sets.iter().filter(|set| set.has(shard)).count() == 1));
            let fair = usize::from(SHARDS) / count;
            assert!(
                sets.iter().all(|set| set.len() > fair * 2 / 3 && set.len() < fair * 4 / 3),
                "{:?}",
                sets.iter().map(ShardSet::len).collect::<Vec<_>>()
            );
            // Whoever was there before only gives.
            assert!(before.iter().zip(&sets).all(|(had, has)| has.iter().all(|shard| had.has(shard))));
            before = sets;
        }
    }

    #[test]
    fn partitions_decide_where_shards_keep_to_them() {
        let there = hosts(&["a", "b"]);
        let set = wanted(&Wish::Partitions(vec![1, 3], 4), "a", &there);
        assert!(set.iter().all(|shard| shard % 4 == 1 || shard % 4 == 3) && set.len() == 480);
        assert_eq!(wanted(&Wish::Partitions(vec![1, 3], 7), "a", &there), wanted(&Wish::Part, "a", &there));
        assert!(wanted(&Wish::Partitions(vec![], 4), "a", &there).is_empty());
        assert_eq!(wanted(&Wish::All, "a", &there).len(), 960);
    }

    #[test]
    fn a_set_changes_when_something_is_free_or_somebody_elses() {
        let mut shards = vec![1; 480];
        shards.extend([2; 480]);
        let mut hosts = hosts(&["a", "b"]);
        (hosts[0].epoch, hosts[1].epoch) = (Some(1), Some(2));
        let mut ownership = Ownership { hosts, shards };
        let (first, all) = (ShardSet::of(0..480), ShardSet::of(0..960));
        assert!(!must_change(&first, &first, &ownership));
        assert!(!must_change(&first, &all, &ownership), "the rest is somebody's");
        assert!(must_change(&first, &ShardSet::of(0..479), &ownership));
        ownership.hosts.pop();
        assert!(must_change(&first, &all, &ownership), "the rest is nobody's");
    }
}
