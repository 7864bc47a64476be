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
    /// When it was counted last, and what came of it where it could be.
    counted: Option<(Instant, Option<StoreFigures>)>,
}

impl Counting {
    pub(super) fn new(location: Location, workflows: Vec<String>) -> Self {
        Counting { location, workflows, counted: None }
    }

    /// The counts, a few seconds old at most; none where the store cannot be read.
    pub(super) fn figures(&mut self) -> Option<StoreFigures> {
        if let Some((when, figures)) = &self.counted
            && when.elapsed() < LEAST_INTERVAL
        {
            return figures.clone();
        }
        // Whether the store works is told by whoever needs it to.
        let figures = self.count().inspect_err(|error| tracing::info!(%error, "the store's figures cannot be counted")).ok();
        self.counted = Some((Instant::now(), figures.clone()));
        figures
    }

    fn count(&self) -> Result<StoreFigures, StoreError> {
        let reader = Reader::open(&self.location)?;
        let mut workflows = Vec::with_capacity(self.workflows.len());
        for name in &self.workflows {
            let id = reader.workflow(name)?.map_or(0, |(id, _)| id);
            let (parked, dead_letters) = (reader.count_parked(id)?, reader.count_dead_letters(id)?);
            workflows.push(WorkflowFigures { name: name.clone(), parked, dead_letters });
        }
        Ok(StoreFigures { workflows, timers: reader.count_timers()? })
    }
}
