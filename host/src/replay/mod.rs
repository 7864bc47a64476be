//! Replay: what the journal says, executed again.

mod bisect;
mod condition;
mod course;
mod derived;
mod diff;
mod error;
mod explain;
mod history;
mod inputs;
mod kinds;
mod lineage;
mod migration;
mod minimise;
mod pages;
mod radius;
mod record;
mod releases;
mod shadow;
mod verify;
mod walk;
mod what_if;
mod whole;

pub use bisect::{Bisected, Onset, bisect};
pub use condition::{Condition, ConditionError};
pub use diff::{Difference, differences};
pub use error::ReplayError;
pub use explain::{Change, Explanation, explain};
pub use kinds::{Departure, Example, Expected, Kind, Kinds};
pub use lineage::{Lineage, candidate};
pub use migration::{MigrationReport, Unmigrated, migration};
pub use minimise::{Minimal, Sought, minimise};
pub use radius::{Affected, Radius, RadiusReport, radius};
pub use shadow::{Divergence, Sample, Shadow, ShadowReport, shadow};
pub use verify::{Mismatch, Report, verify, verify_from};
pub use what_if::{Altered, Edit, WhatIf, what_if};
