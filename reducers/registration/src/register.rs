//! Registering a node, for the first time or anew: everything starts over.

use purefold_guest::{Context, instant, uuid};

use crate::domain::{
    Accepted, Capabilities, DualStatus, Initiated, Intent, Introspected, Phase, Standing, State, Transition, UpsertRecord,
};
use crate::endpoints::Address;
use crate::{DOMAIN, acknowledgement, service, version};

/// What a node that declares nothing can do.
const NO_CAPABILITIES: Capabilities = Capabilities {
    postgres: None,
    read: None,
    write: None,
    database: None,
    transactions: None,
    processing: None,
    routing: None,
    feature: None,
    batch_size: None,
    max_batch: None,
    supported_types: None,
    mcp: None,
};

/// Asks for the row and the catalogue entry, and begins to wait for the acknowledgement. Nothing of an earlier registration is
/// left, in the state or in the row.
pub(crate) fn register(context: &Context, event: Introspected, address: Option<Address>) -> Transition {
    let ack_deadline = instant::after(context.now, acknowledgement::TIMEOUT);
    let state = State {
        node_id: event.node_id,
        node_type: event.node_type,
        phase: Phase::AwaitingAck,
        node_version: event.node_version.unwrap_or(version::DEFAULT),
        capabilities: event.declared_capabilities.unwrap_or(NO_CAPABILITIES),
        attempt_id: uuid::from_seed(context.seed),
        dual: DualStatus::Pending,
        record: Standing::Asked,
        service: Standing::Asked,
        registered_at: context.now,
        updated_at: context.now,
        ack_deadline: Some(ack_deadline),
        liveness_deadline: None,
        last_heartbeat_at: None,
    };

    let intents = vec![
        Intent::Initiated(Initiated {
            node_id: state.node_id,
            correlation_id: context.correlation_id.clone(),
            causation_id: event.correlation_id,
            emitted_at: context.now,
            registration_attempt_id: state.attempt_id,
        }),
        Intent::Accepted(Accepted {
            node_id: state.node_id,
            correlation_id: context.correlation_id.clone(),
            causation_id: event.correlation_id,
            emitted_at: context.now,
            ack_deadline,
        }),
        upsert_record(context, &state),
        service::register(context, &state, event.metadata.as_ref(), address),
        acknowledgement::timer(ack_deadline),
    ];
    Transition { state: Some(state), intents }
}

fn upsert_record(context: &Context, state: &State) -> Intent {
    Intent::UpsertRecord(UpsertRecord {
        entity_id: state.node_id,
        domain: DOMAIN.to_owned(),
        current_state: state.phase,
        node_type: state.node_type,
        node_version: version::text(&state.node_version),
        capabilities: state.capabilities.clone(),
        ack_deadline: state.ack_deadline,
        liveness_deadline: state.liveness_deadline,
        last_heartbeat_at: state.last_heartbeat_at,
        attempt_id: state.attempt_id,
        registered_at: state.registered_at,
        updated_at: state.updated_at,
        correlation_id: context.correlation_id.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Input, NodeType, RegisterService, Version};
    use crate::fixture::{CORRELATION, EVENT, NODE, NOW, SECOND, accepted, announcement, capabilities, introspected, node_in};
    use purefold_guest::{Timer, Uuid};

    /// The seed of the tests' context in the layout of version 4.
    const NEW_ATTEMPT: Uuid = (0x0123_4567_89ab_4def, 0x8fed_cba9_8765_4321);

    fn registered() -> State {
        State {
            node_id: NODE,
            node_type: NodeType::Effect,
            phase: Phase::AwaitingAck,
            node_version: version::DEFAULT,
            capabilities: NO_CAPABILITIES,
            attempt_id: NEW_ATTEMPT,
            dual: DualStatus::Pending,
            record: Standing::Asked,
            service: Standing::Asked,
            registered_at: NOW,
            updated_at: NOW,
            ack_deadline: Some(NOW + 30 * SECOND),
            liveness_deadline: None,
            last_heartbeat_at: None,
        }
    }

    #[test]
    fn a_registration_asks_for_both_halves_and_waits_thirty_seconds() {
        let (state, intents) = accepted(None, introspected());
        assert_eq!(state, registered());
        let correlation_id = || CORRELATION.to_owned();
        assert_eq!(
            intents,
            [
                Intent::Initiated(Initiated {
                    node_id: NODE,
                    correlation_id: correlation_id(),
                    causation_id: EVENT,
                    emitted_at: NOW,
                    registration_attempt_id: NEW_ATTEMPT,
                }),
                Intent::Accepted(Accepted {
                    node_id: NODE,
                    correlation_id: correlation_id(),
                    causation_id: EVENT,
                    emitted_at: NOW,
                    ack_deadline: NOW + 30 * SECOND,
                }),
                Intent::UpsertRecord(UpsertRecord {
                    entity_id: NODE,
                    domain: "registration".to_owned(),
                    current_state: Phase::AwaitingAck,
                    node_type: NodeType::Effect,
                    node_version: "1.0.0".to_owned(),
                    capabilities: NO_CAPABILITIES,
                    ack_deadline: Some(NOW + 30 * SECOND),
                    liveness_deadline: None,
                    last_heartbeat_at: None,
                    attempt_id: NEW_ATTEMPT,
                    registered_at: NOW,
                    updated_at: NOW,
                    correlation_id: correlation_id(),
                }),
                Intent::RegisterService(RegisterService {
                    service_id: "onex-effect-11111111-1111-4111-8111-111111111111".to_owned(),
                    service_name: "onex-effect".to_owned(),
                    tags: vec!["onex".to_owned(), "node-type:effect".to_owned()],
                    address: None,
                    port: None,
                    attempt_id: NEW_ATTEMPT,
                    correlation_id: correlation_id(),
                }),
                Intent::Timer(Timer { name: "ack".to_owned(), due: NOW + 30 * SECOND + 1 }),
            ]
        );
    }

    #[test]
    fn what_the_node_declares_is_kept() {
        let node_version = Version { major: 2, minor: 1, patch: 9, prerelease: Some(vec!["rc".to_owned()]), build: None };
        let event = Introspected {
            node_version: Some(node_version.clone()),
            declared_capabilities: Some(capabilities()),
            endpoints: Some(vec![("api".to_owned(), "https://Api.example:8443/v1".to_owned())]),
            ..announcement()
        };
        let (state, intents) = accepted(None, Input::Introspected(event));
        assert_eq!(state, State { node_version, capabilities: capabilities(), ..registered() });
        let [_, _, Intent::UpsertRecord(row), Intent::RegisterService(service), _] = &intents[..] else { panic!("{intents:?}") };
        assert_eq!((row.node_version.as_str(), &row.capabilities), ("2.1.9-rc", &capabilities()));
        assert_eq!((service.address.as_deref(), service.port), (Some("api.example"), Some(8443)));
    }

    #[test]
    fn a_registration_anew_leaves_nothing_of_the_old_one() {
        for phase in [Phase::Rejected, Phase::AckTimedOut, Phase::LivenessExpired] {
            let old = State {
                node_type: NodeType::Compute,
                dual: DualStatus::Failed,
                record: Standing::Failed,
                ack_deadline: Some(NOW - 9 * SECOND),
                liveness_deadline: Some(NOW - 5 * SECOND),
                last_heartbeat_at: Some(NOW - 7 * SECOND),
                ..node_in(phase)
            };
            assert_eq!(accepted(Some(old), introspected()), accepted(None, introspected()), "{phase:?}");
        }
    }

    #[test]
    fn the_deadline_stops_at_the_last_instant() {
        let context = crate::fixture::context_at(instant::LAST);
        let transition = register(&context, announcement(), None);
        assert_eq!(transition.state.unwrap().ack_deadline, Some(instant::LAST));
    }
}
