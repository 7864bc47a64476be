//! By how much a candidate may differ from what there is.

use crate::replay::{Expected, Sample};

/// By how much a candidate may differ from what there is.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// Where differences are wanted.
    pub expected: Expected,
    /// Whose history is replayed.
    pub sample: Sample,
    /// The share of the decisions that may differ elsewhere, from 0 to 1.
    pub differing: f64,
    /// The share of the states that may fail to be taken over.
    pub unmigrated: f64,
}

impl Default for Budget {
    /// Not at all, in all of history.
    fn default() -> Self {
        Budget { expected: Expected::default(), sample: Sample::All, differing: 0.0, unmigrated: 0.0 }
    }
}
