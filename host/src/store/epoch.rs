//! Epochs: which of the engines that ever ran on a store gave a row its number.
//!
//! A host that has its store for itself goes on numbering where the last one stopped. Where several share one, each engine
//! has a new epoch, greater than all before, and numbers of its own: so no two ever give out the same one, and as an entity
//! only passes from an engine to a younger one, the rows of its chain ascend.

/// Bits of a number below the epoch's.
const BITS: u32 = 40;

/// Numbers that are left over at the end of an epoch: what is under way when it is noticed that they run out takes some.
const SPARE: i64 = 1 << 30;

/// The numbers that an engine gives out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    epoch: u64,
}

impl Numbers {
    /// Those of an epoch; epoch 0 is that of the only host.
    #[must_use]
    pub fn of(epoch: u64) -> Self {
        Numbers { epoch }
    }

    /// Those that `number` is among.
    #[must_use]
    pub fn with(number: i64) -> Self {
        Numbers { epoch: u64::try_from(number >> BITS).unwrap_or(0) }
    }

    /// The epoch.
    #[must_use]
    pub fn epoch(self) -> u64 {
        self.epoch
    }

    /// The number before the first one.
    #[must_use]
    pub fn before_first(self) -> i64 {
        // More engines than 2^23 would have to start one after the other; the store refuses numbers that come twice.
        (self.epoch << BITS).cast_signed()
    }

    /// The last one.
    #[must_use]
    pub fn last(self) -> i64 {
        self.before_first() + ((1 << BITS) - 1)
    }

    /// Whether an engine whose last number is this should begin another epoch. The only host has no end to come to.
    #[must_use]
    pub fn run_out_at(self, number: i64) -> bool {
        self.epoch > 0 && number > self.last() - SPARE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_have_numbers_of_their_own_and_ascending() {
        let (first, second) = (Numbers::of(1), Numbers::of(2));
        assert_eq!(first.last() + 1, second.before_first());
        assert_eq!(Numbers::with(first.before_first() + 1), first);
        assert_eq!(Numbers::with(first.last()), first);
        assert_eq!(Numbers::with(17).epoch(), 0);
        assert!(!first.run_out_at(first.before_first()) && first.run_out_at(first.last()));
        assert!(!Numbers::default().run_out_at(i64::MAX));
    }
}
