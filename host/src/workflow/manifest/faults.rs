//! `[faults]`: when faults are too many at once.

use std::time::Duration;

use purefold_effects::settings::Settings;
use purefold_wit::Finding;

/// Faults that pause the workflow, where the manifest does not say.
const DEFAULT_FAULTS: usize = 20;
/// Within which these faults are counted, where the manifest does not say.
const DEFAULT_WITHIN: Duration = Duration::from_secs(60);

const FAULTS_MOST: i64 = 100_000;
const WITHIN_LEAST: Duration = Duration::from_secs(1);
const WITHIN_MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// `[faults]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultSettings {
    /// `pause-after.count`: so many faults pause the workflow; 0 for never.
    pub count: usize,
    /// `pause-after.within`: where they happen within this time.
    pub within: Duration,
}

impl Default for FaultSettings {
    fn default() -> Self {
        FaultSettings { count: DEFAULT_FAULTS, within: DEFAULT_WITHIN }
    }
}

impl FaultSettings {
    pub(super) fn read(mut settings: Settings<'_>) -> (Self, Vec<Finding>) {
        let mut faults = FaultSettings::default();
        if let Some(mut pause) = settings.nested("pause-after") {
            if let Some(count) = pause.integer("count", 0..=FAULTS_MOST).and_then(|count| usize::try_from(count).ok()) {
                faults.count = count;
            }
            if let Some(within) = pause.duration("within", WITHIN_LEAST..=WITHIN_MOST) {
                faults.within = within;
            }
            settings.absorb(pause.finish());
        }
        (faults, settings.finish())
    }
}
