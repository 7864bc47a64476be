//! What the host tells its workflows of itself: that it was started.

use super::Engine;
use super::input::{EntityName, EventOrigin};
use crate::source::{STARTED, Started};

impl Engine {
    /// Hands the event of a start to each workflow that takes events of that type. Call it once the engine is made and
    /// before it runs; an engine that follows another one in the same process is told of the same start again, and knows
    /// that it has it.
    ///
    /// On the event clock nothing happens: when a host was started is no part of its input, of which such a run is a
    /// function. There the event can stand in the input itself.
    pub fn host_started(&mut self, started: &Started) {
        let plans = self.shared.plans.clone();
        for (workflow, plan) in plans.iter().enumerate().filter(|(_, plan)| plan.workflow.inputs.contains_key(STARTED)) {
            if self.course.event_clock {
                tracing::warn!(workflow = %plan.workflow.name, "on the event clock the host tells of no start: {STARTED} is taken from the input alone");
                continue;
            }
            self.state.summary.events += 1;
            let (bytes, now) = (started.event(&plan.workflow.name), self.clock.wall());
            self.intake.at(now);
            let decoded = self.decoder.decode(&bytes, EventOrigin::Host, now).into_iter().find(|(taker, _)| *taker == workflow);
            match decoded {
                Some((_, Ok((key, event)))) if !self.share.shards.has_key(&key) => {
                    self.intake.forward_own(workflow, key, event.bytes, &mut self.state.draft);
                }
                Some((_, Ok((key, event)))) if self.intake.admit_own(workflow, event.fingerprint) => {
                    self.state.untold += 1;
                    self.pending(EntityName { workflow, key }).events.push_back(event);
                }
                // The load has seen that the fields fit; a name may still be none that a key can have.
                Some((_, Err(undecodable))) => {
                    self.intake.bury_own(workflow, undecodable, bytes, None, &mut self.state.draft);
                }
                Some((_, Ok(_))) | None => {}
            }
        }
    }
}
