//! The table of phases and inputs: which verb each cell means, and which cells are refused.

use purefold_guest::{Context, Timer};

use crate::domain::{Acked, Heartbeat, Input, Introspected, Phase, Rejection, State, Transition};
use crate::{acknowledgement, dual, endpoints, liveness, register, unchanged};

/// Decides one input of one node.
///
/// # Errors
/// The reason why the input has no effect.
pub fn decide(context: &Context, state: Option<State>, input: Input) -> Result<Transition, Rejection> {
    match (state, input) {
        (state, Input::Introspected(event)) => introspected(context, state.as_ref(), event),
        (None, _) => Err(Rejection::UnknownNode),
        (Some(state), Input::Acked(command)) => acked(context, state, &command),
        (Some(state), Input::Heartbeat(event)) => heartbeat(context, state, &event),
        (Some(state), Input::Timer(timer)) => Ok(timer_due(context, state, &timer)),
        (Some(state), Input::RecordStored(outcome)) => {
            dual::conclude(context, state, dual::Half::Record, outcome.attempt_id, outcome.result)
        }
        (Some(state), Input::ServiceRegistered(outcome)) => {
            dual::conclude(context, state, dual::Half::Service, outcome.attempt_id, outcome.result)
        }
    }
}

fn introspected(context: &Context, state: Option<&State>, event: Introspected) -> Result<Transition, Rejection> {
    let address = endpoints::service_address(event.endpoints.as_deref().unwrap_or_default()).map_err(Rejection::InvalidEndpoint)?;
    match state.map(|state| state.phase) {
        None | Some(Phase::Rejected | Phase::AckTimedOut | Phase::LivenessExpired) => Ok(register::register(context, event, address)),
        Some(phase @ (Phase::PendingRegistration | Phase::Accepted | Phase::AwaitingAck | Phase::AckReceived | Phase::Active)) => {
            Err(Rejection::Blocked(phase))
        }
    }
}

fn acked(context: &Context, state: State, command: &Acked) -> Result<Transition, Rejection> {
    match state.phase {
        Phase::Accepted | Phase::AwaitingAck => Ok(acknowledgement::activate(context, state, command)),
        Phase::PendingRegistration => Err(Rejection::AckTooEarly),
        Phase::AckTimedOut => Err(Rejection::AckTooLate),
        Phase::AckReceived | Phase::Active => Err(Rejection::DuplicateAck),
        phase @ (Phase::Rejected | Phase::LivenessExpired) => Err(Rejection::Terminal(phase)),
    }
}

fn heartbeat(context: &Context, state: State, event: &Heartbeat) -> Result<Transition, Rejection> {
    match state.phase {
        phase @ (Phase::Rejected | Phase::LivenessExpired) => Err(Rejection::Terminal(phase)),
        Phase::PendingRegistration | Phase::Accepted | Phase::AwaitingAck | Phase::AckTimedOut | Phase::AckReceived | Phase::Active => {
            Ok(liveness::extend(context, state, event.timestamp))
        }
    }
}

fn timer_due(context: &Context, state: State, timer: &Timer) -> Transition {
    match (timer.name.as_str(), state.phase, state.ack_deadline, state.liveness_deadline) {
        (acknowledgement::TIMER, Phase::Accepted | Phase::AwaitingAck, Some(deadline), _) => {
            acknowledgement::time_out(context, state, deadline)
        }
        (liveness::TIMER, Phase::Active, _, Some(deadline)) => liveness::expire(context, state, deadline),
        _ => unchanged(state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Intent;
    use crate::fixture::{NOW, PHASES, SECOND, accepted, acked, decide_now, heartbeat_at, introspected, names, node_in, timer};

    /// A node of `phase` whose deadlines are both past.
    fn overdue(phase: Phase) -> State {
        State { ack_deadline: Some(NOW - SECOND), liveness_deadline: Some(NOW - SECOND), ..node_in(phase) }
    }

    /// What was decided, in the words of the table.
    fn verdict(state: Option<&State>, input: Input) -> &'static str {
        let phase = state.map(|state| state.phase);
        match decide_now(state.cloned(), input) {
            Err(Rejection::UnknownNode) => "unknown-node",
            Err(Rejection::Blocked(blocked)) if Some(blocked) == phase => "blocked",
            Err(Rejection::AckTooEarly) => "ack-too-early",
            Err(Rejection::AckTooLate) => "ack-too-late",
            Err(Rejection::DuplicateAck) => "duplicate-ack",
            Err(Rejection::Terminal(terminal)) if Some(terminal) == phase => "terminal",
            Err(_) => "another rejection",
            Ok(transition) => match (transition.state, transition.intents.first()) {
                (after, None) if after.as_ref() == state => "no change",
                (Some(_), Some(Intent::Initiated(_))) => "register",
                (Some(_), Some(Intent::AckReceived(_))) => "activate",
                (Some(_), Some(Intent::SetHeartbeat(_))) => "extend",
                (Some(_), Some(Intent::AckTimedOut(_))) => "time out",
                (Some(_), Some(Intent::LivenessExpired(_))) => "expire",
                _ => "another transition",
            },
        }
    }

    #[test]
    fn every_cell_of_the_table() {
        use Phase::{AckReceived, AckTimedOut, Active, AwaitingAck, LivenessExpired, PendingRegistration, Rejected};
        let table = [
            // state                     introspected  acked            heartbeat       ack timer       liveness timer
            (None, ["register", "unknown-node", "unknown-node", "unknown-node", "unknown-node"]),
            (Some(PendingRegistration), ["blocked", "ack-too-early", "extend", "no change", "no change"]),
            (Some(Phase::Accepted), ["blocked", "activate", "extend", "time out", "no change"]),
            (Some(AwaitingAck), ["blocked", "activate", "extend", "time out", "no change"]),
            (Some(AckReceived), ["blocked", "duplicate-ack", "extend", "no change", "no change"]),
            (Some(Active), ["blocked", "duplicate-ack", "extend", "no change", "expire"]),
            (Some(Rejected), ["register", "terminal", "terminal", "no change", "no change"]),
            (Some(AckTimedOut), ["register", "ack-too-late", "extend", "no change", "no change"]),
            (Some(LivenessExpired), ["register", "terminal", "terminal", "no change", "no change"]),
        ];
        assert_eq!(table.len(), 1 + PHASES.len());
        for (phase, row) in table {
            let inputs = [introspected(), acked(), heartbeat_at(NOW), timer("ack"), timer("liveness")];
            for (input, expected) in inputs.into_iter().zip(row) {
                assert_eq!(verdict(phase.map(overdue).as_ref(), input.clone()), expected, "{phase:?} meets {input:?}");
            }
        }
    }

    #[test]
    fn deadlines_do_not_matter_to_announcements_acks_and_heartbeats() {
        for phase in PHASES {
            for input in [introspected(), acked(), heartbeat_at(NOW)] {
                let expected = verdict(Some(&overdue(phase)), input.clone());
                for deadline in [None, Some(NOW), Some(NOW + SECOND), Some(0)] {
                    let state = State { ack_deadline: deadline, liveness_deadline: deadline, ..node_in(phase) };
                    assert_eq!(verdict(Some(&state), input.clone()), expected, "{phase:?}, deadline {deadline:?}");
                }
            }
        }
    }

    #[test]
    fn a_timer_of_another_name_or_without_its_deadline_changes_nothing() {
        for phase in PHASES {
            assert_eq!(verdict(Some(&node_in(phase)), timer("ack")), "no change", "{phase:?} has no ack deadline");
            assert_eq!(verdict(Some(&node_in(phase)), timer("liveness")), "no change", "{phase:?} has no liveness deadline");
            for name in ["", "Ack", "ack ", "retry"] {
                assert_eq!(verdict(Some(&overdue(phase)), timer(name)), "no change", "{phase:?}, timer {name:?}");
            }
        }
        let only_liveness = State { liveness_deadline: Some(NOW - SECOND), ..node_in(Phase::AwaitingAck) };
        assert_eq!(verdict(Some(&only_liveness), timer("ack")), "no change");
        let only_ack = State { ack_deadline: Some(NOW - SECOND), ..node_in(Phase::Active) };
        assert_eq!(verdict(Some(&only_ack), timer("liveness")), "no change");
    }

    #[test]
    fn a_bad_endpoint_is_refused_before_the_phase_is_looked_at() {
        let with_bad_endpoint = || {
            let mut event = crate::fixture::announcement();
            event.endpoints = Some(vec![("api".to_owned(), "http://a/".to_owned()), ("metrics".to_owned(), "http://m:x/".to_owned())]);
            Input::Introspected(event)
        };
        for state in PHASES.map(|phase| Some(node_in(phase))).into_iter().chain([None]) {
            assert_eq!(decide_now(state, with_bad_endpoint()), Err(Rejection::InvalidEndpoint("metrics".to_owned())));
        }
    }

    #[test]
    fn the_same_announcement_again_is_blocked_and_asks_for_nothing() {
        let (state, intents) = accepted(None, introspected());
        assert_eq!(names(&intents), ["initiated", "accepted", "upsert-record", "register-service", "timer ack"]);
        assert_eq!(decide_now(Some(state), introspected()), Err(Rejection::Blocked(Phase::AwaitingAck)));
    }

    #[test]
    fn the_same_decision_twice_is_the_same() {
        for phase in PHASES {
            for input in [introspected(), acked(), heartbeat_at(NOW), timer("ack"), timer("liveness")] {
                let decide = || decide_now(Some(overdue(phase)), input.clone());
                assert_eq!(decide(), decide());
            }
        }
    }
}
