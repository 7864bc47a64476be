//! The node's entry in the service catalogue: its name, its tags, and the two intents that put it in and take it out.

use purefold_guest::{Context, Uuid, uuid};

use crate::domain::{Capabilities, DeregisterService, Intent, Mcp, Metadata, NodeType, RegisterService, State};
use crate::endpoints::Address;
use crate::slug::slug;

/// A node type as the wire writes it.
pub(crate) fn type_name(node_type: NodeType) -> &'static str {
    match node_type {
        NodeType::Effect => "effect",
        NodeType::Compute => "compute",
        NodeType::Reducer => "reducer",
        NodeType::Orchestrator => "orchestrator",
    }
}

/// Asks for the catalogue entry of a node that was just registered.
pub(crate) fn register(context: &Context, state: &State, metadata: Option<&Metadata>, address: Option<Address>) -> Intent {
    let (address, port) = address.map_or((None, None), |address| (Some(address.host), address.port));
    Intent::RegisterService(RegisterService {
        service_id: id(state.node_type, state.node_id),
        service_name: name(state.node_type),
        tags: tags(state.node_type, &state.capabilities, metadata),
        address,
        port,
        attempt_id: state.attempt_id,
        correlation_id: context.correlation_id.clone(),
    })
}

/// Takes the node out of the catalogue.
pub(crate) fn deregister(context: &Context, state: &State) -> Intent {
    Intent::DeregisterService(DeregisterService {
        service_id: id(state.node_type, state.node_id),
        correlation_id: context.correlation_id.clone(),
    })
}

fn name(node_type: NodeType) -> String {
    ["onex-", type_name(node_type)].concat()
}

fn id(node_type: NodeType, node_id: Uuid) -> String {
    ["onex-", type_name(node_type), "-", &uuid::text(node_id)].concat()
}

fn tags(node_type: NodeType, capabilities: &Capabilities, metadata: Option<&Metadata>) -> Vec<String> {
    let mut tags = vec!["onex".to_owned(), ["node-type:", type_name(node_type)].concat()];
    if node_type == NodeType::Orchestrator
        && let Some(mcp) = &capabilities.mcp
        && mcp.expose == Some(true)
    {
        tags.push("mcp-enabled".to_owned());
        tags.push(["mcp-tool:", &tool_name(mcp, metadata, node_type)].concat());
    }
    tags
}

/// The name of the tool that an orchestrator offers: its own, else what it says about itself, else its service's.
fn tool_name(mcp: &Mcp, metadata: Option<&Metadata>, node_type: NodeType) -> String {
    let own = mcp.tool_name.as_deref().filter(|name| !name.is_empty());
    let described = || metadata.and_then(|metadata| metadata.description.as_deref()).filter(|text| !text.is_empty());
    match own.or_else(described) {
        Some(text) => slug(text),
        None => slug(&name(node_type)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Input, Introspected, Phase};
    use crate::fixture::{ATTEMPT, CORRELATION, accepted, announcement, capabilities, context_at, node_in};

    fn exposing(tool_name: Option<&str>) -> Capabilities {
        let mcp = Mcp {
            expose: Some(true),
            tool_name: tool_name.map(str::to_owned),
            description: Some("not used".to_owned()),
            timeout_seconds: None,
        };
        Capabilities { mcp: Some(mcp), ..capabilities() }
    }

    fn described(description: Option<&str>) -> Metadata {
        Metadata { description: description.map(str::to_owned), environment: None, region: None, cluster: None, priority: None }
    }

    fn tags_of(node_type: NodeType, capabilities: Capabilities, metadata: Option<Metadata>) -> Vec<String> {
        let event = Introspected { node_type, declared_capabilities: Some(capabilities), metadata, ..announcement() };
        let (_, intents) = accepted(None, Input::Introspected(event));
        intents
            .into_iter()
            .find_map(|intent| if let Intent::RegisterService(service) = intent { Some(service.tags) } else { None })
            .unwrap()
    }

    #[test]
    fn an_entry_is_named_after_type_and_node() {
        for (node_type, name) in [
            (NodeType::Effect, "onex-effect"),
            (NodeType::Compute, "onex-compute"),
            (NodeType::Reducer, "onex-reducer"),
            (NodeType::Orchestrator, "onex-orchestrator"),
        ] {
            let state = State { node_type, ..node_in(Phase::AwaitingAck) };
            let address = Address { host: "h.local".to_owned(), port: Some(80) };
            assert_eq!(
                register(&context_at(0), &state, None, Some(address)),
                Intent::RegisterService(RegisterService {
                    service_id: format!("{name}-11111111-1111-4111-8111-111111111111"),
                    service_name: name.to_owned(),
                    tags: vec!["onex".to_owned(), name.replace("onex-", "node-type:")],
                    address: Some("h.local".to_owned()),
                    port: Some(80),
                    attempt_id: ATTEMPT,
                    correlation_id: CORRELATION.to_owned(),
                })
            );
            assert_eq!(
                deregister(&context_at(0), &state),
                Intent::DeregisterService(DeregisterService {
                    service_id: format!("{name}-11111111-1111-4111-8111-111111111111"),
                    correlation_id: CORRELATION.to_owned(),
                })
            );
        }
    }

    #[test]
    fn only_an_orchestrator_that_exposes_a_tool_has_the_tags_for_it() {
        for node_type in [NodeType::Effect, NodeType::Compute, NodeType::Reducer] {
            assert_eq!(tags_of(node_type, exposing(Some("T x")), None).len(), 2);
        }
        for expose in [None, Some(false)] {
            let mut hidden = exposing(Some("T x"));
            hidden.mcp.as_mut().unwrap().expose = expose;
            assert_eq!(tags_of(NodeType::Orchestrator, hidden, None), ["onex", "node-type:orchestrator"]);
        }
        assert_eq!(tags_of(NodeType::Orchestrator, capabilities(), None).len(), 2);
        assert_eq!(
            tags_of(NodeType::Orchestrator, exposing(Some("T x")), None),
            ["onex", "node-type:orchestrator", "mcp-enabled", "mcp-tool:t-x"]
        );
    }

    #[test]
    fn the_tool_is_called_by_its_name_else_by_the_description_else_as_the_service() {
        for (tool_name, metadata, expected) in [
            (Some("Win"), Some(described(Some("Lose"))), "mcp-tool:win"),
            (None, Some(described(Some("My Tool  Name"))), "mcp-tool:my-tool-name"),
            (Some(""), Some(described(Some("a.b"))), "mcp-tool:a-b"),
            (Some("!!!"), Some(described(Some("a.b"))), "mcp-tool:"),
            (None, Some(described(Some(""))), "mcp-tool:onex-orchestrator"),
            (Some(""), Some(described(None)), "mcp-tool:onex-orchestrator"),
            (None, None, "mcp-tool:onex-orchestrator"),
        ] {
            assert_eq!(tags_of(NodeType::Orchestrator, exposing(tool_name), metadata)[3], expected);
        }
    }
}
