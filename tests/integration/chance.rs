//! Random moments that a failing test can be run again with.

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Chance(u64);

impl Chance {
    /// From a seed, which the test prints.
    pub(crate) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// From 0 up to, without, `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// From `start` up to, without, `end`.
    pub(crate) fn between(&mut self, start: u64, end: u64) -> u64 {
        start + self.below(end - start)
    }
}

/// The number in a variable of the environment, which is printed: with it a failing test can be run again.
pub(crate) fn number_of(variable: &str, otherwise: u64) -> u64 {
    let number =
        std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")));
    eprintln!("{variable}={number}");
    number
}
