//! What tells one situation from another.

use sha2::{Digest, Sha256};

use crate::scenario::{Stage, Watch};

/// A hash over everything that what happens next can depend on, but for numbers of decisions.
pub(super) fn digest(stage: &Stage, watch: &Watch) -> [u8; 32] {
    let rehearsal = stage.rehearsal();
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    add(&rehearsal.now().to_be_bytes());
    for (name, entity) in rehearsal.entities() {
        add(&(name.workflow as u64).to_be_bytes());
        add(name.key.as_bytes());
        add(rehearsal.state_json(name).unwrap_or_default().as_bytes());
        add(&[u8::from(entity.row.parked)]);
        // Sorted: in which order timers were set does not matter.
        let mut timers: Vec<(&str, u64, bool)> = entity.timers.iter().map(|timer| (&*timer.name, timer.due, timer.waits)).collect();
        timers.sort_unstable();
        for (timer, due, waits) in timers {
            add(timer.as_bytes());
            add(&due.to_be_bytes());
            add(&[u8::from(waits)]);
        }
        for waiting in &entity.inbox {
            add(waiting.origin.as_bytes());
            add(&waiting.input);
        }
    }
    for asked in rehearsal.asked() {
        add(asked.name.key.as_bytes());
        add(&asked.case.to_be_bytes());
        add(&[asked.standing as u8]);
        add(rehearsal.payload_json(&asked).as_bytes());
    }
    for delivery in rehearsal.deliveries() {
        add(delivery.workflow.as_bytes());
        add(delivery.key.as_bytes());
        add(delivery.input.as_bytes());
        add(&delivery.payload);
    }
    for (name, case, count) in watch.remembered() {
        add(name.key.as_bytes());
        add(&case.to_be_bytes());
        add(&count.to_be_bytes());
    }
    hash.finalize().into()
}
