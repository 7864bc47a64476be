//! A start: every node is asked to announce itself anew, and the registry announces itself.

use purefold_guest::{Context, uuid};

use crate::alive;
use crate::domain::{
    Capabilities, Endpoints, Intent, Introspection, Metadata, NodeType, Phase, RequestIntrospection, Started, State, Transition, Version,
};

/// What the registry is among the nodes: it has others do things.
pub(crate) const NODE_TYPE: NodeType = NodeType::Orchestrator;

/// The registry's version as a node: that of its contract.
const VERSION: Version = Version { major: 1, minor: 0, patch: 0 };

const DESCRIPTION: &str = "The registry of nodes";

/// The kinds of nodes that it registers.
const SUPPORTED_TYPES: [&str; 4] = ["effect", "compute", "reducer", "orchestrator"];

/// Takes a start. The node id is made at the first one and kept, so that the registry is the same node ever after.
pub(crate) fn start(context: &Context, state: Option<State>, event: Started) -> Transition {
    let node_id = state.map_or_else(|| uuid::from_seed(context.seed), |state| state.node_id);
    let state = State { node_id, phase: Phase::Announced, host: event.host, start_id: event.start_id, started_at: event.started_at };
    let intents = vec![
        Intent::RequestIntrospection(RequestIntrospection { registry_id: node_id, correlation_id: state.start_id, timestamp: context.now }),
        Intent::Introspection(Introspection {
            node_id,
            node_type: NODE_TYPE,
            node_version: VERSION,
            declared_capabilities: Capabilities {
                processing: true,
                routing: true,
                supported_types: SUPPORTED_TYPES.map(str::to_owned).into(),
            },
            endpoints: event.admin.as_deref().map(endpoints),
            metadata: Metadata { description: DESCRIPTION.to_owned() },
            correlation_id: state.start_id,
            timestamp: context.now,
        }),
        alive::first_ack(context.now),
        alive::next_beat(context.now),
    ];
    Transition { state: Some(state), intents }
}

fn endpoints(admin: &str) -> Endpoints {
    let at = |path: &str| format!("{admin}/{path}");
    Endpoints { health: at("healthz"), readiness: at("readyz"), metrics: at("metrics") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{NODE, NOW, SECOND, START, decide_at, names, running, started};
    use purefold_guest::Timer;

    #[test]
    fn a_start_asks_every_node_and_announces_the_registry() {
        let transition = decide_at(NOW, None, started(START)).unwrap();
        assert_eq!(
            transition.state,
            Some(State { node_id: NODE, phase: Phase::Announced, host: "one".to_owned(), start_id: START, started_at: NOW - SECOND })
        );
        let [request, introspection, ack, beat] = &transition.intents[..] else { panic!("{:?}", transition.intents) };
        assert_eq!(
            *request,
            Intent::RequestIntrospection(RequestIntrospection { registry_id: NODE, correlation_id: START, timestamp: NOW })
        );
        let Intent::Introspection(introspection) = introspection else { panic!("{introspection:?}") };
        assert_eq!((introspection.node_id, introspection.node_type, introspection.correlation_id), (NODE, NodeType::Orchestrator, START));
        let endpoints = introspection.endpoints.as_ref().unwrap();
        assert_eq!(
            [&*endpoints.health, &*endpoints.readiness, &*endpoints.metrics],
            ["http://one:9100/healthz", "http://one:9100/readyz", "http://one:9100/metrics"]
        );
        assert_eq!(*ack, Intent::Timer(Timer { name: "ack".to_owned(), due: NOW + 2 * SECOND }));
        assert_eq!(*beat, Intent::Timer(Timer { name: "beat".to_owned(), due: NOW + 30 * SECOND }));
    }

    #[test]
    fn it_stays_the_same_node_over_its_starts() {
        let again = (7, 7);
        let before = State { node_id: (5, 5), phase: Phase::Acknowledged, ..running() };
        let transition = decide_at(NOW, Some(before), started(again)).unwrap();
        let state = transition.state.unwrap();
        assert_eq!((state.node_id, state.phase, state.start_id), ((5, 5), Phase::Announced, again));
        assert_eq!(names(&transition.intents), ["request-introspection", "introspection", "timer ack", "timer beat"]);
    }

    #[test]
    fn a_host_that_tells_nothing_of_itself_has_no_endpoints() {
        let crate::domain::Input::Started(event) = started(START) else { panic!("a start") };
        let event = crate::domain::Input::Started(Started { admin: None, ..event });
        let transition = decide_at(NOW, None, event).unwrap();
        let [_, Intent::Introspection(introspection), ..] = &transition.intents[..] else { panic!("{:?}", transition.intents) };
        assert!(introspection.endpoints.is_none());
    }
}
