//! Waiting for a node's acknowledgement: it comes, or its time runs out.

use core::time::Duration;

use purefold_guest::{Context, Instant, Timer, TimerCancel, instant};

use crate::domain::{AckReceived, AckTimedOut, Acked, BecameActive, Intent, Phase, SetActive, SetPhase, State, Transition};
use crate::{DOMAIN, liveness};

/// How long a node may take to acknowledge its registration.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// The timer's name.
pub(crate) const TIMER: &str = "ack";

/// The timer that ends the waiting: due when the deadline is past, not when it is reached.
pub(crate) fn timer(deadline: Instant) -> Intent {
    Intent::Timer(Timer { name: TIMER.to_owned(), due: instant::just_after(deadline) })
}

/// The node acknowledged: it is active, and has until the end of the liveness interval to send its first heartbeat.
pub(crate) fn activate(context: &Context, mut state: State, command: &Acked) -> Transition {
    let liveness_deadline = instant::after(context.now, liveness::INTERVAL);
    state.phase = Phase::Active;
    state.liveness_deadline = Some(liveness_deadline);
    state.updated_at = context.now;

    let intents = vec![
        Intent::AckReceived(AckReceived {
            node_id: state.node_id,
            correlation_id: context.correlation_id.clone(),
            causation_id: command.command_id,
            emitted_at: context.now,
            liveness_deadline,
        }),
        Intent::BecameActive(BecameActive {
            node_id: state.node_id,
            correlation_id: context.correlation_id.clone(),
            causation_id: command.command_id,
            emitted_at: context.now,
            capabilities: state.capabilities.clone(),
        }),
        Intent::SetActive(SetActive {
            entity_id: state.node_id,
            domain: DOMAIN.to_owned(),
            current_state: state.phase,
            liveness_deadline,
            updated_at: context.now,
        }),
        Intent::TimerCancel(TimerCancel { name: TIMER.to_owned() }),
        liveness::timer(liveness_deadline),
    ];
    Transition { state: Some(state), intents }
}

/// The timer fell due: the registration times out, unless the deadline is still ahead.
pub(crate) fn time_out(context: &Context, mut state: State, deadline: Instant) -> Transition {
    if context.now <= deadline {
        return Transition { state: Some(state), intents: vec![timer(deadline)] };
    }
    let previous_state = state.phase;
    state.phase = Phase::AckTimedOut;
    state.updated_at = context.now;

    let intents = vec![
        Intent::AckTimedOut(AckTimedOut {
            node_id: state.node_id,
            correlation_id: context.correlation_id.clone(),
            emitted_at: context.now,
            deadline_at: deadline,
            previous_state,
        }),
        Intent::SetPhase(SetPhase {
            entity_id: state.node_id,
            domain: DOMAIN.to_owned(),
            current_state: state.phase,
            updated_at: context.now,
        }),
    ];
    Transition { state: Some(state), intents }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{
        ATTEMPT, COMMAND, CORRELATION, NODE, NOW, SECOND, accepted, acked, capabilities, context_at, node_in, timer as timer_due,
    };

    fn waiting_until(deadline: Instant) -> State {
        State { ack_deadline: Some(deadline), ..node_in(Phase::AwaitingAck) }
    }

    #[test]
    fn an_ack_activates_the_node_for_sixty_seconds() {
        for phase in [Phase::Accepted, Phase::AwaitingAck] {
            let before = State { ack_deadline: Some(NOW + 5 * SECOND), ..node_in(phase) };
            let (after, intents) = accepted(Some(before.clone()), acked());
            let liveness_deadline = NOW + 60 * SECOND;
            assert_eq!(
                after,
                State { phase: Phase::Active, liveness_deadline: Some(liveness_deadline), updated_at: NOW, ..before },
                "the ack deadline stays"
            );
            let correlation_id = CORRELATION.to_owned();
            assert_eq!(
                intents,
                [
                    Intent::AckReceived(AckReceived {
                        node_id: NODE,
                        correlation_id: correlation_id.clone(),
                        causation_id: COMMAND,
                        emitted_at: NOW,
                        liveness_deadline,
                    }),
                    Intent::BecameActive(BecameActive {
                        node_id: NODE,
                        correlation_id,
                        causation_id: COMMAND,
                        emitted_at: NOW,
                        capabilities: capabilities(),
                    }),
                    Intent::SetActive(SetActive {
                        entity_id: NODE,
                        domain: "registration".to_owned(),
                        current_state: Phase::Active,
                        liveness_deadline,
                        updated_at: NOW,
                    }),
                    Intent::TimerCancel(TimerCancel { name: "ack".to_owned() }),
                    Intent::Timer(Timer { name: "liveness".to_owned(), due: liveness_deadline + 1 }),
                ]
            );
        }
    }

    #[test]
    fn the_timer_ends_the_waiting_once_the_deadline_is_past() {
        let deadline = NOW - 1;
        let (after, intents) = accepted(Some(waiting_until(deadline)), timer_due("ack"));
        assert_eq!(after, State { phase: Phase::AckTimedOut, updated_at: NOW, ..waiting_until(deadline) });
        assert_eq!(after.attempt_id, ATTEMPT);
        assert_eq!(
            intents,
            [
                Intent::AckTimedOut(AckTimedOut {
                    node_id: NODE,
                    correlation_id: CORRELATION.to_owned(),
                    emitted_at: NOW,
                    deadline_at: deadline,
                    previous_state: Phase::AwaitingAck,
                }),
                Intent::SetPhase(SetPhase {
                    entity_id: NODE,
                    domain: "registration".to_owned(),
                    current_state: Phase::AckTimedOut,
                    updated_at: NOW,
                }),
            ]
        );
    }

    #[test]
    fn a_timer_that_comes_early_is_set_again() {
        for deadline in [NOW, NOW + 1, NOW + 3_600 * SECOND] {
            let (after, intents) = accepted(Some(waiting_until(deadline)), timer_due("ack"));
            assert_eq!(after, waiting_until(deadline));
            assert_eq!(intents, [Intent::Timer(Timer { name: "ack".to_owned(), due: deadline + 1 })]);
        }
    }

    #[test]
    fn deadlines_stop_at_the_last_instant() {
        let context = context_at(instant::LAST - SECOND);
        let command = Acked { command_id: COMMAND, node_id: NODE, correlation_id: NODE, timestamp: 0 };
        let transition = activate(&context, node_in(Phase::AwaitingAck), &command);
        assert_eq!(transition.state.unwrap().liveness_deadline, Some(instant::LAST));
        assert_eq!(transition.intents.last(), Some(&Intent::Timer(Timer { name: "liveness".to_owned(), due: instant::LAST })));
    }
}
