//! What the tests begin with: a node, a moment, and states of every phase.

use purefold_guest::{Context, Failure, Instant, Timer, Uuid};

use crate::decide;
use crate::domain::{
    Acked, Capabilities, DualStatus, Heartbeat, Input, Intent, Introspected, NodeType, Phase, RecordStored, Rejection, ServiceRegistered,
    Standing, State, Transition, Version,
};

pub(crate) const NODE: Uuid = (0x1111_1111_1111_4111, 0x8111_1111_1111_1111);
pub(crate) const ATTEMPT: Uuid = (0x9999_9999_0000_4000, 0x8000_0000_0000_0005);
pub(crate) const COMMAND: Uuid = (0xdddd_dddd_0000_4000, 0x8000_0000_0000_0003);
pub(crate) const EVENT: Uuid = (0xeeee_eeee_0000_4000, 0x8000_0000_0000_0002);
pub(crate) const CORRELATION: &str = "cccccccc-0000-4000-8000-000000000001";
pub(crate) const SECOND: u64 = 1_000_000;
/// 2026-02-13T12:00:00Z
pub(crate) const NOW: Instant = 1_770_984_000 * SECOND;

pub(crate) const PHASES: [Phase; 8] = [
    Phase::PendingRegistration,
    Phase::Accepted,
    Phase::AwaitingAck,
    Phase::Rejected,
    Phase::AckTimedOut,
    Phase::AckReceived,
    Phase::Active,
    Phase::LivenessExpired,
];

pub(crate) fn context_at(now: Instant) -> Context {
    Context {
        now,
        entity: "11111111-1111-4111-8111-111111111111".to_owned(),
        sequence: 7,
        event_id: "evt-1".to_owned(),
        correlation_id: CORRELATION.to_owned(),
        seed: (0x0123_4567_89ab_cdef, 0x0fed_cba9_8765_4321),
    }
}

/// A node in `phase`, registered an hour before [`NOW`], with both halves done.
pub(crate) fn node_in(phase: Phase) -> State {
    State {
        node_id: NODE,
        node_type: NodeType::Effect,
        phase,
        node_version: Version { major: 1, minor: 0, patch: 0, prerelease: None, build: None },
        capabilities: capabilities(),
        attempt_id: ATTEMPT,
        dual: DualStatus::Complete,
        record: Standing::Done,
        service: Standing::Done,
        registered_at: NOW - 3_600 * SECOND,
        updated_at: NOW - 3_600 * SECOND,
        ack_deadline: None,
        liveness_deadline: None,
        last_heartbeat_at: None,
    }
}

pub(crate) fn capabilities() -> Capabilities {
    Capabilities {
        postgres: Some(true),
        read: None,
        write: None,
        database: None,
        transactions: Some(false),
        processing: None,
        routing: None,
        feature: None,
        batch_size: Some(-1),
        max_batch: None,
        supported_types: Some(vec!["a".to_owned()]),
        mcp: None,
    }
}

pub(crate) fn announcement() -> Introspected {
    Introspected {
        node_id: NODE,
        node_type: NodeType::Effect,
        node_version: None,
        declared_capabilities: None,
        endpoints: None,
        metadata: None,
        correlation_id: EVENT,
        timestamp: NOW,
    }
}

pub(crate) fn introspected() -> Input {
    Input::Introspected(announcement())
}

pub(crate) fn acked() -> Input {
    Input::Acked(Acked { command_id: COMMAND, node_id: NODE, correlation_id: EVENT, timestamp: NOW })
}

pub(crate) fn heartbeat_at(timestamp: Instant) -> Input {
    Input::Heartbeat(Heartbeat {
        node_id: NODE,
        node_type: NodeType::Effect,
        uptime_seconds: 10.5,
        active_operations_count: None,
        memory_usage_mb: None,
        cpu_usage_percent: None,
        correlation_id: None,
        timestamp,
    })
}

pub(crate) fn timer(name: &str) -> Input {
    Input::Timer(Timer { name: name.to_owned(), due: NOW })
}

pub(crate) fn record_stored(result: Result<(), Failure>) -> Input {
    Input::RecordStored(RecordStored { intent_id: EVENT, attempt_id: ATTEMPT, result })
}

pub(crate) fn service_registered(result: Result<(), Failure>) -> Input {
    Input::ServiceRegistered(ServiceRegistered { intent_id: EVENT, attempt_id: ATTEMPT, result })
}

/// Decides at [`NOW`].
pub(crate) fn decide_now(state: Option<State>, input: Input) -> Result<Transition, Rejection> {
    decide(&context_at(NOW), state, input)
}

/// Decides at [`NOW`] what must be accepted.
pub(crate) fn accepted(state: Option<State>, input: Input) -> (State, Vec<Intent>) {
    let transition = decide_now(state, input).unwrap();
    (transition.state.unwrap(), transition.intents)
}

/// The names of the intents' cases, with a timer's name.
pub(crate) fn names(intents: &[Intent]) -> Vec<String> {
    intents
        .iter()
        .map(|intent| match intent {
            Intent::UpsertRecord(_) => "upsert-record".to_owned(),
            Intent::SetActive(_) => "set-active".to_owned(),
            Intent::SetHeartbeat(_) => "set-heartbeat".to_owned(),
            Intent::SetPhase(_) => "set-phase".to_owned(),
            Intent::RegisterService(_) => "register-service".to_owned(),
            Intent::DeregisterService(_) => "deregister-service".to_owned(),
            Intent::Initiated(_) => "initiated".to_owned(),
            Intent::Accepted(_) => "accepted".to_owned(),
            Intent::AckReceived(_) => "ack-received".to_owned(),
            Intent::BecameActive(_) => "became-active".to_owned(),
            Intent::AckTimedOut(_) => "ack-timed-out".to_owned(),
            Intent::LivenessExpired(_) => "liveness-expired".to_owned(),
            Intent::RegistrationResult(_) => "registration-result".to_owned(),
            Intent::RegistrationRejected(_) => "registration-rejected".to_owned(),
            Intent::Timer(timer) => format!("timer {}", timer.name),
            Intent::TimerCancel(timer) => format!("timer-cancel {}", timer.name),
        })
        .collect()
}
