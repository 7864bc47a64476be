//! The dual registration: a row and a catalogue entry are asked for together, and their outcomes come in any order.

use purefold_guest::{Context, Failure, TimerCancel, Uuid};

use crate::domain::{
    DualStatus, Intent, Phase, RegistrationRejected, RegistrationResult, Rejection, SetPhase, Standing, State, Transition,
};
use crate::{DOMAIN, acknowledgement, liveness, service, unchanged};

/// One half of the dual registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// The row.
    Record,
    /// The catalogue entry.
    Service,
}

/// Takes the outcome of one half of the attempt `attempt_id`.
pub(crate) fn conclude(
    context: &Context,
    mut state: State,
    half: Half,
    attempt_id: Uuid,
    outcome: Result<(), Failure>,
) -> Result<Transition, Rejection> {
    if attempt_id != state.attempt_id {
        return Err(Rejection::StaleOutcome);
    }
    let standing = match half {
        Half::Record => &mut state.record,
        Half::Service => &mut state.service,
    };
    *standing = if outcome.is_ok() { Standing::Done } else { Standing::Failed };

    Ok(match (state.dual, outcome) {
        (DualStatus::Pending, Ok(())) => {
            state.dual = DualStatus::Partial;
            unchanged(state)
        }
        (DualStatus::Partial, Ok(())) => {
            state.dual = DualStatus::Complete;
            let intents = vec![result(context, &state)];
            Transition { state: Some(state), intents }
        }
        (DualStatus::Pending | DualStatus::Partial, Err(failure)) => reject(context, state, &failure),
        (DualStatus::Complete | DualStatus::Failed, _) => unchanged(state),
    })
}

/// One half failed for good: the registration is rejected and what stands of it is taken back. A half that succeeds after this is
/// taken back too, by the intents that already stand behind it in its lane.
fn reject(context: &Context, mut state: State, failure: &Failure) -> Transition {
    state.dual = DualStatus::Failed;
    state.phase = Phase::Rejected;
    state.updated_at = context.now;

    let (kind, text) = failure.parts();
    let intents = vec![
        result(context, &state),
        Intent::RegistrationRejected(RegistrationRejected {
            node_id: state.node_id,
            correlation_id: context.correlation_id.clone(),
            emitted_at: context.now,
            registration_attempt_id: state.attempt_id,
            reason: [kind, ": ", text].concat(),
        }),
        Intent::SetPhase(SetPhase {
            entity_id: state.node_id,
            domain: DOMAIN.to_owned(),
            current_state: state.phase,
            updated_at: context.now,
        }),
        service::deregister(context, &state),
        Intent::TimerCancel(TimerCancel { name: acknowledgement::TIMER.to_owned() }),
        Intent::TimerCancel(TimerCancel { name: liveness::TIMER.to_owned() }),
    ];
    Transition { state: Some(state), intents }
}

fn result(context: &Context, state: &State) -> Intent {
    Intent::RegistrationResult(RegistrationResult {
        node_id: state.node_id,
        correlation_id: context.correlation_id.clone(),
        emitted_at: context.now,
        registration_attempt_id: state.attempt_id,
        status: state.dual,
        record: state.record,
        service: state.service,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DeregisterService, Input};
    use crate::fixture::{
        ATTEMPT, CORRELATION, EVENT, NODE, NOW, PHASES, accepted, decide_now, names, node_in, record_stored, service_registered,
    };

    fn refused() -> Result<(), Failure> {
        Err(Failure::Refused("backend said no".to_owned()))
    }

    fn asked_in(phase: Phase) -> State {
        State { dual: DualStatus::Pending, record: Standing::Asked, service: Standing::Asked, ..node_in(phase) }
    }

    fn expected_result(status: DualStatus, record: Standing, service: Standing) -> Intent {
        Intent::RegistrationResult(RegistrationResult {
            node_id: NODE,
            correlation_id: CORRELATION.to_owned(),
            emitted_at: NOW,
            registration_attempt_id: ATTEMPT,
            status,
            record,
            service,
        })
    }

    #[test]
    fn every_cell_of_the_table() {
        use DualStatus::{Complete, Failed, Partial, Pending};
        for (before, after_done, after_failed) in
            [(Pending, Partial, Failed), (Partial, Complete, Failed), (Complete, Complete, Complete), (Failed, Failed, Failed)]
        {
            for phase in PHASES {
                let state = || Some(State { dual: before, ..asked_in(phase) });
                assert_eq!(accepted(state(), record_stored(Ok(()))).0.dual, after_done);
                assert_eq!(accepted(state(), service_registered(Ok(()))).0.dual, after_done);
                assert_eq!(accepted(state(), record_stored(refused())).0.dual, after_failed);
                assert_eq!(accepted(state(), service_registered(refused())).0.dual, after_failed);
            }
        }
    }

    #[test]
    fn both_halves_done_in_either_order_complete_the_registration() {
        for phase in PHASES {
            for [first, second] in [[record_stored, service_registered], [service_registered, record_stored]] {
                let (partial, intents) = accepted(Some(asked_in(phase)), first(Ok(())));
                assert_eq!((partial.dual, intents), (DualStatus::Partial, vec![]));
                let (complete, intents) = accepted(Some(partial), second(Ok(())));
                assert_eq!(
                    complete,
                    State { dual: DualStatus::Complete, record: Standing::Done, service: Standing::Done, ..asked_in(phase) },
                    "the phase and the time of the last change stay"
                );
                assert_eq!(intents, [expected_result(DualStatus::Complete, Standing::Done, Standing::Done)]);
            }
        }
    }

    #[test]
    fn a_failed_half_rejects_the_registration_and_takes_back_what_stands() {
        for phase in PHASES {
            let (after, intents) = accepted(Some(asked_in(phase)), record_stored(refused()));
            assert_eq!(
                after,
                State { phase: Phase::Rejected, dual: DualStatus::Failed, record: Standing::Failed, updated_at: NOW, ..asked_in(phase) }
            );
            assert_eq!(
                intents,
                [
                    expected_result(DualStatus::Failed, Standing::Failed, Standing::Asked),
                    Intent::RegistrationRejected(RegistrationRejected {
                        node_id: NODE,
                        correlation_id: CORRELATION.to_owned(),
                        emitted_at: NOW,
                        registration_attempt_id: ATTEMPT,
                        reason: "refused: backend said no".to_owned(),
                    }),
                    Intent::SetPhase(SetPhase {
                        entity_id: NODE,
                        domain: "registration".to_owned(),
                        current_state: Phase::Rejected,
                        updated_at: NOW,
                    }),
                    Intent::DeregisterService(DeregisterService {
                        service_id: "onex-effect-11111111-1111-4111-8111-111111111111".to_owned(),
                        correlation_id: CORRELATION.to_owned(),
                    }),
                    Intent::TimerCancel(TimerCancel { name: "ack".to_owned() }),
                    Intent::TimerCancel(TimerCancel { name: "liveness".to_owned() }),
                ]
            );
        }
    }

    #[test]
    fn a_half_that_fails_after_the_other_succeeded_rejects_as_well() {
        let (partial, _) = accepted(Some(asked_in(Phase::Active)), record_stored(Ok(())));
        let (after, intents) = accepted(Some(partial), service_registered(refused()));
        assert_eq!((after.phase, after.dual), (Phase::Rejected, DualStatus::Failed));
        assert_eq!(intents[0], expected_result(DualStatus::Failed, Standing::Done, Standing::Failed));
        assert_eq!(intents.len(), 6);
    }

    #[test]
    fn after_a_failure_the_other_half_only_has_its_standing_kept() {
        let (failed, _) = accepted(Some(asked_in(Phase::AwaitingAck)), record_stored(refused()));
        for (outcome, service) in [(Ok(()), Standing::Done), (refused(), Standing::Failed)] {
            let (after, intents) = accepted(Some(failed.clone()), service_registered(outcome));
            assert_eq!(after, State { service, ..failed.clone() });
            assert!(intents.is_empty(), "{:?}", names(&intents));
        }
    }

    #[test]
    fn the_reason_names_the_kind_of_failure() {
        let text = || "why".to_owned();
        for (failure, reason) in [
            (Failure::Refused(text()), "refused: why"),
            (Failure::Exhausted(text()), "exhausted: why"),
            (Failure::Unknown(text()), "unknown: why"),
            (Failure::UnreadableReply(text()), "unreadable_reply: why"),
        ] {
            let (_, intents) = accepted(Some(asked_in(Phase::AwaitingAck)), service_registered(Err(failure)));
            let Intent::RegistrationRejected(rejected) = &intents[1] else { panic!("{intents:?}") };
            assert_eq!(rejected.reason, reason);
        }
    }

    #[test]
    fn an_outcome_of_another_attempt_is_stale() {
        for phase in PHASES {
            for outcome in [record_stored(Ok(())), record_stored(refused()), service_registered(Ok(())), service_registered(refused())] {
                let state = State { attempt_id: EVENT, ..asked_in(phase) };
                assert_eq!(decide_now(Some(state), outcome), Err(Rejection::StaleOutcome));
            }
        }
    }

    #[test]
    fn an_outcome_for_a_node_that_is_not_known_is_rejected() {
        for outcome in [record_stored(Ok(())), service_registered(refused())] {
            assert_eq!(decide_now(None, outcome), Err(Rejection::UnknownNode));
        }
    }

    #[test]
    fn the_outcomes_that_a_registration_asks_for_fit_it() {
        let (state, _) = accepted(None, crate::fixture::introspected());
        let Input::RecordStored(mut outcome) = record_stored(Ok(())) else { unreachable!() };
        outcome.attempt_id = state.attempt_id;
        assert_eq!(accepted(Some(state), Input::RecordStored(outcome)).0.dual, DualStatus::Partial);
    }
}
