//! Whether the host lives, and whether it takes events.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Decisions, Observed, millis};

/// A loop that has not turned for so long does not live.
const MOST_STANDSTILL: Duration = Duration::from_secs(30);

/// What `/readyz` tells.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Health {
    /// Whether the loop turns.
    pub alive: bool,
    /// Whether events are taken and decided.
    pub ready: bool,
    /// Why it is not ready.
    pub reasons: Vec<String>,
    /// What does not work and does not keep the host from taking events.
    pub degraded: Vec<String>,
}

impl Observed {
    /// How the host is doing now.
    #[must_use]
    pub fn health(&self) -> Health {
        let standstill = millis(self.clock.elapsed()).saturating_sub(self.turned.load(Ordering::Relaxed));
        // Waiting for an answer of the store is no standstill: a restart would not help, and the wait has an end.
        let waits = self.store.silent_for().map_or(0, millis);
        let alive = standstill.saturating_sub(waits) < millis(MOST_STANDSTILL);
        let mut reasons = Vec::new();
        if !alive {
            reasons.push(format!("the loop has stood still for {} s", standstill / 1000));
        }
        if !self.began.load(Ordering::Relaxed) {
            reasons.push("the host is starting".to_owned());
        }
        reasons.extend(self.store_trouble());
        if self.stopping.load(Ordering::Relaxed) {
            reasons.push("the host is stopping".to_owned());
        }
        reasons.extend(self.kafka.get().and_then(|kafka| kafka.trouble()));
        let mut degraded = Vec::new();
        let partitions = self.kafka.get().map(|kafka| kafka.partitions()).unwrap_or_default();
        degraded.extend(partitions.into_values().filter_map(|partition| partition.refused));
        let paused = self.decisions.iter().filter(|of| of.is_paused()).map(|of| format!("workflow {} is paused", of.workflow()));
        // As long as one workflow takes events, the host does.
        if self.decisions.iter().all(Decisions::is_paused) {
            reasons.extend(paused);
        } else {
            degraded.extend(paused);
        }
        for status in &*self.effects() {
            let (workflow, effect) = (status.workflow(), status.effect());
            if status.is_paused() {
                degraded.push(format!("effect {effect} of {workflow} is paused"));
            }
            if status.is_down() {
                let error = status.last_error().map(|error| format!(": {error}")).unwrap_or_default();
                degraded.push(format!("effect {effect} of {workflow} does not work{error}"));
            }
        }
        Health { alive, ready: reasons.is_empty(), reasons, degraded }
    }
}
