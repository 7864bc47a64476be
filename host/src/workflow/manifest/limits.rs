//! `[limits]`: the bounds that a workflow may set.

use purefold_effects::settings::Settings;
use purefold_wit::Finding;

use crate::sandbox::Limits;

/// Waiting inputs of one parked entity, where the manifest does not say.
pub const DEFAULT_INBOX: usize = 1000;
/// Bytes of one event, where the manifest does not say.
pub const DEFAULT_EVENT_BYTES: usize = 1 << 20;
/// Attempts that one effect has under way at a time, where the manifest does not say.
pub const DEFAULT_PARALLEL: usize = 1024;
/// Intents without a conclusion, where the manifest does not say.
pub const DEFAULT_OUTSTANDING: usize = 100_000;

/// Less fuel than this does not even enter a reducer.
const FUEL_LEAST: i64 = 10_000;
const FUEL_MOST: i64 = Limits::MOST.fuel.cast_signed();
/// One page of linear memory.
const MEMORY_BYTES_LEAST: i64 = 64 << 10;
const MEMORY_BYTES_MOST: i64 = Limits::MOST.memory_bytes as i64;
const OUTPUT_BYTES_LEAST: i64 = 1 << 10;
const OUTPUT_BYTES_MOST: i64 = Limits::MOST.output_bytes as i64;
const INTENTS_MOST: i64 = Limits::MOST.intents as i64;
const INBOX_MOST: i64 = 1_000_000;
const EVENT_BYTES_LEAST: i64 = 1 << 10;
const EVENT_BYTES_MOST: i64 = 64 << 20;
pub(super) const PARALLEL_MOST: i64 = 4096;
/// The engine lets a few thousand flow at a time in any case.
const OUTSTANDING_LEAST: i64 = 1000;
const OUTSTANDING_MOST: i64 = 100_000_000;

/// `[limits]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitSettings {
    /// `fuel`: units of work of one decision, about one for each WebAssembly instruction.
    pub fuel: u64,
    /// `memory`: bytes of linear memory of one decision.
    pub memory_bytes: usize,
    /// `output`: bytes of one decision's state and intents as canonical JSON.
    pub output_bytes: usize,
    /// `intents`: intents of one decision.
    pub intents: usize,
    /// `inbox`: inputs of one parked entity, the faulting one at the head counted, before further events become dead letters.
    pub inbox: usize,
    /// `event`: bytes of one event.
    pub event_bytes: usize,
    /// `parallel`: attempts that one effect has under way at a time.
    pub parallel: usize,
    /// `outstanding`: intents without a conclusion past which no events are taken.
    pub outstanding: usize,
}

impl Default for LimitSettings {
    fn default() -> Self {
        let Limits { fuel, memory_bytes, output_bytes, intents } = Limits::default();
        LimitSettings {
            fuel,
            memory_bytes,
            output_bytes,
            intents,
            inbox: DEFAULT_INBOX,
            event_bytes: DEFAULT_EVENT_BYTES,
            parallel: DEFAULT_PARALLEL,
            outstanding: DEFAULT_OUTSTANDING,
        }
    }
}

impl LimitSettings {
    pub(super) fn sandbox(&self) -> Limits {
        Limits { fuel: self.fuel, memory_bytes: self.memory_bytes, output_bytes: self.output_bytes, intents: self.intents }
    }

    pub(super) fn read(mut settings: Settings<'_>) -> (Self, Vec<Finding>) {
        let mut limits = LimitSettings::default();
        if let Some(fuel) = settings.integer("fuel", FUEL_LEAST..=FUEL_MOST) {
            limits.fuel = fuel.unsigned_abs();
        }
        for (name, bound, range) in [
            ("memory", &mut limits.memory_bytes, MEMORY_BYTES_LEAST..=MEMORY_BYTES_MOST),
            ("output", &mut limits.output_bytes, OUTPUT_BYTES_LEAST..=OUTPUT_BYTES_MOST),
            ("intents", &mut limits.intents, 1..=INTENTS_MOST),
            ("inbox", &mut limits.inbox, 1..=INBOX_MOST),
            ("event", &mut limits.event_bytes, EVENT_BYTES_LEAST..=EVENT_BYTES_MOST),
            ("parallel", &mut limits.parallel, 1..=PARALLEL_MOST),
            ("outstanding", &mut limits.outstanding, OUTSTANDING_LEAST..=OUTSTANDING_MOST),
        ] {
            if let Some(value) = settings.integer(name, range).and_then(|value| usize::try_from(value).ok()) {
                *bound = value;
            }
        }
        (limits, settings.finish())
    }
}
