//! Keeping a node alive: heartbeats extend its life, silence ends it.

use core::time::Duration;

use purefold_guest::{Context, Instant, Timer, instant};

use crate::domain::{Intent, LivenessExpired, Phase, SetHeartbeat, SetPhase, State, Transition};
use crate::{DOMAIN, service, unchanged};

/// How long a node that was activated may take until its first heartbeat.
pub(crate) const INTERVAL: Duration = Duration::from_secs(60);

/// How long a node is taken to be alive after a heartbeat.
const WINDOW: Duration = Duration::from_secs(90);

/// The timer's name.
pub(crate) const TIMER: &str = "liveness";

/// The timer that ends the life of a silent node: due when the deadline is past, not when it is reached.
pub(crate) fn timer(deadline: Instant) -> Intent {
    Intent::Timer(Timer { name: TIMER.to_owned(), due: instant::just_after(deadline) })
}

/// A heartbeat extends the life, counted from the heartbeat's own time. One that is not later than the last known changes
/// nothing, so that heartbeats that overtook each other never shorten a life.
pub(crate) fn extend(context: &Context, mut state: State, heartbeat_at: Instant) -> Transition {
    if state.last_heartbeat_at.is_some_and(|last| heartbeat_at <= last) {
        return unchanged(state);
    }
    let liveness_deadline = instant::after(heartbeat_at, WINDOW);
    state.last_heartbeat_at = Some(heartbeat_at);
    state.liveness_deadline = Some(liveness_deadline);
    state.updated_at = context.now;

    let mut intents = Vec::with_capacity(2);
    intents.push(Intent::SetHeartbeat(SetHeartbeat {
        entity_id: state.node_id,
        domain: DOMAIN.to_owned(),
        last_heartbeat_at: heartbeat_at,
        liveness_deadline,
        updated_at: context.now,
    }));
    if state.phase == Phase::Active {
        intents.push(timer(liveness_deadline));
    }
    Transition { state: Some(state), intents }
}

/// The timer fell due: the node is taken for dead and leaves the catalogue, unless the deadline is still ahead.
pub(crate) fn expire(context: &Context, mut state: State, deadline: Instant) -> Transition {
    if context.now <= deadline {
        return Transition { state: Some(state), intents: vec![timer(deadline)] };
    }
    state.phase = Phase::LivenessExpired;
    state.updated_at = context.now;

    let intents = vec![
        Intent::LivenessExpired(LivenessExpired {
            node_id: state.node_id,
            correlation_id: context.correlation_id.clone(),
            emitted_at: context.now,
            deadline_at: deadline,
            last_heartbeat_at: state.last_heartbeat_at,
        }),
        Intent::SetPhase(SetPhase {
            entity_id: state.node_id,
            domain: DOMAIN.to_owned(),
            current_state: state.phase,
            updated_at: context.now,
        }),
        service::deregister(context, &state),
    ];
    Transition { state: Some(state), intents }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{CORRELATION, NODE, NOW, PHASES, SECOND, accepted, context_at, heartbeat_at, names, node_in, timer as timer_due};

    fn alive_until(deadline: Instant) -> State {
        State { liveness_deadline: Some(deadline), last_heartbeat_at: Some(deadline - 90 * SECOND), ..node_in(Phase::Active) }
    }

    #[test]
    fn a_heartbeat_gives_ninety_seconds_from_its_own_time() {
        for at in [NOW, NOW - 3_600 * SECOND, NOW + 3_600 * SECOND, 0] {
            let before = node_in(Phase::Active);
            let (after, intents) = accepted(Some(before.clone()), heartbeat_at(at));
            let liveness_deadline = at + 90 * SECOND;
            assert_eq!(after, State { last_heartbeat_at: Some(at), liveness_deadline: Some(liveness_deadline), updated_at: NOW, ..before });
            assert_eq!(
                intents,
                [
                    Intent::SetHeartbeat(SetHeartbeat {
                        entity_id: NODE,
                        domain: "registration".to_owned(),
                        last_heartbeat_at: at,
                        liveness_deadline,
                        updated_at: NOW,
                    }),
                    Intent::Timer(Timer { name: "liveness".to_owned(), due: liveness_deadline + 1 }),
                ]
            );
        }
    }

    #[test]
    fn only_an_active_node_has_its_timer_set() {
        for phase in PHASES {
            let expected: &[&str] = match phase {
                Phase::Rejected | Phase::LivenessExpired => continue,
                Phase::Active => &["set-heartbeat", "timer liveness"],
                _ => &["set-heartbeat"],
            };
            let (after, intents) = accepted(Some(node_in(phase)), heartbeat_at(NOW));
            assert_eq!(names(&intents), expected, "{phase:?}");
            assert_eq!(after.phase, phase);
        }
    }

    #[test]
    fn a_heartbeat_that_was_overtaken_changes_nothing() {
        let before = State { last_heartbeat_at: Some(NOW), liveness_deadline: Some(NOW + 90 * SECOND), ..node_in(Phase::Active) };
        for at in [NOW, NOW - 1, 0] {
            assert_eq!(accepted(Some(before.clone()), heartbeat_at(at)), (before.clone(), vec![]));
        }
        let (after, intents) = accepted(Some(before), heartbeat_at(NOW + 1));
        assert_eq!(after.last_heartbeat_at, Some(NOW + 1));
        assert_eq!(names(&intents), ["set-heartbeat", "timer liveness"]);
    }

    #[test]
    fn silence_past_the_deadline_ends_the_life() {
        let deadline = NOW - 1;
        let (after, intents) = accepted(Some(alive_until(deadline)), timer_due("liveness"));
        assert_eq!(after, State { phase: Phase::LivenessExpired, updated_at: NOW, ..alive_until(deadline) });
        assert_eq!(
            intents,
            [
                Intent::LivenessExpired(LivenessExpired {
                    node_id: NODE,
                    correlation_id: CORRELATION.to_owned(),
                    emitted_at: NOW,
                    deadline_at: deadline,
                    last_heartbeat_at: Some(deadline - 90 * SECOND),
                }),
                Intent::SetPhase(SetPhase {
                    entity_id: NODE,
                    domain: "registration".to_owned(),
                    current_state: Phase::LivenessExpired,
                    updated_at: NOW,
                }),
                Intent::DeregisterService(crate::domain::DeregisterService {
                    service_id: "onex-effect-11111111-1111-4111-8111-111111111111".to_owned(),
                    correlation_id: CORRELATION.to_owned(),
                }),
            ]
        );
    }

    #[test]
    fn a_timer_that_comes_early_is_set_again() {
        for deadline in [NOW, NOW + 1, NOW + 90 * SECOND] {
            let (after, intents) = accepted(Some(alive_until(deadline)), timer_due("liveness"));
            assert_eq!(after, alive_until(deadline));
            assert_eq!(intents, [Intent::Timer(Timer { name: "liveness".to_owned(), due: deadline + 1 })]);
        }
    }

    #[test]
    fn deadlines_stop_at_the_last_instant() {
        let transition = extend(&context_at(NOW), node_in(Phase::Active), instant::LAST - SECOND);
        assert_eq!(transition.state.unwrap().liveness_deadline, Some(instant::LAST));
        assert_eq!(transition.intents[1], Intent::Timer(Timer { name: "liveness".to_owned(), due: instant::LAST }));
    }
}
