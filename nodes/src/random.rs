//! Chance that is the same on every machine and for ever, so that what was made from a seed can be made anew.

/// SplitMix64 (Steele, Lea, Flood 2014). Generators of libraries may change their sequence between versions; this one cannot.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Begins at `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to, without, `end`. The bias of the remainder is of no matter for a demo.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// From `start` up to, without, `end`.
    pub fn between(&mut self, start: u64, end: u64) -> u64 {
        start + self.below(end - start)
    }

    /// A place in something of that length, which is not empty.
    pub fn index(&mut self, length: usize) -> usize {
        // What is left of a division by a `usize` is one.
        (self.next() % length.max(1) as u64) as usize
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// A UUID of version 4.
    pub fn uuid(&mut self) -> String {
        let high = (self.next() & !0xf000) | 0x4000;
        let low = (self.next() >> 2) | (1 << 63);
        purefold_wit::uuid::format(high, low)
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn the_sequence_is_the_published_one() {
        let mut random = Random::new(1_234_567);
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn uuids_are_of_version_4() {
        let uuid = Random::new(1).uuid();
        assert_eq!((&uuid[14..15], uuid.len()), ("4", 36));
        assert!(matches!(&uuid[19..20], "8" | "9" | "a" | "b"), "{uuid}");
    }
}
