//! Figures that stand in the store, counted there at most every few seconds.

use std::time::{Duration, Instant};

use crate::store::{Location, Reader, StoreError};

/// Counting reads an index from end to end: not at every look.
const LEAST_INTERVAL: Duration = Duration::from_secs(5);

/// Counts of one workflow.
#[derive(Clone, Debug)]
pub(super) struct WorkflowFigures {
    pub(super) name: String,
    pub(super) parked: u64,
    pub(super) dead_letters: u64,
}

/// Counts of the store.
#[derive(Clone, Debug)]
pub(super) struct StoreFigures {
    pub(super) workflows: Vec<WorkflowFigures>,
    pub(super) timers: u64,
}

/// Counts when it is asked, and remembers for a while.
pub(super) struct Counting {
    location: Location,
    workflows: Vec<String>,
    counted: Option<(Instant, StoreFigures)>,
}

impl Counting {
    pub(super) fn new(location: Location, workflows: Vec<String>) -> Self {
        Counting { location, workflows, counted: None }
    }

    /// The counts, a few seconds old at most.
    pub(super) fn figures(&mut self) -> Result<StoreFigures, StoreError> {
        if let Some((when, figures)) = &self.counted
            && when.elapsed() < LEAST_INTERVAL
        {
            return Ok(figures.clone());
        }
        let reader = Reader::open(&self.location)?;
        let mut workflows = Vec::with_capacity(self.workflows.len());
        for name in &self.workflows {
            let id = reader.workflow(name)?.map_or(0, |(id, _)| id);
            let (parked, dead_letters) = (reader.count_parked(id)?, reader.count_dead_letters(id)?);
            workflows.push(WorkflowFigures { name: name.clone(), parked, dead_letters });
        }
        let figures = StoreFigures { workflows, timers: reader.count_timers()? };
        self.counted = Some((Instant::now(), figures.clone()));
        Ok(figures)
    }
}
