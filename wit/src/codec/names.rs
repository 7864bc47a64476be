//! A table from names to their indices, built once and asked for every field of every record.

/// Names with their indices: open addressing with linear probing, at most half full.
///
/// The hash is not keyed: the names in the table come from the contract, so what an event's keys can cost is bounded by
/// the longest run of occupied slots, which is fixed when the plan is compiled.
#[derive(Debug)]
pub(super) struct Names {
    names: Box<[Box<str>]>,
    slots: Box<[Slot]>,
    shift: u32,
}

/// A name's index plus one; zero is empty.
type Slot = u32;

impl Names {
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Names {
        let names: Box<[Box<str>]> = names.map(Box::from).collect();
        let capacity = (names.len() * 2).next_power_of_two().max(2);
        let shift = u64::BITS - capacity.trailing_zeros();
        let mut slots = vec![0; capacity].into_boxed_slice();
        for (name, slot) in names.iter().zip(1..) {
            let mut at = (hash(name.as_bytes()) >> shift) as usize;
            while slots[at] != 0 {
                at = (at + 1) & (capacity - 1);
            }
            slots[at] = slot;
        }
        Names { names, slots, shift }
    }

    /// The index of `name`, which is often `likely`: records mostly arrive in declared order.
    pub(super) fn find(&self, name: &str, likely: usize) -> Option<usize> {
        if self.names.get(likely).is_some_and(|candidate| **candidate == *name) {
            return Some(likely);
        }
        let mut at = (hash(name.as_bytes()) >> self.shift) as usize;
        while self.slots[at] != 0 {
            let index = self.slots[at] as usize - 1;
            if *self.names[index] == *name {
                return Some(index);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        None
    }

    /// The name of `index`.
    pub(super) fn name(&self, index: usize) -> &str {
        &self.names[index]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }
}

/// Mixes the length, the first and the last eight bytes: field names seldom differ only in between.
fn hash(name: &[u8]) -> u64 {
    let (head, tail) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => (name.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)), 0),
    };
    let mixed = (head ^ tail.rotate_left(32) ^ name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_name_whatever_is_likely_and_nothing_else() {
        let many: Vec<String> = (0..500).map(|number| format!("a_long_common_prefix_{number}_and_the_same_end")).collect();
        for names in [vec![], vec!["a"], vec!["a", "b", "node_id", "node_type", "timestamp"], many.iter().map(String::as_str).collect()] {
            let table = Names::new(names.iter().copied());
            assert_eq!(table.len(), names.len());
            for (index, name) in names.iter().enumerate() {
                for likely in [index, 0, index + 1, usize::MAX] {
                    assert_eq!(table.find(name, likely), Some(index));
                }
                assert_eq!(table.name(index), *name);
                assert_eq!(table.find(&format!("{name}x"), index), None);
            }
            assert_eq!(table.find("", 0), None);
        }
    }
}
