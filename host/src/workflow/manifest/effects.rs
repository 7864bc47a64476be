//! `[effects.NAME]`: the settings that every effect has. The rest is the capability's and the backend's to read.

use std::time::Duration;

use purefold_effects::settings::Settings;
use purefold_wit::Finding;

use super::limits::PARALLEL_MOST;
use super::{DEFAULT_BREAKER, EffectSettings};
use crate::workflow::{BreakerSettings, DELIVER, TIMER};

/// The settings that every effect has.
pub(in crate::workflow) const COMMON: [&str; 2] = ["parallel", "breaker"];

const FAILURES_MOST: i64 = 1_000_000;
const COOLDOWN_LEAST: Duration = Duration::from_millis(10);
const COOLDOWN_MOST: Duration = Duration::from_secs(60 * 60);

pub(super) fn read(mut settings: Settings<'_>, top: &mut Settings<'_>) -> Vec<EffectSettings> {
    let mut effects = Vec::new();
    for name in settings.names() {
        let Some(effect) = settings.nested(name) else { continue };
        if matches!(name, TIMER | DELIVER) {
            settings.report("effect-reserved", name, format!("`{name}` is the name of a built-in effect"), "give the effect another name");
        } else {
            let (effect, findings) = read_one(name, effect);
            effects.push(effect);
            settings.absorb(findings);
        }
    }
    top.absorb(settings.finish());
    effects
}

fn read_one(name: &str, mut settings: Settings<'_>) -> (EffectSettings, Vec<Finding>) {
    let parallel = settings.integer("parallel", 1..=PARALLEL_MOST).and_then(|parallel| usize::try_from(parallel).ok());
    let breaker = settings.nested("breaker").map_or(DEFAULT_BREAKER, |breaker| {
        let (breaker, findings) = read_breaker(breaker);
        settings.absorb(findings);
        breaker
    });
    let mut own = toml::Table::new();
    for name in settings.names().filter(|name| !COMMON.contains(name)) {
        if let Some(value) = settings.raw(name) {
            own.insert(name.to_owned(), value.clone());
        }
    }
    (EffectSettings { name: name.to_owned(), parallel, breaker, settings: own }, settings.finish())
}

fn read_breaker(mut settings: Settings<'_>) -> (BreakerSettings, Vec<Finding>) {
    let mut breaker = DEFAULT_BREAKER;
    if let Some(failures) = settings.integer("failures", 1..=FAILURES_MOST).and_then(|failures| u32::try_from(failures).ok()) {
        breaker.failures = failures;
    }
    if let Some(cooldown) = settings.duration("cooldown", COOLDOWN_LEAST..=COOLDOWN_MOST) {
        breaker.cooldown = cooldown;
    }
    (breaker, settings.finish())
}
