//! Shards: fixed buckets of entities by their keys, the unit in which several hosts share a store.
//!
//! The bucket follows from Kafka's own hash of the key. Where a topic has a number of partitions that divides [`SHARDS`],
//! and its producers key events by their entity, the partition of an event is its shard modulo that number: whoever reads
//! the partition can own all entities that it names.

/// Buckets. Divisible by most numbers of partitions that topics have: all up to 6, and 8, 10, 12, 15, 16, 20, 24, 30, 32, 40,
/// 48, 60, 64, 96, 120, 160, 192, 240, 320, 480.
pub const SHARDS: u16 = 960;

const WORDS: usize = SHARDS as usize / 64;

/// The shard of the entity of that key.
#[must_use]
pub fn shard_of(key: &str) -> u16 {
    let positive = murmur2(key.as_bytes()) & 0x7fff_ffff;
    // Less than SHARDS.
    (positive % u32::from(SHARDS)) as u16
}

/// `MurmurHash2` with the seed and the reading of the tail that Kafka's default partitioner has
/// (`org.apache.kafka.common.utils.Utils.murmur2`), so that shards and partitions agree.
pub(crate) fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    // A key has 256 bytes at most.
    let mut hash = SEED ^ (bytes.len() as u32);
    let (words, tail) = bytes.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (shift, byte) in (0..).step_by(8).zip(tail) {
            hash ^= u32::from(*byte) << shift;
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// Which shards somebody owns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardSet {
    /// None: all of them, without a look at the key.
    bits: Option<Box<[u64; WORDS]>>,
}

impl ShardSet {
    /// Every shard: of a store with one host.
    #[must_use]
    pub fn all() -> Self {
        ShardSet { bits: None }
    }

    /// These shards; numbers past the last one are none.
    #[must_use]
    pub fn of(shards: impl IntoIterator<Item = u16>) -> Self {
        let mut bits = Box::new([0; WORDS]);
        for shard in shards.into_iter().filter(|shard| *shard < SHARDS) {
            bits[usize::from(shard / 64)] |= 1 << (shard % 64);
        }
        ShardSet { bits: Some(bits) }
    }

    /// The shards whose events are in these of a topic's `count` partitions; none where no shard keeps to one partition.
    #[must_use]
    pub fn of_partitions(partitions: &[u32], count: u32) -> Option<Self> {
        let divides = count > 0 && u32::from(SHARDS).is_multiple_of(count);
        divides.then(|| ShardSet::of((0..SHARDS).filter(|shard| partitions.contains(&(u32::from(*shard) % count)))))
    }

    /// Whether it has the shard of that key.
    #[must_use]
    pub fn has_key(&self, key: &str) -> bool {
        self.bits.is_none() || self.has(shard_of(key))
    }

    /// Whether it has that shard.
    #[must_use]
    pub fn has(&self, shard: u16) -> bool {
        match &self.bits {
            None => true,
            Some(bits) => bits.get(usize::from(shard / 64)).is_some_and(|word| word & (1 << (shard % 64)) != 0),
        }
    }

    /// The shards, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..SHARDS).filter(|shard| self.has(*shard))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bits.as_ref().map_or(usize::from(SHARDS), |bits| bits.iter().map(|word| word.count_ones() as usize).sum())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Those of Kafka's `UtilsTest.testMurmur2`.
    #[test]
    fn hashes_are_those_of_kafka() {
        let vectors: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (text, hash) in vectors {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
        }
    }

    #[test]
    fn whoever_reads_a_partition_owns_the_shards_of_its_keys() {
        for count in [1, 2, 3, 6, 12, 960] {
            let sets: Vec<ShardSet> = (0..count).map(|partition| ShardSet::of_partitions(&[partition], count).unwrap()).collect();
            for key in (0..500).map(|n| format!("node-{n}")) {
                let partition = (murmur2(key.as_bytes()) & 0x7fff_ffff) % count;
                let owners: Vec<usize> = (0..sets.len()).filter(|of| sets[*of].has_key(&key)).collect();
                assert_eq!(owners, [partition as usize], "{key}");
            }
            assert_eq!(sets.iter().map(ShardSet::len).sum::<usize>(), usize::from(SHARDS));
        }
        assert_eq!(ShardSet::of_partitions(&[0], 7), None);
        assert_eq!(ShardSet::of_partitions(&[], 0), None);
    }

    #[test]
    fn a_set_has_what_it_was_made_of() {
        let set = ShardSet::of([0, 63, 64, 959, 960]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 959]);
        assert_eq!((set.len(), set.is_empty(), ShardSet::of([]).is_empty()), (4, false, true));
        assert_eq!(ShardSet::all().len(), 960);
        assert!(ShardSet::all().has_key("anything") && !set.has(u16::MAX));
    }
}
